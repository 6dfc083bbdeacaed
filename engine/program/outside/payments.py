"""What a Payment document says: how an order of a payment service is made, told of and asked for.

Its functions take plain values: ``options`` (texts by name), ``order`` (see ``engine.payments.orders``), ``notice``,
``text``, ``header``, ``answer`` and ``now`` in seconds, in the order that the schema gives them, after a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.program import layout
from engine.program.layout import Function, data


@dataclass(frozen=True, slots=True)
class PaymentCall:
    """A call of a service; one of ``form`` and ``json`` at most."""

    method: str = data(read=layout.otherwise("POST"))
    url: Function = data(read=layout.function, needed=True)
    headers: Function | None = data(read=layout.function)
    form: Function | None = data(read=layout.function)
    json: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class PaymentPlan:
    """How plans are sold through a service."""

    pay: str = data(needed=True)
    price: Function | None = data(read=layout.function)
    product: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class PaymentOffer:
    """What is offered, and on which paths."""

    flag: str = data(read=layout.text)
    least: Function | None = data(read=layout.function)
    least_as: str = data(read=layout.text)
    most: int = data(read=layout.otherwise(2**31))
    methods: Function = data(read=layout.function, needed=True)
    methods_as: str = data(read=layout.text)
    products: bool = data(read=layout.flag)
    price: Function = data(read=layout.function, needed=True)
    amount: str | None = data()
    pay: str = data(needed=True)
    plan: PaymentPlan | None = data(read=layout.maybe(PaymentPlan))


@dataclass(frozen=True, slots=True)
class PaymentStart:
    """How an order begins."""

    number: Function = data(read=layout.function, needed=True)
    call: PaymentCall | None = data(read=layout.maybe(PaymentCall))
    fields: Function | None = data(read=layout.function)
    works: Function | None = data(read=layout.function)
    answer: Function = data(read=layout.function, needed=True)


@dataclass(frozen=True, slots=True)
class PaymentNotice:
    """How a service tells of an order."""

    path: str = data(needed=True)
    also: tuple[str, ...] = data(read=layout.items)
    back: str = data(read=layout.text)
    reads: str = data(read=layout.otherwise("json"))
    body: Function | None = data(read=layout.function)
    genuine: Function = data(read=layout.function, needed=True)
    number: Function = data(read=layout.function, needed=True)
    outcome: Function = data(read=layout.function, needed=True)
    about: PaymentCall | None = data(read=layout.maybe(PaymentCall))
    """Asked before anything is read of a notice that ``asks``; what it answers stands beside the notice."""
    asks: Function | None = data(read=layout.function)
    share: Function | None = data(read=layout.function)
    refund: Function | None = data(read=layout.function)
    renewal: Function | None = data(read=layout.function)
    money: Function | None = data(read=layout.function)
    currency: Function | None = data(read=layout.function)
    done: Function | None = data(read=layout.function)
    refused: Function | None = data(read=layout.function)
    refused_status: int = data(read=layout.otherwise(400))


@dataclass(frozen=True, slots=True)
class PaymentQuery:
    """How a service is asked for an order."""

    call: PaymentCall = data(read=layout.maybe(PaymentCall), needed=True)
    outcome: Function = data(read=layout.function, needed=True)
    money: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment service."""

    name: str = data(needed=True)
    service_name: str = data("service", layout.text)
    options: dict[str, str] = data(read=layout.mapping)
    needs: tuple[str, ...] = data(read=layout.items)
    offer: PaymentOffer = data(read=layout.one(PaymentOffer), needed=True)
    start: PaymentStart = data(read=layout.one(PaymentStart), needed=True)
    notice: PaymentNotice = data(read=layout.one(PaymentNotice), needed=True)
    query: PaymentQuery | None = data(read=layout.maybe(PaymentQuery))

    @property
    def service(self) -> str:
        """What its orders say of who took them."""
        return self.service_name or self.name

    def read(self, options: Any) -> dict[str, str]:
        """The options that its expressions may read, each as it is set or as the document says."""
        return {name: options.get(name, default) for name, default in self.options.items()}
