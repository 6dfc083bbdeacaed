"""Say which release wrote each line of a document."""

from __future__ import annotations

import click

from engine.cli._common import print_json
from engine.cli.gitops._rows_here import KINDS
from engine.cli.gitops._site import site, site_options, title, when


@click.command()
@click.argument("document", metavar="KIND/NAME")
@site_options
def command(document: str, server: str | None, json_: bool) -> None:
    """Each line of a document, or member of channel/ID and option/NAME, with who wrote it."""
    kind, name = title(document)
    if kind.lower() in KINDS:
        _of_row(kind.lower(), name, server, json_=json_)
        return
    rows = site(server).ask("blame", kind=kind, name=name)
    if json_:
        print_json(rows)
        return
    for row in rows:
        click.echo(
            f"{row['release']:>5} {row['username']:<12} {when(row['created_at'])} {row['number']:>4}) {row['text']}"
        )


def _of_row(kind: str, name: str, server: str | None, *, json_: bool) -> None:
    rows = site(server).ask("row_blame", kind=kind, name=name)
    if json_:
        print_json(rows)
        return
    for row in rows:
        who = row["username"] or "-"
        click.echo(f"{row['revision']:>5} {who:<12} {when(row['created_at'])} {row['member']}: {row['value']}")
