"""What commands share: which documents they speak of, how findings are printed, and exit codes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import orjson

from engine import paths, settings
from engine.compiler import Result, Source, compile_set, load, read_set
from engine.compiler.diagnostics import Fault, has_errors, summary

OK, FAULTS, USAGE = 0, 1, 2

Command = TypeVar("Command", bound=Callable[..., Any])

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")


def own_directory() -> Path | None:
    """Where the operator's own documents lie, if there are any."""
    chosen = settings.load(os.environ)
    directory = chosen.specs or chosen.data / "specs"
    return directory if directory.is_dir() else None


def sources(given: tuple[Path, ...] = ()) -> tuple[list[Source], list[Source], list[Fault]]:
    """The shipped documents, the operator's own over them, and on top whatever files or directories are given."""
    own = own_directory()
    below = [paths.SPECS, *([own] if own else [])]
    found, shared, faults = read_set(below)
    seen = {Path(source.name).resolve() for source in found}
    for path in given:
        more, wrong = load.read(path, layer=len(below))
        found += [source for source in more if Path(source.name).resolve() not in seen]
        faults += wrong
    return [_shown(source) for source in found], [_shown(source) for source in shared], faults


def compiled(given: tuple[Path, ...] = ()) -> Result:
    """The whole set, compiled; faults of reading stand among its faults."""
    found, shared, faults = sources(given)
    result = compile_set(found, shared)
    result.faults = faults + result.faults
    return result


def runnable(given: tuple[Path, ...] = (), *, json_: bool = False) -> Result:
    """The whole set, or the end of the command with its faults."""
    result = compiled(given)
    if has_errors(result.faults) or result.artefact is None:
        show_faults([fault for fault in result.faults if fault.severity == "error"], json_=json_)
        raise SystemExit(FAULTS)
    return result


def show_faults(faults: list[Fault], *, json_: bool) -> None:
    """Print findings, and a line that counts them."""
    if json_:
        print_json({"ok": not has_errors(faults), "faults": [fault.as_json() for fault in faults]})
        return
    for fault in faults:
        click.echo(fault.as_text() + "\n")
    click.echo(summary(faults))


def print_json(value: Any) -> None:
    """Print a value as JSON, indented, keys in their order."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=list).decode())


def usage(message: str) -> NoReturn:
    """End the command because it was called wrongly."""
    raise click.UsageError(message)


def read_json(file: Any) -> Any:
    """JSON from a file argument, or the end of the command."""
    try:
        return orjson.loads(file.read())
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"{getattr(file, 'name', 'the input')} is not JSON: {error}") from error


def _shown(source: Source) -> Source:
    """A source with its name relative to where the command was called, if it lies below."""
    try:
        name = str(Path(source.name).resolve().relative_to(Path.cwd()))
    except ValueError:
        return source
    return Source(name, source.text, source.layer)
