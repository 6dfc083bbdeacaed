"""What a request asks for: the most output and how many answers, in whatever spelling, and what is kept elsewhere.

Where a format says them stands in its document (``asks``). Servers take numbers as floats and texts, too, so these
count here; what is no number is refused. What is kept in a provider's account may be another caller's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.jsonbytes import holds

if TYPE_CHECKING:
    from engine.program import Asks, Branch
    from engine.program.asks import KeptName
    from engine.relay.call import Call

_BACKSLASH, _ESCAPE = ord("\\"), b"\\u"
"""Letters of a name may be written so; then its mark proves nothing."""
_MOST = 1 << 50
"""Nobody asks for more: a larger number counts as this one, which no balance can hold."""


def most_output(asks: Asks, body: Mapping[str, Any], default: int) -> int:
    """The most output tokens that a request asks for: the greatest that it names, times the answers that it asks for.

    ``default`` where it names no maximum, or none above 0. Raises ``CallError`` for what is no number.
    """
    most = _greatest(asks.most, body)
    return min((most if most > 0 else default) * max(_greatest(asks.choices, body), 1), _MOST)


def refuse_kept(call: Call, own: Callable[[str, str], bool] | None = None) -> None:
    """Refuse a request that names what is kept in the provider's account, which many share.

    ``own`` says of a name of a family whether it is known as the caller's own.
    """
    asks, raw = call.format.asks, call.raw
    # PERF: one letter, as a number, is looked for at once
    escaped = _BACKSLASH in raw and _ESCAPE in raw
    if not escaped and not holds(raw, asks.marks):
        return
    for path, name, kept in _named(call.body, asks.tree, ""):
        place = path.removeprefix(".")
        if kept.why:
            raise CallError("bad_request", f"{place}: {kept.why}", param=place, code="unsupported_value")
        if own is not None and kept.family and own(kept.family, name):
            continue
        raise CallError(
            "bad_request",
            f"{place}: names {name[:100]!r}, which is not known here as this key's own; send what it stands for in the"
            " request itself",
            param=place,
            code="not_this_keys_own",
        )


def _named(value: Any, tree: Branch, place: str) -> Iterator[tuple[str, str, KeptName]]:
    """What a value names, with its place (``.tools[0].id``) and what the document says of it.

    PERF: only members that a path leads to are looked at, and most are texts.
    """
    if tree.kept is not None and tree.kept.why:
        yield place, "", tree.kept
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict | list) or tree.kept is not None:
                yield from _named(item, tree, f"{place}[{index}]")
    elif isinstance(value, dict):
        for name, below in tree.below.items():
            inner = value.get(name)
            if inner is not None and (below.kept is not None or not isinstance(inner, str)):
                yield from _named(inner, below, f"{place}.{name}")
    elif isinstance(value, str) and (kept := tree.kept) is not None and (not kept.match or kept.match.fullmatch(value)):
        yield place, value, kept


def _greatest(paths: tuple[tuple[str, ...], ...], body: Mapping[str, Any]) -> int:
    """The greatest number at any of the paths, 0 where there is none above it."""
    greatest = 0
    for path in paths:
        value: Any = body
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
            if value is None:
                break
        else:
            number = value if type(value) is int and -_MOST < value < _MOST else _number(path, value)
            greatest = max(greatest, number)
    return greatest


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
