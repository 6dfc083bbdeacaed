"""Results: what a mapping may give, told without running it.

Takes a tree and the document's own fragments; gives every map, list or text that may come out of it as it stands, with
its place. Follows directives and fragments; what an expression gives is told as far as it is written out: literal
words, branches, defaults, and what the document's tables hold. All else is left to tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from engine.compiler.parsing import ParseError, pieces
from engine.compiler.positions import Path

_BRANCHES = ("$then", "$else", "$in", "$do", "$nonempty")


@dataclass(frozen=True, slots=True)
class Given:
    """A value that may be given, where it stands, and whether it is only a piece of the map that comes to be."""

    at: Path
    value: Any
    piece: bool = False


@dataclass(frozen=True, slots=True)
class Book:
    """The document's own fragments and tables."""

    fragments: Mapping[str, Any]
    tables: Mapping[str, Any]

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Book:
        """The book of a Format's spec."""
        found = (spec.get(name) for name in ("fragments", "tables"))
        return cls(*(one if isinstance(one, dict) else {} for one in found))

    def results(self, tree: Any, at: Path, within: frozenset[str] = frozenset()) -> Iterator[Given]:
        """What a tree may give; nothing is told of what can't be known."""
        if not isinstance(tree, dict):
            if tree is not None:
                yield Given(at, tree)
        elif "$raw" in tree:
            yield Given((*at, "$raw"), tree["$raw"])
        elif "$use" in tree:
            yield from self._used(tree["$use"], within)
        elif "$merge" in tree:
            for index, piece in enumerate(tree["$merge"] if isinstance(tree["$merge"], list) else ()):
                for given in self.results(piece, (*at, "$merge", index), within):
                    yield Given(given.at, given.value, piece=True)
        elif any(str(key).startswith("$") for key in tree):
            if "$key" not in tree:
                yield from self._branches(tree, at, within)
        else:
            yield Given(at, tree)

    def _used(self, name: Any, within: frozenset[str]) -> Iterator[Given]:
        fragment = self.fragments.get(name) if isinstance(name, str) else None
        if isinstance(fragment, dict) and name not in within:
            yield from self.results(fragment.get("do"), ("spec", "fragments", name, "do"), within | {name})

    def _branches(self, tree: dict[str, Any], at: Path, within: frozenset[str]) -> Iterator[Given]:
        for key in _BRANCHES:
            if key in tree:
                yield from self.results(tree[key], (*at, key), within)
        cases = tree.get("$case")
        for name, case in cases.items() if isinstance(cases, dict) else ():
            yield from self.results(case, (*at, "$case", name), within)

    def items(self, tree: Any, at: Path) -> Iterator[Given]:
        """What the items of a list may be; a directive's list is spliced into the one that it stands in."""
        for given in self.results(tree, at):
            if isinstance(given.value, list):
                for index, item in enumerate(given.value):
                    yield from self.items(item, (*given.at, index))
            else:
                yield given

    def words(self, tree: Any, at: Path) -> Iterator[Given]:
        """The texts that a tree may give, each where it is written: in a table, maybe."""
        for given in self.results(tree, at):
            if isinstance(given.value, str) and "{{" in given.value:
                yield from self._expression(given)
            elif not isinstance(given.value, dict | list):
                yield given

    def _expression(self, given: Given) -> Iterator[Given]:
        try:
            found = pieces(given.value)
        except ParseError:
            return
        if len(found) == 1 and found[0].tree is not None:
            yield from self._node(found[0].tree, given.at)

    def _node(self, node: nodes.Node, at: Path) -> Iterator[Given]:
        if isinstance(node, nodes.Const):
            if node.value is not None:
                yield Given(at, node.value)
        elif isinstance(node, nodes.CondExpr):
            for branch in (node.expr1, node.expr2):
                if branch is not None:
                    yield from self._node(branch, at)
        elif isinstance(node, nodes.Filter) and node.name == "default" and node.node is not None:
            yield from self._node(node.node, at)
            for argument in node.args:
                yield from self._node(argument, at)
        elif isinstance(node, nodes.Filter) and node.name == "lookup" and node.args:
            yield from self._table(node.args[0])

    def _table(self, named: nodes.Node) -> Iterator[Given]:
        name = named.value if isinstance(named, nodes.Const) else None
        table = self.tables.get(name) if isinstance(name, str) else None
        for key, value in table.items() if isinstance(table, dict) else ():
            if not isinstance(value, dict | list) and value is not None:
                yield Given(("spec", "tables", str(name), key), value)
