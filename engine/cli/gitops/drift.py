"""Say where what runs is not what a directory says, nor what documents say."""

from __future__ import annotations

from collections.abc import Iterator
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
    """Documents that are not as DIRECTORY has them, rows that say otherwise, and machines that run another release.

    Exit code 0: nothing differs; 1: there are faults; 2: something differs.
    """
    files, faults = files_of(directory)
    there = site(server)
    plan = there.ask("plan", files=files, owner=owner, prune=True, selector=selector)
    status = there.ask("status")
    elsewhere = {fault["document"]: fault["message"] for fault in plan["faults"] if fault["code"] == "another-owner"}
    report: dict[str, Any] = {
        "faults": [*faults, *(fault for fault in plan["faults"] if fault["code"] != "another-owner")],
        "documents": [{**one, "elsewhere": elsewhere.get(one["title"], "")} for one in plan["documents"]],
        "rows": plan["rows"],
        "machines": [
            machine for machine in status["machines"] if not machine["silent"] and not _newest(machine, status)
        ],
    }
    if json_:
        print_json(report)
    else:
        show_faults(report["faults"])
        for line in _documents(report["documents"], directory):
            click.echo(line)
        for line in _plan.rows(plan["rows"]):
            click.echo(line)
        for machine in report["machines"]:
            click.echo(
                f"{machine['name']} runs release {machine['release']}"
                f"{': ' + machine['faults'][0] if machine['faults'] else ''}"
            )
    ok = not any(fault["severity"] == "error" for fault in report["faults"])
    differs = report["documents"] or report["rows"]["twice"] or report["machines"]
    raise SystemExit(FAULT if not ok else DIFFERS if differs else SAME)


def _documents(documents: list[dict[str, Any]], directory: Path) -> Iterator[str]:
    """What is otherwise, and how it comes to be the same again."""
    words = {"added": "is not there", "removed": "is there besides", "moved": "has another owner"}
    for document in documents:
        yield f"{document['title']} ({document['owner']}) {words.get(document['what'], 'is otherwise')}"
        if document["elsewhere"]:
            yield document["elsewhere"]
        yield document["diff"]
    if documents:
        yield f"to have it as {directory} says: gatewright apply {directory}"
        yield f"to have {directory} say what runs: gatewright export {directory} --overwrite"


def _newest(machine: dict[str, Any], status: dict[str, Any]) -> bool:
    newest = status["release"]["number"] if status["release"] else 0
    return bool(machine["ok"] and machine["release"] == newest)
