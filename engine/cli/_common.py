"""What commands share: which documents they speak of, how findings are printed, and exit codes."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar

import click
import orjson

from engine import paths, settings
from engine.compiler import Result, Source, compile_set, read_set, standing
from engine.compiler.cache import standing_file
from engine.compiler.diagnostics import Fault, has_errors, summary
from engine.compiler.documents import load
from engine.errors import GatewrightError
from engine.program import Program
from engine.routing import channels
from engine.routing.secrets import Secrets
from engine.server.faults import StartError
from engine.settings import SettingsError

OK, FAULTS, USAGE = 0, 1, 2

Command = TypeVar("Command", bound=Callable[..., Any])

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")


def own_directory() -> Path | None:
    """Where the operator's own documents lie, if there are any."""
    chosen = settings.load(os.environ)
    directory = chosen.specs or chosen.data / "specs"
    return directory if directory.is_dir() else None


def sources(paths_asked: tuple[Path, ...] = ()) -> tuple[list[Source], list[Source], list[Fault]]:
    """The shipped documents, the operator's own over them, and on top whatever files or directories are given."""
    operators = own_directory()
    below = [paths.SPECS, *([operators] if operators else [])]
    documents, shared, faults = read_set(below)
    known = {Path(source.name).resolve() for source in documents}
    for path in paths_asked:
        more, wrong = load.read(path, layer=len(below))
        documents += [source for source in more if Path(source.name).resolve() not in known]
        faults += wrong
    return [_shown(source) for source in documents], [_shown(source) for source in shared], faults


def compiled(paths_asked: tuple[Path, ...] = ()) -> Result:
    """The whole set, compiled; faults of reading stand among its faults."""
    documents, shared, faults = sources(paths_asked)
    work = _standing_file()
    if work is not None:
        standing.take_up(work)
    result = compile_set(documents, shared)
    if work is not None and result.ok:
        standing.put_away(work)
    result.faults = faults + result.faults
    return result


def _standing_file() -> Path | None:
    """Commands name files as their user does, the server by their whole path: each has a file of its own."""
    directory = settings.load(os.environ).program_directory / "cache"
    return standing_file(directory, "commands") if directory.is_dir() else None


@contextmanager
def standing_work(chosen: settings.Settings) -> Iterator[None]:
    """PERF: compile over what the server's compiles came to, which name files as this does (``standing``), and put
    away what this one comes to.

    Where the data are another user's, nothing is written: the server must find there what it may change.
    """
    cache = chosen.program_directory / "cache"
    own = next(path for path in (cache, *cache.parents) if path.exists()).stat().st_uid == os.geteuid()
    with standing.uncollected():
        standing.take_up(standing_file(cache))
        yield
        if own:
            standing.put_away(standing_file(cache))
        gc.freeze()


def left_out(program: Program) -> dict[str, str]:
    """Channels of documents that a server with these settings would leave out, by name, each with the reason."""
    chosen = settings.load(os.environ)
    bindings = chosen.data / "secret-hosts.json"
    secrets = Secrets(chosen.secret_env, chosen.secret_directory, bindings, os.environ, binds=False)
    lines = channels.build(program, [], secrets).left_out
    return dict(line.removeprefix("channel ").split(" is left out: ", 1) for line in lines)


def runnable(paths_asked: tuple[Path, ...] = (), *, json_: bool = False) -> Result:
    """The whole set, or the end of the command with its faults."""
    result = compiled(paths_asked)
    if has_errors(result.faults) or not result.ok:
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


class Failure(click.ClickException):
    """What ends a command that could not do its work, in one line: exit code 1."""

    def __init__(self, error: GatewrightError) -> None:
        super().__init__(str(error))
        self._error = error

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line; settings and the server's start speak for the program and not for the command."""
        if isinstance(self._error, SettingsError | StartError):
            click.echo(f"gatewright: {self.message}", file=file, err=True)
        else:
            super().show(file)


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
