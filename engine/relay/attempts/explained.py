"""Why this channel: for a caller who may ask, as a header of its answer, and in short for the log row.

Tells names, times and meanings; never an address, a secret or a provider's words.
"""

from __future__ import annotations

import time
from math import isfinite
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from engine.relay.call import Call

HEADER = "x-gatewright-debug"
_LONGEST = 4000
_NAMED = 20


def header(call: Call) -> list[tuple[str, str]]:
    """The header that tells it, where the call asks and its key may."""
    wished = call.headers.get(HEADER) == "1" and call.account is not None
    if not wished or not call.snapshot.debug(call):
        return []
    text = orjson.dumps(_whole(call)).decode("ascii", "backslashreplace")
    return [(HEADER, text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")]


def short(call: Call) -> dict[str, Any]:
    """What the log row says of it beside the channels that were used."""
    choice = call.choice
    told: dict[str, Any] = {}
    if choice is not None and choice.route:
        told["route"] = choice.route
    if choice is not None and choice.aside:
        told["aside"] = [name for name, _ in choice.aside]
    if call.waited:
        told["waited"] = round(call.waited * 1000)
    return told


def _whole(call: Call) -> dict[str, Any]:
    choice, now = call.choice, time.time()
    told: dict[str, Any] = {"tried": [_tried(attempt) for attempt in call.attempts]}
    if choice is not None:
        told |= {"route": choice.route, "strategies": choice.strategies, "decided": choice.said}
        told["candidates"] = {
            group: [channel.name for channel in channels[:_NAMED]] for group, channels in choice.candidates.items()
        }
        told["aside"] = {name: round(until - now) if isfinite(until) else "off" for name, until in choice.aside}
    if call.kept is not None:
        told["affinity"] = call.bond.rule if call.bond is not None else ""
    if call.waited:
        told["waited_ms"] = round(call.waited * 1000)
    if call.limited is not None:
        told["limits"] = dict(zip([rule.name for rule in call.limited.rules], call.limited.left, strict=False))
    return told


def _tried(attempt: Any) -> dict[str, Any]:
    outcome = attempt.outcome
    told = {"channel": attempt.channel.name, "model": attempt.model, "format": attempt.format.name}
    if outcome.first_byte is not None and outcome.began:
        told["first_byte_ms"] = round((outcome.first_byte - outcome.began) * 1000)
    if outcome.lost:
        told["lost"] = True
    elif outcome.error is not None:
        told["failed"] = outcome.error["meaning"]
    return told
