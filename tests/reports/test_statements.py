"""A month as a statement, on each engine: both balances, each credit with its reason, each day's charges, exactly."""

from __future__ import annotations

import csv
import datetime
import io
from pathlib import Path

import pytest

from engine.accounts import people
from engine.accounts.plans import buying, catalogue
from engine.errors import Invalid
from engine.reports import statements
from engine.storage.rows.people import by_id
from tests.ledger.conftest import Books, books

__all__ = ["books"]
UNIT = 500_000


def moment(text: str) -> int:
    return int(datetime.datetime.fromisoformat(f"{text}+00:00").timestamp())


def test_a_month_adds_up_to_both_balances(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    books.db.zone = datetime.UTC
    clock = [0.0]
    for name in ("engine.accounts.credit", "engine.accounts.plans.buying"):
        monkeypatch.setattr(f"{name}.time.time", lambda: clock[0])
    actor = people.Person({"id": 999, "username": "root", "role": 100})

    def give(at: str, amount: int, why: str) -> None:
        clock[0] = moment(at)
        people.give(books.db, actor, books.user, "add", amount, why)

    ledger = books.ledger()
    ledger.start()
    number = 0

    def call(at: str, quota: int, model: str, plan: int = 0) -> None:
        nonlocal number
        number += 1
        row = {
            "request_id": f"r{number}",
            "quota": quota,
            "model_name": model,
            "prompt_tokens": 7,
            "user_id": books.user,
        }
        more = {"row": {**row, "completion_tokens": 3, "created_at": moment(at)}, "created_at": moment(at)}
        ledger.put(books.entry(number, quota, plan=plan, **more))
        assert ledger.flush(30)

    call("2026-02-28T23:59:59", 100, "a")
    give("2026-03-01T00:00:00", 5000, "a gift for spring")
    call("2026-03-01T00:00:00", 30, "a")
    call("2026-03-01T12:00:00", 20, "a")
    call("2026-03-02T12:00:00", 7, "=b")
    plan = int(catalogue.create(books.db, {"title": "P", "price_amount": 0.01}, frozenset({"default"}))["id"])
    clock[0] = moment("2026-03-03T10:00:00")
    buying.by_balance(books.db, books.user, plan, UNIT)
    paying = int(catalogue.owned(books.db, books.user)[0]["id"])
    call("2026-03-04T12:00:00", 900, "a", paying)
    give("2026-03-31T23:59:59", 1, "late")
    call("2026-04-01T00:00:00", 11, "a")
    give("2026-04-02T00:00:00", 3, "")
    ledger.close()

    user = by_id(books.db, books.user) or {}
    march = statements.of(books.db, user, "2026-03")
    assert (march.opening, march.closing) == (100_000 - 100, 99_900 + 5000 - 57 - 5000 + 1)
    assert (march.credited, march.charged, march.planned) == (1, 57, 900)
    april = statements.of(books.db, user, "2026-04")
    assert (april.opening, april.closing) == (march.closing, user["quota"])
    lines = list(csv.DictReader(io.StringIO(b"".join(statements.as_csv(march, UNIT)).decode())))
    told = [(one["date"], one["kind"], one["what"], one["calls"], one["units"]) for one in lines]
    assert told == [
        ("", "opening", "", "", "99900"),
        ("2026-03-01", "charge", "a", "2", "-50"),
        ("2026-03-01", "credit", "admin", "", "5000"),
        ("2026-03-02", "charge", "'=b", "1", "-7"),
        ("2026-03-03", "credit", "plan", "", "-5000"),
        ("2026-03-04", "plan", "a", "1", "-900"),
        ("2026-03-31", "credit", "admin", "", "1"),
        ("", "closing", "", "", "99844"),
    ]
    assert "a gift for spring" in lines[2]["reference"]
    assert (lines[1]["input_tokens"], lines[1]["output_tokens"], lines[1]["usd"]) == ("14", "6", "-0.000100")


@pytest.mark.parametrize("wrong", ["2026-13", "2026-3", "march", "2026-03-01", "1999-01", "2026-03'"])
def test_what_is_no_month_is_told(wrong: str) -> None:
    with pytest.raises(Invalid):
        statements.month_of(wrong, datetime.UTC)


def test_a_month_begins_where_the_zone_says(tmp_path: Path) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=8))
    assert statements.month_of("2025-12", zone) == (
        "2025-12",
        moment("2025-11-30T16:00:00"),
        moment("2025-12-31T16:00:00"),
    )
