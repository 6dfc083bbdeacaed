"""Where a request says what it may cost: paths in its body, and how those are found in an artefact's data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.filters.patterns import pattern
from engine.program import layout
from engine.program.layout import Functions


@dataclass(frozen=True, slots=True)
class KeptName:
    """Where a request names a thing that is kept in the provider's account."""

    path: str
    match: Any = None
    """A compiled pattern, where not every text there is such a name."""
    family: str = ""
    """What it is an id of, where keys have such things of their own."""
    why: str = ""
    """Why nothing at all may stand there: what would be kept there could not be a key's own."""


@dataclass(slots=True)
class Branch:
    """Paths by their names, one below the other; entries of lists are looked at wherever there are some."""

    kept: KeptName | None = None
    below: dict[str, Branch] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asks:
    """Where a request says what it may cost: paths in its body."""

    most: tuple[tuple[str, ...], ...] = ()
    """How many tokens may come out."""
    choices: tuple[tuple[str, ...], ...] = ()
    """How many answers it wants."""
    text: tuple[tuple[str, ...], ...] | None = None
    """What of it is counted: texts, and tokens as whole numbers in lists; None: all of it."""
    characters: bool = False
    """Of texts each character is a token."""
    base: int = 0
    """Tokens besides what is counted."""
    file_bytes: int = 0
    """How many bytes of its files are a token; 0: files are not counted."""
    kept: tuple[KeptName, ...] = ()
    """Where it names what is kept in the provider's account."""
    tree: Branch = field(default_factory=Branch)
    """The same, for looking."""
    tools: tuple[tuple[str, ...], ...] = ()
    """Where it offers tools."""
    media: tuple[tuple[str, ...], ...] = ()
    """Where it holds pictures, sounds or files: ``*`` for each entry of a list."""
    marks: tuple[bytes, ...] = ()
    """Names one of which stands in every body that holds such a thing, as JSON spells them without escapes."""


def asks(value: Any, functions: Functions) -> Asks:
    """What a request may cost, of its data."""
    value = value or layout.EMPTY
    most, choices, text, tools, media = (
        layout.paths(value.get(name), functions) for name in ("most", "choices", "text", "tools", "media")
    )
    counted = text if "text" in value else None
    kept = tuple(_kept(item) for item in value.get("kept") or ())
    marks = tuple(dict.fromkeys(_mark(place.path) for place in kept))
    characters, base, file_bytes = bool(value.get("characters")), value.get("base") or 0, value.get("fileBytes") or 0
    return Asks(most, choices, counted, characters, base, file_bytes, kept, _tree(kept), tools, media, marks)


def _mark(path: str) -> bytes:
    """The last name of a path that is no mere `id`."""
    names = path.replace("[*]", "").split(".")
    return f'"{names[-2] if names[-1] == "id" and len(names) > 1 else names[-1]}"'.encode()


def _tree(kept: tuple[KeptName, ...]) -> Branch:
    root = Branch()
    for place in kept:
        branch = root
        for name in place.path.replace("[*]", "").split("."):
            branch = branch.below.setdefault(name, Branch())
        branch.kept = place
    return root


def _kept(item: str | dict[str, str]) -> KeptName:
    if isinstance(item, str):
        return KeptName(item)
    match = item.get("match")
    compiled = None if match is None else pattern(match).compiled
    return KeptName(item["path"], compiled, item.get("family", ""), item.get("why", ""))
