"""How much a mapping can make of its input, known before anything runs.

Values are shared in memory, but written out once for each place where they stand, so names that hold each other grow
with every line, and two dozen of them past all bounds. Takes trees; gives faults where a value may hold too much. What
goes by the data (loops that put in what stands outside of them, fragments that use themselves) is taken from the
mapping's steps instead, by ``o_put``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import nodes

from engine.compiler.directives import DirectiveChild, Role, children
from engine.compiler.expressions.parsing import ParseError, bare, pieces, root_of
from engine.compiler.expressions.scope import Fragment, Path, Scope, Where, weight
from engine.filters import FILTERS

COPIES = 1 << 16
"""How many copies of what it is given, and values of its own, a mapping may make (the largest shipped: 19152)."""
_SMALL = (nodes.Const, nodes.TemplateData, nodes.Test, nodes.Compare, nodes.Not)
_Names = Mapping[str, int]
_Site = tuple[tuple[DirectiveChild, ...], dict[str, Any]]


def check(scope: Scope, where: Where, tree: Any, variables: tuple[str, ...], at: Path) -> None:
    """Faults of a mapping that makes too much; each is told once."""
    growth = _Growth(scope, where)
    try:
        growth.within(growth.tree(tree, dict.fromkeys(variables, 1), 1, at), at)
    except RecursionError:
        scope.fault("too-large", "fragments use each other in too long a chain", at, where=where)


def descending(scope: Scope, fragment: Fragment) -> frozenset[str]:
    """The argument of a fragment that uses itself only once, in a loop over a part of that argument, if this is one.

    Each piece of the data has then one turn, so that what stands in it is put in once for each level that it lies at.
    """
    others = fragment.uses - {fragment.name}
    if len(fragment.args) != 1 or any(fragment.name in scope.reached(other) for other in others):
        return frozenset()
    (argument,) = fragment.args
    sites = list(_sites(fragment.do, fragment.name, ()))
    if len(sites) != 1 or len(sites[0][0]) != 1:
        return frozenset()
    (loop,), passed = sites[0]
    falls = len(loop.names) == 1 and _root(loop.value) == (argument, True)
    same = "{{" in str(passed.get(argument)) and _root(passed.get(argument)) == (loop.names[0], False)
    return frozenset({argument}) if falls and same else frozenset()


def _sites(
    tree: Any, name: str, loops: tuple[DirectiveChild, ...]
) -> Iterator[tuple[tuple[DirectiveChild, ...], dict[str, Any]]]:
    """Where a tree uses a fragment: the sources of the loops around it, and what is given."""
    held = children(tree)
    if held is None:
        for item in tree if isinstance(tree, list) else tree.values() if isinstance(tree, dict) else ():
            yield from _sites(item, name, loops)
        return
    arguments: dict[str, Any] = {}
    for child in held:
        if child.role is Role.SOURCE:
            loops = (*loops, child)
        elif child.role is Role.FRAGMENT:
            if child.value == name:
                yield loops, arguments
        elif child.role is not Role.LITERAL:
            if child.role is Role.ARGUMENT:
                arguments[child.names[0]] = child.value
            yield from _sites(child.value, name, loops)


def _root(text: Any) -> tuple[str, bool] | None:
    """The name that a plain read begins with, and whether it is a part of its value."""
    try:
        node = bare(text).tree if isinstance(text, str) else None
    except ParseError:
        return None
    root = root_of(node)
    return (root.name, root is not node) if isinstance(root, nodes.Name) else None


class _Growth:
    """Counts in one function's tree. ``unit`` is what a value without names counts: in a loop, as its source does."""

    def __init__(self, scope: Scope, where: Where) -> None:
        self.scope = scope
        self.where = where

    def within(self, count: int, at: Path) -> int:
        """The count, or a fault and 1 where it is too high."""
        if count <= COPIES:
            return count
        message = f"this can grow to more than {COPIES} copies of what the mapping is given"
        expected = "names and arguments that do not hold each other many times over"
        self.scope.fault("too-large", message, at, where=self.where, expected=expected)
        return 1

    def tree(self, tree: Any, names: _Names, unit: int, at: Path) -> int:
        """The copies in a tree's value."""
        if isinstance(tree, str):
            return self._leaf(tree, names, unit)
        if isinstance(tree, list):
            return sum(self.tree(item, names, unit, (*at, index)) for index, item in enumerate(tree)) or unit
        held = children(tree)
        if held is not None:
            return self._steered(held, names, unit, at)
        if not isinstance(tree, dict):
            return unit
        return sum(self.tree(item, names, unit, (*at, key)) for key, item in tree.items()) or unit

    def _steered(self, held: Iterable[DirectiveChild], names: _Names, unit: int, at: Path) -> int:
        """The copies in the value of a directive: of its results the largest, and all that is put in beside it."""
        results: list[int] = []
        pieces_: list[int] = []
        passed = [unit]
        for child in held:
            here = (*at, *child.at)
            match child.role:
                case Role.SOURCE:
                    names, unit = self._loop(child, names, unit)
                case Role.NAMED:
                    names = {**names, child.names[0]: self.within(self.tree(child.value, names, unit, here), here)}
                case Role.ARGUMENT:
                    passed.append(self.within(self.tree(child.value, names, unit, here), here))
                case Role.FRAGMENT:
                    results.append(self._use(child.value, passed, unit, at))
                case Role.LITERAL:
                    results.append(unit * weight(child.value))
                case Role.RESULT:
                    results.append(self.tree(child.value, names, unit, here))
                case Role.PIECE | Role.MEMBER:
                    pieces_.append(self.tree(child.value, names, unit, here))
        return max(results, default=0) + sum(pieces_) or unit

    def _loop(self, source: DirectiveChild, names: _Names, unit: int) -> tuple[_Names, int]:
        try:
            unit = max(unit, self._expression(bare(source.value).tree, names, unit))
        except ParseError:
            return names, unit
        return {**names, **dict.fromkeys(source.names, unit)}, unit

    def _use(self, name: Any, passed: list[int], unit: int, at: Path) -> int:
        fragment = self.scope.fragments.get(name) if isinstance(name, str) else None
        if fragment is None:
            return unit
        copies, own = _factors(self.scope, fragment)
        return self.within(copies * max(passed) + own * unit, at)

    def _leaf(self, text: str, names: _Names, unit: int) -> int:
        try:
            return sum(self._expression(piece.tree, names, unit) for piece in pieces(text))
        except ParseError:
            return unit

    def _expression(self, node: nodes.Node | None, names: _Names, unit: int) -> int:
        if node is None or isinstance(node, _SMALL):
            return unit
        if isinstance(node, nodes.Name):
            return max(unit, names.get(node.name, unit))
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            return self._expression(node.node, names, unit)
        children = list(node.iter_child_nodes())
        if isinstance(node, nodes.CondExpr):
            children.remove(node.test)
        copies = [self._expression(child, names, unit) for child in children] or [unit]
        if isinstance(node, nodes.CondExpr | nodes.And | nodes.Or):
            return max(copies)
        return _of_filter(node.name, copies, unit) if isinstance(node, nodes.Filter) else sum(copies)


def _of_filter(name: str, copies: list[int], unit: int) -> int:
    record = FILTERS.get(name)
    if record is None or record.gives in ("number", "boolean"):
        return unit
    return (max if record.alternative else sum)(copies) * record.longer


def _factors(scope: Scope, fragment: Fragment) -> tuple[int, int]:
    """How many copies of its largest argument a fragment gives, and how many values of its own.

    One copy where it is in the making: what a circle gives is bounded by steps.
    """
    if fragment.name not in scope.factors:
        scope.factors[fragment.name] = (1, 0)
        growth = _Growth(scope, fragment.where)
        copies = growth.tree(fragment.do, dict.fromkeys(fragment.args, 1), 0, fragment.at)
        own = growth.tree(fragment.do, dict.fromkeys(fragment.args, 0), 1, fragment.at)
        scope.factors[fragment.name] = (growth.within(copies, fragment.at), growth.within(own, fragment.at))
    return scope.factors[fragment.name]
