"""Notices doubled, shuffled and late, taken by two programs at once of which one is killed: each order counts once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
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

STORM = Path(__file__).with_name("storm.py")
COUNT = 1000 if os.environ.get("GATEWRIGHT_NIGHTLY") else 100
UNIT = 500_000


def begun(settings: Settings, notices: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(STORM), str(settings.data), settings.sql_dsn]
    program = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert program.stdin is not None
    program.stdin.write("\n".join(notices).encode())
    program.stdin.close()
    return program


@pytest.mark.timeout(1800 if COUNT > 100 else 300)
def test_the_balance_is_what_the_paid_orders_say(opened: tuple[Settings, Database]) -> None:
    settings, db = opened
    user = users.create_user(db, "ann", "a long password", quota=0)
    plan = int(catalogue.create(db, {"title": "P", "price_amount": 1, "duration_unit": "year"}, frozenset())["id"])
    row = {"user_id": user, "money": 7.3, "payment_method": "alipay", "payment_provider": "epay"}
    notices: list[str] = []
    chance = random.Random(COUNT)
    for each in range(COUNT):
        orders.place(
            db, {**row, "trade_no": f"N{each}", **({"plan_id": plan} if each % 5 == 4 else {"amount": 1 + each % 3})}
        )
        if each % 10 != 9:  # of the others no notice comes
            notices += [f"N{each} success"] * chance.choice((1, 2, 3))
        notices += [f"N{each} {word}" for word in ("failed", "expired") if chance.random() < 0.2]
    parts = [chance.sample(notices, len(notices)) for _ in range(3)]
    first, second = begun(settings, parts[0]), begun(settings, parts[1])
    time.sleep(0.5)
    second.kill()  # in the midst, or before it began: what it has not committed is nothing
    third = begun(settings, parts[2])
    assert (first.wait(1500), third.wait(1500)) == (0, 0)
    second.wait(PATIENCE)
    paid = [each for each in range(COUNT) if each % 10 != 9]
    quota = sum(UNIT * (1 + each % 3) for each in paid if each % 5 != 4)
    assert (by_id(db, user) or {})["quota"] == quota
    assert all(orders.one(db, f"N{each}")["status"] == orders.PAID for each in paid)
    assert [one["status"] for one in catalogue.owned(db, user)] == ["active"] * len(
        [each for each in paid if each % 5 == 4]
    )
    numbers = sorted(one["number"] for one in crud.listed(db, invoices))
    assert numbers == list(range(1, len(paid) + 1))  # one for each paid order, without a gap
    assert proof.verify(db, db, settings.data / "journal").agrees
