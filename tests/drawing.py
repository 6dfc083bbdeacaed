"""docs/architecture.md's drawing of the rooms, made from tests/arrows.toml and the rooms' own docstrings.

python -m tests.drawing --write | --check. A room stands below all rooms that import it; what it imports is named.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
_BEGIN, _END = "<!-- rooms: begin; written by `make docs` -->\n", "<!-- rooms: end -->\n"
Arrows = dict[str, list[str]]


def arrows() -> Arrows:
    """The rooms and what each may import; ``*`` is every other."""
    declared: Arrows = tomllib.loads((ROOT / "tests" / "arrows.toml").read_text(encoding="utf-8"))
    rooms = list(declared)
    return {
        room: [other for other in rooms if other != room] if below == ["*"] else below
        for room, below in declared.items()
    }


def floors(declared: Arrows) -> list[list[str]]:
    """The rooms from the top down: each stands one floor above the highest room that it imports."""
    heights: dict[str, int] = {}

    def height(room: str) -> int:
        if room not in heights:
            heights[room] = 1 + max((height(below) for below in declared[room]), default=-1)
        return heights[room]

    highest = max(height(room) for room in declared)
    return [[room for room in declared if heights[room] == floor] for floor in range(highest, -1, -1)]


def purpose(room: str) -> str:
    """The first sentence of a room's docstring."""
    folder = ROOT / "engine" / room.replace(".", "/")
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    end = paragraph.find(". ")
    return paragraph if end < 0 else paragraph[: end + 1]


def drawing() -> str:
    """The table of rooms, highest first; only arrows that no other arrow implies are named."""
    declared = arrows()
    lines = ["| floor | room | what it is | imports |", "| --- | --- | --- | --- |"]
    all_floors = floors(declared)
    for number, rooms in enumerate(all_floors):
        for room in rooms:
            below = ", ".join(sorted(_direct(room, declared))) or "-"
            lines.append(f"| {len(all_floors) - number} | `{room}` | {purpose(room)} | {below} |")
    return "\n".join(lines) + "\n"


def _direct(room: str, declared: Arrows) -> set[str]:
    below = set(declared[room])
    implied: set[str] = set()
    for other in below:
        implied |= _reached(other, declared)
    return below - implied


def _reached(room: str, declared: Arrows) -> set[str]:
    reached = set(declared[room])
    for other in declared[room]:
        reached |= _reached(other, declared)
    return reached


def page() -> str:
    """The page with its drawing made anew."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    return before + _BEGIN + "\n" + drawing() + "\n" + _END + after


def main() -> None:
    """Write the page, or say that it is out of date."""
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"{PAGE.relative_to(ROOT)} is out of date: run `make docs`")


if __name__ == "__main__":
    main()
