"""What a request asks for: the most output and how many answers, in whatever spelling, and what is kept elsewhere.

Where a format says them stands in its document (``asks``). Servers take numbers as floats and texts, too, so these
count here; what is no number is refused. What is kept in a provider's account may be another caller's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.errors import CallError

if TYPE_CHECKING:
    from engine.program import Asks, Branch, Kept
    from engine.relay.call import Call

_ESCAPE = b"\\u"
"""Letters of a name may be written so; then its mark proves nothing."""
_MOST = 1 << 50
"""Nobody asks for more: a larger number counts as this one, which no balance can hold."""


def most_output(asks: Asks, body: Mapping[str, Any], default: int) -> int:
    """The most output tokens that a request asks for: the greatest that it names, times the answers that it asks for.

    ``default`` where it names no maximum, or none above 0. Raises ``CallError`` for what is no number.
    """
    most = max(_numbers(asks.most, body), default=0)
    choices = max(_numbers(asks.choices, body), default=1)
    return min((most if most > 0 else default) * max(choices, 1), _MOST)


def refuse_kept(call: Call) -> None:
    """Refuse a request that names what is kept in the provider's account, which many share."""
    asks, raw = call.format.asks, call.raw
    found = None
    for mark in (*asks.marks, _ESCAPE) if asks.marks else ():
        if mark in raw:
            found = _named(call.body, asks.tree)
            break
    if found is not None:
        kept, name = found
        raise CallError(
            "bad_request",
            f"{kept.path} names {name[:100]!r}, which is not known here as this key's own; send what it stands for in"
            " the request itself",
            param=kept.path,
            code="not_this_keys_own",
        )


def _named(value: Any, tree: Branch) -> tuple[Kept, str] | None:
    """The first thing that a value names. PERF: only members that a path leads to are looked at, and most are texts."""
    if isinstance(value, list):
        for one in value:
            if isinstance(one, dict | list) or tree.kept is not None:
                found = _named(one, tree)
                if found is not None:
                    return found
    elif isinstance(value, dict):
        for name, below in tree.below.items():
            inner = value.get(name)
            if inner is not None and (below.kept is not None or not isinstance(inner, str)):
                found = _named(inner, below)
                if found is not None:
                    return found
    elif isinstance(value, str) and tree.kept is not None:
        kept = tree.kept
        if kept.match is None or kept.match.fullmatch(value):
            return kept, value
    return None


def shared(call: Call) -> bool:
    """Whether many people share the providers' accounts."""
    return bool(call.program.policy.get("accountOwner") != "one")


def _numbers(paths: tuple[tuple[str, ...], ...], body: Mapping[str, Any]) -> Iterator[int]:
    for path in paths:
        value: Any = body
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            yield value if type(value) is int and -_MOST < value < _MOST else _number(path, value)


def _number(path: tuple[str, ...], value: Any) -> int:
    """A number as a float or a text, rounded up."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = Decimal(value.strip().replace("_", "no")) if isinstance(value, str) else Decimal(value)
        except ArithmeticError:
            number = Decimal("nan")
        if number.is_finite():
            return math.ceil(max(min(number, Decimal(_MOST)), Decimal(-1)))
    name = ".".join(path)
    raise CallError("bad_request", f"{name} must be a whole number", param=name, code="invalid_type")
