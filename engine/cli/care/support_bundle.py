"""Write one file with what an expert needs to help, and no secret in it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from engine import settings
from engine.care.bundle import bundle


@click.command()
@click.argument(
    "path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), default="gatewright-support.tar.gz"
)
def command(path: Path) -> None:
    """Write settings, findings, schema, counts, channels and own documents into FILE (gatewright-support.tar.gz).

    Secrets, names of users, and what was said in calls are not in it. Look into it before you send it.
    """
    names = bundle(settings.load(), os.environ, path)
    click.echo(f"{path}: {', '.join(names)}")
