"""Each remedy of the tree has its status and its words; what is the operator's stays in the log."""

from __future__ import annotations

import pytest

from engine.api.refusals import refused
from engine.errors import Conflict, Forbidden, GatewrightError, Internal, Invalid, NotFound, Unauthenticated
from engine.storage.faults import DatabaseAway, StatementError


@pytest.mark.parametrize(
    ("error", "status", "message", "field", "wait"),
    [
        (Invalid("name", "too long", "at most 9"), 400, "too long; at most 9", "name", None),
        (Unauthenticated("who are you"), 401, "who are you", "", None),
        (Forbidden("not you"), 403, "not you", "", None),
        (NotFound("no such key"), 404, "no such key", "", None),
        (Conflict("the name is taken"), 409, "the name is taken", "", None),
        (DatabaseAway("database db.inside: gone"), 503, "the gateway's database is away; try again soon", "", 5),
        (StatementError("database db.inside: no column x"), 500, None, "", None),
        (Internal("a key of /etc/secret"), 500, None, "", None),
        (GatewrightError("unforeseen"), 500, None, "", None),
    ],
)
def test_a_remedy_has_its_status(
    error: GatewrightError, status: int, message: str | None, field: str, wait: float | None
) -> None:
    refusal = refused(error, "req-1")
    assert (refusal.status, refusal.field, refusal.wait) == (status, field, wait)
    assert refusal.message == (message or "the gateway failed; quote the request id req-1 to its operator")
