"""Settings: each option is known, no secret, of its type, and pinned by one document; and what all of them pin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from engine import paths
from engine.compiler.diagnostics import Fault, describe, nearest
from engine.compiler.documents.sets import Definition, Definitions

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "boolean": ((bool,), "true or false"),
    "whole": ((int,), "a whole number, 0 or more"),
    "number": ((int, float), "a number, 0 or more"),
    "object": ((dict,), "a map"),
    "ratios": ((dict,), "a map of numbers"),
    "groups": ((dict,), "a map of numbers"),
    "rates": ((dict,), "a map of pairs of whole numbers"),
    "list": ((list,), "a list"),
}


@cache
def known() -> dict[str, dict[str, Any]]:
    """Every option of the console: its type and default."""
    table: dict[str, dict[str, Any]] = json.loads((paths.CATALOGUE / "options.json").read_bytes())
    return table


def check(definitions: Definitions) -> list[Fault]:
    """A fault for each option that can't be pinned so."""
    owners: dict[str, str] = {}
    return [
        fault for definition, name, value in _pins(definitions) for fault in _faults(definition, name, value, owners)
    ]


def _faults(definition: Definition, name: str, value: Any, owners: dict[str, str]) -> Iterator[Fault]:
    path = ("spec", "options", name)
    option = known().get(name)
    if option is None:
        near = nearest(name, known())
        yield definition.fault("unknown-reference", f"there is no option {name!r}", path, key=True, nearest=near)
        return
    if option.get("secret"):
        yield definition.fault("bad-secret", f"{name} is a secret, which never stands in a document", path, key=True)
        return
    if option.get("readonly"):
        yield definition.fault("wrong-value", f"{name} is not set this way", path, key=True)
    other = owners.setdefault(name, definition.title)
    if other != definition.title:
        yield definition.fault("duplicate-document", f"{name} is already pinned by {other}", path, key=True)
    kinds, words = _TYPES.get(option["type"], ((str, int, float), "a text"))
    negative = isinstance(value, int | float) and value < 0 and option["type"] in ("whole", "number")
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds) or negative:
        yield definition.fault("wrong-type", f"{name} must be {words}", path, expected=words, found=describe(value))
    elif option.get("choices") and value not in option["choices"]:
        expected = " or ".join(option["choices"])
        yield definition.fault("wrong-value", f"{name} is one of its choices", path, expected=expected)


def pinned(definitions: Definitions) -> dict[str, list[str]]:
    """By option: its value as the text that tables hold, and the place that pins it."""
    return {
        name: [_text(value), str(definition.key(("spec", "options", name)))]
        for definition, name, value in _pins(definitions)
    }


def _pins(definitions: Definitions) -> Iterator[tuple[Definition, str, Any]]:
    for definition in definitions.of("Settings"):
        options = definition.spec.get("options")
        for name, value in options.items() if isinstance(options, dict) else ():
            yield definition, name, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
