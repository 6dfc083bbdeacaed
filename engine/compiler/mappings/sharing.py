"""Sharing: a mapping that a child inherits unchanged is its parent's function, compiled once.

Takes a mapping with the fragments and tables of its document; gives a key that is the same exactly where the compiled
function would be the same: the tree itself, every fragment it can reach, and every table that these look into.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.compiler import directives
from engine.compiler.expressions.scope import Fragment, Path, Where
from engine.filters import FILTERS, Literal

_LOOKING = tuple(f"{item.name}(" for item in FILTERS.values() if Literal.TABLE in item.literals)
_LOOKUP = re.compile(rf"""(?:{"|".join(map(re.escape, _LOOKING))})\s*['"]([^'"]*)['"]""")
"""How an expression names a table that it looks into."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a tree names itself, and whether it may give a null."""

    fragments: frozenset[str]
    tables: frozenset[str]
    gives_null: bool


class Sharing:
    """Keys of mappings. It holds on to every tree that it has seen, since a key goes by identity."""

    def __init__(self) -> None:
        self._needs: dict[int, tuple[Any, Needs]] = {}

    def fragment(self, name: str, args: tuple[str, ...], do: Any, where: Where, at: Path) -> Fragment:
        """A fragment, with what is known of its tree."""
        needs = self._of(do)
        return Fragment(name, args, do, where, at, needs.fragments, needs.gives_null)

    def key(self, tree: Any, fragments: Mapping[str, Fragment], tables: Mapping[str, Any], *more: Hashable) -> Hashable:
        """The key of a mapping; ``more`` is whatever else makes a difference."""
        reached: dict[str, Fragment] = {}
        named: set[str] = set()
        waiting = [tree]
        while waiting:
            needs = self._of(waiting.pop())
            named |= needs.tables
            for name in needs.fragments:
                if name in fragments and name not in reached:
                    reached[name] = fragments[name]
                    waiting.append(fragments[name].do)
        parts = [(name, item.args, _identity(item.do)) for name, item in sorted(reached.items())]
        looked = [(name, _identity(tables.get(name))) for name in sorted(named)]
        return (_identity(tree), tuple(parts), tuple(looked), *more)

    def _of(self, tree: Any) -> Needs:
        held = self._needs.get(id(tree))
        if held is None:
            held = self._needs[id(tree)] = (tree, _needs(tree))
        return held[1]


def _needs(tree: Any) -> Needs:
    survey = directives.survey(tree)
    return Needs(frozenset(survey.fragments), frozenset(_tables(tree)), survey.gives_null)


class _Same:
    """The very object, not one like it; it stays that where both were put away and taken up together."""

    __slots__ = ("tree",)

    def __init__(self, tree: Any) -> None:
        self.tree = tree

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.tree is self.tree

    def __hash__(self) -> int:
        return id(self.tree)

    def __reduce__(self) -> tuple[type[_Same], tuple[Any]]:
        return _Same, (self.tree,)


def _identity(tree: Any) -> Hashable:
    return tree if isinstance(tree, str) else _Same(tree)


def _tables(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        if any(call in tree for call in _LOOKING):
            yield from _LOOKUP.findall(tree)
    elif isinstance(tree, list | dict):
        for item in tree if isinstance(tree, list) else tree.values():
            yield from _tables(item)
