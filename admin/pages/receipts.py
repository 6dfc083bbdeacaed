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
from engine.storage.rows.work import invoices
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
    """The paper of an order: its invoice or, of a refunded one, its credit note, with the invoice on a second page.

    ``to`` of the address is what stands as who it is for, such as a company's address; ``kind=invoice`` asks for the
    invoice of a refunded order. An order that has no number (of New API, or from before there were any) has a receipt.
    """
    row, payer = _order(view, view.path["number"][:255])
    papers = invoices.of(view.worker.db, row["trade_no"])
    refunded = row["status"] == orders.REFUNDED and view.query.get("kind") != invoices.INVOICE
    paper = papers.get(invoices.CREDIT if refunded else invoices.INVOICE)
    known: dict[str, Any] = {
        "order": row,
        "payer": payer,
        "title": _title(row),
        "price": paper["money"] if paper else f"{row.get('money') or 0:.2f}",
        "refunded": refunded,
        "paper": paper,
        "paid_at": papers[invoices.INVOICE]["issued_at"]
        if invoices.INVOICE in papers
        else row.get("complete_time") or row.get("create_time") or 0,
        "first": papers.get(invoices.INVOICE) if refunded else None,
        "issuer": _said(view, paper, "issuer", "payment_setting.issuer"),
        "system": view.worker.options.get("SystemName") or "Gatewright",
        "note": _said(view, paper, "remark", "payment_setting.receipt_note"),
        "to": view.query.get("to", "")[:_LONGEST].strip(),
        "currency": _said(view, paper, "currency", "payment_setting.currency"),
    }
    return gate.framed(view, "receipt.html", **known)


def _said(view: View, paper: Row | None, column: str, option: str) -> str:
    """What a numbered paper said when it was given; where it said nothing, and without a number, what the option is."""
    kept = str(paper.get(column) or "") if paper else ""
    return kept or str(options.value_of(view.worker.options, option) or "").strip()


def _title(row: Row) -> str:
    if row.get("plan_id"):
        return gettext("Plan")
    return gettext("Top-up of the balance")


PAGES = (Page("GET", "/console/wallet/orders/:number", USER, receipt),)
