"""Numbers of invoices: a row for each year and prefix, without gaps, kept with what the paper said then."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, delete

from engine.accounts import orders, users
from engine.ledger import proof
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.work import invoices as rows
from engine.storage.tables.invoices import invoices

OPTIONS = {"QuotaPerUnit": "500000", "payment_setting.issuer": "Acme\nTax 1", "payment_setting.currency": "CNY"}


def ordered(db: Database, user: int, number: str) -> None:
    row = {"user_id": user, "money": 7.3, "payment_method": "alipay", "payment_provider": "epay", "amount": 1}
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
