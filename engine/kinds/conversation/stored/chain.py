"""What a call goes on from: the answer that it names, and the turns before it that are kept here. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.hub.usage import EMPTY, Plan
from engine.kinds.conversation.stored.store import Chain, ResponseStore, StoreTerms
from engine.ledger.counting.weights import BYTES_PER_TOKEN

if TYPE_CHECKING:
    from engine.program import Format
    from engine.routing.attempt import Attempt
    from engine.routing.channel import LiveChannel


@dataclass(slots=True)
class Thread:
    """What a call goes on from: the id that it names, if any, and the turns that are kept here."""

    answers: ResponseStore
    terms: StoreTerms
    owner: int
    shared: bool = True
    """Whether many people share the provider's account, so that what is not known as the owner's may be another's."""
    background: bool = False
    """The answer is asked to be made in the background."""
    previous: str | None = None
    chain: Chain = field(default_factory=lambda: Chain([]))

    def used(self, speaker: Format) -> int:
        """Tokens of what is gone on from: those that its last answer told, else one for each four bytes."""
        if not self.chain.records:
            return 0
        at, answer = speaker.usage.at, self.chain.records[-1].answer
        usage = Plan(speaker.usage).normalise(at([], answer, "", {})) if at else EMPTY
        return int(usage["total"]) or self.chain.size // BYTES_PER_TOKEN

    def held_by(self, attempt: Attempt) -> bool:
        """Whether the attempt's provider holds the answer that is gone on from."""
        last = self.chain.records[-1]
        return last.held and last.channel == channel_name(attempt.channel)


def channel_name(channel: LiveChannel) -> str:
    """Return what tells a channel from any other for as long as answers are kept."""
    return f"{channel.id}:{channel.name}"
