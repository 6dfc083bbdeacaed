"""Keeping: what was heard of calls is stored beside them: without credentials, redacted where a rule says so.

Bounded: what comes while too much waits is not kept, and that is counted. Never fails a call, never holds one up: what
takes long is done by a thread of the system's own.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import GatewrightError
from engine.relay.captures.exchange import Capture, Heard, Hop, passed
from engine.relay.captures.redacting import redacted_body, words_of
from engine.relay.upstream.masking import callers_mask, mask_of
from engine.storage.releases import captures
from engine.storage.releases.captures import Captured
from engine.storage.sqlite import one_thread

if TYPE_CHECKING:
    from engine.relay.call import Call, Reply
    from engine.storage.database import Database
    from engine.transport.masking import Mask

log = logging.getLogger(__name__)
_MOST_WAITING, _MOST_BYTES, _AT_ONCE = 500, 64 * 1024 * 1024, 20
_PATIENCE = 5.0
_SECRET_NAME = re.compile(r"auth|key|token|secret|cookie|password|signature|credential", re.IGNORECASE)


@dataclass(slots=True)
class Kept:
    """A call that is over, with what its caller was given."""

    capture: Capture
    call: Call
    status: int
    headers: list[tuple[str, str]]
    given: Heard

    @property
    def hop(self) -> Hop | None:
        """That of the attempt which answered."""
        return self.capture.hops.get(id(self.call.attempt))

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        hop = self.hop
        beyond = len(hop.sent.data) + len(hop.answer.data) if hop is not None else 0
        return len(self.call.raw) + len(self.given.data) + beyond


class Keeper:
    """What stores a worker's exchanges. Its thread begins with the first."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: deque[Kept] = deque()
        self._bytes = 0
        self._wake, self._stop, self._idle = threading.Event(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._pool: Any = None
        self.lost = 0
        """Exchanges that were not kept: too many waited, or they could not be stored."""

    def follow(self, call: Call, reply: Reply) -> None:
        """Keep a call that is heard, when its last byte has gone."""
        capture = call.capture
        assert capture is not None
        given = Heard(capture.rule.bytes)
        kept = Kept(capture, call, reply.status, list(reply.headers), given)
        if reply.stream is not None:
            reply.stream = passed(reply.stream, given, lambda: self.put(kept))
        else:
            given.add(reply.body)
            self.put(kept)

    def put(self, kept: Kept) -> None:
        """Take an exchange, unless too much waits."""
        if len(self._waiting) >= _MOST_WAITING or self._bytes + kept.size > _MOST_BYTES:
            self.lost += 1
            return
        self._bytes += kept.size
        self._waiting.append(kept)
        if self._thread is None:
            self._pool = one_thread()
            self._thread = threading.Thread(target=self._run, name="captures", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Store what waits, within a few seconds."""
        if self._thread is not None:
            self._stop.set()
            self._wake.set()
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while not (self._stop.is_set() and not self._waiting):
            self._wake.wait(1.0)
            self._wake.clear()
            while self._waiting:
                part = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
                self._bytes -= sum(kept.size for kept in part)
                try:
                    self._store(part)
                except Exception as ex:  # a call's copy is no reason to stop; what is lost is counted
                    self.lost += len(part)
                    log.warning(
                        "%d exchanges are not kept: %s", len(part), ex, exc_info=not isinstance(ex, GatewrightError)
                    )

    def _store(self, part: list[Kept]) -> None:
        rows = self._pool.apply(_rows, (part,)) if self._pool is not None else _rows(part)
        most = {kept.capture.rule.name: kept.capture.rule.most for kept in part}
        captures.keep(self._db, rows, most)


def _rows(part: list[Kept]) -> list[Captured]:
    return [_row(kept) for kept in part]


def _row(kept: Kept) -> Captured:
    call, rule = kept.call, kept.capture.rule
    attempt, account = call.attempt, call.account
    facts: dict[str, Any] = {
        "id": call.request_id[:64],
        "rule": rule.name[:80],
        "created_at": call.now,
        "until": int(call.now + rule.seconds),
        "user_id": account.user_id if account else 0,
        "username": account.username if account else "",
        "token_id": account.token_id if account else 0,
        "token_name": account.token_name if account else "",
        "model": call.asked[:191],
        "format": call.format.name,
        "channel": attempt.channel.name[:191] if attempt else "",
        "release": call.program.hash,
        "status": kept.status,
        "size": kept.size,
        "redacted": int(rule.redacted),
    }
    return Captured(facts, _exchange(kept))


def _exchange(kept: Kept) -> dict[str, Any]:
    """What was said, as plain data: ``request``, ``response`` and, with what went to a provider, ``upstream``."""
    call, attempt, hop, redacted = kept.call, kept.call.attempt, kept.hop, kept.capture.rule.redacted
    mask = mask_of(attempt, call) if attempt is not None else callers_mask(call)
    words = words_of(call.program) | {call.asked, attempt.model if attempt else ""} if redacted else None
    asked = Heard(kept.capture.rule.bytes)
    asked.add(call.raw if isinstance(call.raw, bytes) else call.raw[: asked.most])
    exchange: dict[str, Any] = {
        "request": {
            "method": call.endpoint.method,
            "path": call.called,
            "variables": dict(call.path),
            "query": _named(call.query, mask, words),
            "headers": _named(call.headers, mask, words),
            "stream": call.stream,
            **_body(asked, mask, words),
        },
        "response": {
            "status": kept.status,
            "headers": _named(dict(kept.headers), mask, words),
            **_body(kept.given, mask, words),
        },
    }
    if attempt is not None:
        exchange["upstream"] = {
            "provider": attempt.channel.provider.name,
            "channel": attempt.channel.name,
            "format": attempt.format.name,
            "model": attempt.model,
        }
    if hop is not None:
        exchange["upstream"] |= {
            "request": _body(hop.sent, mask, words),
            "response": {
                "status": hop.status,
                "headers": _named(hop.headers, mask, words),
                **_body(hop.answer, mask, words),
            },
        }
    return exchange


def _body(heard: Heard, mask: Mask, words: frozenset[str] | None) -> dict[str, Any]:
    """``body`` as text, ``bytes`` that it had, and whether the end of it is ``cut`` off."""
    cut = heard.size > len(heard.data)
    raw = mask.raw(bytes(heard.data))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "ignore") if cut else ""
    if words is not None:
        text = redacted_body(text, words)
    return {"body": text, "bytes": heard.size, "cut": cut or (bool(raw) and not text)}


def _named(values: Mapping[str, str], mask: Mask, words: frozenset[str] | None) -> dict[str, str]:
    """Headers or parts of a query but for credentials; of a redacted exchange those that documents speak of."""
    told = {name: mask.text(value) for name, value in values.items() if not _SECRET_NAME.search(name)}
    if words is None:
        return told
    return {name: value for name, value in told.items() if name in words or name.lower() == "content-type"}
