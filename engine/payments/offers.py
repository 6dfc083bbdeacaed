"""What is offered to whoever wants to pay, and what an amount costs.

The price is amount x price of the service x ratio of the payer's group x discount of the amount, in two decimals; an
amount is in dollars, or in quota units where the console shows those (New API's options; management-api.md, 15.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import orjson

from engine import paths
from engine.accounts.orders import unit_of
from engine.errors import Conflict, Invalid
from engine.program.outside.payments import Payment
from engine.texts import refusal

_CENT = Decimal("0.01")
_MOST_METHODS = 50


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is bought: ``amount`` as an order keeps it, what it costs, the way to pay, a product's id and name.

    ``plan``: its id, where it is a plan; its title is ``title`` then.
    """

    amount: int
    money: Decimal
    method: str
    product: str = ""
    title: str = ""
    plan: int = 0


def is_on(payment: Payment, options: Mapping[str, str]) -> bool:
    """Whether the operator has set all that the service needs."""
    values = payment.read(options)
    return all(values[name].strip() for name in payment.needs)


def methods(payment: Payment, options: Mapping[str, str]) -> list[dict[str, Any]]:
    """The ways to pay, or the products."""
    listed = payment.offer.methods([], payment.read(options))
    return [row for row in listed if isinstance(row, dict)][:_MOST_METHODS] if isinstance(listed, list) else []


def listed(payments: Iterable[Payment], options: Mapping[str, str]) -> dict[str, Any]:
    """What one can pay with, as New API's page reads it; what no document says has the value of the console's data."""
    page: dict[str, Any] = dict(_usual())
    ways: list[dict[str, Any]] = []
    for payment in payments:
        on, offer = is_on(payment, options), payment.offer
        if offer.flag:
            page[offer.flag] = on
        if offer.least_as:
            page[offer.least_as] = _least(payment, options)
        if offer.methods_as:
            page[offer.methods_as] = orjson.dumps(methods(payment, options) if on else []).decode()
        elif on:
            ways += methods(payment, options)
    page |= {"pay_methods": ways, "topup_link": options.get("TopUpLink", "")}
    page["amount_options"] = _json(options, "payment_setting.amount_options", [10, 20, 50, 100, 200, 500])
    page["discount"] = _json(options, "payment_setting.amount_discount", {})
    return page


@lru_cache(maxsize=1)
def _usual() -> Mapping[str, Any]:
    usual: Mapping[str, Any] = orjson.loads((paths.CATALOGUE / "topup.json").read_bytes())
    return usual


def _json(options: Mapping[str, str], name: str, usual: Any) -> Any:
    try:
        value = orjson.loads(options.get(name) or "null")
    except orjson.JSONDecodeError:
        return usual
    return value if type(value) is type(usual) else usual


def _least(payment: Payment, options: Mapping[str, str]) -> int:
    said = payment.offer.least([], payment.read(options)) if payment.offer.least else 1
    least = said if type(said) is int and said > 0 else 1
    return least * unit_of(options) if _in_units(options) else least


def _in_units(options: Mapping[str, str]) -> bool:
    return options.get("general_setting.quota_display_type") == "TOKENS"


def purchase(payment: Payment, options: Mapping[str, str], group: str, asked: Mapping[str, Any]) -> Purchase:
    """What a payer of this group asked for: ``amount`` and ``payment_method``, or ``product_id``.

    Raises ``Invalid`` for what is not offered, ``Conflict`` where the service is off or nothing would be left to pay.
    """
    if not is_on(payment, options):
        raise refusal(Conflict, "payment.off")
    if payment.offer.products:
        return _product(payment, options, asked)
    method = _method(payment, options, asked)
    amount = asked.get("amount")
    if type(amount) is not int or amount < _least(payment, options):
        raise refusal(Invalid, "payment.least", field="amount", least=_least(payment, options))
    dollars = Decimal(amount) / unit_of(options) if _in_units(options) else Decimal(amount)
    if dollars > payment.offer.most:
        raise refusal(Invalid, "payment.most", field="amount", most=payment.offer.most)
    money = (dollars * price(payment, options, group) * _discount(options, amount)).quantize(_CENT, ROUND_HALF_UP)
    if money < _CENT or dollars < 1:
        raise refusal(Conflict, "payment.small")
    return Purchase(int(dollars), money, method, title=f"TUC{amount}")


