"""References: whatever a document names must exist.

Takes definitions and the fields that their schemas mark (``x-reference``, ``x-meaning``, ``x-pattern``,
``x-network``); gives faults with the nearest right name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

import re2

from engine.compiler.checks import settings
from engine.compiler.diagnostics import Fault, nearest
from engine.compiler.documents.positions import Path
from engine.compiler.documents.schema import SchemaField
from engine.compiler.documents.sets import Definition, Definitions
from engine.errors import MEANINGS

_OFF = ("boolean", "false")


def check(definition: Definition, fields: Iterable[SchemaField], definitions: Definitions) -> list[Fault]:
    """Faults of everything in these fields that names something else."""
    return [fault for field in fields for fault in _check(definition, field, definitions)]


def _check(definition: Definition, field: SchemaField, definitions: Definitions) -> Iterator[Fault]:
    marks, value, path = field.schema, field.value, field.path
    if isinstance(value, str):
        if "x-reference" in marks:
            yield from _reference(definition, path, value, marks["x-reference"], definitions, key=False)
        if marks.get("x-meaning"):
            yield from _meaning(definition, path, value, key=False)
        if marks.get("x-pattern"):
            yield from _pattern(definition, path, value)
        if marks.get("x-network"):
            yield from _network(definition, path, value)
    elif isinstance(value, dict):
        for name in value if "x-reference-keys" in marks else ():
            yield from _reference(definition, (*path, name), name, marks["x-reference-keys"], definitions, key=True)
        for name in value if marks.get("x-meaning-keys") else ():
            yield from _meaning(definition, (*path, name), name, key=True)
        for name in value if marks.get("x-option-keys") else ():
            yield from _option(definition, path, name)


def _reference(
    definition: Definition, path: Path, name: str, kind: str, definitions: Definitions, *, key: bool
) -> list[Fault]:
    target = definitions.get(kind, name)
    if target is not None and not target.abstract:
        return []
    usable = [other.name for other in definitions.of(kind)]
    if target is not None:
        message = f"the {kind} {name!r} is abstract: it only serves others that extend it"
    else:
        message = f"there is no {kind} {name!r}"
    return [definition.fault("unknown-reference", message, path, key=key, found=name, nearest=nearest(name, usable))]


def _option(definition: Definition, path: Path, name: str) -> Iterator[Fault]:
    """A switch of the console, which is off where nobody has set it; read of patches of requests alone."""
    switches = [option for option, row in settings.known().items() if (row["type"], row["default"]) == _OFF]
    if name not in switches:
        near = nearest(name, switches)
        message = f"there is no option {name!r} that can be switched on"
        yield definition.fault("unknown-reference", message, (*path, name), key=True, found=name, nearest=near)
    if path[1] != "requestPatches":
        yield definition.fault("wrong-value", "options are asked for in requestPatches alone", path, key=True)


def _meaning(definition: Definition, path: Path, name: str, *, key: bool) -> list[Fault]:
    if name in MEANINGS:
        return []
    expected = f"one of {', '.join(MEANINGS)}"
    message = f"there is no meaning {name!r} of errors"
    near = nearest(name, MEANINGS)
    return [definition.fault("unknown-reference", message, path, key=key, expected=expected, nearest=near)]


def _pattern(definition: Definition, path: Path, pattern: str) -> list[Fault]:
    try:
        compiled(pattern)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        return [definition.fault("bad-pattern", f"this regular expression is not valid: {reason}", path, found=pattern)]
    return []


def _network(definition: Definition, path: Path, text: str) -> list[Fault]:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        expected = "an address (192.0.2.1), or a network (192.0.2.0/24)"
        return [definition.fault("wrong-value", f"{text!r} is no address", path, expected=expected, found=text)]
    return []


def compiled(pattern: str) -> Any:
    """A compiled pattern; re2's own complaints on standard error are left out."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def groups(pattern: Any) -> tuple[str, ...]:
    """The named groups of a pattern in their order; none if it isn't valid."""
    try:
        index: dict[str, int] = compiled(pattern).groupindex
    except (re2.error, TypeError):
        return ()
    return tuple(sorted(index, key=lambda name: index[name]))
