"""What a worker has for conversations: beside what every call uses, the doors to what is kept of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.kinds.conversation.remember import Memory
from engine.kinds.conversation.stored import store
from engine.kinds.conversation.stored.background import Background
from engine.kinds.conversation.stored.store import StoreTerms

if TYPE_CHECKING:
    from engine.relay.ingress.lane import Lane
    from engine.relay.services import Services


class ConversationServices:
    """See the module. Times are seconds."""

    def __init__(self, services: Services) -> None:
        self._relay = services
        self._data = services.settings.data
        self.settings = services.settings
        self.db = services.db
        self.keys = services.keys
        self.ledger = services.ledger
        self.reserves = services.reserves
        self.budgets = services.budgets
        self.limits = services.limits
        self.metrics = services.metrics
        self.served = services.served
        self.live = services.live
        self.health = services.health
        self.troubles = services.troubles
        self.sender = services.sender
        self.home = services.home
        self.tokens = services.tokens
        self.memory = Memory(services.store.space("thought"))
        self.background = Background(self._data / "background.db")
        self.answers = store.opened(self._data, StoreTerms(), None)

    def adapt(self, terms: StoreTerms) -> None:
        """Take up how much is kept by the newest release."""
        self.answers = store.opened(self._data, terms, self.answers)

    @property
    def lane(self) -> Lane | None:
        """Where large requests are served; here, if there is none."""
        return self._relay.lane

    def close(self) -> None:
        """Let go of the store's connections."""
        self.answers.store.close()
