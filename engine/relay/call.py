"""One call on its way: what each stage learned of it, and what it answers with. Plain data, no behaviour of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from engine.ledger.budgets import Held
    from engine.ledger.pricing.book import Book, Rule
    from engine.ledger.reserve import Reservation
    from engine.program import Endpoint, Format, Program
    from engine.relay.captures.exchange import Capture
    from engine.relay.snapshot import Snapshot
    from engine.routing.affinity.bond import Bond
    from engine.routing.attempt import Attempt
    from engine.routing.choice import Choice
    from engine.routing.limits.taken import Taken
    from engine.storage.rows.accounts import Account


@dataclass(slots=True)
class Call:
    """A request, from its arrival to its log row. ``started`` is monotonic seconds, ``now`` unix seconds."""

    request_id: str
    started: float
    now: int
    snapshot: Snapshot
    format: Format
    endpoint: Endpoint
    path: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    ip: str
    raw: bytes = b""
    body: Any = None
    asked: str = ""
    stream: bool = False
    framing: dict[str, Any] = field(default_factory=dict)
    watch: Callable[[Callable[[], None]], Callable[[], None]] | None = None
    """Starts to watch the caller's socket: takes what to do when the caller has gone, gives what ends the watch."""
    account: Account | None = None
    tags: tuple[str, ...] = ()
    """The words by which its caller tells it from others."""
    pinned: int | None = None
    """The channel that an administrator named in the key."""
    bond: Bond | None = None
    """What it has in common with earlier calls, which keeps it at their channel."""
    choice: Choice | None = None
    """What choosing found."""
    kept: str | None = None
    """The channel that answered the last of those."""
    bound: bool = False
    """It goes to that channel or to none, as what it goes on from lies there."""
    attempts: list[Attempt] = field(default_factory=list)
    """What was tried, in order; the last is the one that answers, or whose failure ended the call."""
    chosen: bool = False
    """Its caller asked for the release that serves it, by a header."""
    canary: tuple[int, str] | None = None
    """The canary that it is counted for, and whether it goes by its release (``new``) or by that in force (``old``)."""
    capture: Capture | None = None
    """What hears it, where it is to be kept."""
    mirrors: str = ""
    """The call that it repeats at another channel, told to nobody."""
    error: dict[str, Any] | None = None
    """What ended it on the gateway's side: a refusal, or a failure of the gateway itself."""
    open: bool = False
    """It is counted among those that are under way."""
    settled: bool = False
    """What it cost is in the journal, and nothing is held for it any more."""
    size: int = 0
    """Tokens of the request, estimated."""
    most_tokens: int = 0
    """The same with the most output that it asks for."""
    waited: float = 0.0
    """Seconds for which it waited for a channel with room."""
    limited: Taken | None = None
    """What its limits say of it."""
    taken: list[Taken] = field(default_factory=list)
    """What it has to give back when it is over: of its own limits, and of its channel's."""
    budget: Held | None = None
    """What it holds of the budgets of its key and user."""
    reservation: Reservation | None = None
    """What is held of the account's balance until the call is settled."""
    book: Book | None = None
    rule: Rule | None = None
    """What it is charged by; nothing for a model without a price, where a Policy allows that."""

    @property
    def cached_price(self) -> bool:
        """Whether its cached input costs less than other input."""
        return self.rule is not None and self.rule.cached

    @staticmethod
    def speaks(asked: Format, spoken: Format) -> bool:
        """Whether a call in the first format can go to a provider that is spoken to in the second."""
        return asked.passthrough_as == spoken.passthrough_as

    def mirrored(self) -> Self:
        """The same call as it came, for another channel: nothing is held for it, and nobody waits for it."""
        other = copy.copy(self)
        other.request_id, other.mirrors = f"{self.request_id}-shadow", self.request_id
        other.attempts, other.taken, other.tags, other.canary, other.open = [], [], (), None, False
        other.reservation = other.budget = other.limited = other.bond = other.choice = other.watch = None
        return other

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that is under way, or was the last."""
        return self.attempts[-1] if self.attempts else None

    @property
    def called(self) -> str:
        """The path that the caller asked for."""
        path = self.endpoint.path
        for name, value in self.path.items():
            path = path.replace(f"{{{name}}}", value)
        return path

    @property
    def program(self) -> Program:
        """The program that the call began with, and goes on with whatever is swapped in meanwhile."""
        return self.snapshot.program

    def ctx(self, attempt: Attempt | None = None) -> dict[str, Any]:
        """The ``ctx`` variable of every mapping of this call."""
        model = attempt.model if attempt else self.asked
        return {
            "request_id": self.request_id,
            "now": self.now,
            "asked": self.asked,
            "model": model,
            "traits": self.program.models.traits(model),
            "options": self.snapshot.values,
            "format": self.format.name,
            "target": attempt.format.name if attempt else self.format.name,
            "provider": attempt.channel.provider.name if attempt else None,
        }


@dataclass(slots=True)
class Reply:
    """What goes to the caller: ``body`` whole, or ``stream`` of pieces that each leave at once.

    ``takes`` has the caller's connection to itself: it takes the socket, and comes back when all is over.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    stream: Iterator[bytes] | None = None
    takes: Callable[[Any], None] | None = None
