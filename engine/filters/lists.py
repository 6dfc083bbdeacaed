"""Filters on lists and on what has a length."""

from __future__ import annotations

from typing import Any

from engine.filters.operations import GROWTH, compact, fail, nonempty
from engine.filters.record import Filter, HandsOn
from engine.filters.text import joined


def _length(value: Any) -> int | None:
    return len(value) if type(value) in (str, list, dict) else None


def _first(value: Any) -> Any:
    return value[0] if type(value) in (list, str) and value else None


def _last(value: Any) -> Any:
    return value[-1] if type(value) in (list, str) and value else None


def _slice(value: Any, start: Any, stop: Any = None) -> Any:
    if type(value) not in (list, str):
        return None
    return value[start if type(start) is int else None : stop if type(stop) is int else None]


def _maps(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if type(item) is dict] if type(value) is list else []


def _find(value: Any, key: Any, wanted: Any) -> Any:
    return next((item for item in _maps(value) if item.get(key) == wanted), None) if type(key) is str else None


def _where(value: Any, key: Any, wanted: Any) -> Any:
    if type(value) is not list or type(key) is not str:
        return None
    return [item for item in value if type(item) is dict and item.get(key) == wanted]


def _where_in(value: Any, key: Any, wanted: Any) -> Any:
    if type(value) is not list or type(key) is not str:
        return None
    options = wanted if type(wanted) is list else []
    return [item for item in value if type(item) is dict and item.get(key) in options]


def _reject(value: Any, key: Any, wanted: Any) -> Any:
    if type(value) is not list or type(key) is not str:
        return None
    return [item for item in value if type(item) is dict and item.get(key) != wanted]


def _kinds(value: Any, *kinds: Any) -> Any:
    if type(value) is not list:
        return None
    return [item for item in value if type(item) is dict and item.get("type") in kinds]


def _notkinds(value: Any, *kinds: Any) -> Any:
    if type(value) is not list:
        return None
    return [item for item in value if type(item) is dict and item.get("type") not in kinds]


def _numbered(value: Any) -> Any:
    if type(value) is not list:
        return None
    return [{"index": index, "value": item} for index, item in enumerate(value)]


def _pluck(value: Any, key: Any) -> Any:
    if type(value) is not list or type(key) is not str:
        return None
    return [member for item in _maps(value) if (member := item.get(key)) is not None]


def _unique(value: Any) -> Any:
    if type(value) is not list:
        return None
    seen = set()
    result = []
    for item in value:
        mark = item if type(item) is str else (compact(item),)
        if mark not in seen:
            seen.add(mark)
            result.append(item)
    return result


def _flatten(value: Any) -> Any:
    if type(value) is not list:
        return None
    return [inner for item in value for inner in (item if type(item) is list else [item])]


def _concat(value: Any, *others: Any) -> Any:
    if type(value) is not list:
        return None
    result = list(value)
    for other in others:
        if type(other) is list:
            result.extend(other)
    return result if len(result) - len(value) <= GROWTH else fail("the list grows too long")


def _reverse(value: Any) -> Any:
    return value[::-1] if type(value) in (list, str) else None


def _runs(value: Any, key: Any) -> Any:
    if type(value) is not list or type(key) is not str:
        return None
    result: list[list[dict[str, Any]]] = []
    for item in _maps(value):
        mark = item.get(key)
        if result and mark is not None and result[-1][-1].get(key) == mark:
            result[-1].append(item)
        else:
            result.append([item])
    return result


def _first_of(value: Any) -> Any:
    return next((item for item in value if item is not None), None) if type(value) is list else value


def _text(value: Any, separator: Any = "") -> str | None:
    """Text parts are maps of type ``text``, as in the hub; plain texts count too."""
    if type(value) is str:
        return value
    if type(value) is not list or type(separator) is not str:
        return None
    pieces = []
    for item in value:
        if type(item) is dict and item.get("type") in ("text", None):
            item = item.get("text")
        if type(item) is str:
            pieces.append(item)
    return joined(pieces, separator)


def _sort(value: Any) -> Any:
    if type(value) is not list:
        return None
    same = all(type(item) is str for item in value) or all(type(item) in (int, float) for item in value)
    return sorted(value) if same else list(value)


