"""An attempt that failed, and what may come of values that are not as answers are. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import GatewrightError, MappingError

if TYPE_CHECKING:
    from engine.program import Fee

RETRIED = frozenset(
    {
        "auth",
        "forbidden",
        "quota",
        "rate_limit",
        "rate_limit_account",
        "rate_limit_service",
        "overloaded",
        "not_found",
        "unavailable",
        "upstream_auth",
        "upstream_quota",
        "unknown",
        "cut",
        "empty",
        "timeout",
        "context_too_long",
    }
)
"""Meanings after which another channel is tried, unless a Policy lists its own: what hangs on account or service.

After ``context_too_long`` only such as take more."""

EMPTY: dict[str, Any] = {"meaning": "empty", "message": "the provider answered with nothing"}
"""An answer that ended as it should with nothing said in it: it fails only where another attempt may follow."""

OUTRUN: dict[str, Any] = {"meaning": "cut", "message": "another channel answered before"}
"""An answer that came when another one had been given to the caller already."""

UNREADABLE = (MappingError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What comes of values in an answer that are of another kind than whoever reads them thought."""


class UpstreamFailure(GatewrightError):  # noqa: N818 - a finding about the upstream, which retry may mend
    """An attempt that failed before any byte went to the caller. ``raw`` is the upstream's own answer, if any.

    ``fee`` is what the provider charges for it nevertheless; it is then final. ``logged`` is what the log says of it,
    where that is more than callers may know: the exception's text. ``again`` says whether another channel may follow,
    whatever a Policy says. ``own``: the error is the operator's own, and callers are told its type and code as written.
    """

    def __init__(
        self,
        error: dict[str, Any],
        *,
        status: int | None = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        fee: Fee | None = None,
        logged: str | None = None,
        again: bool | None = None,
        own: bool = False,
    ) -> None:
        super().__init__(logged or error["message"])
        self.error = error
        self.status = status
        self.raw = raw
        self.headers = headers or {}
        self.fee = fee
        self.again = again
        self.own = own
