"""Sharing: a mapping that a child inherits unchanged is its parent's function, compiled once.

Takes a mapping with the fragments and tables of its document; gives a key that is the same exactly where the compiled
function would be the same: the tree itself, every fragment it can reach, and every table that these look into.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.compiler.scope import Fragment

_LOOKUP = re.compile(r"""lookup\(\s*['"]([^'"]*)['"]""")


@dataclass(slots=True)
class Needs:
    """What a tree names itself."""

    fragments: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)


class Sharing:
    """Keys of mappings. It holds on to every tree that it has seen, since a key goes by identity."""

    def __init__(self) -> None:
        self._needs: dict[int, tuple[Any, Needs]] = {}

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
        looked = [(name, id(tables.get(name))) for name in sorted(named)]
        return (_identity(tree), tuple(parts), tuple(looked), *more)

    def _of(self, tree: Any) -> Needs:
        held = self._needs.get(id(tree))
        if held is None:
            held = self._needs[id(tree)] = (tree, Needs())
            _collect(tree, held[1])
        return held[1]


def _identity(tree: Any) -> Hashable:
    return tree if isinstance(tree, str) else (id(tree),)


def _collect(tree: Any, needs: Needs) -> None:
    if isinstance(tree, str):
        if "lookup(" in tree:
            needs.tables.update(_LOOKUP.findall(tree))
    elif isinstance(tree, list):
        for item in tree:
            _collect(item, needs)
    elif isinstance(tree, dict):
        name = tree.get("$use")
        if isinstance(name, str):
            needs.fragments.add(name)
        for item in tree.values():
            _collect(item, needs)
