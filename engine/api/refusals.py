"""The tree of errors in the words of this room: one status and one message for whatever ended a request."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import Conflict, Forbidden, GatewrightError, Invalid, NotFound, Unauthenticated, Unavailable
from engine.texts import refusal

_logger = logging.getLogger("gatewright.api")
PLAIN: tuple[type[GatewrightError], ...] = (Invalid, NotFound, Conflict, Forbidden)
"""What is told to whoever asked as it is."""
_CODES: tuple[tuple[type[GatewrightError], str], ...] = (
    (Invalid, "invalid"),
    (NotFound, "not_found"),
    (Conflict, "conflict"),
    (Unauthenticated, "AUTH_UNAUTHORIZED"),
    (Forbidden, "forbidden"),
)
_STATUS: tuple[tuple[type[GatewrightError], int], ...] = (
    (Invalid, 400),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
)
"""What whoever asked can mend: told as it is."""


@dataclass(frozen=True, slots=True)
class Refused:
    """``status`` is HTTP's; ``wait`` is in seconds; ``field`` is the one at fault."""

    status: int
    message: str
    field: str = ""
    wait: float | None = None


def refused(error: GatewrightError, request_id: str) -> Refused:
    """How a request ends that raised this. What is the operator's to know goes to the log and nowhere else."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return Refused(status, str(error), error.field if isinstance(error, Invalid) else "")
    if isinstance(error, Unavailable):
        _logger.warning("request %s can't be served now: %s", request_id, error)
        return Refused(503, error.public, wait=error.wait)
    _logger.error("request %s failed", request_id, exc_info=error)
    return Refused(500, f"the gateway failed; quote the request id {request_id} to its operator")


def code_of(error: GatewrightError) -> str:
    """The stable word of a refusal."""
    return getattr(error, "code", "") or next(code for kind, code in _CODES if isinstance(error, kind))


class Denied(Forbidden):
    """A route that is not for this caller."""

    code = "AUTH_INSUFFICIENT_PRIVILEGE"


class Told(Conflict):
    """A refusal with a status or a code of its own."""

    status = 0
    code = ""
    beside: Mapping[str, Any] = {}

    @staticmethod
    def of(
        key: str, status: int = 200, code: str = "", *, beside: Mapping[str, Any] | None = None, **values: object
    ) -> Told:
        """Make one of a key of the texts."""
        error = refusal(Told, key, **values)
        error.status, error.code, error.beside = status, code, beside or {}
        return error
