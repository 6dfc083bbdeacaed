"""Ask a gateway, whichever it is, for each dialect of callers by each feature; print the table."""

from __future__ import annotations

import dataclasses

import click

from engine.care import conformance
from engine.cli._common import FAULTS, OK, Failure, as_json, print_json
from engine.errors import GatewrightError


@click.command()
@click.argument("url")
@click.option("--key", required=True, envvar="GATEWRIGHT_KEY", help="A key of that gateway; or GATEWRIGHT_KEY.")
@click.option("--model", "models", multiple=True, help="A model to ask for; several are asked for one after another.")
@as_json
def command(url: str, key: str, models: tuple[str, ...], json_: bool) -> None:
    """Ask the gateway at URL what it understands: four dialects by ten features. Exit code 1 where something differs.

    Without --model the first is asked for that is listed. With models of providers of several dialects the table shows
    the pairs. Each cell is a call that is paid for. What differs is told below the table.
    """
    try:
        models = models or tuple(conformance.models(url.rstrip("/"), key)[:1]) or ("",)
        checks = list(conformance.run(url, key, models))
    except GatewrightError as error:
        raise Failure(error) from None
    wrong = [check for check in checks if check.wrong]
    if json_:
        print_json({"models": models, "ok": not wrong, "checks": [dataclasses.asdict(check) for check in checks]})
    else:
        _tell(checks)
    raise SystemExit(FAULTS if wrong else OK)


def _tell(checks: list[conformance.Check]) -> None:
    """The table in Markdown, and what differs."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for check in checks:
        rows.setdefault((check.model, check.dialect), {})[check.feature] = "no" if check.wrong else "yes"
    head = ("model", "dialect", *conformance.FEATURES)
    lines = [(*row, *(marks[feature] for feature in conformance.FEATURES)) for row, marks in rows.items()]
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    for line in (head, tuple("-" * width for width in widths), *lines):
        click.echo("| " + " | ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)) + " |")
    click.echo(f"\n{sum(not check.wrong for check in checks)} of {len(checks)}")
    for check in checks:
        if check.wrong:
            click.echo(f"\n{check.model}: {check.dialect}, {check.feature}: {check.wrong}")
