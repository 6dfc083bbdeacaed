"""One channel to try for a call, and what came of it. Plain data."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.program import Alias, Fee, Format
    from engine.routing.channel import LiveChannel
    from engine.routing.overrides.compiled import Overrides
    from engine.routing.overrides.edit import Circumstances
    from engine.routing.profile import RouteTimeouts

Report = list[tuple[str, str]]
"""What a conversion dropped or changed: (path, why)."""


@dataclass(slots=True)
class Outcome:
    """What came of one attempt. Times are monotonic seconds; ``usage`` has the hub's buckets, in tokens."""

    usage: dict[str, Any] = field(default_factory=dict)
    usage_source: str = "upstream"
    first_byte: float | None = None
    """When the upstream's first byte came."""
    upstream_id: str = ""
    report: Report = field(default_factory=list)
    ended: str = "done"
    """How it ended: done, cut, timeout, client_gone, error."""
    began: float = 0.0
    """When it went to its channel."""
    error: dict[str, Any] | None = None
    failure: Exception | None = None
    """What it failed by, before anything reached the caller."""
    fee: Fee | None = None
    """What the provider charges for the error."""
    empty_answer: bool = False
    """Nothing was said in an answer, as far as its content had to be looked at."""
    delivered: bool = False
    """The caller was given bytes of this answer: no other attempt may follow."""
    successor: Callable[[Any, Attempt], bool] | None = None
    """Who takes the call over to settle it later, as its answer is still being made: takes the call, gives whether."""
    born: dict[str, Any] | None = None
    """A row that comes into being with the call's charge; as an entry of the ledger has it."""
    gone_on: bool = False
    """It broke off when its caller had words of it, and another attempt went on from them."""
    lost: bool = False
    """Another attempt answered while it was under way, or it could not be made beside that."""
    booked: bool = False
    """What it cost is in the journal."""


@dataclass(slots=True)
class Attempt:
    """One channel to try: the format that it is spoken to in, and the model's name there; and what came of it."""

    channel: LiveChannel
    format: Format
    model: str
    alias: Alias | None
    groups: dict[str, str | None]
    group: str
    outcome: Outcome = field(default_factory=Outcome)
    more: Overrides | None = None
    """Operations that follow the channel's own."""
    secret: str | None = None
    """The key of the channel that it went up with."""
    token: str | None = None
    """What that key was exchanged for, where it does not go up itself."""
    timeouts: RouteTimeouts | None = None
    """The time limits of its Route, where that has some."""
    speaks_by: float = 0.0
    """When something must be said in its stream, in monotonic seconds; 0: no such limit."""
    unheard: bool = False
    """Nobody is told its answer, and nothing of it is kept."""
    claims: Callable[[], bool] | None = None
    """Asked before the caller is given anything, where attempts are made beside one another: whether this one may."""
    goes_on: Callable[[dict[str, Any]], Generator[None, None, Any]] | None = None
    """What follows if its stream breaks off after the first word: see ``engine.relay.attempts.continued``."""
    known: Circumstances | None = None
    """What the channel's operations may ask of this attempt; nothing where it has none."""
    headers: dict[str, str | None] = field(default_factory=dict)
    """Headers that its operations set, by lower-case names; nothing: not to be sent."""

    @property
    def wins(self) -> bool:
        """Whether the caller may be given its answer."""
        return self.claims is None or self.claims()

    def again(self) -> Attempt:
        """The same once more, with nothing come of it yet; to be made before this one goes up."""
        return replace(self, outcome=Outcome(), headers={}, secret=None, token=None, claims=None, goes_on=None)

    @property
    def overrides(self) -> Overrides:
        """All operations on what goes up."""
        own = self.channel.overrides
        return own if self.more is None else own.and_then(self.more)

    @property
    def name(self) -> str:
        """The channel's name, for logs."""
        return self.channel.name
