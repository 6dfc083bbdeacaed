"""Channels and options as revisions, on the command line: lists, differences, undo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from engine.cli._common import print_json
from engine.cli.gitops._site import DIFFERS, SAME, site, site_options, title, when


@click.group()
def rows() -> None:
    """Revisions of channels and options: list them, compare them, take one back, take a row away."""


@rows.command("list")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many, the newest first.")
@site_options
def list_(limit: int, server: str | None, json_: bool) -> None:
    """Revisions, the newest first."""
    found = site(server).ask("rows", limit=limit, sort="-id")
    if json_:
        print_json(found)
        return
    for one in found:
        click.echo(head(one))


@rows.command()
@click.argument("older", type=int)
@click.argument("newer", type=int)
@site_options
def diff(older: int, newer: int, server: str | None, json_: bool) -> None:
    """What differs between two revisions. Exit code 2 where anything does."""
    found = site(server).ask("row_diff", older=older, id=newer)
    if json_:
        print_json(found)
    else:
        for one in found:
            click.echo(f"{one['what']} {one['kind']}/{one['name']} {one['title']}")
            click.echo(one["diff"])
    raise SystemExit(DIFFERS if found else SAME)


@rows.command()
@click.argument("number", type=int)
@site_options
def undo(number: int, server: str | None, json_: bool) -> None:
    """Put back what revision NUMBER changed, as a revision of its own."""
    _show(site(server).ask("undo_row", id=number), json_=json_)


@rows.command()
@click.argument("row", metavar="option/NAME")
@site_options
def drop(row: str, server: str | None, json_: bool) -> None:
    """Take an option's row away: what a document says counts, or its default."""
    kind, name = title(row)
    _show(site(server).ask("drop_row", kind=kind, name=name), json_=json_)


def _show(made: Mapping[str, Any], *, json_: bool) -> None:
    """The revision that a command made."""
    if json_:
        print_json(made)
    else:
        click.echo(head(made))
        click.echo(made["diff"])


def head(one: Mapping[str, Any]) -> str:
    """A revision in a line."""
    what = one.get("what") or ("added" if one["before"] is None else "removed" if one["after"] is None else "changed")
    title = f" {one['title']}" if one["title"] != one["name"] else ""
    return (
        f"{one['id']:>5}  {when(one['created_at'])}  {one['username'] or one['user_id']!s:<12} {what:<8}"
        f" {one['kind']}/{one['name']}{title}"
    )
