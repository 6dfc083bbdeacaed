"""How much a mapping can make of its input, known before anything runs.

Values are shared in memory, but written out once for each place where they stand, so names that hold each other grow
with every line, and two dozen of them past all bounds. Takes trees; gives faults where a value may hold too much. What
goes by the data (loops that put in what stands outside of them, fragments that use themselves) is taken from the
mapping's steps instead, by ``o_put``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import nodes

from engine.compiler.directives.loop import split_head
from engine.compiler.parsing import ParseError, bare, pieces, root_of
from engine.compiler.scope import Fragment, Path, Scope, Where, uses, weight
from engine.filters import FILTERS

COPIES = 1 << 16
"""How many copies of what it is given, and values of its own, a mapping may make (the largest shipped: 19152)."""
_SMALL = (nodes.Const, nodes.TemplateData, nodes.Test, nodes.Compare, nodes.Not)
_ESCAPING = {"tojson": 2, "string": 2, "b64encode": 2}
"""Filters whose text may be longer than what it is made of."""
_PLAIN = ("$then", "$else", "$in", "$do", "$merge", "$nonempty")
_Names = Mapping[str, int]


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
    others = uses(fragment.do) - {fragment.name}
    if len(fragment.args) != 1 or any(fragment.name in scope.reached(other) for other in others):
        return frozenset()
    (argument,) = fragment.args
    sites = list(_sites(fragment.do, fragment.name, ()))
    if len(sites) != 1 or len(sites[0][0]) != 1:
        return frozenset()
    (head,), given = sites[0]
    split = split_head(head)
    falls = split is not None and len(split[0]) == 1 and _root(split[1]) == (argument, True)
    passed = given.get(argument) if isinstance(given, dict) else None
    same = split is not None and "{{" in str(passed) and _root(passed) == (split[0][0], False)
    return frozenset({argument}) if falls and same else frozenset()


def _sites(tree: Any, name: str, loops: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Where a tree uses a fragment: the heads of the loops around it, and what is given."""
    if isinstance(tree, list):
        for item in tree:
            yield from _sites(item, name, loops)
    elif isinstance(tree, dict):
        inner = (*loops, tree["$for"]) if "$for" in tree else loops
        if tree.get("$use") == name:
            yield inner, tree.get("$with")
        for item in tree.values():
            yield from _sites(item, name, inner)


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
        if not isinstance(tree, dict):
            return unit
        if "$raw" in tree:
            return unit * weight(tree["$raw"])
        if "$use" in tree:
            return self._use(tree, names, unit, at)
        if "$let" in tree:
            names = self._let(tree, names, unit, at)
        if "$for" in tree:
            names, unit = self._loop(tree, names, unit)
        if "$if" in tree:
            return max(self.tree(tree.get(key), names, unit, (*at, key)) for key in ("$then", "$else"))
        if isinstance(cases := tree.get("$case"), dict):
            return max((self.tree(case, names, unit, (*at, "$case", key)) for key, case in cases.items()), default=unit)
        return sum(self.tree(item, names, unit, (*at, key)) for key, item in tree.items() if _holds(key)) or unit

    def _let(self, tree: dict[str, Any], names: _Names, unit: int, at: Path) -> _Names:
        given = tree["$let"]
        for name, value in given.items() if isinstance(given, dict) else ():
            here = (*at, "$let", name)
            names = {**names, name: self.within(self.tree(value, names, unit, here), here)}
        return names

    def _loop(self, tree: dict[str, Any], names: _Names, unit: int) -> tuple[_Names, int]:
        head = split_head(tree["$for"])
        if head is None:
            return names, unit
        try:
            unit = max(unit, self._expression(bare(head[1]).tree, names, unit))
        except ParseError:
            return names, unit
        return {**names, **dict.fromkeys(head[0], unit)}, unit

    def _use(self, tree: dict[str, Any], names: _Names, unit: int, at: Path) -> int:
        given, wanted = tree.get("$with"), tree["$use"]
        fragment = self.scope.fragments.get(wanted) if isinstance(wanted, str) else None
        if fragment is None:
            return unit
        passed = [unit]
        for name, value in given.items() if isinstance(given, dict) else ():
            here = (*at, "$with", name)
            passed.append(self.within(self.tree(value, names, unit, here), here))
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
        if isinstance(node, nodes.Filter):
            record = FILTERS.get(node.name)
            if record is None or record.gives in ("number", "boolean"):
                return unit
            return (max if node.name == "default" else sum)(copies) * _ESCAPING.get(node.name, 1)
        return sum(copies)


def _holds(key: Any) -> bool:
    return not str(key).startswith("$") or key in _PLAIN


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
