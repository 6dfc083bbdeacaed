"""Places of assertions: a dotted path into a body or a word that begins with ``$``, looked up in what was seen.

``Seen`` holds what one case left behind; ``look(seen, place)`` gives the value or ``ABSENT``; ``faults(seen, expect)``
judges a case: all of ``assert`` hold, or all of one way under ``any``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.reports.values import ABSENT, fault

_STEP = re.compile(r"\[(-?\d+)\]|([^.\[\]]+)")
_LOSS = re.compile(r"[^=;\s]+=\S.*")


@dataclass
class Seen:
    """What a place is looked up in. ``events`` are pairs of an event's name and its data; ``facts`` are values by the
    word that names them (``$status``, ``$sent`` ...); one that costs to get may be a function."""

    body: Any = ABSENT
    events: list[tuple[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def look(seen: Seen, place: str) -> Any:
    """The value at a place."""
    if not place.startswith("$"):
        return at(seen.body, place)
    word, _, told = place[1:].partition(":")
    if word.startswith("last."):
        return at(seen.events[-1][1], word.removeprefix("last.")) if seen.events else ABSENT
    if word in _MEASURES:
        return _MEASURES[word](seen, told)
    if word not in seen.facts:
        raise ValueError(f"nothing is known of the place {place}")
    value = seen.facts[word]
    if callable(value):
        value = seen.facts[word] = value()
    return at(value, told) if told else value


def at(value: Any, path: str) -> Any:
    """The value at a dotted path."""
    for index, name in _STEP.findall(path):
        try:
            value = value[int(index)] if index else value[int(name)] if isinstance(value, list) else value[name]
        except (LookupError, TypeError, ValueError):
            return ABSENT
    return value


def events_of(text: str) -> list[tuple[str, Any]]:
    """The events of a stream's text: each event's name, and its data as JSON where it is."""
    found = []
    for block in re.split(r"\r?\n\r?\n", text):
        fields: dict[str, list[str]] = {"event": [], "data": []}
        for line in block.splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        if fields["data"]:
            data = "\n".join(fields["data"])
            found.append((fields["event"][0] if fields["event"] else "", _parsed(data)))
    return found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def losses(header: str) -> list[str]:
    """Entries of a header of losses that have not the form path=why."""
    return [entry for entry in header.split("; ") if entry and not _LOSS.fullmatch(entry)]


def _all_data(seen: Seen) -> list[Any]:
    return [data for _, data in seen.events] or ([] if seen.body is ABSENT else [seen.body])


def _count(seen: Seen, word: str) -> int:
    return sum(json.dumps(data, ensure_ascii=False).count(word) for data in _all_data(seen))


def _under(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name == key and isinstance(member, str):
                yield member
            else:
                yield from _under(member, key)
    elif isinstance(value, list):
        for member in value:
            yield from _under(member, key)


def _of_type(seen: Seen, kind: str) -> list[Any]:
    return [
        data for name, data in seen.events if (data.get("type") if isinstance(data, dict) else None or name) == kind
    ]


def _found(seen: Seen, told: str) -> Any:
    kind, _, path = told.partition(";")
    listed = _of_type(seen, kind)
    return at(listed[0], path) if listed else ABSENT


_MEASURES: dict[str, Callable[[Seen, str], Any]] = {
    "count": _count,
    "joined": lambda seen, key: "".join(text for data in _all_data(seen) for text in _under(data, key)),
    "find": _found,
    "count_events": lambda seen, kind: len(_of_type(seen, kind)),
    "body": lambda seen, path: at(seen.body, path) if path else seen.body,
}


def faults(seen_on: Callable[[str], Seen], expect: Mapping[str, Any]) -> list[str]:
    """What is wrong with a case: nothing if its assertions hold, or those of another way that is right.

    ``seen_on`` gives what places look into, by the word under ``on`` (empty: none was given).
    """
    ways = [expect, *expect.get("any", ())]
    wrong: list[list[str]] = []
    for way in ways:
        seen = seen_on(way.get("on", expect.get("on", "")))

        def other(place: str, seen: Seen = seen) -> Any:
            return look(seen, place)

        told = [(place, fault(other(place), wanted, other)) for place, wanted in way["assert"]]
        found = [f"{place}: {words}" for place, words in told if words is not None]
        if not found:
            return []
        wrong.append(found)
    return ["; or: ".join(", ".join(found) for found in wrong)]
