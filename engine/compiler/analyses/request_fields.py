"""What request.encode takes of a request, told without running it: as ``read_paths`` does, and with what a list loses.

Takes a tree and its Scope; gives dotted paths. A list that is gone through has ``[]`` behind its path, so that the path
alone means the whole of each item; a list of which only one item is ever taken has ``[one]``.
"""

from __future__ import annotations

from typing import Any

from jinja2 import nodes

from engine.compiler.analyses.read_paths import Names, Steps, Walk, filter_of
from engine.compiler.expressions.scope import Scope
from engine.hub.loss import ONE

LOOPED = "[]"
_ONE_OF = "one of "
"""Before the name of a list: what stands for one of its items."""


def taken(tree: Any, scope: Scope) -> frozenset[str]:
    """Every path below ``request`` that the tree takes."""
    walk = _Taken(scope)
    walk.begin(tree, "request")
    return frozenset(walk.found | {f"{name}.{ONE}" for name in walk.picked - walk.every})


class _Taken(Walk):
    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.picked: set[str] = set()
        self.every: set[str] = set()

    def looped(self, steps: Steps) -> None:
        """The items are told by what is read of each."""
        self.note((*steps, LOOPED))

    def value(self, node: nodes.Node, names: Names) -> Steps | None:
        """One item of a list, and the words alone of parts."""
        if _takes_one(node):
            steps = super().value(node, names)
            return (_ONE_OF + steps[0],) if steps is not None and len(steps) == 1 else steps
        filtered = filter_of(node)
        if filtered is not None and filtered.record.reads:
            steps = self.value(filtered.value, names)
            if steps:
                self.note((*steps, filtered.record.reads))
            for argument in filtered.arguments:
                self.expression(argument, names)
            return None
        return super().value(node, names)

    def note(self, steps: Steps) -> None:
        """Whether it is read of every item, or of one."""
        if steps and steps[0].startswith(_ONE_OF):
            steps = (steps[0].removeprefix(_ONE_OF), *steps[1:])
            self.picked.add(steps[0])
        elif steps:
            self.every.add(steps[0])
        super().note(steps)


def _takes_one(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Getitem):
        return isinstance(node.arg, nodes.Const) and type(node.arg.value) is int
    filtered = filter_of(node)
    return filtered is not None and filtered.record.takes_one
