"""Answers that providers make in the background: followed to their end, and settled then, once.

``hand_over`` notes such a call in a durable file instead of settling it; what was held for it stays held. Its end is
seen by whoever asks for the answer, or by the gateway, which asks at growing intervals: each note is leased to one
worker, which holds its amount and asks; the notes of a worker that died go to another. ``ended`` charges what the
answer used. One whose end nobody sees in time, or whose channel is gone, costs what the Policy says.
"""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from engine.cluster.store import EmbeddedStore
from engine.errors import MappingError
from engine.ledger.amounts import ZERO
from engine.ledger.budgets import Held
from engine.ledger.pricing import Charge
from engine.relay import cutshort, tally
from engine.relay.call import Attempt, Call
from engine.relay.route import format_for
from engine.relay.send import ask
from engine.relay.thread import channel_name
from engine.relay.upstream import UpstreamFailure, parse

if TYPE_CHECKING:
    from pathlib import Path

    from engine.ledger.reserve import Reservation
    from engine.program import Format
    from engine.relay.state import RelayState

log = logging.getLogger(__name__)
_LEASE = 15.0
_FIRST, _LONGEST = 2.0, 60.0
_GONE = 600.0
"""Seconds after which a channel, or an answer that its provider does not know, is believed to be gone."""
_MOST = 10_000
_AT_ONCE = 4
_FIELD_BYTES = 256
"""Longer fields of a request are no words that a price's condition looks for."""


@dataclass(slots=True)
class Note:
    """A call whose answer is being made; times are unix seconds."""

    answer: str
    format: str
    channel: str
    model: str
    call: dict[str, Any]
    """As ``cutshort.note`` has it."""
    amount: int
    """What is held for it."""
    sent: int
    """Bytes of its request."""
    request: dict[str, Any]
    until: float
    following: float
    """When it is asked for next."""
    worker: str
    lease: float
    asked: int = 0
    gone: float = 0.0
    """Since when its channel, or the answer there, is not found."""
    settling: bool = False


