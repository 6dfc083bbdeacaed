"""Publish the documents of a directory as a release."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli._common import print_json
from engine.cli.gitops._files import directory_options, files_of
from engine.cli.gitops._site import FAULT, SAME, show_dropped, show_faults, site, site_options


@click.command()
@directory_options
@click.option("--message", "-m", default="", help="Why.")
@click.option("--source", default="", help="Where the documents come from, as a commit.")
@click.option(
    "--wait", type=click.FloatRange(0, 3600), default=60.0, show_default=True, help="Seconds until all machines run it."
)
@click.option("--draft", metavar="NAME", default="", help="Keep them as a draft that another person approves.")
@site_options
def command(
    directory: Path,
    owner: str,
    prune: bool,
    selector: dict[str, str],
    message: str,
    source: str,
    wait: float,
    draft: str,
    server: str | None,
    json_: bool,
) -> None:
    """Publish the documents below DIRECTORY: checked and tested as one set, all or nothing.

    Exit code 0: every machine runs them; 1: there are faults, and nothing has changed.
    """
    files, faults = files_of(directory)
    there = site(server)
    if not faults:
        values = {"files": files, "owner": owner, "prune": prune, "selector": selector}
        before = there.ask("status")["release"]
        kept = {"draft": draft} if draft else {}
        result = there.ask("apply", **values, **kept, message=message, source=source)
        result["changed"] = result["release"] != (before["number"] if before else 0)
    else:
        result = {"release": 0, "ok": False, "tests": 0, "faults": faults, "changed": False}
    if result["ok"] and result["changed"] and wait:
        result["machines"] = there.wait(result["release"], wait)
    if json_:
        print_json(result)
    else:
        show_faults(result["faults"])
        if result.get("draft"):
            click.echo(f"draft {result['draft']}; to approve it: gatewright releases draft approve {result['draft']}")
        elif result["ok"]:
            where = f" on {', '.join(result['machines'])}" if result.get("machines") else ""
            word = f"runs{where}" if result["changed"] else "holds all of this already"
            click.echo(f"release {result['release']} {word}")
            show_dropped(result)
    raise SystemExit(SAME if result["ok"] else FAULT)
