"""One call on its way: what each stage learned of it, and what it answers with. Plain data, no behaviour of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.ledger.budgets import Held
    from engine.ledger.pricing import Book, Rule
    from engine.ledger.reserve import Reservation
    from engine.program import Alias, Endpoint, Fee, Format, Program
    from engine.relay.resolve import Reader
    from engine.relay.table import LiveChannel
    from engine.relay.thread import Thread
    from engine.storage.accounts import Account

Report = list[tuple[str, str]]
"""What a conversion dropped or changed: (path, why)."""


@dataclass(slots=True)
class Call:
    """A request, from its arrival to its log row. ``started`` is monotonic seconds, ``now`` unix seconds."""

    request_id: str
    started: float
    now: int
    reader: Reader
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
    pinned: int | None = None
    """The channel that an administrator named in the key."""
    attempts: list[Attempt] = field(default_factory=list)
    """What was tried, in order; the last is the one that answers, or whose failure ended the call."""
    error: dict[str, Any] | None = None
    """What ended it on the gateway's side: a refusal, or a failure of the gateway itself."""
    settled: bool = False
    """What it cost is in the journal, and nothing is held for it any more."""
    budget: Held | None = None
    """What it holds of the budgets of its key and user."""
    hub: dict[str, Any] | None = None
    thread: Thread | None = None
    """What it goes on from, in a format whose answers are kept."""
    reservation: Reservation | None = None
    """What is held of the account's balance until the call is settled."""
    book: Book | None = None
    rule: Rule | None = None
    """What it is charged by; nothing for a model without a price, where a Policy allows that."""
    report: Report = field(default_factory=list)

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that is under way, or was the last."""
        return self.attempts[-1] if self.attempts else None

    @property
    def program(self) -> Program:
        """The program that the call began with, and goes on with whatever is swapped in meanwhile."""
        return self.reader.program

    def ctx(self, attempt: Attempt | None = None) -> dict[str, Any]:
        """The ``ctx`` variable of every mapping of this call."""
        return {
            "request_id": self.request_id,
            "now": self.now,
            "asked": self.asked,
            "model": attempt.model if attempt else self.asked,
            "format": self.format.name,
            "target": attempt.format.name if attempt else self.format.name,
            "provider": attempt.channel.provider.name if attempt else None,
        }


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
    error: dict[str, Any] | None = None
    fee: Fee | None = None
    """What the provider charges for the error."""
    barren: bool = False
    """Nothing was said in an answer, as far as its content had to be looked at."""
    delivered: bool = False
    """The caller was given bytes of this answer: no other attempt may follow."""
    pending: str = ""
    """The id of an answer that the provider goes on to make: it is settled when its end is known."""
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

    @property
    def name(self) -> str:
        """The channel's name, for logs."""
        return self.channel.name


@dataclass(slots=True)
class Reply:
    """What goes to the caller: ``body`` whole, or ``stream`` of pieces that each leave at once."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    stream: Iterator[bytes] | None = None