def plan_purchase(
    payment: Payment, options: Mapping[str, str], plan: Mapping[str, Any], asked: Mapping[str, Any]
) -> Purchase:
    """A plan, as a payer asked for it: ``payment_method``. Raises as ``purchase`` does."""
    terms = payment.offer.plan
    if terms is None or not is_on(payment, options):
        raise refusal(Conflict, "payment.off")
    product = terms.product([], plan) if terms.product is not None else ""
    if terms.product is not None and not product:
        raise refusal(Conflict, "plan.price")
    said = terms.price([], plan, payment.read(options)) if terms.price is not None else plan["price_amount"]
    money = _number(said).quantize(_CENT, ROUND_HALF_UP)
    if money < _CENT:
        raise refusal(Conflict, "payment.small")
    method = payment.service if payment.offer.products else _method(payment, options, asked)
    return Purchase(0, money, method, str(product), str(plan["title"]), plan["id"])


def top_up_ways(
    payments: Iterable[Payment], options: Mapping[str, str], group: str
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """How an amount can be paid, with the price of a dollar; and products: each with the path to ask and its name."""
    ways: list[dict[str, str]] = []
    products: list[dict[str, str]] = []
    for payment in payments:
        for row in methods(payment, options) if is_on(payment, options) else ():
            way = {"pay": payment.offer.pay, "type": str(row.get("type") or ""), "name": str(row.get("name") or "")}
            if payment.offer.products:
                price_told = f"{row.get('price')} {row.get('currency') or ''}".strip()
                products.append({**way, "product": str(row.get("productId") or ""), "price": price_told})
            else:
                ways.append({**way, "price": f"{price(payment, options, group).normalize():f}"})
    return ways, products


def plan_ways(payments: Iterable[Payment], options: Mapping[str, str], plan: Mapping[str, Any]) -> list[dict[str, str]]:
    """How a plan can be paid by services: the path to ask, the way to pay and its name."""
    ways: list[dict[str, str]] = []
    for payment in payments:
        terms = payment.offer.plan
        if terms is None or not is_on(payment, options) or (terms.product and not terms.product([], plan)):
            continue
        listed = [{"type": payment.service, "name": payment.service}] if payment.offer.products else None
        for row in listed or methods(payment, options):
            ways.append({"pay": terms.pay, "type": str(row.get("type") or ""), "name": str(row.get("name") or "")})
    return ways


def _method(payment: Payment, options: Mapping[str, str], asked: Mapping[str, Any]) -> str:
    """The way to pay that was asked for, or the first there is."""
    method = str(asked.get("payment_method") or "")
    known = [str(row.get("type") or "") for row in methods(payment, options)]
    if method and method not in known:
        raise refusal(Invalid, "payment.method", field="payment_method", known=", ".join(known))
    return method or (known[0] if known else "")


def price(payment: Payment, options: Mapping[str, str], group: str) -> Decimal:
    """What a dollar costs a payer of this group."""
    ratio = _number(_json(options, "TopupGroupRatio", {}).get(group))
    return _number(payment.offer.price([], payment.read(options)), Decimal(0)) * (ratio or 1)


def _discount(options: Mapping[str, str], amount: int) -> Decimal:
    rate = _number(_json(options, "payment_setting.amount_discount", {}).get(str(amount)))
    return rate if rate > 0 else Decimal(1)


def _product(payment: Payment, options: Mapping[str, str], asked: Mapping[str, Any]) -> Purchase:
    wanted = asked.get("product_id")
    for row in methods(payment, options):
        money, quota = _number(row.get("price")), row.get("quota")
        if row.get("productId") == wanted and type(quota) is int and quota > 0 and money >= 0:
            return Purchase(quota, money.quantize(_CENT, ROUND_HALF_UP), payment.service, str(wanted), str(row["name"]))
    raise refusal(Invalid, "payment.product", field="product_id")


def _number(value: Any, otherwise: Decimal = Decimal(0)) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return otherwise
    return number if number.is_finite() else otherwise
