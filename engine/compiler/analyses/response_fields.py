"""What becomes of each field of an answer, told without decoding one.

Takes the tree that decodes answers (whole, or one event of a stream) and its variable; gives, for each wire path that
it reads, the hub's words under which what is read there is kept. So whoever knows which of the words a target's encode
reads knows which fields of the answer reach it. ``OWN`` stands for what only the format itself takes back: extensions,
opaque values. A path that ends in ``?`` is looked at but not taken whole. Counts are read by the paths of the
format's ``usage``. What encode says of an answer is told in words, too.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jinja2 import nodes

from engine.compiler.analyses.read_paths import WHOLE, Names, Steps, Walk, filter_of
from engine.compiler.directives import DirectiveChild
from engine.compiler.expressions.parsing import ParseError, bare
from engine.compiler.expressions.scope import Scope
from engine.filters import TESTS, HandsOn
from engine.program.surviving_fields import OWN, TESTED

_OWN_KEYS = frozenset({"extensions", "native", "raw"})
_COUNTS = "(counts)"
_CHOSEN = "(chosen)"
"""What only says which item of a list is meant."""
_INDEX = re.compile(r"\[[^\]]*\]")

Reads = list[list[Any]]
"""[wire path, word, ...] each."""


def fields(tree: Any, variable: str, scope: Scope, usage: Mapping[str, Any], *, counts: bool = False) -> Reads:
    """The wire paths that a tree reads, each with the words above it. ``counts``: the tree gives a usage object."""
    return _listed(_Fields(scope, _counted(usage), counts), tree, variable)


def asked(tree: Any, variable: str, scope: Scope) -> Reads:
    """The same of a request: paths as deep as people look, as schemas go on for ever."""
    return _listed(_Asked(scope, {}, False), tree, variable)


def _listed(walk: _Fields, tree: Any, variable: str) -> Reads:
    walk.begin(tree, variable)
    return sorted([path, *sorted(words)] for path, words in walk.noted)


def _counted(usage: Mapping[str, Any]) -> dict[Steps, str]:
    """The paths below a usage object that are counted, with the bucket's name."""
    buckets: dict[Steps, str] = {}
    for name, rule in usage.items():
        if name in ("calls", "meters"):
            buckets.update(dict.fromkeys(_counted(rule), name))
        elif isinstance(rule, Mapping):
            paths = rule.get("path")
            for path in paths if isinstance(paths, list) else [paths]:
                if isinstance(path, str):
                    buckets[tuple(_INDEX.sub("", path).split("."))] = name
    return buckets


class _Fields(Walk):
    transparent = Walk.transparent | {HandsOn.REST}

    def __init__(self, scope: Scope, counted: dict[Steps, str], counts: bool) -> None:
        super().__init__(scope)
        self.noted: set[tuple[str, frozenset[str]]] = set()
        self._counted = counted
        self._words: frozenset[str] = frozenset({_COUNTS} if counts else ())
        self._outside: frozenset[str] = frozenset()
        """The words above the usage object that is looked at."""
        self._known: frozenset[Steps] = frozenset()
        """What is known to be a text here."""

    def member(self, key: str, value: Any, tree: dict[str, Any], names: Names) -> None:
        with self._under(_word(key, tree)):
            self.tree(value, names)

    def child(self, child: DirectiveChild, names: Names) -> None:
        with self._under(None, self._texts(_condition(child.when), names)):
            self.tree(child.value, names)

    def _texts(self, test: nodes.Node | None, names: Names) -> frozenset[Steps]:
        """What is a text wherever a condition holds: nothing below it is read there."""
        if isinstance(test, nodes.And):
            return self._texts(test.left, names) | self._texts(test.right, names)
        if isinstance(test, nodes.Test) and test.name in TESTS and TESTS[test.name].types == (str,):
            steps = self.value(test.node, names)
            return frozenset({steps} if steps else ())
        return frozenset()

    @contextmanager
    def _under(self, word: str | None, texts: frozenset[Steps] = frozenset()) -> Iterator[None]:
        before, outside, known = self._words, self._outside, self._known
        self._known = known | texts
        if word == _COUNTS:
            self._outside = before
        if word is not None:
            self._words = before | {word}
        yield
        self._words, self._outside, self._known = before, outside, known

    def context(self) -> Hashable:
        return self._words, self._known

    def looped(self, steps: Steps) -> None:
        self.note((*steps, TESTED))

    def tested(self, steps: Steps) -> None:
        self.note((*steps, TESTED))

    def chosen(self, steps: Steps) -> None:
        with self._under(_CHOSEN):
            self.note(steps)

    def value(self, node: nodes.Node, names: Names) -> Steps | None:
        filtered = filter_of(node)
        if filtered is not None and filtered.record.hands_on is HandsOn.MEMBERS:
            steps = self.value(filtered.value, names)
            for argument in filtered.arguments if steps is not None else ():
                self.note((*(steps or ()), str(getattr(argument, "value", WHOLE))))
            return None
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
            self.expression(node.arg, names)
            return self.value(node.node, names)
        if filtered is not None and filtered.record.only_counts:
            steps = self.value(filtered.value, names)
            if steps is not None:
                self.tested(steps)
            return None
        if isinstance(node, nodes.CondExpr):
            self.expression(node.test, names)
            with self._under(None, self._texts(node.test, names)):
                self.expression(node.expr1, names)
            self.expression(node.expr2, names)
            return None
        return super().value(node, names)

    def expression(self, node: nodes.Node | None, names: Names) -> None:
        if isinstance(node, nodes.Dict) and _COUNTS in self._words:
            with self._under(OWN):
                super().expression(node, names)
        else:
            super().expression(node, names)

    def note(self, steps: Steps) -> None:
        if steps in self._known:
            steps = (*steps, TESTED)
        if _COUNTS not in self._words:
            self.noted.add((".".join(steps) or WHOLE, self._words))
            return
        words = self._words - {_COUNTS}
        if words - self._outside:
            # Something else that is counted or has a price: no caller hears of it.
            self.noted.add((".".join(steps), words | {OWN}))
            return
        steps = steps[:-1] if steps[-1:] == (TESTED,) else steps
        self.noted.add((".".join((*steps, TESTED)), words))
        self.noted.update((".".join((*steps, *below)), words | {name}) for below, name in self._counted.items())


class _Asked(_Fields):
    deepest = 5

    def goes_on(self, steps: Steps) -> bool:
        return len(steps) <= self.deepest

    def note(self, steps: Steps) -> None:
        if len(steps) <= self.deepest:
            super().note(steps)


def _condition(test: Any) -> nodes.Node | None:
    try:
        return bare(test).tree if isinstance(test, str) else None
    except ParseError:
        return None


def _word(key: str, tree: dict[str, Any]) -> str | None:
    """What a member of a map adds to the words of what it holds."""
    if key == "counts" and tree.get("type") == "usage":
        return _COUNTS
    if key in _OWN_KEYS or (key == "value" and "format" in tree):
        return OWN
    return key


def said(reads: Mapping[str, Any]) -> set[str]:
    """The words of a conversation that encode reads: ``reads`` are its paths by variable."""
    return {word for paths in reads.values() for path in paths for word in path.split(".")}
