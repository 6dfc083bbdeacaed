"""Invoices and credit notes, by number: one's own, and for administrators everybody's."""

from __future__ import annotations

from typing import Any

from engine.api.fields import Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import ID, page, told
from engine.api.route import ADMIN, USER, Answer, Ask
from engine.storage.rows.crud import Row
from engine.storage.rows.work.invoices import label

SHAPE = Shape(
    "Invoice",
    {
        "id": ID,
        **dict(
            (
                told("label", "Its number as its page shows it, such as 2026-000001.", "string"),
                told("series", "Its row of numbers: the prefix and the year.", "string", filtered=True),
                told("number", "Its number in that row.", filtered=True),
                told(
                    "kind",
                    "invoice, or credit for an order that was refunded; credit2 and so on where that was in parts.",
                    "string",
                    filtered=True,
                ),
                told("trade_no", "The order.", "string", filtered=True),
                told("user_id", "Whose order it is.", filtered=True),
                told("money", "What was paid, or given back.", "string"),
                told("currency", "The word beside it.", "string"),
                told("issuer", "Who issued it, as the option said then.", "string"),
                told("remark", "The note below the sum, as the option said then.", "string"),
                told("issued_at", "When it was given, in Unix seconds.", filtered=True),
            )
        ),
    },
)


def _told(row: Row) -> dict[str, Any]:
    return SHAPE.tell({**row, "label": label(row)})


def listed(ask: Ask) -> Answer:
    """The caller's invoices and credit notes."""
    return page(ask, "gatewright_invoices", SHAPE, _told, user_id=ask.user.id)


def everybodys(ask: Ask) -> Answer:
    """Everybody's invoices and credit notes."""
    return page(ask, "gatewright_invoices", SHAPE, _told)


ROUTES = (
    Operation(
        *("GET", f"{PREFIX}/me/invoices", USER, listed),
        words="One's own invoices and credit notes.",
        gives=SHAPE,
        many=True,
    ),
    Operation(
        *("GET", f"{PREFIX}/invoices", ADMIN, everybodys),
        words="Everybody's invoices and credit notes.",
        gives=SHAPE,
        many=True,
        right="user.read",
    ),
)
