"""What a mapping reads of a variable, told without running it.

Takes a tree, a variable and its Scope; gives dotted paths such as ``sampling.top_k``. Follows loops, `$let` and
fragments while a value is passed on as it is; what happens to it elsewhere counts as reading the whole of it. ``*``
stands for the variable as a whole. Items of a list have the path of their list.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from jinja2 import nodes

from engine.compiler.directives import DirectiveChild, Role, children
from engine.compiler.expressions.parsing import ParseError, bare, pieces
from engine.compiler.expressions.scope import Scope
from engine.filters import FILTERS, Filter, HandsOn
from engine.program.surviving_fields import TESTED

WHOLE = "*"
Steps = tuple[str, ...]
Names = Mapping[str, Steps]


class Filtered(NamedTuple):
    """A value behind which a known filter stands."""

    record: Filter
    value: nodes.Expr
    arguments: list[nodes.Expr]


def reads(tree: Any, variable: str, scope: Scope) -> set[str]:
    """Every path below the variable that the tree may read."""
    walk = Walk(scope)
    walk.begin(tree, variable)
    return walk.found


def members(tree: str, variable: str, scope: Scope) -> set[str]:
    """The members of a variable that an expression may read; ``*`` among them if it reads the variable as a whole."""
    walk = Walk(scope)
    walk.field(tree, {variable: ()})
    return walk.members


class Walk:
    """The way through one tree. What a note is made of, and what counts as a read, a subclass may say otherwise."""

    transparent = frozenset({HandsOn.WHOLE, HandsOn.ITEMS, HandsOn.VALUES})
    """What filters give of their input that is followed on; all others read the whole of it."""
    deepest = 8
    """Steps of a path; a fragment that calls itself on an inner value would deepen them for ever."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.found: set[str] = set()
        self.members: set[str] = set()
        self._seen: set[Hashable] = set()

    def begin(self, tree: Any, variable: str) -> None:
        """Note what a mapping reads of a variable."""
        names = {variable: ()}
        if isinstance(tree, str) and "{{" not in tree:
            self.field(tree, names)
        else:
            self.tree(tree, names)

    def tree(self, tree: Any, names: Names) -> None:
        if isinstance(tree, str):
            self._leaf(tree, names)
        elif isinstance(tree, list):
            for item in tree:
                self.tree(item, names)
        elif isinstance(tree, dict):
            self._map(tree, names)

    def field(self, text: Any, names: Names) -> None:
        """A field that holds one expression; faults are told elsewhere."""
        if isinstance(text, str):
            try:
                self.expression(bare(text).tree, names)
            except ParseError:
                return

    def _leaf(self, text: str, names: Names) -> None:
        try:
            for piece in pieces(text):
                self.expression(piece.tree, names)
        except ParseError:
            return

    def _map(self, tree: dict[str, Any], names: Names) -> None:
        held = children(tree)
        if held is None:
            for key, value in tree.items():
                self.member(key, value, tree, names)
            return
        arguments: dict[str, Steps | None] = {}
        for child in held:
            match child.role:
                case Role.ASKED:
                    self.field(child.value, names)
                case Role.SOURCE:
                    names = self._loop(child, names)
                case Role.NAMED:
                    names = self._bound(names, child.names[0], self._passed(child.value, names))
                case Role.ARGUMENT:
                    arguments[child.names[0]] = self._passed(child.value, names)
                case Role.FRAGMENT:
                    self._use(child.value, arguments)
                case Role.LITERAL:
                    pass
                case _:
                    self.child(child, names)

    def member(self, key: str, value: Any, tree: dict[str, Any], names: Names) -> None:
        """What a map says under a key."""
        self.tree(value, names)

    def child(self, child: DirectiveChild, names: Names) -> None:
        """A tree that a directive holds."""
        self.tree(child.value, names)

    def looped(self, steps: Steps) -> None:
        """A loop goes over what stands there."""
        self.note(steps)

    def tested(self, steps: Steps) -> None:
        """It is asked whether there is anything."""
        self.note((*steps, TESTED) if len(steps) == 1 else steps)

    def chosen(self, steps: Steps) -> None:
        """Items of a list are chosen by what stands there."""
        self.note(steps)

    def goes_on(self, steps: Steps) -> bool:
        """Whether a fragment is followed that is given what stands there."""
        return True

    def context(self) -> Hashable:
        """What a fragment's reads depend on beside its arguments."""
        return None

    def _loop(self, source: DirectiveChild, names: Names) -> Names:
        text = source.value
        steps = self._passed(text if "{{" in text else "{{ " + text + " }}", names)
        if steps:
            self.looped(steps)
        for name in source.names[:-1]:
            names = self._bound(names, name, None)
        return self._bound(names, source.names[-1], steps)

    def _use(self, name: Any, arguments: Mapping[str, Steps | None]) -> None:
        fragment = self.scope.fragments.get(name) if isinstance(name, str) else None
        followed = {
            argument: steps[: self.deepest]
            for argument, steps in arguments.items()
            if steps is not None and self.goes_on(steps)
        }
        if fragment is None or not followed:
            return
        mark = (fragment.name, tuple(sorted(followed.items())), self.context())
        if mark not in self._seen:
            self._seen.add(mark)
            self.tree(fragment.do, {key: steps for key, steps in followed.items() if key in fragment.args})

    def _passed(self, tree: Any, names: Names) -> Steps | None:
        """The path of a value that is passed on as it is; anything else is read here."""
        node = whole_expression(tree)
        if node is not None:
            return self.value(node, names)
        self.tree(tree, names)
        return None

    def value(self, node: nodes.Node, names: Names) -> Steps | None:
        """The path that an expression stands for, or None after noting what it reads."""
        if isinstance(node, nodes.Name):
            return names.get(node.name)
        key = _key(node)
        if key is not None:
            owner = self.value(node.node, names)  # type: ignore[attr-defined]
            return None if owner is None else (*owner, key)
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and type(node.arg.value) is int:
            return self.value(node.node, names)
        filtered = filter_of(node)
        if filtered is not None and filtered.record.hands_on in self.transparent:
            return self._filtered(filtered, names)
        for child in node.iter_child_nodes():
            self.expression(child, names)
        return None

    def _filtered(self, filtered: Filtered, names: Names) -> Steps | None:
        """The path of items that a filter hands on; what it looks at to choose them is noted."""
        for argument in filtered.arguments:
            self.expression(argument, names)
        steps = self.value(filtered.value, names)
        key = filtered.arguments[0] if filtered.arguments else None
        if steps is None or not isinstance(key, nodes.Const):
            return steps
        if filtered.record.by_key:
            self.chosen((*steps, str(key.value)))
        return (*steps, str(key.value)) if filtered.record.hands_on is HandsOn.VALUES else steps

    def expression(self, node: nodes.Node | None, names: Names) -> None:
        """Note what an expression reads; asking for the type of the whole variable does not count.

        Whether one of its members is there at all does, but not as reading all that it holds.
        """
        if node is None:
            return
        if isinstance(node, nodes.Test):
            for argument in node.args:
                self.expression(argument, names)
            steps = self.value(node.node, names)
            if steps:
                self.tested(steps)
            return
        filtered = filter_of(node)
        if filtered is not None and filtered.record.only_asks:
            steps = self.value(filtered.value, names)
            key = filtered.arguments[0] if len(filtered.arguments) == 1 else None
            if steps is not None and isinstance(key, nodes.Const):
                self.note((*steps, str(key.value)))
                return
        steps = self.value(node, names)
        if steps is not None:
            self.note(steps)

    def note(self, steps: Steps) -> None:
        """What stands there is read."""
        self.found.add(".".join(steps) or WHOLE)
        self.members.add(steps[0] if steps else WHOLE)

    def _bound(self, names: Names, name: str, steps: Steps | None) -> Names:
        changed = dict(names)
        changed.pop(name, None)
        if steps is not None:
            changed[name] = steps
        return changed


def filter_of(node: nodes.Node | None) -> Filtered | None:
    """The filter that gives a value, with its record, if one does."""
    record = FILTERS.get(node.name) if isinstance(node, nodes.Filter) else None
    if record is None or not isinstance(node, nodes.Filter) or node.node is None:
        return None
    return Filtered(record, node.node, node.args)


def whole_expression(tree: Any) -> nodes.Node | None:
    """The expression that is all of a leaf; None for any other tree."""
    try:
        parts = pieces(tree) if isinstance(tree, str) and "{{" in tree else []
    except ParseError:
        return None
    return parts[0].tree if len(parts) == 1 else None


def _key(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.arg.value
    return None
