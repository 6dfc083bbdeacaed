"""What the mappings of one document may name, and where their faults go.

Takes the document's tables and fragments, and a way from a path to a place; collects faults. One Scope per document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.compiler.diagnostics import Fault, Place, nearest, path_text

Path = tuple[str | int, ...]
Where = Callable[..., Place]
"""``where(path, token=None)``: the place of the value at an absolute path, or of a word inside it."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A named tree with arguments; ``at`` is the path of its tree in the file that ``where`` knows."""

    name: str
    args: tuple[str, ...]
    do: Any
    where: Where
    at: Path = ()
    uses: frozenset[str] = frozenset()
    """The fragments that its tree names."""
    gives_null: bool = False
    """A null that was written on purpose may come out of it."""


@dataclass(slots=True)
class Scope:
    """Tables and fragments by name; ``own`` are the fragments of the document itself, checked even if unused.

    ``title`` is the document's kind and name, as faults tell it.
    """

    name: str
    tables: Mapping[str, Mapping[str, Any]]
    fragments: Mapping[str, Fragment]
    where: Where
    faults: list[Fault]
    own: Iterable[str] = ()
    title: str = ""
    used: dict[str, None] = field(default_factory=dict)
    """Fragments that were called, in order."""
    factors: dict[str, tuple[int, int]] = field(default_factory=dict)
    """How many copies of its arguments a fragment gives, and values of its own (the module ``growth``)."""
    _reached: dict[str, set[str]] = field(default_factory=dict)

    @property
    def writes_null(self) -> bool:
        """May a fragment give a null that was written on purpose?"""
        return any(item.gives_null for item in self.fragments.values())

    def circular(self, fragment: str) -> bool:
        """May a fragment come to use itself?"""
        return fragment in self.reached(fragment)

    def reached(self, fragment: str) -> set[str]:
        """The fragments that one uses, and those that these use, and so on."""
        if fragment not in self._reached:
            reached: set[str] = set()
            waiting = [fragment]
            while waiting:
                held = self.fragments.get(waiting.pop())
                new = set() if held is None else held.uses - reached
                reached |= new
                waiting += new
            self._reached[fragment] = reached
        return self._reached[fragment]

    def fault(
        self,
        code: str,
        message: str,
        path: Path,
        *,
        where: Where | None = None,
        token: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        known: Iterable[str] = (),
        near: str | None = None,
        severity: str = "error",
    ) -> None:
        """Note a fault; ``token`` is the word at fault, and its nearest among ``known`` is offered; or ``near`` is."""
        if near is None and token is not None:
            near = nearest(token, known)
        place = (where or self.where)(path, token)
        self.faults.append(Fault(code, message, place, path_text(path), expected, found, near, severity, self.title))


def weight(tree: Any) -> int:
    """How many steps a turn through a tree counts for: one, and one more for every sixteen nodes in it."""
    return 1 + _nodes(tree) // 16


def _nodes(tree: Any) -> int:
    if isinstance(tree, dict):
        return 1 + sum(map(_nodes, tree.values()))
    return 1 + sum(map(_nodes, tree)) if isinstance(tree, list) else 1
