"""List releases, compare them, say what runs where, go back to one; trials and canaries."""

from __future__ import annotations

from typing import Any

import click

from engine.cli._common import print_json
from engine.cli.gitops._drafts import draft
from engine.cli.gitops._rows import rows
from engine.cli.gitops._site import DIFFERS, FAULT, SAME, show_dropped, site, site_options, when
from engine.cli.gitops._trials import canary, trial


@click.group()
def command() -> None:
    """List releases, compare them, say what runs where, go back to one; trials and canaries."""


command.add_command(trial)
command.add_command(canary)
command.add_command(draft)
command.add_command(rows)


@command.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, the newest first."
)
@site_options
def list_(limit: int, server: str | None, json_: bool) -> None:
    """The releases, the newest first."""
    rows = site(server).ask("releases", limit=limit)
    if json_:
        print_json(rows)
        return
    for row in rows:
        source = f" ({row['source'][:40]})" if row["source"] else ""
        words = row["message"].splitlines()[0] if row["message"] else ""
        click.echo(
            f"{row['number']:>5}  {when(row['created_at'])}  {row['username']:<12} {row['changes']:>4}  {words}{source}"
        )


@command.command()
@click.argument("number", type=int)
@site_options
def show(number: int, server: str | None, json_: bool) -> None:
    """What release NUMBER changed, by whom and why."""
    row = site(server).ask("release", number=number)
    if json_:
        print_json(row)
        return
    click.echo(f"release {row['number']} of {when(row['created_at'])} by {row['username']}, on {row['parent']}")
    for name in ("message", "source"):
        if row[name]:
            click.echo(f"{name}: {row[name]}")
    show_differences(row["documents"])


@command.command()
@click.argument("older", type=int)
@click.argument("newer", type=int)
@site_options
def diff(older: int, newer: int, server: str | None, json_: bool) -> None:
    """What differs between two releases. Exit code 2 where anything does."""
    rows = site(server).ask("diff", older=older, newer=newer)
    if json_:
        print_json(rows)
    else:
        show_differences(rows)
    raise SystemExit(DIFFERS if rows else SAME)


@command.command()
@click.argument("number", type=int)
@click.option("--message", "-m", default="", help="Why.")
@site_options
def use(number: int, message: str, server: str | None, json_: bool) -> None:
    """Go back to what release NUMBER held, as a release of its own."""
    back(number, message, server, json_)


def back(number: int, message: str, server: str | None, json_: bool) -> None:
    """Make the documents those of an earlier release."""
    answer = site(server).ask("rollback", number=number, message=message)
    if json_:
        print_json(answer)
    else:
        click.echo(f"release {answer['release']} holds what release {number} held")
        show_dropped(answer)


@command.command()
@site_options
def status(server: str | None, json_: bool) -> None:
    """The newest release and what each machine runs. Exit code 2 where one runs another, 1 where one can't."""
    answer = site(server).ask("status")
    if json_:
        print_json(answer)
    else:
        _show_status(answer)
    refused = any(not machine["ok"] for machine in answer["machines"] if not machine["silent"])
    raise SystemExit(SAME if answer["same"] else FAULT if refused else DIFFERS)


def _show_status(answer: dict[str, Any]) -> None:
    newest = answer["release"]
    if newest is None:
        click.echo("there is no release: every document is shipped or lies in a directory")
    else:
        click.echo(f"newest release {newest['number']} of {when(newest['created_at'])} by {newest['username']}")
    for machine in answer["machines"]:
        state = "silent" if machine["silent"] else "ok" if machine["ok"] else "refused"
        program = machine["program"][:12]
        click.echo(
            f"{machine['name']}: release {machine['release']}, program {program}"
            f" since {when(machine['since'])}, {state}"
        )
        for line in machine["faults"]:
            click.echo(f"  {line}")
        if git := machine["git"]:
            click.echo(
                f"  git {git['url']} {git['branch']}: {git.get('commit', '-')[:12]} {git.get('error') or 'runs'}"
            )


def show_differences(rows: list[dict[str, Any]]) -> None:
    """Documents that differ, each with its text's difference."""
    for row in rows:
        click.echo(f"{row['what']} {row['title']} ({row['owner']})")
        click.echo(row["diff"])
