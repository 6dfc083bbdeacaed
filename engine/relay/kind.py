"""Kind: what a call can be. The seam between the stages of any call and what is particular to calls of one kind.

A Format says of which kind its calls are. The stages call these methods in the order in which they stand here; a kind
knows its formats' documents and the caller's body, and nothing of keys, channels' odds, prices or the journal. Kinds
live as long as a worker; ``engine.kinds`` lists them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from engine.relay.call import Call, Reply
from engine.relay.upstream.circumstances import circumstances

if TYPE_CHECKING:
    from engine.jobs import Job
    from engine.outbox import Sender
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot
    from engine.routing.attempt import Attempt, Report
    from engine.transport.leg import Answer, Handle
    from engine.transport.spool import Body
    from engine.transport.waiting import Waiting

C = TypeVar("C", bound=Call)
Out = TypeVar("Out", bound="Outbound")
Operation = Callable[[Any, dict[str, Any]], Reply]
"""What an endpoint does: takes the call (made as its kind's calls are) and the WSGI environ."""


@dataclass(slots=True)
class Estimate:
    """Tokens that a call may use, told cheaply and rather too high. ``least``: of its input, what needs no counting.

    ``beside``: what of its usage besides tokens is known before.
    """

    input: int
    output: int
    least: int = 0
    beside: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Outbound:
    """What goes up. ``same`` when the caller's bytes pass through, so that its headers mean something there."""

    body: Body
    same: bool
    report: Report = field(default_factory=list)
    headers: Mapping[str, str] | None = None
    """What describes the body, by lower-case names, where it is no JSON or no JSON is to come back."""
    path: str = ""
    """Where it goes below the provider's address, if not where the provider's document says."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What stands for words in braces in that path."""


class Voice(Protocol):
    """How a caller who waits for a stream is told that its call lives, and that it failed."""

    content_type: str

    def ping(self) -> bytes:
        """A sign of life."""

    def error(self, error: dict[str, Any]) -> bytes:
        """The event of a hub error."""


class Kind(ABC, Generic[C, Out]):
    """See the module. Every method may raise ``CallError``; those that say so, ``UpstreamFailure``."""

    name: ClassVar[str]
    connects: ClassVar[bool] = False
    """It opens connections of its own to upstreams, where others send a request."""
    call: type[C]
    """What its calls are made as: a ``Call``, with fields of the kind's own."""
    operations: Mapping[str, Operation] = MappingProxyType({})
    """What its endpoints can do besides generating, by the name that a Format gives it."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def options(self, policy: Mapping[str, Any]) -> Any:
        """What it reads of a release's merged policy: frozen, kept in the snapshot under its name."""
        return None

    def adapt(self, snapshot: Snapshot) -> None:
        """Take up what a new release says of what all its calls share."""

    def follow(self, snapshot: Snapshot) -> None:
        """See to what goes on after its call; called every second, must not wait."""

    def jobs(self, snapshot: Snapshot) -> Sequence[Job]:
        """What one process of the cluster is to do for its calls; asked for every second beside the workers."""
        return ()

    def senders(self, snapshot: Callable[[], Snapshot]) -> Mapping[str, Sender]:
        """What sends the messages that it puts into the outbox, by their kind; ``snapshot`` gives the one of now."""
        return {}

    def close(self) -> None:
        """Let go of what it holds open."""

    @abstractmethod
    def read(self, call: C, environ: dict[str, Any]) -> Reply | None:
        """Read the request into the call: body, model asked for, stream or not; or give the reply from elsewhere."""

    @abstractmethod
    def estimate(self, call: C) -> Estimate:
        """What it may use, at the cost of a glance."""

    def count(self, call: C, estimated: Estimate) -> int:
        """Its input tokens, counted: asked for only where the estimate comes near what the caller has."""
        return estimated.input

    def order(self, call: C, attempts: list[Attempt]) -> list[Attempt]:
        """The attempts as they were drawn, with those first that this call needs first."""
        return attempts

    def repeatable(self, call: C) -> bool:
        """Whether a call may be made at a second channel beside the first: all that it makes are words."""
        return False

    def goes_on(self, call: C, attempt: Attempt) -> bool:
        """Whether an attempt can go on with a stream of which the caller has words: its request then ends with them."""
        return False

    def outbound(self, call: C, attempt: Attempt) -> Out:
        """What goes up, with what the channel's operations may ask of the attempt, which has the report of it."""
        if attempt.overrides.steps:
            attempt.known = circumstances(call, attempt)
        out = self.encode(call, attempt)
        attempt.outcome.report = out.report
        return out

    @abstractmethod
    def encode(self, call: C, attempt: Attempt) -> Out:
        """What goes up in an attempt."""

    def connect(self, call: C, attempt: Attempt, out: Out, handle: Handle) -> Waiting[Any]:
        """Open what ``deliver`` takes for the answer; asked of kinds with ``connects``; raises ``UpstreamFailure``."""
        raise NotImplementedError(f"calls of the kind {self.name} are sent as they are")

    @abstractmethod
    def deliver(
        self,
        call: C,
        attempt: Attempt,
        out: Out,
        answer: Answer,
        handle: Handle,
        unwatch: Callable[[], None],
        *,
        spare: bool,
    ) -> Waiting[Reply]:
        """Return the reply to the caller, giving way each time that a sign of life is due before it has anything.

        ``unwatch`` ends the watch on the caller's socket at the last byte; a stream settles its call. ``spare``:
        another attempt follows if this one raises ``UpstreamFailure``, as an answer in which nothing is should.
        """

    @abstractmethod
    def left(self, call: C, attempt: Attempt) -> None:
        """Note what is to be paid for a call whose caller left before anything came: its input."""

    def voice(self, call: C) -> Voice:
        """How a caller who waits for a stream is told that its call lives; asked for only where it wants one."""
        raise NotImplementedError(f"calls of the kind {self.name} are no streams")
