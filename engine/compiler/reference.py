"""The reference pages: fields by kind, filters and directives, written from schemas and records.

``python -m engine.compiler.reference --write`` makes docs/documents.md, docs/filters.md and docs/directives.md;
``--check`` fails if one of them differs from what would be written.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import filters
from engine.compiler.analyses.growth import COPIES
from engine.compiler.directives import DIRECTIVES
from engine.compiler.directives.record import Example
from engine.compiler.documents.schema import schema_of
from engine.compiler.documents.sets import KINDS
from engine.compiler.expressions.frame import LEVELS, LOOPS
from engine.filters.operations import DEPTH, MORE, PUT, STEPS

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
_HEAD = (
    "<!-- Written by `python -m engine.compiler.reference --write`; changes go into the records it is made from. -->\n"
)
_DEPTH = 12


@dataclass(frozen=True, slots=True)
class FieldRow:
    """A field of a kind of document."""

    path: str
    type: str
    required: bool
    words: str
    variables: tuple[str, ...] = ()


def rows(kind: str) -> list[FieldRow]:
    """Every field of a kind, in the order of its schema."""
    root = schema_of(kind)
    return list(_rows(root, root["properties"]["spec"], "spec", ()))


def _rows(root: dict[str, Any], schema: dict[str, Any], path: str, variables: tuple[str, ...]) -> Iterator[FieldRow]:
    if path.count(".") + path.count("[") > _DEPTH:
        return
    required = set(schema.get("required", ()))
    inner: list[tuple[str, Any, bool]] = [
        (f"{path}.{name}", value, name in required) for name, value in schema.get("properties", {}).items()
    ]
    others, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(others, dict):
        inner.append((f"{path}.<name>", others, False))
    if isinstance(items, dict) and len(items) > 1:
        inner.append((f"{path}[]", items, False))
    for name, value, needed in inner:
        visible = tuple(value.get("x-variables", variables))
        kind, whole = _expanded(root, value)
        compiled = kind in ("tree", "expression")
        # An item that its list's words describe needs no row of its own.
        if whole.get("description") or not name.endswith(("[]", ".<name>")):
            words = whole.get("description", "")
            yield FieldRow(name, kind or _type(whole), needed, words, visible if compiled else ())
        if not compiled:
            yield from _rows(root, whole, name, visible)


def _expanded(root: dict[str, Any], schema: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """A schema with what it refers to; ``tree`` or ``expression`` where it is one."""
    reference = schema.get("$ref")
    if reference is None:
        return None, schema
    name = reference.rsplit("/", 1)[1]
    whole = {**root["$defs"][name], **{key: value for key, value in schema.items() if key != "$ref"}}
    return (name if name in ("tree", "expression") else None), whole


_NAMES = {"object": "map", "array": "list", "string": "text", "integer": "whole number", "null": "null"}


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    types = schema.get("type", "any")
    types = types if isinstance(types, list) else [types]
    return " or ".join(_NAMES.get(str(name), str(name)) for name in types)


def documents_page() -> str:
    """Fields by kind."""
    parts = [_HEAD, "# Documents\n", _ENVELOPE]
    for kind in KINDS:
        parts.append(f"## {kind}\n\n{schema_of(kind)['description']}\n")
        lines = ["| field | type | words |", "| --- | --- | --- |"]
        for row in rows(kind):
            words = row.words.replace("|", "\\|")
            if row.variables:
                words += f" Variables: {', '.join(f'`{name}`' for name in row.variables)}."
            lines.append(
                f"| `{row.path}` | {row.type.replace('|', '/')}{', required' if row.required else ''} | {words} |"
            )
        parts.append("\n".join(lines) + "\n" if len(lines) > 2 else "No fields are fixed yet.\n")
    return "\n".join(parts)


_ENVELOPE = """Every document is a map with these keys; a file may hold several, divided by `---`.

| key | words |
| --- | --- |
| `apiVersion` | always `gatewright/v1` |
| `kind` | one of the kinds below |
| `metadata` | `name`, unique among documents of the kind; `version`, `description`, `labels`, `abstract` |
| `extends` | the document of the same kind whose spec is changed: maps merge, the rest is replaced, null removes |
| `spec` | what the document says, by kind |
| `tests` | its own tests; `gatewright test` runs them |
"""


def filters_page() -> str:
    """Filters and tests with their examples."""
    parts = [_HEAD, "# Filters\n", "Filters are pure; on nothing they give nothing (all but `default`).\n"]
    for _, item in sorted(filters.FILTERS.items()):
        parts.append(f"## `{item.signature}`\n\n{item.takes} → {item.gives}. {item.words}\n")
        parts.append(_examples(item.examples))
    parts.append("# Tests\n\nWritten `x is name`, or `x is not name`.\n")
    for name, test in sorted(filters.TESTS.items()):
        arguments = f"({', '.join(test.arguments)})" if test.arguments else ""
        parts.append(f"## `is {name}{arguments}`\n\n{test.words}\n")
        parts.append(_examples(test.examples))
    return "\n".join(parts)


def _examples(examples: tuple[tuple[str, Any], ...]) -> str:
    lines = [f"- `{expression}` is `{_shown(result)}`" for expression, result in examples]
    return "\n".join(lines) + "\n" if lines else ""


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def directives_page() -> str:
    """Directives with their keys."""
    parts = [_HEAD, "# Directives\n", "A map with one of these keys steers the mapping.\n"]
    for name, item in sorted(DIRECTIVES.items()):
        parts.append(f"## `{name}`\n\n{item.words}\n")
        parts += map(_worked, item.examples)
    parts.append(_BOUNDS)
    return "\n".join(parts)


def _worked(example: Example) -> str:
    """A tree and what it gives."""
    with_fragments = f"with the fragments `{example.fragments}`, " if example.fragments else ""
    for_body = "" if example.body is None else f"for the body `{_shown(example.body)}` "
    return f"```yaml\n{example.tree}\n```\n\n{with_fragments}{for_body}gives `{_shown(example.gives)}`\n"


_BOUNDS = f"""## Bounds

What a mapping takes and gives is bounded. Trees nest {LEVELS} levels deep and loops {LOOPS}. What a mapping gives
may hold at most {COPIES:,} copies of what it is given and values of its own: names (`$let`) and arguments (`$with`)
that hold each other too many times over are a fault. What goes by the data is counted as it runs: a mapping has
{STEPS:,} steps, and one more for each {1 << MORE} characters of what it is given, for its inner loops, its
fragments, and what either puts in time and again (a step is {1 << PUT} characters of it); fragments use each other
{DEPTH} levels deep.
"""


def pages() -> dict[str, str]:
    """The pages by file name."""
    return {"documents.md": documents_page(), "filters.md": filters_page(), "directives.md": directives_page()}


def main(arguments: list[str]) -> int:
    """Write or compare the pages; 0 if they agree."""
    if arguments not in (["--write"], ["--check"]):
        sys.stderr.write("usage: python -m engine.compiler.reference --write | --check\n")
        return 2
    wrong = []
    for name, text in pages().items():
        path = DOCS / name
        if arguments == ["--write"]:
            DOCS.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            wrong.append(name)
    for name in wrong:
        sys.stderr.write(f"docs/{name} is out of date; run python -m engine.compiler.reference --write\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
