"""Positions: from a path inside a document to the place in its file.

Takes the node tree that YAML's composer made; gives a ``Place`` for any path, found by walking the tree when somebody
asks, since only faults and ``render`` do. Knows nothing of what the values mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.compiler.diagnostics import Place

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Positions:
    """The places of one document. ``root`` is its YAML node."""

    file: str
    lines: tuple[str, ...]
    root: Any

    def place(self, line: int, column: int) -> Place:
        """A place by zero-based line and column, as YAML's marks count."""
        text = self.lines[line] if line < len(self.lines) else ""
        return Place(self.file, line + 1, column + 1, text)

    def holds(self, path: Path) -> bool:
        """Whether this document itself (and not a parent) has a value at the path."""
        return self.depth(path) == len(path)

    def depth(self, path: Path) -> int:
        """How many steps of the path exist here."""
        return len(self._walk(path)) - 1

    def where(self, path: Path, token: str | None = None) -> Place:
        """The place of the value at ``path``, or of the deepest part of it that exists.

        ``token`` narrows it to the first spot inside the value where that text stands.
        """
        node = self._walk(path)[-1][1]
        line, column = node.start_mark.line, node.start_mark.column
        if token:
            spot = self._find(node, token)
            if spot is not None:
                return self.place(*spot)
        return self.place(line, column)

    def key(self, path: Path) -> Place:
        """The place of the key (or list item) that the path ends with."""
        key, node = self._walk(path)[-1]
        mark = (key if key is not None else node).start_mark
        return self.place(mark.line, mark.column)

    def _find(self, node: Any, token: str) -> tuple[int, int] | None:
        start, end = node.start_mark, node.end_mark
        for number in range(start.line, min(end.line, len(self.lines) - 1) + 1):
            begin = start.column if number == start.line else 0
            at = self.lines[number].find(token, begin)
            if at >= 0 and (number < end.line or at < end.column):
                return number, at
        return None

    def _walk(self, path: Path) -> list[tuple[Any, Any]]:
        """(key node, value node) for the root and each step that exists."""
        steps: list[tuple[Any, Any]] = [(None, self.root)]
        for step in path:
            pair = _step(steps[-1][1], step)
            if pair is None:
                break
            steps.append(pair)
        return steps


def _step(node: Any, step: str | int) -> tuple[Any, Any] | None:
    if node.id == "mapping":
        for key, value in node.value:
            if key.value == step:
                return key, value
    elif node.id == "sequence" and isinstance(step, int) and 0 <= step < len(node.value):
        return None, node.value[step]
    return None
