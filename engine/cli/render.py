"""Show a document as it is after `extends`, and where each value came from."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from engine.cli import _common
from engine.compiler import check_set
from engine.compiler.diagnostics import nearest, path_text
from engine.compiler.documents.sets import KINDS, Definition
from engine.program.origins import leaves


@click.command()
@click.argument("document", metavar="KIND/NAME")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--origin", is_flag=True, help="For each value its file, line and layer.")
@_common.as_json
def command(document: str, paths: tuple[Path, ...], origin: bool, json_: bool) -> None:
    """Show the document KIND/NAME as it finally is."""
    documents, shared, _ = _common.sources(paths)
    definitions, _, faults = check_set(documents, shared)
    kind, _, name = document.partition("/")
    definition = definitions.get(kind.capitalize(), name)
    if definition is None:
        near = nearest(document, [item.title for item in definitions])
        hint = f"; did you mean {near}?" if near else f"; kinds are {', '.join(KINDS)}"
        _common.usage(f"there is no document {document!r}{hint}")
    if origin:
        _origins(definition, json_)
    elif json_:
        _common.print_json(definition.data)
    else:
        click.echo(yaml.safe_dump(definition.data, sort_keys=False, allow_unicode=True, width=120), nl=False)
    errors = [fault for fault in faults if fault.document == definition.title and fault.severity == "error"]
    raise SystemExit(_common.FAULTS if errors else _common.OK)


def _origins(definition: Definition, json_: bool) -> None:
    rows = []
    for way, value in leaves(definition.data):
        place, layer = definition.where(way), definition.owner(way).layer
        rows.append({"path": path_text(way), "value": value, "file": place.file, "line": place.line, "layer": layer})
    if json_:
        _common.print_json(rows)
        return
    for row in rows:
        shown = str(row["value"]).replace("\n", "\\n")
        shown = shown if len(shown) <= 60 else shown[:59] + "…"
        click.echo(f"{row['path']} = {shown}\n    {row['file']}:{row['line']} (layer {row['layer']})")
