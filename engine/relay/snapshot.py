"""What belongs to one release and one reading of the options: a call holds it from its beginning to its last byte.

Frozen, built whole by ``current`` and put in place by one assignment; a call is served, retried, charged and logged by
the one that it began with. What changes in it are caches alone: of readings of names, of candidates, of prices, of
groups, of how tokens are counted, and what channels keep of their profiles, plans and turns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.errors import CallError
    from engine.ledger.counting.tokens import Counter
    from engine.ledger.pricing.book import Book
    from engine.ledger.terms import Terms
    from engine.net import NetworkRules
    from engine.program import Program
    from engine.relay.attempts.health import HealthRules
    from engine.relay.attempts.retry import HedgeRule, RetryRules
    from engine.relay.attempts.served_model import ServedModelRule
    from engine.relay.captures.rules import Captures
    from engine.relay.ingress.router import ProgramRouter
    from engine.relay.ingress.tags import TagRules
    from engine.relay.ingress.twins import Names
    from engine.routing.affinity.rules import AffinityRules
    from engine.routing.aliases import AliasResolver
    from engine.routing.group_options import GroupOptions
    from engine.routing.limits.rules import LimitRules
    from engine.routing.order import Order
    from engine.routing.request import RoutedCall
    from engine.routing.table import Table
    from engine.transport.limits import Timeouts

FetchAll = Callable[[list[str]], "dict[str, tuple[str, bytes] | CallError]"]
"""Takes addresses; gives of each its type and bytes, or why it can't be had."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """See the module. Times are seconds."""

    program: Program
    router: ProgramRouter
    aliases: AliasResolver
    names: Mapping[str, Names]
    """What members of requests are called, by format."""
    credentials: Mapping[str, tuple[Mapping[str, str], ...]]
    """Where a caller of a format may put its key: the format's own places first, then any other's."""
    table: Table
    options: Mapping[str, str]
    values: Mapping[str, Any]
    """Those that documents read, of their types."""
    networks: Mapping[str, NetworkRules]
    """From where each area may be called, of those that have rules."""
    groups: GroupOptions
    book: Book
    unpriced: bool
    """Whether a model without a price is served."""
    terms: Terms
    counter: Counter
    retry: RetryRules
    hedge: HedgeRule | None
    """When a second channel is asked beside a slow one; never where there is no rule."""
    affinity: AffinityRules
    debug: Callable[[RoutedCall], bool]
    """Whether a call may ask why it goes where it goes."""
    served_model: ServedModelRule | None
    """When answers tell which model served; never where there is no rule."""
    trial: Callable[[RoutedCall], bool]
    """Whether a call may ask for another release than the one in force."""
    orders: tuple[Order, ...]
    """How channels are ordered, by Route."""
    limits: LimitRules
    """How much callers and channels may be asked for in a time."""
    health: HealthRules
    """When a channel is set aside, or switched off."""
    time_limits: Timeouts
    """The operator's, which hold where a provider has none of its own."""
    ping_every: float
    """Silence after which a caller gets a sign of life; 0 for none."""
    stream_bytes: int
    """How much of one streamed answer is held at most."""
    fetch: FetchAll
    """The door by which files that callers name are fetched, as large as this release allows."""
    store_secrets: Mapping[str, str]
    """Credentials of the stores of results, by their names; without those that can't be had."""
    kinds: Mapping[str, Any]
    """What each kind of call reads of the policy, by its name."""
    rows: int = 0
    """The newest revision of rows that it was made of; with the release it names the snapshot."""
    tags: TagRules | None = None
    """Where callers say the tags of their calls; nothing where no Policy says so."""
    captures: Captures | None = None
    """Which calls are kept; nothing where none are."""
    channel_test: bool = False
    """Whether its calls are made to test a channel."""
