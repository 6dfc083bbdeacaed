"""The page of settings: writes it from the table, or checks that the page at hand is that text."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from engine.settings import retired
from engine.settings.reading import shown
from engine.settings.table import rows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"

_HEAD = """# Settings

Made from `engine/settings/table.py` by `python -m engine.settings --write`; don't edit by hand.

The environment goes first; a `.env` file in the working directory fills what is missing; empty means not set. A
value that can't be read stops the start with a sentence that says what was expected. Booleans are `true` or `false`
(`1`, `0`, `yes`, `no`, `on`, `off` are read too, in any case); lists take commas or blanks. A secret may also be given
as `NAME_FILE`, the path of a file that holds it. `gatewright settings` lists values and where they come from.

Where documents can say the same (time limits, `limits.streamBytes` and `mediaBytes`), a Provider's word goes before
that of a Policy of your own, and that before the setting; the shipped documents say none of it.
"""


def render() -> str:
    """The page's text."""
    lines = [_HEAD]
    for group, members in groupby(rows(), key=lambda row: row.group):
        lines += [f"## {group}\n", "| Name | Type | Default | What it does |", "| --- | --- | --- | --- |"]
        for row in members:
            default = f"`{text}`" if (text := shown(row.default)) else ""
            lines.append(
                f"| `{row.name}` | {row.kind.name}{', secret' if row.secret else ''} | {default} | {row.words} |"
            )
        lines.append("")
    lines += ["## Not read\n", "Setting one of these gives a warning at start.\n"]
    lines += ["| Name | Instead |", "| --- | --- |"]
    lines += [f"| `{name}` | {words} |" for name, words in sorted(retired.GONE.items())]
    lines.append("\nNot read by this version: " + ", ".join(f"`{name}`" for name in sorted(retired.LATER)) + ".")
    return "\n".join(lines) + "\n"


def write(path: Path = PAGE) -> None:
    """Write the page."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(render(), encoding="utf-8")


def is_current(path: Path = PAGE) -> bool:
    """Whether the page at hand is what would be written."""
    return path.is_file() and path.read_text(encoding="utf-8") == render()
