"""The closed set of meanings that an error can have, and the one tree of exceptions, drawn by what can be done.

Retry, breaker and the caller's message follow the *meaning*, never a bare status number; each wire format says how a
meaning looks in its own dialect. A route, a command and the pipeline of calls each turn the tree into their own words
in one place: ``engine.api.refusals``, ``engine.cli`` and ``engine.relay.pipeline``. Imports nothing of ours.

    GatewrightError
    ├── Invalid                 what was given is wrong: the field, what is wrong with it, how to mend it (400)
    │   └── SettingsError       settings that can't be read, one sentence each
    ├── NotFound                there is nothing of this name or id (404)
    ├── Conflict                it does not go with what is there: a name that is taken, a code that was used (409)
    │   ├── Told                a refusal of a route with a status or a code of its own
    │   ├── LoginRefused        who came from outside may not enter, or can't be known
    │   └── NotRedeemed         a code that gives nothing
    ├── Forbidden               the asker may not (403)
    │   ├── Unauthenticated     the asker is not known: another key may be (401)
    │   ├── Denied              a route that is not for this caller
    │   ├── ProofNeeded         a dangerous act without the proof that a second factor was just shown
    │   ├── Throttled           too many logins failed; the next may come later
    │   └── Exceeded            a budget is used up; says when there may be room again
    ├── Unavailable             it may be tried again, after a wait (503)
    │   ├── DatabaseAway        a database can't be reached, or does not answer now
    │   ├── HoldsError          the shared counters are full or all taken
    │   ├── RedisError          Redis is away, or refused a command
    │   ├── StoreError          shared state can't be read or written now
    │   └── MailFailed          the mail server took no mail
    ├── Internal                a fault of the gateway or of its keepers: logged whole, told without detail (500)
    │   ├── StatementError      a statement that the database refuses
    │   ├── SealedError         a secret under a key that is not at hand
    │   └── ChildError          what went wrong in a process beside the workers
    ├── StorageError            whatever a database fails with: DatabaseAway or StatementError
    ├── BodyTooLargeError       a body of a management call above its bound (413)
    ├── CallError               a call that ends here: meaning, message, what to mend
    │   ├── MalformedBodyError  a body in chunks that is malformed; also gunicorn's own error (400)
    │   └── Refusal             a field that can't be carried on; names its path (400)
    ├── _UnfitError             a kept exchange that can't be replayed: it is left out
    ├── MappingError            data without the shape a mapping needs; names its path (400 or, from upstream, 502)
    │
    │   of the upstream, each with a meaning that retry follows
    ├── UpstreamFailure         an attempt that failed before the caller had a byte
    ├── TransportError          a call to an upstream that did not come to a proper end
    ├── UpgradeRefusedError     an upstream that did not upgrade a connection: its answer
    ├── CodingError             bytes that are not what their coding says
    ├── StreamFaultError        events that make no answer
    ├── PartFaultError          content that no part of an answer can hold
    ├── PatchError              a path into arguments that can't be followed
    ├── OverrideError           a channel's operation that can't be done on a request
    ├── ReturnedError           a channel's operation that ends the request by an error of its operator's
    │
    │   of documents and programs, told by whoever compiles, tests or starts
    ├── ParseError              text that is no expression
    ├── ExpressionError         a price expression that can't be read, or gives no amount
    ├── TestError               a test in a document that can't be run as it is written
    ├── ArtefactError           bytes that are no compiled program of this version
    ├── StartError              a server that can't begin; says what to mend
    │
    │   between a socket and whoever reads from it; they never go further
    ├── HeadError               a request's head that is not served, with its status
    ├── ClientGoneError         the caller closed the connection within its body
    ├── _StaleError             a pooled connection that the upstream had closed: the call goes on over another
    └── _TooLargeError          a document of too many values

Beside it stands ``_EndedError``, a bare BaseException: it ends a greenlet, and no library on the way may take it for a
fault and carry on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one meaning implies. ``status`` is the HTTP status that a format uses unless it declares another."""

    status: int
    retry: bool = False
    """Another channel may well succeed."""
    disable: bool = False
    """The credential itself is at fault."""


