"""Receipts of paid orders as pages that print well: for the payer, its team, and administrators."""

from __future__ import annotations

from typing import Any

from admin.pages import gate
from admin.view import USER, Page, Result, View
from admin.words import gettext
from engine.accounts import orders, rights
from engine.accounts.teams import standing
from engine.catalogue import options
from engine.errors import Forbidden, NotFound
from engine.storage.rows import people
from engine.storage.rows.crud import Row
from engine.texts import refusal

_DONE = (orders.PAID, orders.REFUNDED)
_LONGEST = 400


def _order(view: View, number: str) -> tuple[Row, Row]:
    """A paid order and its payer; whoever may not see it is told that there is none."""
    row = orders.one(view.worker.db, number)
    payer = people.by_id(view.worker.db, row["user_id"], deleted=True)
    if payer is None or row["status"] not in _DONE or not _sees(view, row["user_id"]):
        raise refusal(NotFound, "not_found")
    return row, payer


def _sees(view: View, payer: int) -> bool:
    if payer == view.user.id or rights.may(view.worker.db, view.user, "user.read"):
        return True
    try:
        return standing.of(view.worker.db, view.user, payer).may("wallet")
    except (NotFound, Forbidden):
        return False


def receipt(view: View) -> Result:
    """The receipt of an order; ``to`` of the address is what stands as who it is for, such as a company's address."""
    row, payer = _order(view, view.path["number"][:255])
    known: dict[str, Any] = {
        "order": row,
        "payer": payer,
        "title": _title(row),
        "price": f"{row.get('money') or 0:.2f}",
        "refunded": row["status"] == orders.REFUNDED,
        "issuer": str(options.value_of(view.worker.options, "payment_setting.issuer") or "").strip(),
        "system": view.worker.options.get("SystemName") or "Gatewright",
        "note": str(options.value_of(view.worker.options, "payment_setting.receipt_note") or "").strip(),
        "to": view.query.get("to", "")[:_LONGEST].strip(),
        "currency": str(options.value_of(view.worker.options, "payment_setting.currency") or ""),
    }
    return gate.framed(view, "receipt.html", **known)


def _title(row: Row) -> str:
    if row.get("plan_id"):
        return gettext("Plan")
    return gettext("Top-up of the balance")


PAGES = (Page("GET", "/console/wallet/orders/:number", USER, receipt),)
