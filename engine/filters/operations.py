"""What operators and loops of expressions do at run time: reading, adding, joining, comparing, iterating.

Takes and gives JSON data, where None is "nothing". Bounded: text and numbers can't be grown without end. Raises
MappingError (its path is filled in by whoever called the generated function) when data has a shape that can't be used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from engine.errors import GatewrightError, MappingError, Refusal
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
"""How many turns of inner loops and uses of fragments one mapping may take."""
SLICE = 1_000
"""After so many of them (3 ms) others that share the thread have their turn."""
PUT = 6
"""Bits of how many characters that are put in time and again count for one step."""
DEPTH = 64
"""How deep fragments may use each other."""
MODULE = "<gatewright mappings>"
_LOCAL = re.compile(r"v_(\w+?)(?:_\d+)?").fullmatch
"""The local of a variable; a later one of the same name has a higher number."""


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


def steps_of(value: Any) -> int:
    """How many steps it counts for to go through a value once: a list by 16 items, a text by 256 characters."""
    if type(value) is str:
        return len(value) >> 8
    return len(value) >> 4 if type(value) is list or type(value) is dict else 0


def work(budget: list[int], cost: int, function: Any, value: Any, *arguments: Any) -> Any:
    """A filter inside a loop or fragment: what it goes through and gives is taken from the mapping's steps."""
    result = function(value, *arguments)
    # PERF: `steps_of`, written out; most values are too small to count at all.
    steps, given, made = 0, type(value), type(result)
    if given is str:
        steps = len(value) >> 8
    elif given is list or given is dict:
        steps = len(value) >> 4
    if made is str:
        steps += len(result) >> 8
    elif made is list or made is dict:
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
        size = _written(value, (budget[0] + budget[1]) << PUT)
    else:
        return value
    if size >> PUT:
        budget[0] -= size >> PUT
        if budget[0] < 0:
            spent(budget)
    return value


def _written(value: Any, most: int) -> int:
    """How long a value is written out, roughly; no more than a little above ``most`` is looked at."""
    size, waiting = 0, [value]
    while waiting and size <= most + (1 << PUT):
        one = waiting.pop()
        kind = type(one)
        if kind is str:
            size += len(one)
        elif kind is list:
            size += len(one)
            waiting += one
        elif kind is dict:
            size += len(one) + sum(map(len, one))
            waiting += one.values()
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
        budget[0] -= steps_of(left) + steps_of(right)
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


def lookup(report: list[tuple[str, str]], table: Mapping[str, Any], name: str, value: Any) -> Any:
    """What a table says for a value: its own entry, the entry ``_``, or nothing and a line in the report."""
    if value is None:
        return None
    key = case_of(value)
    if key is not None and key in table:
        return table[key]
    if "_" not in table:
        report.append((name, f"has no word for {as_text(value)[:80]!r}"))
    return table.get("_")


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


def spent(budget: list[int]) -> None:
    """A slice of a mapping's steps is used up: what is left for it gives the next, and others go on first.

    Raises when it took more steps than any honest request needs. ``budget`` is the slice, and what is left behind it.
    """
    while budget[0] < 0:
        if not budget[1]:
            raise MappingError("", f"takes more than {STEPS} steps; the data or the mapping nests too many loops")
        share = min(SLICE, budget[1])
        budget[0] += share
        budget[1] -= share
    give_way()


def _variables(frame: dict[str, Any]) -> dict[str, Any]:
    """The variables of a generated function by the names that its mapping gives them."""
    return {found[1]: value for name, value in frame.items() if (found := _LOCAL(name))}


def located(error: Exception) -> Exception:
    """A failure inside a generated function as a MappingError that names the expression; refusals stay as they are.

    Each expression stands on a line of its own in the generated module, so its text is found by the line number that
    the traceback holds: naming it costs nothing until something fails.
    """
    if isinstance(error, GatewrightError) and not (isinstance(error, MappingError) and not error.path):
        return error
    trace, text, place = error.__traceback__, "", ""
    held: list[dict[str, Any]] = []
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == MODULE:
            places = trace.tb_frame.f_globals["_places"].get(trace.tb_frame.f_code.co_name, ())
            if 0 < trace.tb_lineno <= len(places):
                text, place = places[trace.tb_lineno - 1]
            held.insert(0, _variables(trace.tb_frame.f_locals))
        trace = trace.tb_next
    if isinstance(error, MappingError):
        why = error.why
    elif isinstance(error, RecursionError):
        why = "nests too deeply"
    else:
        why = "has a type that can't be used here"
    result = MappingError(text or place, why)
    result.held = held
    if place:
        result.add_note(f"in {place}")
    return result
