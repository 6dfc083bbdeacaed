"""The closed set of meanings that an error can have, and the exceptions that carry one.

Retry, breaker and the caller's message follow the *meaning*, never a bare status number; each wire format says how a
meaning looks in its own dialect. Imports nothing of ours.

    GatewrightError
    ├── CallError        a call that ends here: meaning, message, what to mend
    │   └── Refusal      a field that can't be carried on; names its path (400)
    └── MappingError     data without the shape a mapping needs; names its path (400 from callers, 502 from upstream)
"""

from __future__ import annotations

from dataclasses import dataclass
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
