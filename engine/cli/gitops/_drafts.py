"""Drafts on the command line: what waits, what it would change, who approves it, and publishing it."""

from __future__ import annotations

import click

from engine.cli._common import print_json
from engine.cli.gitops._site import FAULT, SAME, show_dropped, show_faults, site, site_options, when


@click.group()
def draft() -> None:
    """List drafts, look at them, approve and publish them."""


@draft.command("list")
@site_options
def list_(server: str | None, json_: bool) -> None:
    """Drafts, the last saved first."""
    rows = site(server).ask("drafts")
    if json_:
        print_json(rows)
        return
    for row in rows:
        titles = ", ".join(f"{one['kind']}/{one['name']}" for one in row["changes"])
        approved = f"  approved by {', '.join(row['approved_by'])}" if row["approved_by"] else ""
        click.echo(
            f"{row['id']:<18} {row['username']:<12} {when(row['changed_at'])}  {row['name']}: {titles}{approved}"
        )


@draft.command()
@click.argument("name", metavar="ID")
@site_options
def show(name: str, server: str | None, json_: bool) -> None:
    """The texts of draft ID."""
    row = site(server).ask("draft", id=name)
    if json_:
        print_json(row)
        return
    click.echo(f"{row['name']} by {row['username']} on release {row['base']}, version {row['version']}")
    for one in row["changes"]:
        click.echo(f"--- {one['kind']}/{one['name']}" + (" is taken away" if one["text"] is None else ""))
        click.echo(one["text"] or "", nl=False)


@draft.command()
@click.argument("name", metavar="ID")
@click.option("--version", type=int, help="The version that you looked at; the newest without it.")
@site_options
def approve(name: str, version: int | None, server: str | None, json_: bool) -> None:
    """Approve draft ID, which somebody else wrote."""
    place = site(server)
    read = version if version is not None else place.ask("draft", id=name)["version"]
    row = place.ask("approve_draft", id=name, version=read)
    if json_:
        print_json(row)
    else:
        click.echo(f"approved by {', '.join(row['approved_by'])}")


@draft.command()
@click.argument("name", metavar="ID")
@site_options
def publish(name: str, server: str | None, json_: bool) -> None:
    """Make a release of draft ID. Exit code 1 where it has faults."""
    answer = site(server).ask("publish_draft", id=name)
    if json_:
        print_json(answer)
    elif answer["ok"]:
        click.echo(f"release {answer['release']}")
        show_dropped(answer)
    else:
        show_faults(answer["faults"])
    raise SystemExit(SAME if answer["ok"] else FAULT)
