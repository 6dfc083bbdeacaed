"""How an order begins: it is written down, then the service is asked where it has to be, then the payer is told where
to pay. An order that its service did not take is failed at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from engine.accounts import orders
from engine.accounts.keys import random_text
from engine.accounts.people import Person
from engine.errors import Conflict, GatewrightError, Invalid
from engine.payments import service
from engine.payments.offers import Purchase
from engine.program.outside.payments import Payment
from engine.storage.database import Database
from engine.texts import refusal
from engine.transport.leg import Pool

_RANDOM = 6


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses of an order: where the service tells of it, and where the payer comes back to."""

    notice: str
    done: str
    left: str


def places(payment: Payment, options: Mapping[str, str], asked: Mapping[str, Any]) -> Places:
    """By the console's options; the payer's page may name others below the gateway's own address."""
    home = (options.get("ServerAddress") or "http://localhost:3000").rstrip("/")
    called = (options.get("CustomCallbackAddress") or home).rstrip("/")
    backs = []
    for name in ("success_url", "cancel_url"):
        chosen = str(asked.get(name) or "")
        if chosen and urlsplit(chosen)[:2] != urlsplit(home)[:2]:
            raise refusal(Invalid, "payment.address", field=name, home=home)
        backs.append(chosen or f"{home}/console/wallet")
    return Places(called + payment.notice.path, *backs)


def begin(
    db: Database, pool: Pool, payment: Payment, options: Mapping[str, str], person: Person, what: Purchase, at: Places
) -> dict[str, Any]:
    """Make an order; what the payer's page is told: ``data``, and what stands beside it."""
    now, plan = int(time.time()), what.title if what.plan else ""
    random = random_text(_RANDOM)
    number = payment.start.number([], {"user": person.id, "random": random, "now": now, "plan": plan})
    if not isinstance(number, str) or not number:
        raise refusal(Conflict, "payment.away", what="its document gives orders no number")
    order: dict[str, Any] = {
        "number": number[:255],
        "random": random,
        "user": person.id,
        "email": str(person.row.get("email") or ""),
        "amount": what.amount,
        "money": str(what.money),
        "method": what.method,
        "product": what.product,
        "title": what.title,
        "plan": plan,
        "noticeUrl": at.notice,
        "returnUrl": at.done,
        "cancelUrl": at.left,
    }
    row = {"user_id": person.id, "money": float(what.money), "trade_no": order["number"]}
    row |= {"plan_id": what.plan} if what.plan else {"amount": what.amount}
    orders.place(db, {**row, "payment_method": what.method[:50], "payment_provider": payment.service})
    values = payment.read(options)
    try:
        answer = _answer(pool, payment, values, order, now)
    except GatewrightError:
        orders.settle(db, db, orders.one(db, order["number"]), orders.FAILED, options)
        raise
    fields = payment.start.fields([], values, order, now) if payment.start.fields else None
    told = payment.start.answer([], values, order, fields, answer)
    if not isinstance(told, dict):
        raise refusal(Conflict, "payment.off")
    return told


def _answer(pool: Pool, payment: Payment, values: Mapping[str, str], order: dict[str, Any], now: int) -> Any:
    if payment.start.call is None:
        return None
    answer = service.ask(pool, payment.start.call, values, order, now)
    if payment.start.works is not None and payment.start.works([], answer) is not True:
        raise refusal(Conflict, "payment.away", what="its answer names no place to pay")
    return answer
