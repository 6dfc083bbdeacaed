"""The documents of a directory as commands hand them on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from engine.releases import changes

Command = TypeVar("Command", bound=Callable[..., Any])


def files_of(directory: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Texts by path below the directory, and faults of reading."""
    files, faults = changes.read_files(directory)
    return files, [fault.as_json() for fault in faults]


def directory_options(command: Command) -> Command:
    """The argument and the options that say which documents are meant."""
    for option in (
        click.option(
            "--selector",
            "-l",
            multiple=True,
            callback=_labels,
            metavar="LABEL=VALUE",
            help="With --prune, take away only what bears this label (may be repeated).",
        ),
        click.option("--prune", is_flag=True, help="Take away what the owner has and DIRECTORY has not."),
        click.option(
            "--owner", type=click.Choice(changes.STORED), default=changes.GIT, show_default=True, help="Whose they are."
        ),
        click.argument("directory", type=click.Path(exists=True, path_type=Path)),
    ):
        command = option(command)
    return command


def _labels(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if wrong := [text for text, equals, _ in pairs if not equals]:
        raise click.UsageError(f"--selector {wrong[0]}: write LABEL=VALUE")
    return {label: value for label, _, value in pairs}
