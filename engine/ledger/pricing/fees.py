"""Fees: what a provider charges for an error although nothing was produced, passed on to who caused it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.ledger.pricing.amounts import add, divide, multiply, plain, positive, rounded
from engine.ledger.pricing.book import Book, Charge
from engine.ledger.pricing.rules import Rule

if TYPE_CHECKING:
    from engine.program import Fee


def charge(
    book: Book, fee: Fee, rule: Rule | None, model: str, *, group: str, user_group: str, channel: str
) -> Charge | None:
    """A fixed fee times the factor of the group; nothing where the options switch it off."""
    if (book.source.get(fee.enabled_by) or "").strip().lower() == "false":
        return None
    dollars = positive((book.source.get(fee.usd_by) or "").strip()) or positive(fee.usd)
    if not dollars:
        return None
    own = rule or Rule("", "", model, book.unit, levels=tuple(book.shared_levels(model)))
    share = own.share(user_group, group, channel)
    amount = multiply(dollars, book.unit)
    exact = multiply(amount, share.factor)
    quota = rounded(exact)
    ratios = {
        "group_ratio": share.told["group_ratio"],
        "user_group_ratio": share.told["user_group_ratio"],
        "violation_fee": True,
        "violation_fee_code": fee.code,
        "violation_fee_marker": fee.marker,
        "base_amount": float(dollars),
        "fee_quota": quota,
    }
    line = {"bucket": "fee", "units": 1, "price": plain(dollars), "per": "call", "amount": amount}
    return Charge(quota, divide(exact, book.unit), own.name, own.place, (line,), ratios)


def beside(used: Charge | None, fee: Charge | None) -> Charge | None:
    """A fee and the charge for what was produced before the error, as one."""
    if used is None or fee is None:
        return fee if used is None else used
    return replace(
        used,
        quota=used.quota + fee.quota,
        usd=add(used.usd, fee.usd),
        lines=(*used.lines, *fee.lines),
        ratios={**used.ratios, **fee.ratios},
    )
