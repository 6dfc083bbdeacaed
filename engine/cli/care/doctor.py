"""Say what is wrong with this set-up, causes first, each with the command that mends it; nothing is changed."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import click

from engine.care.doctor import Asked, examine
from engine.cli._common import FAULTS, OK, as_json, print_json


@click.command()
@click.option("--offline", is_flag=True, help="Ask no host of an upstream.")
@click.option("--url", default="", help="Where callers reach the gateway, to see what stands in front of it.")
@click.option(
    "--proxy", "proxies", multiple=True, type=click.Path(path_type=Path), help="A configuration of nginx (repeatable)."
)
@as_json
def command(offline: bool, url: str, proxies: tuple[Path, ...], json_: bool) -> None:
    """Examine settings, machine, database, documents, network and what is in front. Exit code 1 with an error.

    What rests on something that is broken is not examined: mend the first finding, then ask again.
    """
    findings = examine(Asked(os.environ, offline, url, proxies))
    wrong = any(finding.severity == "error" for finding in findings)
    if json_:
        print_json({"ok": not wrong, "findings": [dataclasses.asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.severity}: {finding.about}: {finding.cause}\n  mend: {finding.mend}")
        click.echo("nothing is wrong" if not findings else "" if wrong else "it can serve")
    raise SystemExit(FAULTS if wrong else OK)
