"""A call of a payment service, as its document says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from engine.errors import Conflict
from engine.program.layout import Function
from engine.program.outside.payments import PaymentCall
from engine.texts import refusal
from engine.transport import declared
from engine.transport.faults import TransportError
from engine.transport.leg import Pool


def ask(pool: Pool, call: PaymentCall, options: Mapping[str, str], order: Mapping[str, Any], now: int) -> Any:
    """The JSON that a service answers; ``Conflict`` where it is away or refuses (what it said is not told)."""

    def made(part: Function | None, *more: str) -> Any:
        return None if part is None else part([], options, order, now, *more)

    json = made(call.json)
    text = "" if json is None else orjson.dumps(json).decode()
    try:
        return declared.ask(
            pool, call.method, str(made(call.url)), made(call.headers, text), form=made(call.form), json=json
        )
    except TransportError as error:
        raise refusal(Conflict, "payment.away", what=error.public) from None
