"""A conversation on its way: what this kind of call learns of it beside what every call knows. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from engine.relay.call import Call
from engine.relay.kind import Outbound

if TYPE_CHECKING:
    from engine.kinds.conversation.stored.chain import Thread
    from engine.program import Format
    from engine.routing.attempt import Report


@dataclass(slots=True)
class ConversationCall(Call):
    """A request for an answer in a conversation."""

    hub: dict[str, Any] | None = None
    """The request as a canonical conversation, once it was decoded."""
    read: Any = None
    """The body that it was decoded from: the whole conversation, in the format's own spelling."""
    said: list[dict[str, Any]] | None = None
    """What was said of its answer before that broke off: the next attempt goes on from there."""
    thread: Thread | None = None
    """What it goes on from, in a format whose answers are kept."""
    report: Report = field(default_factory=list)
    """What decoding it lost."""

    def mirrored(self) -> Self:
        other = Call.mirrored(self)  # a class with slots is made anew, of which `super()` knows nothing
        other.report = list(self.report)
        return other

    @staticmethod
    def speaks(asked: Format, spoken: Format) -> bool:
        """Any format of conversations goes to any other."""
        return asked.kind == spoken.kind


@dataclass(slots=True)
class Converted(Outbound):
    """What goes up of a conversation; ``memo`` maps shaped names and ids back."""

    hub: dict[str, Any] | None = None
    memo: Any = None
    usage_added: bool = False
    """We asked for usage in the stream; the caller did not."""
    turned: bool = False
    """Its answer goes through the hub although the format is the same: its thinking is told another way."""
