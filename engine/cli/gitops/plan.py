"""Say what documents of a directory would change, and what that would mean."""

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
    """What the documents below DIRECTORY would change, in text and in meaning. Nothing is changed.

    Exit code 0: nothing would change; 1: there are faults; 2: something would.
    """
    files, faults = files_of(directory)
    plan: dict[str, Any] = site(server).ask("plan", files=files, owner=owner, prune=prune, selector=selector)
    plan["faults"] = [*faults, *plan["faults"]]
    plan["ok"] = plan["ok"] and not faults
    if json_:
        print_json(plan)
    else:
        show_faults(plan["faults"])
        for line in _plan.lines(plan) if plan["ok"] else ():
            click.echo(line)
    raise SystemExit(FAULT if not plan["ok"] else SAME if plan["empty"] else DIFFERS)
