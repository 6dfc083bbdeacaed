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

from engine.compiler.analyses.read_paths import filter_of
from engine.compiler.directives import Role, children, is_directive
from engine.compiler.documents.positions import Path
from engine.compiler.expressions.parsing import ParseError, pieces
from engine.filters import Literal


@dataclass(frozen=True, slots=True)
class Given:
    """A value that may be given, where it stands, and whether it is only a piece of the map that comes to be."""

    at: Path
    value: Any
    piece: bool = False


@dataclass(frozen=True, slots=True)
class ResultFinder:
    """The document's own fragments and tables."""

    fragments: Mapping[str, Any]
    tables: Mapping[str, Any]

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> ResultFinder:
        """The book of a Format's spec."""
        sections = (spec.get(name) for name in ("fragments", "tables"))
        return cls(*(section if isinstance(section, dict) else {} for section in sections))

    def results(self, tree: Any, at: Path, within: frozenset[str] = frozenset()) -> Iterator[Given]:
        """What a tree may give; nothing is told of what can't be known."""
        held = children(tree)
        if held is None:
            if tree is not None and not is_directive(tree):
                yield Given(at, tree)
            return
        for child in held:
            here = (*at, *child.at)
            if child.role is Role.LITERAL:
                yield Given(here, child.value)
            elif child.role is Role.FRAGMENT:
                yield from self._used(child.value, within)
            elif child.role is Role.RESULT:
                yield from self.results(child.value, here, within)
            elif child.role is Role.PIECE:
                for given in self.results(child.value, here, within):
                    yield Given(given.at, given.value, piece=True)

    def _used(self, name: Any, within: frozenset[str]) -> Iterator[Given]:
        fragment = self.fragments.get(name) if isinstance(name, str) else None
        if isinstance(fragment, dict) and name not in within:
            yield from self.results(fragment.get("do"), ("spec", "fragments", name, "do"), within | {name})

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
            parts = pieces(given.value)
        except ParseError:
            return
        if len(parts) == 1 and parts[0].tree is not None:
            yield from self._node(parts[0].tree, given.at)

    def _node(self, node: nodes.Node, at: Path) -> Iterator[Given]:
        if isinstance(node, nodes.Const):
            if node.value is not None:
                yield Given(at, node.value)
        elif isinstance(node, nodes.CondExpr):
            for branch in (node.expr1, node.expr2):
                if branch is not None:
                    yield from self._node(branch, at)
        elif (filtered := filter_of(node)) is not None:
            if filtered.record.alternative:
                for source in (filtered.value, *filtered.arguments):
                    yield from self._node(source, at)
            elif Literal.TABLE in filtered.record.literals and filtered.arguments:
                yield from self._table(filtered.arguments[0])

    def _table(self, named: nodes.Node) -> Iterator[Given]:
        name = named.value if isinstance(named, nodes.Const) else None
        table = self.tables.get(name) if isinstance(name, str) else None
        for key, value in table.items() if isinstance(table, dict) else ():
            if not isinstance(value, dict | list) and value is not None:
                yield Given(("spec", "tables", str(name), key), value)
