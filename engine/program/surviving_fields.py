"""What an answer says that does not reach its caller: fields that decode never reads, and those for which the
caller's format has no word.

Takes what the compiler found decode to read, with the hub's words that it is kept under, and what encode says; gives
for a pair of formats a tree of the fields that arrive, and from answers or events of a stream the paths of all others.
What a document declares silent is not told. Lists have the path of their items; values are not looked at but for
whether they say anything. Knows no format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Json = Any
Line = tuple[str, str]

WHY = "the caller's format has no word for it"
MOST = 50
"""Lines of one answer: whoever answers with ever new fields can't make the report grow."""
_LONGEST = 120
"""Characters of a path in a line."""
TESTED = "?"
"""At the end of a path: it is looked at, but not taken whole."""
OWN = "(own)"
"""The word for what only the format itself takes back: extensions, opaque values."""
_WORDS = frozenset(
    {"citations", "quote", "file_id", "filename", "start", "end", "logprobs", "created", "expires", "phase", "caller"}
    | {"namespace", "detail", "context", "encrypted", "signature", "details", "stop_text", "service_tier"}
    | {
        "cache_read",
        "cache_write",
        "cache_write_5m",
        "cache_write_1h",
        "tool_use_input",
        "reasoning",
        "calls",
        "models",
    }
    | {"input_audio", "input_image", "input_video", "output_audio", "output_image"}
)
"""Words of an answer that not every format has; all others are how the hub itself says things."""
_BETTER = {"citations": {"citation"}, "cache_write": {"cache_write_5m"}}
"""Words that say as much as another."""


class FieldTree:
    """One place in an answer: what is known below it. ``whole``: all of it is."""

    __slots__ = ("below", "known", "prefix", "whole")

    def __init__(self) -> None:
        self.prefix = ""
        self.below: dict[str, FieldTree] = {}
        self.known: dict[str, FieldTree | None] = {}
        """By key where to look further; None where all is known."""
        self.whole = False

    def at(self, path: str, whole: bool = True) -> None:
        """Make a path known."""
        here = self
        steps = path.split(".")
        for step in steps if steps[-1] != TESTED else steps[:-1]:
            here = here.below.setdefault(step, FieldTree())
        here.whole = here.whole or (whole and steps[-1] != TESTED)

    def prune(self, everything: FieldTree) -> None:
        """Take out what is only asked for here, and is read for what does not arrive."""
        for key, other in everything.below.items():
            here = self.below.get(key)
            if here is None or here.whole:
                continue
            here.prune(other)
            if not here.below and (other.whole or other.below):
                del self.below[key]

    def settle(self, prefix: str = "") -> FieldTree:
        """No more paths will come; ``prefix`` is how those below begin."""
        self.prefix = prefix
        for key, field in self.below.items():
            self.known[key] = None if field.whole else field.settle(f"{prefix}{key}.")
        return self


class SurvivingFields:
    """The fields of one format's answers, or of its events, for callers of any format."""

    __slots__ = ("_family", "_reads", "_trees", "silent")

    def __init__(self, reads: Iterable[list[str]], silent: Mapping[str, Any], family: str) -> None:
        self._reads = tuple((path, frozenset(words)) for path, *words in reads)
        self.silent = tuple(silent)
        """Paths that need not be told."""
        self._family = family
        self._trees: dict[tuple[str, frozenset[str]], FieldTree] = {}

    def loss_finder(self, caller: str, family: str, says: frozenset[str]) -> LossFinder:
        """Who finds what does not reach callers of a format, of a family, with those words."""
        tree = self._trees.get((caller, says))
        if tree is None:
            tree = self._trees[caller, says] = self._tree(family == self._family, says)
        return LossFinder(tree)

    def _tree(self, kin: bool, says: frozenset[str]) -> FieldTree:
        unsaid = {word for word in _WORDS - says if not _BETTER.get(word, set()) & says}
        unsaid |= ({"citation"} if "citations" in unsaid else set()) | (set() if kin else {OWN})
        tree, everything = FieldTree(), FieldTree()
        for path, words in self._reads:
            everything.at(path)
            if not unsaid & words:
                tree.whole = tree.whole or path == "*"
                tree.at(path)
        tree.prune(everything)
        for path in self.silent:
            tree.at(path)
        return tree.settle()


class LossFinder:
    """What one answer, or one stream, said that did not arrive; each path once."""

    __slots__ = ("_tree", "paths")

    def __init__(self, tree: FieldTree) -> None:
        self._tree = tree
        self.paths: dict[str, None] = {}

    def look(self, value: Json) -> None:
        """PERF: about 0.8 µs for a chunk that is known to the last key."""
        if value.__class__ is dict and not self._tree.whole:
            self._look(self._tree, value)

    def lines(self) -> list[Line]:
        """What was found, for the report."""
        return [(path, WHY) for path in self.paths]

    def _look(self, field: FieldTree, value: dict[str, Json]) -> None:
        known = field.known
        for key, held in value.items():
            inner = known.get(key, field)
            if inner is None:
                continue
            if inner is field:
                self._tell(f"{field.prefix}{key}"[:_LONGEST], held)
            elif held.__class__ is dict:
                self._look(inner, held)
            elif held.__class__ is list:
                for item in held:
                    if item.__class__ is dict:
                        self._look(inner, item)

    def _tell(self, path: str, held: Json) -> None:
        if path not in self.paths and len(self.paths) < MOST and _says_something(held):
            self.paths[path] = None


def _says_something(value: Json) -> bool:
    """Zero, a flag that is not set, and what holds nothing else say nothing."""
    left = [value]
    while left:
        held = left.pop()
        if isinstance(held, dict):
            left.extend(held.values())
        elif isinstance(held, list):
            left.extend(held)
        elif held:
            return True
    return False
