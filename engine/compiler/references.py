"""References: whatever a document names must exist.

Takes definitions and the fields that their schemas mark (``x-reference``, ``x-meaning``, ``x-pattern``); gives faults
with the nearest right name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import re2

from engine.compiler.diagnostics import Fault, nearest
from engine.compiler.positions import Path
from engine.compiler.schema import Field
from engine.compiler.sets import Definition, Definitions
from engine.errors import MEANINGS


def check(definition: Definition, fields: Iterable[Field], definitions: Definitions) -> list[Fault]:
    """Faults of everything in these fields that names something else."""
    faults: list[Fault] = []
    for field in fields:
        marks = field.schema
        if "x-reference" in marks and isinstance(field.value, str):
            faults += _reference(definition, field.path, field.value, marks["x-reference"], definitions, key=False)
        if "x-reference-keys" in marks and isinstance(field.value, dict):
            for name in field.value:
                path = (*field.path, name)
                faults += _reference(definition, path, name, marks["x-reference-keys"], definitions, key=True)
        if marks.get("x-meaning") and isinstance(field.value, str):
            faults += _meaning(definition, field.path, field.value, key=False)
        if marks.get("x-meaning-keys") and isinstance(field.value, dict):
            for name in field.value:
                faults += _meaning(definition, (*field.path, name), name, key=True)
        if marks.get("x-pattern") and isinstance(field.value, str):
            faults += _pattern(definition, field.path, field.value)
    return faults


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
