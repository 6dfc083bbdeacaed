"""Check documents: every fault of the set at once, with file, line and column."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli import _common


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@_common.as_json
def command(paths: tuple[Path, ...], json_: bool) -> None:
    """Check the shipped documents, your own, and any PATHS on top of them."""
    result = _common.compiled(paths)
    _common.show_faults(result.faults, json_=json_)
    raise SystemExit(_common.FAULTS if result.artefact is None else _common.OK)
