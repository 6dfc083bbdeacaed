"""The console's options that documents read in expressions, as ``options``: by name, each as a value of its type.

An artefact holds the type and the default text of those that its documents name; what is set stands in the database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def values(declared: Mapping[str, Sequence[str]], texts: Mapping[str, str]) -> dict[str, Any]:
    """The values of ``declared`` options, which are (type, default text) by name; a text that can't be read counts as
    not set.
    """
    return {name: _value(kind, texts.get(name), default) for name, (kind, default) in declared.items()}


def _value(kind: str, text: str | None, default: str) -> Any:
    read = _reader(kind)
    try:
        return read(default if text is None or not text.strip() else text)
    except ValueError:
        return read(default)


def _reader(kind: str) -> Callable[[str], Any]:
    if kind == "boolean":
        return lambda text: text.strip().lower() == "true"
    if kind in ("number", "whole"):
        return float if kind == "number" else int
    if kind in ("object", "list"):
        return lambda text: _of(dict if kind == "object" else list, json.loads(text))
    return str


def _of(type_: type[Any], value: Any) -> Any:
    if not isinstance(value, type_):
        raise ValueError(f"not a {type_.__name__}")
    return value
