"""Show what fields a kind of document has, as JSON Schema or as a list."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from engine.cli import _common
from engine.compiler.documents.schema import schema_of
from engine.compiler.documents.sets import KINDS
from engine.compiler.reference import rows


@click.command()
@click.argument("kind", required=False)
@click.option(
    "--write",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a schema for each kind, and one for any document, into this directory.",
)
@_common.as_json
def command(kind: str | None, directory: Path | None, json_: bool) -> None:
    """List the fields of KIND, or the kinds. With --json, the JSON Schema (2020-12) that editors take."""
    if directory is not None:
        write(directory)
        return
    if kind is None:
        kinds = {name: schema_of(name)["description"] for name in KINDS}
        if json_:
            _common.print_json(kinds)
        else:
            for name, words in kinds.items():
                click.echo(f"{name:<10} {words}")
        return
    chosen = next((name for name in KINDS if name.lower() == kind.lower()), None)
    if chosen is None:
        _common.usage(f"there is no kind {kind!r}; there are {', '.join(KINDS)}")
    if json_:
        _common.print_json(schema_of(chosen))
        return
    click.echo(schema_of(chosen)["description"] + "\n")
    for row in rows(chosen):
        variables = f" [{', '.join(row.variables)}]" if row.variables else ""
        click.echo(f"{row.path}  ({row.type}{', required' if row.required else ''}){variables}\n    {row.words}")


def write(directory: Path) -> None:
    """A schema file for each kind, and ``document.json``, which chooses among them by a document's kind."""
    directory.mkdir(parents=True, exist_ok=True)
    chosen = [
        {"if": {"properties": {"kind": {"const": name}}, "required": ["kind"]}, "then": {"$ref": f"{name}.json"}}
        for name in KINDS
    ]
    any_kind = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {"kind": {"enum": list(KINDS)}},
        "allOf": chosen,
    }
    for name, schema in [("document", any_kind), *((name, schema_of(name)) for name in KINDS)]:
        (directory / f"{name}.json").write_bytes(orjson.dumps(schema, option=orjson.OPT_INDENT_2) + b"\n")
    click.echo(f"{len(KINDS) + 1} schemas in {directory}")
