"""What operators and loops of expressions do at run time: reading, adding, joining, comparing, iterating.

Takes and gives JSON data, where None is "nothing". Bounded: text and numbers can't be grown without end. Raises
MappingError (its path is filled in by whoever called the generated function) when data has a shape that can't be used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from engine.errors import MappingError, Refusal
from engine.turns import give_way


class Null:
    """The type of NULL, a null that is written on purpose."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NULL"

    def __bool__(self) -> bool:
        return False


NULL: Final = Null()
NUMBERS: Final = (int, float)
GROWTH = 1 << 20
"""How many characters an expression may add to the longest text it is given."""
LARGEST = 1 << 128
STEPS = 1_000_000
"""How many turns of inner loops and uses of fragments one mapping may take, whatever it is given."""
MORE = 4
"""Bits of how many characters of what it is given allow it one step more: each may be written as JSON and put in."""
SLICE = 1_000
"""After so many of them (3 ms) others that share the thread have their turn."""
_LOOKED = 1 << 16
"""Characters and values that are looked at before others have their turn (5 ms)."""
PUT = 6
"""Bits of how many characters that are put in time and again count for one step."""
DEPTH = 64
"""How deep fragments may use each other."""


def fail(why: str) -> NoReturn:
    """Give up on data of a wrong shape; the caller adds where."""
    raise MappingError("", why)


def kind_of(value: Any) -> str:
    """A value's type in words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "a map"
    return "a null"


def read(value: Any, key: Any) -> Any:
    """``value[key]`` for a key known only now: of a map by text, of a list or text by position; else nothing."""
    if type(value) is dict:
        return value.get(key) if type(key) is str else None
    if type(key) is int:
        return at(value, key)
    return None


def at(value: Any, index: int) -> Any:
    """The item of a list, or the character of a text, at a position; nothing where there is none."""
    if (type(value) is list or type(value) is str) and -len(value) <= index < len(value):
        return value[index]
    return None


def cut(value: Any, start: Any, stop: Any, step: Any) -> Any:
    """A slice of a list or text; nothing of anything else."""
    if type(value) is not list and type(value) is not str:
        return None
    if step == 0 or any(type(bound) is not int and bound is not None for bound in (start, stop, step)):
        fail("a slice takes whole numbers, and no step of 0")
    return value[start:stop:step]


def no_item(key: str) -> None:
    """Stands in for ``.get`` of a value that is no map."""


def each(value: Any) -> Any:
    """What a loop with one name runs over: items of a list, keys of a map, nothing at all."""
    if type(value) is list:
        return value
    if value is None:
        return ()
    if type(value) is dict:
        return list(value)
    return fail(f"has to be a list, but is {kind_of(value)}")


def pairs(value: Any) -> list[tuple[Any, Any]]:
    """What a loop with two names runs over: positions and items of a list, keys and values of a map."""
    if type(value) is list:
        return list(enumerate(value))
    if value is None:
        return []
    if type(value) is dict:
        return list(value.items())
    return fail(f"has to be a list or a map, but is {kind_of(value)}")


def bounded(number: Any) -> Any:
    """A number that arithmetic gave, unless it grew beyond all use."""
    if type(number) is int:
        if -LARGEST < number < LARGEST:
            return number
    elif number - number == 0:
        return number
    return fail("the number is too large")


def _numbers(left: Any, right: Any, what: str) -> bool:
    """Are both numbers? False if one is nothing; a fault if one is anything else."""
    if left is None or right is None:
        return False
    if type(left) not in NUMBERS or type(right) not in NUMBERS:
        fail(f"can't {what} {kind_of(left)} and {kind_of(right)}")
    return True


def work(budget: list[int], cost: int, function: Any, value: Any, *arguments: Any) -> Any:
    """A filter inside a loop or fragment: what it goes through and gives is taken from the mapping's steps.

    A step is to go through 16 items of a list or 256 characters of a text, times the filter's ``cost``.
    """
    result = function(value, *arguments)
    steps, value_type, result_type = 0, type(value), type(result)
    if value_type is str:
        steps = len(value) >> 8
    elif value_type is list or value_type is dict:
        steps = len(value) >> 4
    if result_type is str:
        steps += len(result) >> 8
    elif result_type is list or result_type is dict:
        steps += len(result) >> 4
    if steps:
        budget[0] -= steps * cost
        if budget[0] < 0:
            spent(budget)
    return result


def put(budget: list[int], value: Any) -> Any:
    """A value that turns of a loop or fragments put in time and again: as long as it is written out, it takes steps."""
    kind = type(value)
    if kind is str:
        size = len(value)
    elif kind is list or kind is dict:
        size = _written([value], (budget[0] + budget[1]) << PUT)
    else:
        return value
    if size >> PUT:
        budget[0] -= size >> PUT
        if budget[0] < 0:
            spent(budget)
    return value


def _written(waiting: list[Any], most: int) -> int:
    """How long values are written out, roughly. Each is taken from the list, until they are a little above ``most``."""
    size = 0
    while waiting and size <= most + (1 << PUT):
        item = waiting.pop()
        kind = type(item)
        if kind is str:
            size += len(item)
        elif kind is list:
            size += len(item)
            waiting += item
        elif kind is dict:
            size += len(item) + sum(map(len, item))
            waiting += item.values()
        else:
            size += 1
    return size


def add(budget: list[int], left: Any, right: Any) -> Any:
    """``left + right``: numbers, texts or lists."""
    if left is None or right is None:
        return None
    if type(left) is str and type(right) is str:
        return concat(budget, left, right)
    if type(left) is list and type(right) is list:
        budget[0] -= (len(left) + len(right)) >> 2  # copying an item costs four times what looking at it does
        if budget[0] < 0:
            spent(budget)
        return left + right if len(left) + len(right) <= GROWTH else fail("the list grows too long")
    return bounded(left + right) if _numbers(left, right, "add") else None


def subtract(left: Any, right: Any) -> Any:
    """``left - right`` of numbers."""
    return bounded(left - right) if _numbers(left, right, "subtract") else None


def multiply(left: Any, right: Any) -> Any:
    """``left * right`` of numbers; texts and lists can't be repeated."""
    return bounded(left * right) if _numbers(left, right, "multiply") else None