class Background:
    """One worker's door to the notes that all workers of a machine share."""

    def __init__(self, path: Path) -> None:
        self._space = EmbeddedStore(path, durable=True).space("background")
        self._worker = f"{os.getpid()}-{os.urandom(6).hex()}"
        self._holding: dict[str, Reservation] = {}
        self._budgets: dict[str, Held] = {}
        self._asking: set[str] = set()
        self._pool: ThreadPoolExecutor | None = None

    def hand_over(self, state: RelayState, call: Call, attempt: Attempt) -> bool:
        """Note a call whose answer the provider goes on to make; what is held for it stays so. False if it can't be."""
        account, held = call.account, call.reservation
        if account is None:
            return False
        key = _key(account.token_id, attempt.outcome.pending)
        try:
            self._space.put(key, _bytes(asdict(self._noted(state, call, attempt))))
        except Exception:
            log.exception("call %s: its answer can't be followed; it is settled by its request", call.request_id)
            return False
        if held is not None:
            self._holding[key] = held
        if call.budget is not None:
            self._budgets[key] = call.budget
        return True

    def _noted(self, state: RelayState, call: Call, attempt: Attempt) -> Note:
        now = time.time()
        return Note(
            answer=attempt.outcome.pending,
            format=call.format.name,
            channel=channel_name(attempt.channel),
            model=attempt.model,
            call={**cutshort.note(call, attempt), "stream": call.stream, "path": call.endpoint.path},
            amount=call.reservation.amount if call.reservation is not None else 0,
            sent=len(call.raw),
            request={name: value for name, value in call.body.items() if len(_bytes(value)) <= _FIELD_BYTES},
            until=now + state.terms.background_seconds,
            following=now + _FIRST,
            worker=self._worker,
            lease=now + _LEASE,
        )

    def known(self, token_id: int, answer_id: str) -> bool:
        """Whether an answer is still to be settled."""
        return self._space.get(_key(token_id, answer_id)) is not None

    def follow(self, state: RelayState) -> None:
        """Take up what no living worker follows, and ask for what is due. Called every second; never waits."""
        keys, now = self._space.keys(_MOST), time.time()
        for key in self._holding.keys() - set(keys):
            self._let_go(state, key)
        for key in keys:
            raw = self._space.get(key)
            if raw is None:
                continue
            note = _note(raw)
            mine = note.worker == self._worker
            if not mine and note.lease > now and _lives(note.worker):
                if not note.settling:  # its worker holds it: twice is too much
                    self._let_go(state, key)
                continue
            if not mine or note.lease - now < _LEASE / 2:
                note = replace(note, worker=self._worker, lease=now + _LEASE, settling=False)
                if not self._space.cas(key, raw, _bytes(asdict(note))):
                    continue
            if key not in self._holding:
                self._holding[key] = state.reserves.adopt(note.call["user"], note.call["token"], note.amount)
            if note.following <= now and key not in self._asking:
                self._asking.add(key)
                self._pool = self._pool or ThreadPoolExecutor(_AT_ONCE)
                self._pool.submit(self._ask, state, key, note)

    def ended(self, state: RelayState, token_id: int, answer_id: str, answer: dict[str, Any], attempt: Attempt) -> None:
        """Settle a followed call by an answer that has come to its end; does nothing if that was done."""
        key = _key(token_id, answer_id)
        note = self._claim(key)
        if note is None:
            return
        usage, source = _used(state, note, answer, attempt)
        charge = cutshort.charged(state.book, note.call, usage, note.request)
        if charge.failed:
            charge = replace(charge, quota=note.amount)
        self._book(state, key, note, usage, charge, source, "seen")

    def _ask(self, state: RelayState, key: str, note: Note) -> None:
        """Ask the provider, and settle or ask again later."""
        try:
            self._asked(state, key, note)
        except Exception:
            log.exception("the background answer of call %s can't be followed", note.call["request_id"])
        finally:
            self._asking.discard(key)

    def _asked(self, state: RelayState, key: str, note: Note) -> None:
        now = time.time()
        speaker = state.program.formats.get(note.format)
        attempt = maker(state, speaker, note.channel, note.model) if speaker is not None else None
        gone = now
        if speaker is not None and speaker.stored is not None and attempt is not None:
            gone = 0.0
            try:
                answer = told_by(state, _call(state, speaker, note), attempt, "GET", note.answer, "")
                if speaker.stored.pending is None or not speaker.stored.pending([], answer):
                    shown(state, note.call["token"], note.answer, speaker, answer)
                    self.ended(state, note.call["token"], note.answer, answer, attempt)
                    return
            except UpstreamFailure as ex:
                gone = now if ex.status == 404 else 0.0
                log.info("the background answer of call %s: %s", note.call["request_id"], ex)
        since = (note.gone or gone) if gone else 0.0
        if now >= note.until or (since and now - since >= _GONE):
            self._give_up(state, key)
            return
        raw = self._space.get(key)
        if raw is not None:
            pause = min(_LONGEST, _FIRST * 2.0 ** min(note.asked + 1, 10))
            later = replace(_note(raw), following=now + pause, asked=note.asked + 1, gone=since)
            self._space.cas(key, raw, _bytes(asdict(later)))

    def _give_up(self, state: RelayState, key: str) -> None:
        """Nobody saw the end: the call costs what the Policy says."""
        note = self._claim(key)
        if note is not None:
            quota = note.amount if state.terms.unknown_end_pays else 0
            charge = Charge(quota, ZERO, "", "", failed="the end of its answer was not seen")
            log.warning("the background answer of call %s was given up: %s units", note.call["request_id"], quota)
            self._book(state, key, note, {}, charge, "estimated", "unknown")

    def _claim(self, key: str) -> Note | None:
        """The note, if it is this worker's to settle now; another claims it only when this one has died."""
        now = time.time()
        raw = self._space.get(key)
        note = _note(raw) if raw is not None else None
        if raw is None or note is None or (note.settling and note.lease > now):
            return None
        claimed = replace(note, worker=self._worker, lease=now + _LEASE, settling=True)
        return note if self._space.cas(key, raw, _bytes(asdict(claimed))) else self._claim(key)

    def _book(
        self, state: RelayState, key: str, note: Note, usage: dict[str, Any], charge: Charge, source: str, end: str
    ) -> None:
        """Into the journal first, then the note goes: who dies between leaves it to another, and the ledger has one."""
        more = {"request_path": note.call["path"], "background": {"end": end, "asked": note.asked}}
        entry = cutshort.booked(note.call, usage, charge, source=source, more=more, logged=state.choices.logged)
        state.ledger.put(entry)
        held = self._holding.pop(key, None) or state.reserves.adopt(entry.user_id, entry.token_id, 0)
        held.settle(entry.quota)
        binding = [(one, 0) for one in state.budgets.binding(entry.token_id, entry.user_id)]
        state.budgets.add(Held(note.call["at"], binding), quota=entry.quota, tokens=usage.get("total", 0))
        self._space.delete(key)
        self._let_go(state, key)

    def _let_go(self, state: RelayState, key: str) -> None:
        held, budget = self._holding.pop(key, None), self._budgets.pop(key, None)
        if held is not None:
            held.settle()
        if budget is not None:
            state.budgets.add(budget, quota=0, tokens=0)


