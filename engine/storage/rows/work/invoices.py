"""Invoices and credit notes of orders, numbered in one row without gaps for each year.

``give`` runs inside the transaction that settles the order. The row of the series is held from the moment a number is
taken until that transaction ends: the next number waits for it, and one that is undone leaves none out.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.invoices import invoices, series

INVOICE, CREDIT = "invoice", "credit"
PREFIX = "payment_setting.invoice_prefix"
_LONGEST_PREFIX, _DIGITS = 16, 6
_DIGIT = "0123456789"
_ISSUER, _REMARK = "payment_setting.issuer", "payment_setting.receipt_note"
_CURRENCY = "payment_setting.currency"


def give(db: Database, connection: Connection, order: Row, kind: str, options: Mapping[str, str], now: float) -> None:
    """Number an order that was paid (``INVOICE``) or refunded (``CREDIT``), and keep what its paper says.

    One that is refunded in parts has a credit note for each: the second's kind is ``credit2``.

    Call it last in the transaction: all others wait for the series from here on. ``now``: Unix seconds; the year is
    that of the settings' zone.
    """
    year = datetime.datetime.fromtimestamp(now, db.zone).year
    name = f"{options.get(PREFIX, '').strip()[:_LONGEST_PREFIX]}{year}"
    crud.add_up(connection, series, {"name": name}, {"last": 1})
    number = connection.execute(select(series.c.last).where(series.c.name == name)).scalar_one()
    alike = (invoices.c.trade_no == str(order["trade_no"]), invoices.c.kind.startswith(kind))
    before = connection.execute(select(func.count()).select_from(invoices).where(*alike)).scalar_one()
    values: dict[str, Any] = {
        "series": name,
        "number": number,
        "kind": f"{kind}{before + 1}" if before else kind,
        "trade_no": str(order["trade_no"]),
        "user_id": order["user_id"],
        "money": f"{order.get('money') or 0:.2f}",
        "currency": options.get(_CURRENCY, "").strip()[:16],
        "issuer": options.get(_ISSUER, "").strip(),
        "remark": options.get(_REMARK, "").strip(),
        "issued_at": int(now),
    }
    crud.add(db, connection, invoices, values)


def of(db: Database, order: str) -> dict[str, Row]:
    """The invoice and the last credit note of an order, by kind, as far as there are any, each with its ``label``."""
    rows = crud.listed(db, invoices, [invoices.c.trade_no == order], [invoices.c.id])
    return {row["kind"].rstrip(_DIGIT): {**row, "label": label(row)} for row in rows}


def label(row: Row) -> str:
    """A number as papers show it: ``2026-000001``."""
    return f"{row['series']}-{row['number']:0{_DIGITS}}"


def broken(db: Database) -> list[tuple[str, int, int]]:
    """Series whose numbers are not 1 to the last, each once: name, the last number, how many there are."""
    if series.name not in db.columns:
        return []
    there = (func.count(invoices.c.id), func.coalesce(func.max(invoices.c.number), 0))
    chosen = select(series.c.name, series.c.last, *there).outerjoin(invoices, invoices.c.series == series.c.name)
    with db.read() as connection:
        rows = connection.execute(chosen.group_by(series.c.name, series.c.last).order_by(series.c.name)).all()
    return [(name, last, count) for name, last, count, most in rows if not last == count == most]
