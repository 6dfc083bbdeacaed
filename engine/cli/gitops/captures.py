"""Show exchanges that were kept, and have those of a key kept for a time."""

from __future__ import annotations

from typing import Any

import click

from engine.cli._common import print_json
from engine.cli.gitops._site import site, site_options, when


@click.group()
def command() -> None:
    """Show exchanges that were kept, and have those of a key kept for a time."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many, the newest first.")
@click.option("--model", default="", help="Of this model alone.")
@click.option("--key", "token_id", type=int, default=0, help="Of the key of this number alone.")
@site_options
def list_(limit: int, model: str, token_id: int, server: str | None, json_: bool) -> None:
    """Exchanges, the newest first."""
    chosen = {name: value for name, value in (("model", model), ("token_id", token_id)) if value}
    rows = site(server).ask("captures", limit=limit, **chosen)
    if json_:
        print_json(rows)
        return
    for row in rows:
        crossed = " redacted" if row["redacted"] else ""
        click.echo(
            f"{row['id']}  {when(row['created_at'])}  {row['username']:<12} {row['status']} {row['model']}"
            f" ({row['format']}, {row['size']:,} bytes{crossed}, by {row['rule']})"
        )


@command.command()
@click.argument("id", metavar="ID")
@site_options
def show(id: str, server: str | None, json_: bool) -> None:  # noqa: A002 - the name in the route
    """What was said in exchange ID, as JSON."""
    print_json(site(server).ask("capture", id=id))


@command.command()
@click.argument("id", metavar="ID")
@site_options
def drop(id: str, server: str | None, json_: bool) -> None:  # noqa: A002 - the name in the route
    """Delete exchange ID."""
    site(server).ask("drop_capture", id=id)
    if json_:
        print_json({"id": id})


@command.command()
@site_options
def keys(server: str | None, json_: bool) -> None:
    """The keys whose exchanges are kept now."""
    rows = site(server).ask("watched")
    if json_:
        print_json(rows)
        return
    for row in rows:
        _show(row)


@command.command()
@click.argument("key", type=int)
@click.option("--hours", type=float, default=1, show_default=True, help="For how long from now.")
@click.option("--share", type=float, default=1, show_default=True, help="The part of its calls that is kept.")
@click.option("--days", type=float, default=7, show_default=True, help="How long each exchange is kept.")
@click.option("--redacted", is_flag=True, help="Cross texts out.")
@site_options
def watch(key: int, server: str | None, json_: bool, **rules: Any) -> None:
    """Keep the exchanges of the key of number KEY; its holder sees until when."""
    row = site(server).ask("watch_key", token_id=key, **rules)
    if json_:
        print_json(row)
    else:
        _show(row)


@command.command()
@click.argument("key", type=int)
@site_options
def unwatch(key: int, server: str | None, json_: bool) -> None:
    """Keep the exchanges of key KEY no more."""
    site(server).ask("unwatch_key", token_id=key)
    if json_:
        print_json({"token_id": key})


def _show(row: dict[str, Any]) -> None:
    crossed = ", texts crossed out" if row["redacted"] else ""
    click.echo(
        f"key {row['token_id']} ({row['name']}): {row['share']:.0%} of its calls until {when(row['until'])}{crossed},"
        f" by {row['username']}"
    )