def maker(state: RelayState, speaker: Format, channel: str, model: str = "") -> Attempt | None:
    """The channel of this name, if it is still there and speaks the format."""
    for one in state.table.channels:
        if channel_name(one) == channel:
            spoken = format_for(state.program, one, speaker)
            if spoken.passthrough_as == speaker.passthrough_as:
                return Attempt(one, spoken, model, None, {}, "")
    return None


def told_by(state: RelayState, call: Call, attempt: Attempt, method: str, answer_id: str, below: str) -> dict[str, Any]:
    """What the provider says of an answer now. Raises ``UpstreamFailure``."""
    answer = parse(ask(state, call, attempt, method, f"/{answer_id}{below}"))
    if not isinstance(answer, dict):
        raise UpstreamFailure({"meaning": "unknown", "message": "the provider answered with no JSON object"})
    return answer


def shown(state: RelayState, token_id: int, answer_id: str, speaker: Format, answer: dict[str, Any]) -> None:
    """Keep an answer anew, under the model's name that its caller knows, where it is kept."""
    record = state.answers.find(token_id, answer_id)
    if record is not None:
        known = {path[0]: record.answer[path[0]] for path in speaker.model_at if path[0] in record.answer}
        state.answers.keep(token_id, replace(record, answer={**answer, **known}), [])


def _used(state: RelayState, note: Note, answer: dict[str, Any], attempt: Attempt) -> tuple[dict[str, Any], str]:
    """What an answer used: as it tells; of one that says something and tells nothing, as it is counted here."""
    at, decode = attempt.format.usage.at, attempt.format.decode_response
    told = at([], answer, note.model) if at else None
    usage = tally.within_reason(attempt.channel.plan(attempt.format).normalise(told), note.sent) if told else {}
    if usage.get("input_total") and usage.get("output_total"):
        return usage, "upstream"
    try:
        parts = (decode([], answer, {}, {}, {"model": note.model}).get("parts") or []) if decode else []
    except MappingError:
        parts = []
    if not tally.says_something(parts):
        return usage, "upstream"
    output = usage.get("output_total") or state.counter.answer(note.model, parts).tokens
    fresh = usage.get("input_total") or note.call["input"]
    counted = {} if usage.get("input_total") else {"input_fresh": fresh, "input_total": fresh}
    text = output - min(usage.get("reasoning", 0), output)
    return {**usage, **counted, "output_text": text, "output_total": output, "total": fresh + output}, "estimated"


def _call(state: RelayState, speaker: Format, note: Note) -> Call:
    """A call of the gateway's own."""
    reader, endpoint = state.reader, speaker.endpoints[0]
    request_id, now = note.call["request_id"], int(time.time())
    return Call(request_id, time.monotonic(), now, reader, speaker, endpoint, {}, {}, {}, "")


def _lives(worker: str) -> bool:
    """Whether a worker's process is there; another with its number is told from it by the lease."""
    try:
        os.kill(int(worker.partition("-")[0]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _key(token_id: int, answer_id: str) -> str:
    return f"{token_id}:{answer_id}"


def _bytes(value: Any) -> bytes:
    return orjson.dumps(value, default=str)


def _note(raw: bytes) -> Note:
    return Note(**orjson.loads(raw))
