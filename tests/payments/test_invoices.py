"""Numbers of invoices: a row for each year and prefix, without gaps, kept with what the paper said then."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, delete, select

from engine.accounts import orders, users
from engine.ledger import proof
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.work import invoices as rows
from engine.storage.tables import core
from engine.storage.tables.invoices import invoices

OPTIONS = {"QuotaPerUnit": "500000", "payment_setting.issuer": "Acme\nTax 1", "payment_setting.currency": "CNY"}


def ordered(db: Database, user: int, number: str, amount: int = 1) -> None:
    row = {"user_id": user, "money": 7.3, "payment_method": "alipay", "payment_provider": "epay", "amount": amount}
    orders.place(db, {**row, "trade_no": number})


def settled(db: Database, number: str, status: str, options: dict[str, str] = OPTIONS) -> bool:
    return orders.settle(db, db, orders.one(db, number), status, options).changed


def test_paid_and_refunded_orders_are_numbered_and_nothing_else(opened: tuple[Settings, Database]) -> None:
    _, db = opened
    user = users.create_user(db, "ann", "a long password", quota=0)
    for each in range(4):
        ordered(db, user, f"N{each}")
    settled(db, "N0", orders.FAILED)
    for number in ("N1", "N2", "N2", "N0"):
        settled(db, number, orders.PAID)
    assert settled(db, "N1", orders.REFUNDED)
    assert not settled(db, "N1", orders.REFUNDED)
    year = datetime.datetime.now(db.zone).year
    given = {one["trade_no"]: one for one in crud.listed(db, invoices) if one["kind"] == rows.INVOICE}
    assert {name: one["number"] for name, one in given.items()} == {"N1": 1, "N2": 2, "N0": 3}
    papers = rows.of(db, "N1")
    assert papers[rows.CREDIT]["label"] == f"{year}-000004"
    assert (papers[rows.INVOICE]["money"], papers[rows.INVOICE]["issuer"]) == ("7.30", "Acme\nTax 1")
    settled(db, "N3", orders.PAID, {**OPTIONS, rows.PREFIX: " GW- ", "payment_setting.issuer": "Other"})
    assert rows.of(db, "N3")[rows.INVOICE]["label"] == f"GW-{year}-000001"
    assert rows.of(db, "N2")[rows.INVOICE]["issuer"] == "Acme\nTax 1"


def test_parts_that_went_back_are_taken_once_however_they_are_told(opened: tuple[Settings, Database]) -> None:
    """Of three dollars: shares of one refund each, and of all so far; told at once, again, late."""
    _, db = opened
    user = users.create_user(db, "ann", "a long password", quota=0)
    for number in ("N1", "N2"):
        ordered(db, user, number, 3)
        assert settled(db, number, orders.PAID)

    def told(number: str, share: str, refund: str = "") -> orders.Settled:
        back = orders.Back(Decimal(share), refund)
        return orders.settle(db, db, orders.one(db, number), orders.REFUNDED, OPTIONS, back=back)

    with ThreadPoolExecutor(4) as pool:
        each = list(pool.map(lambda _: told("N1", "0.333333"), range(4)))
    assert sorted(one.units for one in each) == [-500_000, 0, 0, 0]
    assert {one.status for one in each} == {orders.PAID}
    for share, refund, units, status in (
        ("0.1", "", 0, orders.PAID),
        ("0", "", 0, orders.PAID),
        ("-1", "", 0, orders.PAID),
        ("0.5", "r1", -750_000, orders.PAID),
        ("0.5", "r1", 0, orders.PAID),
        ("9", "r2", -250_000, orders.REFUNDED),
        ("1", "", 0, orders.REFUNDED),
    ):
        assert told("N1", share, refund).units == units, (share, refund)
        assert orders.one(db, "N1")["status"] == status
    assert told("N2", "1").units == -1_500_000
    with db.read() as connection:
        assert connection.execute(select(core.users.c.quota).where(core.users.c.id == user)).scalar() == 0
    papers = [
        (one["kind"], one["money"]) for one in crud.listed(db, invoices, [invoices.c.trade_no == "N1"], [invoices.c.id])
    ]
    assert papers == [("invoice", "7.30"), ("credit", "2.43"), ("credit2", "3.65"), ("credit3", "1.22")]
    assert rows.of(db, "N1")[rows.CREDIT]["kind"] == "credit3"


def test_what_is_undone_leaves_no_gap_and_the_proof_knows_one(opened: tuple[Settings, Database]) -> None:
    settings, db = opened
    user = users.create_user(db, "ann", "a long password", quota=0)
    ordered(db, user, "N1")

    def undone(connection: Connection) -> None:
        rows.give(db, connection, orders.one(db, "N1"), rows.INVOICE, OPTIONS, 1_790_000_000)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        db.write(undone)
    assert crud.listed(db, invoices) == []
    for number in ("N2", "N3", "N1"):
        if number != "N1":
            ordered(db, user, number)
        settled(db, number, orders.PAID)
    assert sorted(one["number"] for one in crud.listed(db, invoices)) == [1, 2, 3]
    assert proof.verify(db, db, settings.data / "journal").agrees
    for gone in ("N2", "N1"):  # from the midst, and from the end
        db.write(lambda connection, gone=gone: connection.execute(delete(invoices).where(invoices.c.trade_no == gone)))
        found = proof.verify(db, db, settings.data / "journal")
        assert [entry.holder for entry in found.differences] == ["invoices"]


def test_a_year_begins_in_the_zone_of_the_settings(opened: tuple[Settings, Database]) -> None:
    _, db = opened
    user = users.create_user(db, "ann", "a long password", quota=0)
    ordered(db, user, "N1")
    moment = datetime.datetime(2026, 12, 31, 20, tzinfo=datetime.UTC).timestamp()
    order = orders.one(db, "N1")
    for zone, word in ((ZoneInfo("Asia/Shanghai"), rows.INVOICE), (datetime.UTC, rows.CREDIT)):
        db.zone = zone
        db.write(lambda connection, word=word: rows.give(db, connection, order, word, OPTIONS, moment))
    assert [rows.of(db, "N1")[word]["label"] for word in (rows.INVOICE, rows.CREDIT)] == ["2027-000001", "2026-000001"]
