"""Say who changed a document, when and why."""

from __future__ import annotations

import click

from engine.cli._common import print_json
from engine.cli.gitops._rows import head
from engine.cli.gitops._rows_here import KINDS
from engine.cli.gitops._site import site, site_options, title, when


@click.command()
@click.argument("document", metavar="KIND/NAME")
@click.option("--diff", is_flag=True, help="Show what each revision changed.")
@site_options
def command(document: str, diff: bool, server: str | None, json_: bool) -> None:
    """The revisions of a document, or of channel/ID and option/NAME, the newest first."""
    kind, name = title(document)
    if kind.lower() in KINDS:
        _of_row(kind.lower(), name, server, diff=diff, json_=json_)
        return
    rows = site(server).ask("revisions", kind=kind, name=name)
    if json_:
        print_json(rows)
        return
    for row in rows:
        words = row["message"].splitlines()[0] if row["message"] else ""
        click.echo(f"{row['number']:>5}  {when(row['created_at'])}  {row['username']:<12} {row['what']:<8} {words}")
        if diff:
            click.echo(row["diff"])


def _of_row(kind: str, name: str, server: str | None, *, diff: bool, json_: bool) -> None:
    rows = site(server).ask("row_history", kind=kind, name=name)
    if json_:
        print_json(rows)
        return
    for row in rows:
        click.echo(head(row))
        if diff:
            click.echo(row["diff"])