def divide(left: Any, right: Any) -> Any:
    """``left / right``; nothing when dividing by zero."""
    return bounded(left / right) if _numbers(left, right, "divide") and right else None


def floor_divide(left: Any, right: Any) -> Any:
    """``left // right``; nothing when dividing by zero."""
    return bounded(left // right) if _numbers(left, right, "divide") and right else None


def modulo(left: Any, right: Any) -> Any:
    """``left % right`` of numbers, never formatting; nothing when dividing by zero."""
    return bounded(left % right) if _numbers(left, right, "divide") and right else None


def negate(value: Any) -> Any:
    """``-value`` of a number."""
    return -value if _numbers(value, 0, "subtract") else None


def as_text(value: Any) -> str:
    """A value as it stands in a text: booleans and structures as compact JSON, numbers in their shortest form."""
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    return compact(value)


def _null(value: object) -> None:
    if value is not NULL:
        raise ValueError


# PERF: an encoder made once; json.dumps with options makes one for each call (3 us)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_null)


def compact(value: Any) -> str:
    """Compact JSON, non-ASCII letters as they are."""
    try:
        return _ENCODER.encode(value)
    except (RecursionError, ValueError):
        return fail("nests too deeply to be written as JSON")


def concat(budget: list[int], *values: Any) -> str | None:
    """Texts and other values joined; nothing if one of them is nothing."""
    if None in values:
        return None
    pieces = [value if type(value) is str else as_text(value) for value in values]
    text = "".join(pieces)
    if len(text) > GROWTH >> 10:
        budget[0] -= len(text) >> 8
        if budget[0] < 0:
            spent(budget)
        if len(text) - max(map(len, pieces)) > GROWTH:
            fail("the text grows too long")
    return text


def contains(item: Any, value: Any) -> bool:
    """``item in value``: item of a list, key of a map, part of a text; false for nothing and for other types."""
    if item is None:
        return False
    if type(value) is list:
        return item in value
    if type(item) is str and (type(value) is str or type(value) is dict):
        return item in value
    return False


def holds(value: Any, item: Any) -> bool:
    """``item in value``, the other way round."""
    return contains(item, value)


def compare(operator: str, left: Any, right: Any) -> bool:
    """Order of two numbers or two texts; false if one is nothing."""
    if left is None or right is None:
        return False
    if type(left) is not str or type(right) is not str:
        _numbers(left, right, "compare")
    if operator == "lt":
        return bool(left < right)
    if operator == "gt":
        return bool(left > right)
    return bool(left <= right if operator == "lteq" else left >= right)


def case_of(value: Any) -> str | None:
    """The key that a value has in a table or `$case`: numbers and booleans as YAML writes them."""
    if type(value) is str or value is None:
        return value
    return as_text(value) if type(value) in (int, float, bool) else None


def some(items: list[Any]) -> list[Any]:
    """A list written in an expression, without its nothings."""
    return [None if item is NULL else item for item in items if item is not None]


def members(pairs_: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """A map written in an expression, without members whose key or value is nothing."""
    result = {}
    for key, value in pairs_:
        if key is not None and value is not None:
            result[key if type(key) is str else as_text(key)] = None if value is NULL else value
    return result


def merged(target: dict[str, Any], value: Any) -> None:
    """Put the members of a map into another, for `$merge`."""
    if type(value) is dict:
        target.update(value)
    elif value is not None:
        fail(f"can only merge maps, but this is {kind_of(value)}")


def listed(value: Any) -> Any:
    """A value where a list has to be: one that is none is a list of one; nothing stays nothing."""
    return value if value is None or type(value) is list else [value]


def key_text(value: Any) -> str | None:
    """A value as the key of a map; nothing stays nothing."""
    return value if type(value) is str or value is None else as_text(value)


def nonempty(value: Any) -> Any:
    """The value, unless it is an empty list, map or text."""
    return None if value in ("", [], {}) and value is not False else value


def too_deep() -> NoReturn:
    """A fragment used itself too often."""
    raise Refusal("request", f"nested too deep (more than {DEPTH} levels)")


def spent(budget: list[Any]) -> None:
    """A slice of a mapping's steps is used up: what is left for it gives the next, and others go on first.

    Raises when it took more steps than any honest request needs. ``budget`` is the slice, what is left behind it, and
    the mapping's variables, until their size was asked for.
    """
    while budget[0] < 0:
        if not budget[1]:
            budget[1] = _allowed(budget)
        share = min(SLICE, budget[1])
        budget[0] += share
        budget[1] -= share
    give_way()


def _allowed(budget: list[Any]) -> int:
    """The steps that a mapping may take for the size of what it is given; raises when they were asked for before."""
    waiting, steps = budget[2:], 0
    del budget[2:]
    while waiting:
        steps += _written(waiting, _LOOKED) >> MORE
        give_way()
    if not steps:
        raise MappingError(
            "",
            f"takes more than the {STEPS:,} steps of work, and one for each {1 << MORE} characters, that mapping it may"
            " take: parts of it go through each other too often; send fewer or shorter parts at once",
        )
    return steps
