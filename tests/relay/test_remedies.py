"""A call that ends by an error of the tree: its status, its words, and what is not told."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import Conflict, Forbidden, Internal, Invalid, NotFound
from engine.relay import pipeline
from engine.relay.pipeline import serve
from engine.storage.faults import DatabaseAway, StatementError


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (Invalid("stop", "too many stop words", "expected 4"), 400, "too many stop words; expected 4"),
        (Forbidden("not from here"), 403, "not from here"),
        (NotFound("no such answer"), 404, "no such answer"),
        (Conflict("it was cancelled before"), 409, "it was cancelled before"),
        (DatabaseAway("db.inside is away"), 503, "the gateway's database is away; try again soon"),
        (StatementError("no column inside"), 500, "the gateway failed"),
        (Internal("inside"), 500, "the gateway failed"),
    ],
)
def test_a_remedy_becomes_a_refusal(monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, words: str) -> None:
    def operation(*_: Any) -> Any:
        raise error

    replies: list[tuple[int, str]] = []
    monkeypatch.setattr(
        pipeline.dialect, "refuse", lambda call, ex: replies.append((ex.status, f"{ex.message} {ex.param or ''}"))
    )
    monkeypatch.setattr(
        pipeline.dialect, "error_reply", lambda speaker, hub, ctx: replies.append((hub["status"], hub["message"]))
    )

    class Asked:
        request_id, format = "r", None

        def ctx(self) -> dict[str, Any]:
            return {}

    serve(operation, Asked(), {})  # type: ignore[arg-type]
    assert replies[0][0] == status
    assert words in replies[0][1]
    assert "inside" not in replies[0][1]
