"""Make documents of another program's database or configuration, and prove that they say the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from engine import settings
from engine.cli._common import FAULTS, OK, Failure, as_json, print_json, show_faults
from engine.compiler import Result
from engine.errors import Invalid
from engine.moving import database, proof, recipe
from engine.moving.draft import Draft, write
from engine.program import Program
from engine.storage.database import open_database
from engine.storage.rows import channels, options

_DATABASES = ("new-api", "one-api")
_LISTED = 10


@click.command("import")
@click.argument("product", type=click.Choice([*_DATABASES, *recipe.names()]))
@click.argument("source", metavar="DSN|FILE")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("imported"), show_default=True, help="Where to."
)
@click.option("--secrets", type=click.Path(path_type=Path), help="Write keys below this directory (DATA/secrets).")
@as_json
def command(product: str, source: str, output: Path, secrets: Path | None, json_: bool) -> None:
    """Write documents of channels, prices and options into a directory, from a database's DSN or a file.

    The source is only read. What could not be carried is told with its line, or its table and row. The documents are
    compiled before they are written; those of a database are compared with it, model by model and price by price.
    """
    before = proof.shipped()
    differences: list[str] = []
    if product in _DATABASES:
        draft, made_by, result, differences = _from_database(source, before)
    else:
        draft, made_by = recipe.read(product, recipe.text_of_file(Path(source)), source, before), source
        result = proof.compiled(draft.files(made_by))
    if not draft.channels and not draft.prices:
        raise Failure(Invalid(source, "nothing of it can be carried", _why(draft)))
    wrong = proof.errors(result)
    if wrong:
        show_faults(wrong, json_=json_)
        raise SystemExit(FAULTS)
    write(draft.files(made_by), output, draft.secrets, secrets)
    _tell(draft, made_by, output, secrets, differences, json_=json_)
    raise SystemExit(FAULTS if differences else OK)


def _why(draft: Draft) -> str:
    """What was left out, as far as a person reads."""
    listed = "; ".join(map(str, draft.left[:_LISTED])) or "name another file, or another product"
    return listed + (f"; and {len(draft.left) - _LISTED} more" if len(draft.left) > _LISTED else "")


def _from_database(dsn: str, before: Program) -> tuple[Draft, str, Result, list[str]]:
    chosen = replace(settings.load(), sql_dsn=dsn)
    db = open_database(chosen, migrate=False)
    try:
        draft, made_by = database.read(db, before)
        result = proof.compiled(draft.files(made_by))
        differences = []
        if not proof.errors(result):
            differences = proof.differences(before, channels.load(db), options.load(db), result.program())
    finally:
        db.close()
    return draft, made_by, result, differences


def _tell(
    draft: Draft, source: str, output: Path, secrets: Path | None, differences: list[str], *, json_: bool
) -> None:
    models = {model for channel in draft.channels for model in channel["models"]}
    if json_:
        left = [{"place": item.place, "what": item.what, "how": item.how} for item in draft.left]
        print_json({"channels": len(draft.channels), "models": sorted(models), "left": left, "differs": differences})
        return
    rules = sum(len(rule["names"]) for rule in draft.prices)
    click.echo(f"{output}: {len(draft.channels)} channels with {len(models)} models, {rules} prices, from {source}")
    for item in draft.left:
        click.echo(f"not carried: {item}")
    for difference in differences:
        click.echo(f"differs: {difference}")
    if draft.secrets and secrets is None:
        click.echo(f"{len(draft.secrets)} keys were not written; --secrets DATA/secrets puts them into files there")
    click.echo(f"look at them: gatewright lint {output}; gatewright explain --model NAME {output}")
