"""Which of a provider's formats a model needs for what is asked, as its Model document says.

Takes a call of any kind and its attempts; gives these with the format changed where the provider would refuse the one
that was chosen without looking at the model. A format that the call can't be spoken to in is none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt

Holds = Callable[[str, Mapping[str, Any]], bool]
"""Whether a request holds what a case is for (a word of ``endpoints[].when``), of a model with these traits."""


def nothing_held(_what: str, _traits: Mapping[str, Any]) -> bool:
    """Of calls in which nothing is looked for."""
    return False


def needed(call: Call, attempts: list[Attempt], holds: Holds = nothing_held) -> list[Attempt]:
    """The attempts, each in the format that its model needs."""
    for attempt in attempts:
        traits = call.snapshot.program.models.traits(attempt.model)
        if traits.get("endpoints"):
            _fit(call, attempt, traits, holds)
    return attempts


def _fit(call: Call, attempt: Attempt, traits: Mapping[str, Any], holds: Holds) -> None:
    if attempt.channel.format is not None or attempt.channel.routes is not None:
        return
    offered = attempt.channel.provider.formats
    for case in traits["endpoints"]:
        if case["format"] not in offered:
            continue
        if case["format"] == attempt.format.name:
            return
        spoken = call.program.formats[case["format"]]
        if call.speaks(call.format, spoken) and all(holds(what, traits) for what in case.get("when", ())):
            attempt.format = spoken
            return