MEANINGS: dict[str, Meaning] = {
    "bad_request": Meaning(400),
    "auth": Meaning(401),
    "forbidden": Meaning(403),
    "quota": Meaning(402),
    "rate_limit": Meaning(429),
    "rate_limit_account": Meaning(429, retry=True),
    "rate_limit_service": Meaning(429, retry=True),
    "overloaded": Meaning(503, retry=True),
    "timeout": Meaning(504, retry=True),
    "content_policy": Meaning(400),
    "context_too_long": Meaning(400),
    "too_large": Meaning(413),
    "unsupported_media": Meaning(415),
    "not_found": Meaning(404),
    "method_not_allowed": Meaning(405),
    "bad_signature": Meaning(400),
    "upstream_auth": Meaning(502, retry=True, disable=True),
    "upstream_quota": Meaning(502, retry=True, disable=True),
    "cut": Meaning(502, retry=True),
    "empty": Meaning(502, retry=True),
    "unavailable": Meaning(503, retry=True),
    "unknown": Meaning(502, retry=True),
    "internal": Meaning(500),
}


class GatewrightError(Exception):
    """Base of every error this program raises on purpose."""

    key: str = ""
    """Under which its words stand in ``engine.texts``; none: they stand in one language alone."""
    values: Mapping[str, object] = MappingProxyType({})
    """What fills the gaps in those words."""


class Invalid(GatewrightError):  # noqa: N818 - the words of the remedies stand alone
    """What was given is wrong. ``field`` is its name where it was given, ``how`` says what is expected instead."""

    def __init__(self, field: str, what: str, how: str = "") -> None:
        super().__init__(f"{what}; {how}" if how else what)
        self.field = field
        self.what = what
        self.how = how


class NotFound(GatewrightError):  # noqa: N818
    """There is nothing of this name or id."""


class Conflict(GatewrightError):  # noqa: N818
    """It does not go with what is there: nothing was changed, and the same again would be refused again."""


class Forbidden(GatewrightError):  # noqa: N818
    """The asker may not; somebody else may, or may allow it."""


class Unauthenticated(Forbidden):
    """The asker is not known: another key may be."""


class Unavailable(GatewrightError):  # noqa: N818
    """It can't be done now and may be tried again, after ``wait`` seconds.

    The text is for the operator: it may name hosts and files. ``public`` is what callers are told.
    """

    public = "the gateway can't do this now; try again soon"
    wait = 5.0


class Internal(GatewrightError):  # noqa: N818
    """A fault that whoever asked can't mend: logged whole, told with nothing but the request's id."""


class CallError(GatewrightError):
    """A call that can't go on, told in the caller's own dialect.

    ``message`` says what, where and how to mend it; ``param`` names the field at fault; ``wait`` is in seconds.
    """

    def __init__(
        self,
        meaning: str,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        wait: float | None = None,
    ) -> None:
        super().__init__(message)
        self.meaning = meaning
        self.message = message
        self.param = param
        self.code = code
        self.status = status if status is not None else MEANINGS[meaning].status
        self.wait = wait


class Refusal(CallError):  # noqa: N818 - says what happened; its base says that it is an error
    """A field whose loss would change the answer's meaning and that the target can't take.

    ``within`` is what ``path`` leads through: a conversation under way, unless it is the caller's own body.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__("bad_request", f"{path}: {why}", param=path, code="unsupported_value")
        self.path = path
        self.why = why
        self.within: Any = None


class MappingError(GatewrightError):
    """Data without the shape that a mapping needs; ``path`` is the expression or field, ``why`` the finding.

    ``held`` are the values of the variables that the expression may use, and of those of the mappings around it.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why
        self.held: list[dict[str, Any]] = []
