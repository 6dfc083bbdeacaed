"""A plan in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def lines(plan: dict[str, Any]) -> Iterator[str]:
    """What changes would mean, the documents first."""
    if plan["empty"]:
        yield "nothing would change"
        yield from rows(plan["rows"])
        return
    for document in plan["documents"]:
        yield f"{document['what']} {document['title']} ({document['owner']})"
        yield from ("    " + line for line in document["diff"].splitlines()[2:])
    yield from _models(plan["models"])
    for price in plan["prices"]:
        yield from _price(price)
    for route in plan["routes"]:
        yield (
            f"calls of {route['model']} in group {route['group']}: {_odds(route['before'])} -> {_odds(route['after'])}"
        )
    yield from _effects(plan["effects"])
    for output in plan["outputs"]:
        yield f"{output['document']}: its sample {output['test']!r} gives another result"
        yield from ("    " + line for line in output["difference"].splitlines())
    yield from _replays(plan.get("replays") or {})
    yield from rows(plan["rows"])


def rows(beside: dict[str, Any]) -> Iterator[str]:
    """What stands beside documents, and what of it says otherwise than they do."""
    yield (
        f"beside documents: {beside['channels']} channels and {beside['options']} options as rows,"
        f" at revision {beside['revision']} (gatewright releases rows list)"
    )
    for one in beside["twice"]:
        over = f"{', '.join(one['over'])}: {one['row']}" if one["over"] else one["row"]
        yield f"{one['kind']} {one['name']}: {one['wins']} before what {over} says; {_WAYS[one['kind']]}"


_WAYS = {
    "option": "take the row away (gatewright releases rows drop option/NAME) or say its value in the document",
    "price": "take the model out of the option or say its price in the document",
    "channel": "switch one of the two off: the row by its status, or the document's by taking it out",
}
"""How a row and a document come to say the same again."""


def _replays(replays: dict[str, Any]) -> Iterator[str]:
    """What kept exchanges come to, each that differs."""
    if not replays:
        return
    left_out = f"; {replays['left_out']} can't be replayed" if replays["left_out"] else ""
    yield f"{replays['exchanges']} kept exchanges replayed, {len(replays['differing'])} differ{left_out}"
    for row in replays["differing"]:
        yield f"call {row['id']} for {row['model']} ({row['format']}):"
        for name, words in (("means", "means model"), ("cost", "costs $")):
            if row[name]:
                yield f"    {words} {row[name][0] or '-'} -> {row[name][1] or '-'}"
        for name, words in (("request", "its provider is sent"), ("response", "its caller is given")):
            if row[name]:
                yield f"    {words}:"
                yield from ("        " + line for line in row[name].splitlines())


def _models(groups: list[dict[str, Any]]) -> Iterator[str]:
    for change in groups:
        for word, names in (("gains", change["gained"]), ("loses", change["lost"])):
            if names:
                yield f"group {change['group']} {word} {', '.join(names)}"


def _effects(effects: list[dict[str, Any]]) -> Iterator[str]:
    """What documents say now that were not changed themselves, and what changed aliases and policies say."""
    for effect in effects:
        if not effect["direct"] or effect["title"].startswith(("Alias/", "Policy/")):
            why = "" if effect["direct"] else ", as what it stands on changes"
            yield f"{effect['title']} says something else{why}"
            yield from ("    " + line for line in effect["difference"].splitlines())


def _price(change: dict[str, Any]) -> Iterator[str]:
    before, after = change["before"], change["after"]
    if before is None or after is None:
        yield f"price of {change['model']}: {'it has one now' if before is None else 'it has none any more'}"
    else:
        yield f"price of {change['model']}:"
    for words in after or before or {}:
        pair = [side[words] if side else "-" for side in (before, after)]
        if pair[0] != pair[1]:
            yield f"    {words}: ${pair[0]} -> ${pair[1]}"
    for group, (was, now) in change["groups"].items():
        yield f"    group {group}: x {was or '-'} -> x {now or '-'}"


def _odds(rows: list[dict[str, Any]]) -> str:
    return ", ".join(f"{row['channel']} {row['share']:.0%} (priority {row['priority']})" for row in rows) or "nobody"
