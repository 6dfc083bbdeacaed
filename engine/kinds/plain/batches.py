"""A request for more than a provider takes at once: several calls, one after the other, and one answer in order.

Works on requests and answers in the hub's form: the list, or the number of results, that is cut, and the list of
results, whose numbers are made anew where they have any. Takes and gives plain data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RESULTS, _NUMBER, _USAGE = "data", "index", "usage"


def cut(hub: dict[str, Any], rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The requests to send; one where it is within the bound, or is neither a list of texts nor a number of results."""
    name, most = str(rule["at"]), int(rule["most"])
    items = hub.get(name)
    if type(items) is int and items > most:
        return [{**hub, name: min(most, items - start)} for start in range(0, items, most)]
    if not isinstance(items, list) or len(items) <= most or any(type(item) is int for item in items):
        return [hub]
    return [{**hub, name: items[start : start + most]} for start in range(0, len(items), most)]


def joined(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """One answer of several."""
    results = [result for answer in answers for result in answer.get(_RESULTS) or ()]
    numbered = [{**result, _NUMBER: number} if _NUMBER in result else result for number, result in enumerate(results)]
    usage = summed([answer[_USAGE] for answer in answers if isinstance(answer.get(_USAGE), dict)])
    return {**answers[0], _RESULTS: numbered, **({_USAGE: usage} if usage else {})}


def summed(counts: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts added up by their names, at every depth; of what is no number the last stays."""
    total: dict[str, Any] = {}
    for part in counts:
        for name, value in part.items():
            before = total.get(name)
            if isinstance(value, dict) and isinstance(before, dict):
                total[name] = summed([before, value])
            elif _number(value) and _number(before):
                total[name] = before + value
            else:
                total[name] = value
    return total


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
