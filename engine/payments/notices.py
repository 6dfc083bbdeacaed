"""What a service tells of an order: checked, booked once, and answered after the books have it.

Nothing of a notice is read before it is genuine; what is not, or names no order of the service, or pays less than the
order asks for, is refused as the document says and written into the log of the server without its content.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

import orjson

from engine.accounts import orders
from engine.errors import Conflict, MappingError, NotFound, Unavailable
from engine.payments import service
from engine.program.layout import Function
from engine.program.outside.payments import Payment
from engine.storage.database import Database
from engine.storage.rows.crud import Row
from engine.transport.leg import Pool

_FIELDS = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service is answered: a text, or a value as JSON. ``state``: success, pending or fail, for a payer."""

    status: int
    body: Any = None
    state: str = "fail"


def read(payment: Payment, query: str, raw: bytes) -> dict[str, Any] | None:
    """The members of a notice: of a form those of body and query; None where it can't be read."""
    if payment.notice.reads == "form":
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS)
            pairs += parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=_FIELDS)
        except ValueError:
            return None
        return dict(pairs)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def take(
    db: Database,
    log_db: Database,
    pool: Pool,
    payment: Payment,
    options: Mapping[str, str],
    *,
    query: str,
    raw: bytes,
    header: Mapping[str, str],
) -> Reply:
    """Book a notice. Raises what the database raises, and ``Unavailable`` where the service can't be asked about it: it
    then tells again."""
    values, notice = payment.read(options), read(payment, query, raw)
    text = raw.decode("utf-8", "replace")
    if notice is None or not _genuine(payment, notice, text, header, values):
        return _refused(payment, notice, "is not genuine")
    if payment.notice.body is not None:
        notice = _opened(payment.notice.body, notice, values)
        if notice is None:
            return _refused(payment, notice, "can't be opened")
    notice = _asked(pool, payment, notice, values)
    word = str(payment.notice.outcome([], notice))
    status = orders.PAID if word == orders.RENEWED else orders.OUTCOMES.get(word)
    if status is None:
        return _done(payment, notice, "pending")
    row = _order(db, payment, notice, word)
    if isinstance(row, str):
        return _refused(payment, notice, row)
    if status == orders.PAID and not _pays(payment, row, notice, values):
        return _refused(payment, notice, f"pays less than order {row['trade_no']} asks for, or in another currency")
    back = _back(payment, notice) if status == orders.REFUNDED else orders.WHOLE
    settled = orders.settle(db, log_db, row, status, options, products=payment.offer.products, back=back)
    if settled.status not in (status, orders.PAID, orders.REFUNDED):
        _log.warning("order %s stays %s: %s told %s", row["trade_no"], settled.status, payment.name, status)
    return _done(payment, notice, "success" if settled.status == orders.PAID else "fail")


def _genuine(
    payment: Payment, notice: dict[str, Any], text: str, header: Mapping[str, str], values: Mapping[str, str]
) -> bool:
    if not all(values[name].strip() for name in payment.needs):
        return False  # an empty secret signs nothing
    try:
        return payment.notice.genuine([], notice, text, dict(header), values, int(time.time())) is True
    except MappingError:
        return False


def _order(db: Database, payment: Payment, notice: dict[str, Any], word: str) -> Row | str:
    """The order that a notice is about, that of a renewal being written down now; or what is wrong with it."""
    number = payment.notice.number([], notice)
    try:
        row = orders.one(db, number if isinstance(number, str) else "")
    except NotFound:
        return "names no order"
    if str(row.get("payment_provider") or payment.service) != payment.service:
        return f"names order {number}, which another service has"
    if word != orders.RENEWED:
        return row
    renewal = payment.notice.renewal([], notice) if payment.notice.renewal is not None else None
    if not isinstance(renewal, str) or not renewal or "plan_id" not in row:
        return f"renews order {number}, which is none of a plan, or has no number of its own"
    return orders.renewal(db, row, renewal)


def _asked(pool: Pool, payment: Payment, notice: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The notice with what the service answers to a question about it, where its document asks one."""
    terms = payment.notice
    if terms.about is None or terms.asks is None or terms.asks([], notice) is not True:
        return notice
    try:
        answer = service.ask(pool, terms.about, values, {"notice": notice}, int(time.time()))
    except Conflict as error:
        raise Unavailable(f"{payment.name} can't be asked about its notice: {error}") from error
    return {**notice, "asked": answer}


def _back(payment: Payment, notice: dict[str, Any]) -> orders.Back:
    """Which part of an order went back; all of it where the document says nothing else."""
    terms = payment.notice
    try:
        share = Decimal(str(terms.share([], notice))) if terms.share is not None else Decimal(1)
    except (MappingError, InvalidOperation):
        share = Decimal(0)
    refund = terms.refund([], notice) if terms.refund is not None else None
    return orders.Back(share if share.is_finite() else Decimal(0), str(refund)[:100] if refund else "")


def _opened(body: Function, notice: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any] | None:
    """What a notice holds inside."""
    try:
        inside = body([], notice, values)
    except MappingError:
        return None
    return inside if isinstance(inside, dict) else None


def _pays(payment: Payment, row: Mapping[str, Any], notice: Any, values: Mapping[str, str]) -> bool:
    terms = payment.notice
    if terms.currency is not None and terms.currency([], notice, values) is not True:
        return False
    return terms.money is None or orders.pays(dict(row), terms.money([], notice))


def _done(payment: Payment, notice: Any, state: str) -> Reply:
    return Reply(200, payment.notice.done([], notice) if payment.notice.done else None, state)


def _refused(payment: Payment, notice: Any, why: str) -> Reply:
    _log.warning("a notice to %s %s", payment.notice.path, why)
    terms = payment.notice
    return Reply(terms.refused_status, terms.refused([], notice) if terms.refused else None)
