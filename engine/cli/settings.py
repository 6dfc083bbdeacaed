"""List all settings with value and source; secrets are masked."""

from __future__ import annotations

import json

import click

from engine import settings


@click.command("settings")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.option("--all", "all_", is_flag=True, help="Say what each setting does, too.")
def command(json_: bool, all_: bool) -> None:
    """List all settings with value and source; secrets are masked."""
    chosen = settings.load()
    rows = settings.describe(chosen)
    if json_:
        click.echo(json.dumps({"settings": rows, "warnings": list(chosen.warnings)}, indent=2))
        return
    widths = [max(len(row[key]) for row in rows) for key in ("name", "value", "source")]
    for row in rows:
        cells = [row[key].ljust(width) for key, width in zip(("name", "value", "source"), widths, strict=True)]
        click.echo("  ".join(cells + ([row["words"]] if all_ else [])).rstrip())
    for warning in chosen.warnings:
        click.echo(f"warning: {warning}")
