"""Recorded requests with one or two of their fields deleted, replaced or given another type.

Takes a number that decides everything, so that a case can be had again; gives wire requests with what was done to them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

from tests.formats import recorded
from tests.relay import rich

Body = dict[str, Any]

HOSTILE = [*rich.WRONG, "\ud800", -1, 1e300, 2**70, "x" * 70_000, [[]] * 50, {"": ""}, "$ref", "data:,", "null", " "]
"""What may stand in the place of anything."""


def mutants(name: str, seed: int, count: int) -> Iterator[tuple[str, Body]]:
    """Requests of a format, each spoilt at random, with their stories."""
    asked = [
        item for item in recorded.exchanges() if item.format == name and item.status < 400 and _alone(item.request)
    ]
    if not asked:
        return
    choose = random.Random(f"{name} {seed}")
    for _ in range(count):
        exchange = choose.choice(asked)
        body = {key: value for key, value in (exchange.request or {}).items() if key not in ("model", "stream")}
        done = []
        for _ in range(choose.choice((1, 1, 2))):
            if not body:
                break
            path = choose.choice(list(rich.nodes(body)))
            what, body = spoilt(choose, body, path)
            done.append(f"{rich.spelled(path)} {what}")
        yield f"{exchange.id}: {', '.join(done)}", body


def _alone(request: Body | None) -> bool:
    """Whether it can be answered without the network, an earlier answer, and a vendor's own extras."""
    return request is not None and not re.search(r"https?://|\"!|previous_response_id", json.dumps(request))


def spoilt(choose: random.Random, body: Body, path: rich.Path) -> tuple[str, Body]:
    """What was done to the node at a path, and the body with it done."""
    match choose.choice(("deleted", "replaced", "retyped", "moved", "renamed")):
        case "deleted":
            return "deleted", rich.without(body, path)
        case "retyped":
            value = _retyped(choose, _at(body, path))
        case "moved":
            value = _at(body, choose.choice(list(rich.nodes(body))))
        case "renamed" if isinstance(path[-1], str):
            return "renamed", rich.replaced(rich.without(body, path), (*path[:-1], f"{path[-1]}s"), _at(body, path))
        case _:
            value = choose.choice(HOSTILE)
    return f"= {json.dumps(value)[:80]}", rich.replaced(body, path, value)


def _at(body: Any, path: rich.Path) -> Any:
    for key in path:
        body = body[key]
    return body


def _retyped(choose: random.Random, value: Any) -> Any:
    """The same in another type."""
    ways = [[value], {"value": value}, json.dumps(value), [value, value], None]
    if isinstance(value, str):
        ways += [value.encode("utf-8", "surrogatepass").hex(), value + "\ud800", value * 100, len(value), value.upper()]
    if isinstance(value, list):
        ways += [value * 3, value[::-1], dict(enumerate(value)), value[1:], [*value, None], [*value, *value[:1]]]
    if isinstance(value, dict):
        ways += [list(value.values()), {**value, "type": "other"}, {**value, "x": value}, dict(reversed(value.items()))]
    return choose.choice(ways)
