"""Say where what runs is not what a directory says, nor what documents say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from engine.cli._common import print_json
from engine.cli.gitops import _plan
from engine.cli.gitops._files import directory_options, files_of
from engine.cli.gitops._site import DIFFERS, FAULT, SAME, show_faults, site, site_options


@click.command()
@directory_options
@site_options
def command(
    directory: Path, owner: str, prune: bool, selector: dict[str, str], server: str | None, json_: bool
) -> None:
    """Documents that are not as DIRECTORY has them, and machines that don't run the newest release.

    Exit code 0: nothing differs; 1: there are faults; 2: something differs.
    """
    files, faults = files_of(directory)
    there = site(server)
    plan = there.ask("plan", files=files, owner=owner, prune=True, selector=selector)
    status = there.ask("status")
    report: dict[str, Any] = {
        "faults": [*faults, *plan["faults"]],
        "documents": plan["documents"],
        "rows": plan["rows"],
        "machines": [
            machine for machine in status["machines"] if not machine["silent"] and not _newest(machine, status)
        ],
    }
    if json_:
        print_json(report)
    else:
        show_faults(report["faults"])
        for document in report["documents"]:
            word = {"added": "is not there", "removed": "is there besides", "moved": "has another owner"}
            click.echo(f"{document['title']} ({document['owner']}) {word.get(document['what'], 'is otherwise')}")
            click.echo(document["diff"])
        click.echo(_plan.rows(plan["rows"]))
        for machine in report["machines"]:
            click.echo(
                f"{machine['name']} runs release {machine['release']}"
                f"{': ' + machine['faults'][0] if machine['faults'] else ''}"
            )
    ok = not any(fault["severity"] == "error" for fault in report["faults"])
    raise SystemExit(FAULT if not ok else DIFFERS if report["documents"] or report["machines"] else SAME)


def _newest(machine: dict[str, Any], status: dict[str, Any]) -> bool:
    newest = status["release"]["number"] if status["release"] else 0
    return bool(machine["ok"] and machine["release"] == newest)
