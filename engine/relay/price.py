"""Price: which rule the call is charged by. A model without one is refused, unless a Policy allows it.

The call keeps the book and the rule that were in force when it came, whatever changes while it runs.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from engine.errors import CallError

if TYPE_CHECKING:
    from engine.relay.call import Call
    from engine.routing.aliases import ResolvedModel

log = logging.getLogger(__name__)
_HOW = (
    "give it one in a Price document, or in the options ModelRatio or ModelPrice, "
    "or allow it by `unpriced: allow` in a Policy"
)


def price(call: Call, reading: ResolvedModel) -> None:
    """Give the call its book and its rule; the name asked for goes before the one that an alias says it means."""
    call.book = call.snapshot.book
    call.rule = call.book.find(call.asked, reading.listed or reading.name, call.now)
    if call.rule is None and reading.listed:
        call.rule = call.book.find(reading.name, now=call.now)
    if call.rule is not None:
        failed = call.book.trial(call.rule, call.body, call.now, call.headers)
        if failed:
            log.warning("the price of %r can't be told (%s): %s", call.asked, call.rule.place, failed)
            raise CallError(
                "forbidden",
                f"the price of {call.asked!r} can't be told; the gateway's operator has to mend it, see the log",
                param="model",
                code="model_price_error",
            )
    elif not call.snapshot.unpriced:
        log.warning("the model %r has no price: %s", call.asked, _HOW)
        raise CallError(
            "forbidden",
            f"the model {call.asked!r} has no price, so it can't be charged for; the gateway's operator has to give it "
            "one, see the log",
            param="model",
            code="model_price_error",
        )
