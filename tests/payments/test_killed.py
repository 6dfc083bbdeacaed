"""Who takes a notice is killed before each of its statements: an order of quota or a plan is credited once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.accounts import orders, users
from engine.accounts.plans import catalogue
from engine.ledger import proof
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.people import by_id
from engine.storage.tables.invoices import invoices
from tests.support import PATIENCE

TAKER = Path(__file__).with_name("taker.py")
EVERY = bool(os.environ.get("GATEWRIGHT_NIGHTLY"))
UNIT = 500_000


def begun(settings: Settings, number: str, status: str, statement: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(TAKER), str(settings.data), settings.sql_dsn, number, status, str(statement)]
    return subprocess.Popen(command)


def state(db: Database, user: int, number: str) -> tuple[str, int, list[str]]:
    """The order's status, the balance, and the subscriptions' states."""
    lives = [row["status"] for row in catalogue.owned(db, user)]
    return orders.one(db, number)["status"], int((by_id(db, user) or {})["quota"]), lives


@pytest.mark.timeout(900 if EVERY else 300)
@pytest.mark.parametrize("what", ["quota", "plan"])
def test_an_order_is_credited_once_wherever_its_taker_dies(
    opened: tuple[Settings, Database], kind: str, what: str
) -> None:
    if kind != "sqlite" and not EVERY:
        pytest.skip("nightly: at every statement on the servers")
    settings, db = opened
    user = users.create_user(db, "ann", "a long password", quota=0)
    plan = int(catalogue.create(db, {"title": "P", "price_amount": 1, "models": ["m"]}, frozenset())["id"])
    row = {"user_id": user, "money": 7.3, "payment_method": "alipay", "payment_provider": "epay"}
    row |= {"plan_id": plan} if what == "plan" else {"amount": 1}
    credited, lives, balance, ended = 0, 0, 0, []
    statements = range(60) if EVERY else (1, 4, 60)
    killed = 0
    for statement in statements:
        number = f"N{statement}"
        orders.place(db, {**row, "trade_no": number})
        before = state(db, user, number)
        for status, goal in ((orders.PAID, 1), (orders.REFUNDED, 0)):
            died = begun(settings, number, status, statement).wait(60) != 0
            killed += died
            if died and state(db, user, number)[0] != status:  # nothing of it was done
                assert state(db, user, number)[1:] == (before[1:] if goal else (balance, ended))
            takers = [begun(settings, number, status, -1) for _ in range(3)]
            assert [taker.wait(PATIENCE) for taker in takers] == [0, 0, 0]
            if what == "quota":
                credited = UNIT * goal
            lives = len(before[2]) + (1 if what == "plan" else 0)
            balance, ended = state(db, user, number)[1:]
            assert (state(db, user, number)[0], balance, len(ended)) == (status, credited, lives)
            assert ended.count("active") == (goal if what == "plan" else 0)
    numbers = [one["number"] for one in crud.listed(db, invoices, order=[invoices.c.number])]
    assert numbers == list(range(1, 2 * len(statements) + 1))  # an invoice and a credit note each, without a gap
    assert killed > (6 if EVERY else 2)
    assert proof.verify(db, db, settings.data / "journal").agrees
