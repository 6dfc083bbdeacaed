"""Unbroken: a stream that several upstreams make, one after the other, told as one answer.

Where one breaks off, another attempt goes on from what was said, as a Policy wants it. Where none does, the caller is
told the error, as of any stream that broke off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from engine.kinds.conversation.passthrough import Passthrough
from engine.kinds.conversation.streamed.prefix import Prefix
from engine.program.refused import for_caller
from engine.relay.upstream.failure import UpstreamFailure

if TYPE_CHECKING:
    from engine.kinds.conversation.answers import Exchange
    from engine.kinds.conversation.streamed.encoder import Encoder
    from engine.kinds.conversation.streams import Pump, TranslatedStream
    from engine.relay.attempts.continued import GoneUp
    from engine.transport.waiting import Waiting

Begin = Callable[["GoneUp"], "tuple[Exchange, Pump, str | None]"]
"""The answer of an attempt that went up: it, the pieces of its body, and its framing; None for what is no stream."""
_NO_STREAM = {"meaning": "unknown", "message": "the provider answered with something else than a stream"}


class Unbroken:
    """See the module; a ``Stream`` around another one."""

    def __init__(self, stream: Passthrough | TranslatedStream, begin: Begin) -> None:
        self._stream = stream
        self._begin = begin
        self._over = False

    @property
    def encoder(self) -> Encoder:
        """See ``Stream``."""
        return self._stream.encoder

    @property
    def answered(self) -> Exchange:
        """See ``Stream``."""
        return self._stream.answered

    @property
    def ending(self) -> bool:
        """See ``Stream``."""
        return self._over or self._stream.ending

    @property
    def silent(self) -> bool:
        """See ``Stream``."""
        return self._stream.silent

    @property
    def empty(self) -> bool:
        """See ``Stream``."""
        return self._stream.empty

    def note(self) -> None:
        """See ``Stream``."""
        self._stream.note()

    def parts(self) -> list[dict[str, Any]]:
        """See ``Stream``."""
        return self._stream.parts()

    def pending(self) -> str:
        """See ``token_fallback.Said``."""
        return self._stream.pending()

    def run(self) -> Iterator[bytes | None]:
        """See ``Stream``."""
        while True:
            try:
                yield from self._stream.run()
            except UpstreamFailure as ex:
                if not self.answered.may_go_on:
                    raise
                if not (yield from self._goes_on(ex.error)):
                    self._over = True
                    answered = self.answered
                    yield self.encoder.error(for_caller(ex.error, answered.attempt.format, answered.call.format))
                    return
            else:
                return

    def _goes_on(self, error: dict[str, Any]) -> Waiting[bool]:
        """Whether another attempt goes on; the one that broke off is over then, and what it used is known."""
        stream, broken = self._stream, self.answered
        prefix = Prefix.of([dict(part) for part in stream.said()])
        if prefix is None or broken.attempt.goes_on is None or stream.turned:
            return False
        broken.count_missing(stream)
        broken.call.said = prefix.parts
        broken.unwatch()
        broken.handle.abort()
        went: GoneUp | None = yield from broken.attempt.goes_on(error)
        if went is None:
            return False
        went.attempt.outcome.delivered = True
        answered, pump, kind = self._begin(went)
        translated = stream.translated(answered.request) if isinstance(stream, Passthrough) else stream
        if kind is None:
            went.attempt.outcome.error = _NO_STREAM
            pump = _failing(_NO_STREAM)
        translated.go_on(answered, pump, kind or "sse", prefix)
        self._stream = translated
        return True


def _failing(error: dict[str, Any]) -> Iterator[bytes | None]:
    yield from ()
    raise UpstreamFailure(error)
