"""Run the tests that documents carry."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli import _common
from engine.compiler import spectests
from engine.compiler.documents.sets import Definition


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("-k", "words", help="Only tests whose document or name holds this text.")
@_common.as_json
def command(paths: tuple[Path, ...], words: str | None, json_: bool) -> None:
    """Run the tests of all documents, or of those in PATHS only."""
    result = _common.runnable(paths, json_=json_)
    below = [path.resolve() for path in paths]

    def wanted(definition: Definition) -> bool:
        file = Path(definition.chain[0].positions.file).resolve()
        return not below or any(file == path or path in file.parents for path in below)

    outcomes = spectests.run(result, wanted, words=words)
    failed = [outcome for outcome in outcomes if not outcome.ok]
    if json_:
        tests = [outcome.as_json() for outcome in outcomes]
        _common.print_json({"ok": not failed, "tests": tests})
    else:
        for outcome in failed:
            click.echo(f"{outcome.place}: {outcome.document}: {outcome.name}\n{_indented(outcome.difference)}\n")
        click.echo(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed")
    raise SystemExit(_common.FAULTS if failed else _common.OK)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
