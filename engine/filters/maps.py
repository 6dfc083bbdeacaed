"""Filters on maps."""

from __future__ import annotations

from typing import Any

from engine.filters.record import Filter, HandsOn


def _keys(value: Any) -> Any:
    return list(value) if type(value) is dict else None


def _values(value: Any) -> Any:
    return list(value.values()) if type(value) is dict else None


def _items(value: Any) -> Any:
    return [[key, inner] for key, inner in value.items()] if type(value) is dict else None


def _has(value: Any, key: Any) -> bool:
    return type(value) is dict and type(key) is str and key in value


def _names(keys: tuple[Any, ...]) -> set[str]:
    """Keys given one by one or as a list."""
    result: set[str] = set()
    for key in keys:
        result.update(name for name in (key if type(key) is list else [key]) if type(name) is str)
    return result


def _without(value: Any, *keys: Any) -> Any:
    if type(value) is not dict:
        return None
    names = _names(keys)
    return {key: inner for key, inner in value.items() if key not in names}


def _only(value: Any, *keys: Any) -> Any:
    if type(value) is not dict:
        return None
    names = _names(keys)
    return {key: inner for key, inner in value.items() if key in names}


def _merge(value: Any, *others: Any) -> Any:
    if type(value) is not dict:
        return None
    result = dict(value)
    for other in others:
        if type(other) is dict:
            result.update(other)
    return result


def _sort_keys(value: Any) -> Any:
    return dict(sorted(value.items())) if type(value) is dict else value


def _some(value: Any) -> Any:
    return {key: inner for key, inner in value.items() if inner is not None} if type(value) is dict else None


_Examples = tuple[tuple[str, Any], ...]
_WITHOUT: _Examples = (
    ("{'a': 1, 'b': 2} | {}('a')", {"b": 2}),
    ("{'a': 1, 'b': 2} | {}(['a', 'b'])", {}),
)
_ONLY: _Examples = (("{'a': 1, 'b': 2} | {}('a')", {"a": 1}), ("1 | {}('a')", None))


def _named(examples: _Examples, name: str) -> _Examples:
    return tuple((expression.replace("{}", name), result) for expression, result in examples)


def _texts_under(value: Any, *keys: Any) -> list[str] | None:
    if type(value) not in (dict, list):
        return None
    texts: list[str] = []
    stack: list[tuple[Any, bool]] = [(value, False)]
    while stack:
        here, named = stack.pop()
        if type(here) is dict:
            stack.extend((inner, key in keys) for key, inner in reversed(here.items()))
        elif type(here) is list:
            stack.extend((inner, named) for inner in reversed(here))
        elif named and type(here) is str and here:
            texts.append(here)
    return texts


FILTERS = (
    Filter("keys", _keys, "map", "list", "its keys", (("{'a': 1} | keys", ["a"]),), only_counts=True),
    Filter("values", _values, "map", "list", "its values", (("{'a': 1} | values", [1]),)),
    Filter("items", _items, "map", "list", "pairs of key and value", (("{'a': 1} | items", [["a", 1]]),)),
    Filter(
        "has",
        _has,
        "map",
        "boolean",
        "is the key there, be it with a null",
        (("{'a': 1} | has('a')", True), ("{} | has('a')", False)),
        ("key",),
        cost=0,
        only_asks=True,
        never_nothing=True,
    ),
    Filter(
        "without",
        _without,
        "map",
        "map",
        "without these keys",
        _named(_WITHOUT, "without"),
        ("keys*",),
        hands_on=HandsOn.REST,
    ),
    Filter(
        "omit",
        _without,
        "map",
        "map",
        "the same as `without`",
        _named(_WITHOUT, "omit"),
        ("keys*",),
        hands_on=HandsOn.REST,
    ),
    Filter(
        "only",
        _only,
        "map",
        "map",
        "with no other keys than these",
        _named(_ONLY, "only"),
        ("keys*",),
        hands_on=HandsOn.MEMBERS,
    ),
    Filter(
        "pick", _only, "map", "map", "the same as `only`", _named(_ONLY, "pick"), ("keys*",), hands_on=HandsOn.MEMBERS
    ),
    Filter(
        "merge",
        _merge,
        "map",
        "map",
        "with the members of other maps put in; later ones win",
        (("{'a': 1} | merge({'a': 2, 'b': 3}, none)", {"a": 2, "b": 3}),),
        ("maps*",),
        elsewhere=("combine",),
    ),
    Filter(
        "sort_keys",
        _sort_keys,
        "map",
        "map",
        "its members in the order of their keys",
        (("{'b': 1, 'a': 2} | sort_keys | keys", ["a", "b"]),),
        elsewhere=("dictsort",),
    ),
    Filter(
        "texts_under",
        _texts_under,
        "any",
        "list",
        "the texts under these keys, at any depth, in order",
        (
            ("{'a': {'text': 'x'}, 'b': [{'text': 'y', 'id': 'z'}]} | texts_under('text')", ["x", "y"]),
            ("'x' | texts_under('text')", None),
        ),
        ("keys*",),
        cost=8,
    ),
    Filter(
        "some",
        _some,
        "map",
        "map",
        "without members that are null",
        (('\'{"a": null, "b": 1}\' | fromjson | some', {"b": 1}),),
    ),
)