FILTERS = (
    Filter(
        "length",
        _length,
        "text, list or map",
        "number",
        "how many characters, items or members",
        (("'abc' | length", 3), ("[] | length", 0), ("5 | length", None)),
        cost=0,
        only_counts=True,
        elsewhere=("count", "len"),
    ),
    Filter(
        "first",
        _first,
        "list or text",
        "any",
        "the first item",
        (("[1, 2] | first", 1), ("[] | first", None)),
        cost=0,
        hands_on=HandsOn.ITEMS,
        takes_one=True,
    ),
    Filter(
        "last",
        _last,
        "list or text",
        "any",
        "the last item",
        (("[1, 2] | last", 2), ("'' | last", None)),
        cost=0,
        hands_on=HandsOn.ITEMS,
        takes_one=True,
    ),
    Filter(
        "slice",
        _slice,
        "list or text",
        "any",
        "the items from one position up to another",
        (("[1, 2, 3] | slice(1)", [2, 3]), ("'abc' | slice(0, 2)", "ab")),
        ("start", "stop?"),
        hands_on=HandsOn.ITEMS,
    ),
    Filter(
        "find",
        _find,
        "list of maps",
        "any",
        "the first map that has this value under the key",
        (("[{'a': 1}, {'a': 2, 'b': 3}] | find('a', 2)", {"a": 2, "b": 3}), ("[] | find('a', 1)", None)),
        ("key", "value"),
        hands_on=HandsOn.ITEMS,
        by_key=True,
    ),
    Filter(
        "where",
        _where,
        "list of maps",
        "list",
        "the maps that have this value under the key",
        (("[{'a': 1}, {'a': 2}] | where('a', 2)", [{"a": 2}]),),
        ("key", "value"),
        hands_on=HandsOn.ITEMS,
        by_key=True,
        elsewhere=("select", "selectattr"),
    ),
    Filter(
        "where_in",
        _where_in,
        "list of maps",
        "list",
        "the maps whose value under the key is one of the list",
        (("[{'a': 1}, {'a': 2}] | where_in('a', [2, 3])", [{"a": 2}]),),
        ("key", "values"),
        hands_on=HandsOn.ITEMS,
        by_key=True,
    ),
    Filter(
        "reject",
        _reject,
        "list of maps",
        "list",
        "the maps that do not have this value under the key",
        (("[{'a': 1}, {'a': 2}] | reject('a', 2)", [{"a": 1}]),),
        ("key", "value"),
        hands_on=HandsOn.ITEMS,
        by_key=True,
        elsewhere=("rejectattr",),
    ),
    Filter(
        "kinds",
        _kinds,
        "list of parts",
        "list",
        "the parts of these types",
        (("[{'type': 'text'}, {'type': 'image'}] | kinds('text', 'file')", [{"type": "text"}]),),
        ("types*",),
        hands_on=HandsOn.ITEMS,
    ),
    Filter(
        "notkinds",
        _notkinds,
        "list of parts",
        "list",
        "the parts of all other types",
        (("[{'type': 'text'}, {'type': 'image'}] | notkinds('text')", [{"type": "image"}]),),
        ("types*",),
        hands_on=HandsOn.ITEMS,
    ),
    Filter(
        "pluck",
        _pluck,
        "list of maps",
        "list",
        "what the maps have under the key; those without are left out",
        (("[{'a': 1}, {'b': 2}] | pluck('a')", [1]),),
        ("key",),
        hands_on=HandsOn.VALUES,
        elsewhere=("map",),
    ),
    Filter(
        "unique",
        _unique,
        "list",
        "list",
        "each item once, where it stood first",
        (("[1, 'a', 1, 'a'] | unique", [1, "a"]),),
        cost=16,
        hands_on=HandsOn.ITEMS,
    ),
    Filter(
        "numbered",
        _numbered,
        "list",
        "list",
        "each item as a map of its `index`, from 0, and its `value`",
        (("['a', 'b'] | numbered", [{"index": 0, "value": "a"}, {"index": 1, "value": "b"}]),),
    ),
    Filter(
        "flatten",
        _flatten,
        "list",
        "list",
        "inner lists opened, one level",
        (("[1, [2, [3]]] | flatten", [1, 2, [3]]),),
        hands_on=HandsOn.ITEMS,
    ),
    Filter(
        "concat",
        _concat,
        "list",
        "list",
        "followed by the items of the other lists; what is no list does not count",
        (("[1] | concat([2], none)", [1, 2]),),
        ("lists*",),
    ),
    Filter(
        "runs",
        _runs,
        "list of maps",
        "list",
        "lists of neighbours that have the same under the key; maps without it stand alone",
        (("[{'a': 1}, {'a': 1}, {'b': 2}] | runs('a')", [[{"a": 1}, {"a": 1}], [{"b": 2}]]),),
        ("key",),
        hands_on=HandsOn.ITEMS,
        by_key=True,
    ),
    Filter("reverse", _reverse, "list or text", "any", "back to front", (("[1, 2] | reverse", [2, 1]),)),
    Filter(
        "sort",
        _sort,
        "list",
        "list",
        "in order, if all items are texts or all are numbers; else as it is",
        (("['b', 'a'] | sort", ["a", "b"]), ("[2, 'a'] | sort", [2, "a"])),
    ),
    Filter(
        "first_of",
        _first_of,
        "list",
        "any",
        "the first item that is something",
        (("[none, 0, 1] | first_of", 0), ("[] | first_of", None)),
    ),
    Filter(
        "nonempty",
        nonempty,
        "any",
        "any",
        "the value, or nothing if it is an empty text, list or map",
        (("[] | nonempty", None), ("'a' | nonempty", "a"), ("0 | nonempty", 0), ("false | nonempty", False)),
        cost=0,
        hands_on=HandsOn.WHOLE,
    ),
    Filter(
        "text",
        _text,
        "list of parts",
        "text",
        "the text of all text parts, with a separator between",
        (
            ("[{'type': 'text', 'text': 'a'}, {'type': 'image'}, 'b'] | text", "ab"),
            ("['a', 'b'] | text(' ')", "a b"),
            ("'a' | text", "a"),
        ),
        ("separator?",),
        reads="text",
    ),
)
