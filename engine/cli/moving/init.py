"""Begin a document: a Provider out of a call that works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from engine.cli._common import FAULTS, read_json, runnable, show_faults
from engine.errors import Conflict
from engine.moving import curl, proof


@click.group()
def command() -> None:
    """Begin a document: a Provider out of a call that works."""


@command.command()
@click.option("--from-curl", "call", required=True, metavar="COMMAND", help="The curl command, in one argument.")
@click.option("--answer", required=True, type=click.File("rb"), help="What it answered, as JSON.")
@click.option("--name", default="mine", help="The provider's name (mine).")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Where to (NAME.yaml).")
def provider(call: str, answer: Any, name: str, output: Path | None) -> None:
    """Write a Provider with a test: address, format, credential by reference. The key itself is written nowhere."""
    sample = read_json(answer)
    if not isinstance(sample, dict):
        raise click.UsageError("--answer is no JSON object")
    path = output or Path(f"{name}.yaml")
    if path.exists():
        raise Conflict(f"{path} is there already; name another file by --output")
    text = curl.provider(call, sample, runnable().program(), name)
    result = proof.compiled({path.name: text})
    if wrong := proof.errors(result):
        show_faults(wrong, json_=False)
        raise SystemExit(FAULTS)
    path.write_text(text, encoding="utf-8")
    click.echo(
        f"{path}: put the key into DATA/secrets/{name}.key, give its models a price, then gatewright lint {path}"
    )
