"""The command line: one file per command, found by its name and imported when it is called.

A command is a module of this package, or of a folder in it, whose name does not begin with an underscore; it holds a
click command named ``command``. Its docstring's first line is its line in ``gatewright --help``, so that help imports
none of them. Folders only keep the files apart: the module ``care/backup.py`` is ``gatewright backup``, and a name that
is a word of Python has an underscore behind it (``import_.py``).
"""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any

import click

from engine import __version__
from engine.errors import GatewrightError

_HERE = Path(__file__).parent
_FIRST_LINE = re.compile(r'^"""(.+?)(?:"""|$)', re.MULTILINE)


class Commands(click.Group):
    """A group that knows its commands by their files."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of commands, from the names of files."""
        return sorted(_files())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        path = _files().get(cmd_name)
        if path is None:
            return None
        module = importlib.import_module(".".join((__name__, *path.relative_to(_HERE).with_suffix("").parts)))
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.command is no click command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that says what can be done ends it with one line."""
        try:
            return super().invoke(ctx)
        except GatewrightError as error:
            from engine.cli._common import Failure

            raise Failure(error) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in ``--help``."""
        rows = [(name, _words(path)) for name, path in sorted(_files().items())]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _files() -> dict[str, Path]:
    """Each command's file, by the command's name."""
    files = (path for path in _HERE.rglob("*.py") if not path.name.startswith("_"))
    return {path.stem.rstrip("_").replace("_", "-"): path for path in files}


def _words(path: Path) -> str:
    match = _FIRST_LINE.search(path.read_text(encoding="utf-8"))
    return match[1].strip().rstrip(".") if match else ""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gatewright")
def main() -> None:
    """Gatewright: an LLM gateway compiled from YAML specs."""
    os.umask(0o077)  # whatever is written, names, amounts and keys stand in it: it is for its owner alone
