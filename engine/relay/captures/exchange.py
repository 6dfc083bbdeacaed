"""One call that is kept: hears what its upstream answers and what its caller is given, each up to a bound.

Nothing is held up by it, read ahead or changed: pieces pass as they come, and what was heard is handed on at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.routing.when import When
from engine.storage.releases.captures import MOST

if TYPE_CHECKING:
    from engine.routing.attempt import Attempt
    from engine.transport.answer import Answer
    from engine.transport.spool import Body


_BYTES = 1024 * 1024
_WEEK = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class CaptureRule:
    """What is kept by one rule: ``share`` of the calls, ``bytes`` of each body, for ``seconds``, ``most`` in all."""

    name: str
    when: When = field(default_factory=When)
    share: float = 1.0
    redacted: bool = True
    seconds: float = _WEEK
    most: int = MOST
    bytes: int = _BYTES


@dataclass(slots=True)
class Heard:
    """The beginning of a body, and how long all of it was."""

    most: int
    data: bytearray = field(default_factory=bytearray)
    size: int = 0

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self.size += len(piece)
        if len(self.data) < self.most:
            self.data += piece[: self.most - len(self.data)]


@dataclass(slots=True)
class Hop:
    """What went up in an attempt, and what came down."""

    sent: Heard
    status: int
    headers: dict[str, str]
    answer: Heard


@dataclass(slots=True)
class Capture:
    """See the module. ``hops`` are by attempt, as one of several may be the one that answers."""

    rule: CaptureRule
    hops: dict[int, Hop] = field(default_factory=dict)

    def answer(self, attempt: Attempt, body: Body, answer: Answer) -> Answer:
        """The upstream's answer, which is heard as it is read."""
        sent = Heard(self.rule.bytes)
        for piece in [body] if isinstance(body, bytes) else body:
            sent.add(bytes(piece))
            if sent.size > self.rule.bytes:
                break
        heard = Heard(self.rule.bytes)
        self.hops[id(attempt)] = Hop(sent, answer.status, dict(answer.headers), heard)
        overheard: Any = _Overheard(answer, heard)
        return overheard  # type: ignore[no-any-return]


class _Overheard:
    """An answer whose body is heard as it is read; all else is the answer itself."""

    __slots__ = ("_answer", "_heard")

    def __init__(self, answer: Answer, heard: Heard) -> None:
        self._answer = answer
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._answer, name)

    def read(self, *limit: int) -> bytes:
        """The whole body."""
        body = self._answer.read(*limit)
        self._heard.add(body)
        return body

    def pieces(self, tick: float = 0.0) -> Iterator[bytes]:
        """The body as it arrives."""
        pieces = self._answer.pieces(tick)
        try:
            for piece in pieces:
                self._heard.add(piece)
                yield piece
        finally:
            _close(pieces)


def passed(stream: Iterator[bytes], given: Heard, ended: Callable[[], None]) -> Iterator[bytes]:
    """A stream as it is, heard; ``ended`` is called when it is over, however it ends."""
    try:
        for piece in stream:
            given.add(piece)
            yield piece
    finally:
        _close(stream)
        ended()


def _close(pieces: Iterator[bytes]) -> None:
    if (close := getattr(pieces, "close", None)) is not None:
        close()
