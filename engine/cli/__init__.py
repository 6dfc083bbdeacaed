"""The command line: one file per command, found by its name and imported when it is called.

A command is a module of this package whose name does not begin with an underscore; it holds a click command named
``command``. Its docstring's first line is its line in ``gatewright --help``, so that help imports none of them.
"""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path

import click

from engine import __version__

_FIRST_LINE = re.compile(r'^"""(.+?)(?:"""|$)', re.MULTILINE)


class Commands(click.Group):
    """A group that knows its commands by their files."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of commands, from the names of files."""
        return sorted(path.stem.replace("_", "-") for path in _files())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.command is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in ``--help``."""
        rows = [(path.stem.replace("_", "-"), _words(path)) for path in sorted(_files())]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _files() -> list[Path]:
    return [path for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("_")]


def _words(path: Path) -> str:
    found = _FIRST_LINE.search(path.read_text(encoding="utf-8"))
    return found[1].strip().rstrip(".") if found else ""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gatewright")
def main() -> None:
    """Gatewright: an LLM gateway compiled from YAML specs."""
    os.umask(0o077)  # whatever is written, names, amounts and keys stand in it: it is for its owner alone
