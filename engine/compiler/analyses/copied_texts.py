"""Texts that decode only hands on: whatever they say, a wire event comes to the same hub events but for them.

Takes the tree that decodes events and its variable; gives the wire paths below it that are copied whole, and of which
nothing else is asked than whether there is a text. Whoever has decoded one event knows then what another comes to that
differs in such a text alone.
"""

from __future__ import annotations

from typing import Any

from jinja2 import nodes

from engine.compiler.analyses.read_paths import Names, Steps, Walk, filter_of, whole_expression
from engine.compiler.expressions.scope import Scope
from engine.filters import TESTS, HandsOn


def texts(tree: Any, variable: str, scope: Scope) -> list[str]:
    """The dotted paths; items of a list have the path of their list."""
    walk = _Texts(scope)
    walk.begin(tree, variable)
    return sorted(".".join(steps) for steps in walk.copied if walk.only_copied(steps))


class _Texts(Walk):
    transparent = frozenset({HandsOn.WHOLE})

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.copied: set[Steps] = set()
        self._looked_at: set[Steps] = set()

    def only_copied(self, steps: Steps) -> bool:
        """Neither it nor what holds it is looked at; below a text there is nothing to be read."""
        above = [steps[:count] for count in range(len(steps) + 1)]
        return 0 < len(steps) < self.deepest and self._looked_at.isdisjoint(above)

    def _leaf(self, text: str, names: Names) -> None:
        node = whole_expression(text)
        if node is None:
            super()._leaf(text, names)
        else:
            self.copied.update(self._handed_on(node, names))

    def _handed_on(self, node: nodes.Node, names: Names) -> list[Steps]:
        """The paths of which an expression gives one as it is; what else it reads is noted."""
        filtered = filter_of(node)
        if filtered is not None and filtered.record.hands_on in self.transparent:
            sources = (filtered.value, *filtered.arguments)
            return [steps for source in sources for steps in self._handed_on(source, names)]
        steps = self.value(node, names)
        return [] if steps is None else [steps]

    def expression(self, node: nodes.Node | None, names: Names) -> None:
        subject = _asked_for_text(node)
        if subject is None:
            super().expression(node, names)
        else:
            self._handed_on(subject, names)

    def looped(self, steps: Steps) -> None:
        """No loop runs over a text."""

    def tested(self, steps: Steps) -> None:
        self.note(steps)

    def note(self, steps: Steps) -> None:
        self._looked_at.add(steps)


def _asked_for_text(node: nodes.Node | None) -> nodes.Node | None:
    """What is asked about, where the answer is the same for every text that is not empty."""
    if isinstance(node, nodes.Test) and node.name in TESTS and TESTS[node.name].same_for_texts:
        return node.node
    if isinstance(node, nodes.Compare) and len(node.ops) == 1 and node.ops[0].op in ("eq", "ne"):
        other = node.ops[0].expr
        if isinstance(other, nodes.Const) and other.value == "":
            return node.expr
    return None
