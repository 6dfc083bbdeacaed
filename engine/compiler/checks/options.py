"""Options: those of the console that Aliases, Providers and Formats read, by `options` or by their name.

Takes definitions and what was compiled of them; gives the type and default of each option that is read, and a fault
for each that there is not, or that is a secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from engine import paths
from engine.compiler.diagnostics import Fault, nearest
from engine.compiler.documents.positions import Path
from engine.compiler.documents.schema import SchemaField
from engine.compiler.documents.sets import Definition, Definitions
from engine.compiler.mappings.document import Compiled

_KINDS = frozenset({"Alias", "Provider", "Format"})
_READ = "options"


@cache
def known() -> dict[str, dict[str, Any]]:
    """What the console knows of each option: type, default, whether it is a secret."""
    table: dict[str, dict[str, Any]] = json.loads((paths.CATALOGUE / "options.json").read_bytes())
    return table


def read(
    definitions: Definitions,
    fields_of: Sequence[tuple[Definition, Sequence[SchemaField]]],
    compiled: Mapping[str, Mapping[Path, Compiled]],
) -> tuple[dict[str, list[str]], list[Fault]]:
    """(type and default text of each option that is read, by name; faults). ``fields_of`` are those of definitions; the
    schema marks the ones that hold an option's name.
    """
    wanted: dict[str, list[str]] = {}
    faults: list[Fault] = []
    for definition, path, asked in sorted(
        _asked(definitions, fields_of, compiled), key=lambda item: (item[0].title, str(item[1:]))
    ):
        name = _name(asked)
        if name is None:
            message = f"there is no option {asked!r}"
            faults.append(
                definition.fault("unknown-reference", message, path, found=asked, nearest=nearest(asked, known()))
            )
        elif known()[name].get("secret"):
            faults.append(definition.fault("bad-secret", f"{name} is a secret, which no document reads", path))
        else:
            wanted[name] = [str(known()[name]["type"]), str(known()[name].get("default", ""))]
    return wanted, faults


def _asked(
    definitions: Definitions,
    fields_of: Sequence[tuple[Definition, Sequence[SchemaField]]],
    compiled: Mapping[str, Mapping[Path, Compiled]],
) -> Iterator[tuple[Definition, Path, str]]:
    for title, mappings in compiled.items():
        kind, _, name = title.partition("/")
        definition = definitions.get(kind, name)
        if definition is None or kind not in _KINDS:
            continue
        for path, mapping in mappings.items():
            yield from ((definition, path, asked) for asked in mapping.below(_READ))
    for definition, schema_fields in fields_of:
        for field in schema_fields:
            if field.schema.get("x-option") and isinstance(field.value, str):
                yield definition, field.path, field.value


def _name(asked: str) -> str | None:
    """The option that a path leads to, whose own name may have dots."""
    steps = asked.split(".")
    names = (".".join(steps[:end]) for end in range(len(steps), 0, -1))
    return next((name for name in names if name in known()), None)
