"""What delivering needs of a stream, whoever makes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from engine.kinds.conversation.answers import Exchange
    from engine.kinds.conversation.streamed.encoder import Encoder


class Stream(Protocol):
    """What deliver needs of a stream."""

    @property
    def encoder(self) -> Encoder:
        """The caller's side."""
        ...

    @property
    def answered(self) -> Exchange:
        """The answer that it is made of now."""
        ...

    @property
    def ending(self) -> bool:
        """The piece just given completes the answer, properly or by an error event."""
        ...

    @property
    def silent(self) -> bool:
        """No word, no thought and no call came so far."""
        ...

    @property
    def empty(self) -> bool:
        """It came to its end as an answer should, and nothing was said in it."""
        ...

    def run(self) -> Iterator[bytes | None]:
        """Give the caller's bytes; None each time that a ping is due.

        A fault raises ``UpstreamFailure`` as long as the caller has none, or where another attempt may go on.
        """
        ...

    def note(self) -> None:
        """Put what was learned into the call's outcome."""
        ...

    def parts(self) -> list[dict[str, Any]]:
        """All that the answer said so far."""
        ...

    def pending(self) -> str:
        """See ``token_fallback.Said``: of an answer in the background, that its stream broke off is no end."""
        ...
