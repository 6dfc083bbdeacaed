"""What conversations read of a release's policy. Frozen; times are seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.kinds.conversation.remember import remember_seconds
from engine.kinds.conversation.stored.store import StoreTerms, store_terms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.relay.snapshot import Snapshot

NAME = "conversation"


@dataclass(frozen=True, slots=True)
class ConversationOptions:
    """See the module."""

    remember_seconds: float
    """How long what calls must bring back is remembered."""
    stored: StoreTerms
    """How long answers are kept, and how many bytes of them."""


def read(policy: Mapping[str, Any]) -> ConversationOptions:
    """The options of a merged policy."""
    return ConversationOptions(remember_seconds(policy), store_terms(policy))


def of(snapshot: Snapshot) -> ConversationOptions:
    """Those of a snapshot."""
    chosen: ConversationOptions = snapshot.kinds[NAME]
    return chosen
