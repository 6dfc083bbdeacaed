"""What a plain call used: as its provider tells, else as its request says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.kinds.plain.call import PlainCall
from engine.ledger.counting.tokens import Count
from engine.relay.metering import only_input, within_reason

if TYPE_CHECKING:
    from engine.routing.attempt import Attempt


def meter(call: PlainCall, attempt: Attempt, body: dict[str, Any] | None, headers: Mapping[str, str]) -> None:
    """Note the usage that an answer tells; the request's own measure where it tells none, or is no JSON."""
    outcome, at = attempt.outcome, attempt.format.usage.at
    counts = at([], body, attempt.model, headers) if at and body is not None else None
    outcome.usage = (
        within_reason(attempt.channel.plan(attempt.format).normalise(counts), len(call.raw)) if counts else {}
    )
    complete(call, attempt)


def complete(call: PlainCall, attempt: Attempt) -> None:
    """Count the request where the provider did not, and note what the request itself measures."""
    outcome = attempt.outcome
    if not outcome.usage.get("input_total"):
        only_input(outcome, counted(call, attempt.model))
    if call.format.asks.characters:
        meters = outcome.usage.get("meters") or {}
        characters = sum(map(len, _texts(call)[0]))
        outcome.usage = {**outcome.usage, "meters": {"characters": characters, **meters}}


def counted(call: PlainCall, model: str, *, hasty: bool = False) -> Count:
    """Tokens of what the format says is counted of a request."""
    counter, asks = call.snapshot.counter, call.format.asks
    if not counter.count_input:
        return Count(0, "estimated")
    texts, numbers = _texts(call)
    files = sum(part.end - part.content for part in call.form.files()) if call.form is not None else 0
    beside = asks.base + numbers + (files // asks.file_bytes if asks.file_bytes else 0)
    if asks.characters:  # the vendors' unit: each character is a token
        return Count(sum(map(len, texts)) + beside, "counted")
    count = counter.texts(model, texts, hasty=hasty)
    return Count(count.tokens + beside, count.how)


def _texts(call: PlainCall) -> tuple[list[str], int]:
    paths = call.format.asks.text
    return _content([call.body] if paths is None else [_at(call.body, path) for path in paths])


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for index, name in enumerate(path):
        if isinstance(value, list):
            return [_at(item, path[index:]) for item in value]
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _content(left: list[Any]) -> tuple[list[str], int]:
    """The texts of values, and how many whole numbers stand in their lists; not recursive, as callers nest deep."""
    texts, numbers = list[str](), 0
    while left:
        value = left.pop()
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            numbers += sum(1 for item in value if type(item) is int)
            left += value
    return texts, numbers
