"""Opening: a stream's beginning is kept back until it is worth something, so that another channel may still answer.

Until something is said in it, as an answer in which nothing is fails; and as much longer as a Policy's ``holdFirst``
says. What fails meanwhile raises, as the caller had nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING

from engine.relay.upstream.failure import EMPTY, UpstreamFailure
from engine.relay.upstream.send import failure
from engine.transport.answer import mute

if TYPE_CHECKING:
    from engine.kinds.conversation.streamed.stream import Stream
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt
    from engine.transport.leg import Answer

_SILENT = 16
"""Pieces in which nothing is said that are kept back at most; each is looked at."""
_SILENT_LIMITED = 64
"""The same where something must be said by a time."""
_BYTES = 1024 * 1024
"""What is kept back at most of all that is said."""


def held_back(call: Call, attempt: Attempt, stream: Stream, answer: Answer, *, spare: bool) -> Iterator[bytes | None]:
    """The stream's pieces, the beginning as one; None each time that a ping is due.

    ``spare``: another attempt would follow; an answer that comes to its end with nothing said in it then fails.
    """
    pieces = stream.run()
    opening: list[bytes] = []
    if attempt.speaks_by:
        answer.hurry(attempt.speaks_by)
    yield from _silent(attempt, stream, pieces, opening)
    if attempt.speaks_by:
        answer.hurry(0.0)
    hold = call.snapshot.retry.hold if spare else None
    if hold is not None and not stream.ending and hold.when.holds(call):
        yield from _held(stream, pieces, opening, hold.seconds, hold.chunks)
    stream.note()
    if spare and stream.empty:
        raise UpstreamFailure(EMPTY)
    if opening:
        yield b"".join(opening)
    yield from pieces


def _silent(
    attempt: Attempt, stream: Stream, pieces: Iterator[bytes | None], opening: list[bytes]
) -> Iterator[bytes | None]:
    """Keep back what comes until something is said."""
    limit = attempt.speaks_by or inf
    most = _SILENT_LIMITED if attempt.speaks_by else _SILENT
    for piece in pieces:
        if piece is None:
            yield None
            continue
        opening.append(piece)
        if stream.ending or len(opening) >= most or not stream.silent:
            return
        if time.monotonic() > limit:
            raise failure(mute())


def _held(
    stream: Stream, pieces: Iterator[bytes | None], opening: list[bytes], seconds: float, chunks: float
) -> Iterator[bytes | None]:
    """Keep back what else comes, for so long, or so many pieces in all."""
    end, size = time.monotonic() + seconds, sum(map(len, opening))
    if len(opening) >= chunks:
        return
    for piece in pieces:
        if piece is None:
            yield None
            continue
        opening.append(piece)
        size += len(piece)
        if stream.ending or len(opening) >= chunks or time.monotonic() >= end or size > _BYTES:
            return
