"""The imports between rooms are those that tests/arrows.toml declares, and no room imports itself in a circle."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENGINE = ROOT / "engine"
ARROWS: dict[str, list[str]] = tomllib.loads((ROOT / "tests" / "arrows.toml").read_text(encoding="utf-8"))
# What a half of the program must not know of: packages by room, with the place where such a thing belongs.
FORBIDDEN = {
    "relay": {"yaml": "compiler", "jinja2": "compiler", "sqlalchemy": "storage"},
    "kinds": {"yaml": "compiler", "jinja2": "compiler", "sqlalchemy": "storage", "falcon": "relay"},
    "routing": {"yaml": "compiler", "jinja2": "compiler", "sqlalchemy": "storage", "falcon": "relay"},
    "releases": {"yaml": "compiler", "jinja2": "compiler", "sqlalchemy": "storage", "falcon": "relay"},
    "hub": {
        "yaml": "compiler",
        "jinja2": "compiler",
        "sqlalchemy": "storage",
        "falcon": "relay",
        "gevent": "transport",
    },
    "program": {
        "yaml": "compiler",
        "jinja2": "compiler",
        "sqlalchemy": "storage",
        "falcon": "relay",
        "gevent": "transport",
    },
    "filters": {
        "yaml": "compiler",
        "jinja2": "compiler",
        "sqlalchemy": "storage",
        "falcon": "relay",
        "gevent": "transport",
    },
    "compiler": {"sqlalchemy": "storage", "falcon": "relay", "gevent": "transport", "requests": "transport"},
    "transport": {"yaml": "compiler", "jinja2": "compiler", "sqlalchemy": "storage", "falcon": "relay"},
}


def modules() -> list[Path]:
    """Every module of the engine and of the console."""
    paths = (path for folder in (ENGINE, ROOT / "admin") for path in folder.rglob("*.py"))
    return sorted(path for path in paths if "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a module imports; `from x import y` counts as x.y."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room_of(dotted: str) -> str | None:
    """The room of engine/ that a name belongs to; None for the package itself and for other packages."""
    parts = dotted.split(".")
    if parts[0] != "engine" or len(parts) < 2:
        return None
    exists = (ENGINE / parts[1]).is_dir() or (ENGINE / f"{parts[1]}.py").is_file()
    return parts[1] if exists else None


def test_every_room_is_declared() -> None:
    rooms = {room for path in modules() if (room := room_of(name_of(path))) is not None}
    assert rooms <= set(ARROWS)


def test_arrows_lead_to_rooms_that_are_declared_and_never_in_a_circle() -> None:
    open_rooms = {room: {other for other in others if other != "*"} for room, others in ARROWS.items()}
    assert set().union(*open_rooms.values()) <= set(ARROWS)
    while leaves := [room for room, others in open_rooms.items() if not others]:
        for leaf in leaves:
            del open_rooms[leaf]
        for others in open_rooms.values():
            others.difference_update(leaves)
    assert open_rooms == {}, "these rooms lead to each other"


@pytest.mark.parametrize("room", ARROWS)
def test_room_imports_only_what_is_declared(room: str) -> None:
    wrong = []
    for path in modules():
        if room_of(name_of(path)) != room:
            continue
        for line, name in imports(path):
            target = room_of(name)
            if target not in (None, room, *ARROWS[room]) and "*" not in ARROWS[room]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}; {room} may use {ARROWS[room]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", FORBIDDEN)
def test_room_does_not_import_what_belongs_elsewhere(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}; that belongs in {FORBIDDEN[room][name.split('.')[0]]}"
        for path in modules()
        if room_of(name_of(path)) == room
        for line, name in imports(path)
        if name.split(".")[0] in FORBIDDEN[room]
    ]
    assert not wrong, "\n".join(wrong)


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Imports for types and inside functions count: whoever reads one module of a circle has to read them all."""
    known = {name_of(path): path for path in modules()}
    graph = {name: _targets(path, known) - {name} for name, path in known.items()}
    while leaves := [name for name, others in graph.items() if not others]:
        for leaf in leaves:
            del graph[leaf]
        for others in graph.values():
            others.difference_update(leaves)
    # What is left either lies on a circle or leads to one; peel off what nobody leads to.
    while roots := set(graph) - set().union(*graph.values(), set()):
        for root in roots:
            del graph[root]
    assert not graph, f"these modules import each other: {sorted(graph)}"


def _targets(path: Path, known: dict[str, Path]) -> set[str]:
    """Modules that a module names in its imports, wherever these stand."""
    names = {name if name in known else name.rpartition(".")[0] for _, name in imports(path)}
    return names & set(known)


@pytest.mark.parametrize("folder", sorted({path.parent for path in modules()}), ids=lambda path: path.name)
def test_a_folder_holds_at_most_twenty_modules(folder: Path) -> None:
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= 20
