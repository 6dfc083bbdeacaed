"""Price: which rule the call is charged by. A model without one is refused, unless a Policy allows it.

The call keeps the book and the rule that were in force when it came, whatever changes while it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import CallError

if TYPE_CHECKING:
    from engine.relay.call import Call
    from engine.relay.resolve import Reading
    from engine.relay.state import RelayState


def price(state: RelayState, call: Call, reading: Reading) -> None:
    """Give the call its book and its rule; the name asked for goes before the one that an alias says it means."""
    call.book = state.book
    call.rule = call.book.find(call.asked, reading.name, call.now)
    if call.rule is not None:
        failed = call.book.trial(call.rule, call.body, call.now, call.headers)
        if failed:
            raise CallError(
                "forbidden",
                f"the price of {call.asked!r} can't be told ({call.rule.place}): {failed}; its operator has to mend it",
                param="model",
                code="model_price_error",
            )
    elif not state.unpriced:
        raise CallError(
            "forbidden",
            f"the model {call.asked!r} has no price, so it can't be charged for; its operator has to give it one "
            "(a Price document, or the options ModelRatio or ModelPrice), or allow it by `unpriced: allow` in a Policy",
            param="model",
            code="model_price_error",
        )
