"""Show what fields a kind of document has, as JSON Schema or as a list."""

from __future__ import annotations

import click

from engine.cli import _common
from engine.compiler.reference import rows
from engine.compiler.schema import schema_of
from engine.compiler.sets import KINDS


@click.command()
@click.argument("kind", required=False)
@_common.as_json
def command(kind: str | None, json_: bool) -> None:
    """List the fields of KIND, or the kinds. With --json, the JSON Schema (2020-12) that editors take."""
    if kind is None:
        kinds = {name: schema_of(name)["description"] for name in KINDS}
        if json_:
            _common.print_json(kinds)
        else:
            for name, words in kinds.items():
                click.echo(f"{name:<10} {words}")
        return
    found = next((name for name in KINDS if name.lower() == kind.lower()), None)
    if found is None:
        _common.usage(f"there is no kind {kind!r}; there are {', '.join(KINDS)}")
    if json_:
        _common.print_json(schema_of(found))
        return
    click.echo(schema_of(found)["description"] + "\n")
    for row in rows(found):
        variables = f" [{', '.join(row.variables)}]" if row.variables else ""
        click.echo(f"{row.path}  ({row.type}{', required' if row.required else ''}){variables}\n    {row.words}")
