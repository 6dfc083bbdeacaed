"""Where in the caller's body that stands which a loss line names by the hub's words.

Takes what the compiler found decode to read, with the hub's words that it is kept under; gives the places of a body
that a line such as ``messages.parts.cache`` is about: ``messages[2].content[0].cache_control``. Asked only when
something was lost. Knows no format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from typing import Any

from engine.program.origins import Path, own_path, path_text
from engine.program.surviving_fields import TESTED

Json = Any
Line = tuple[str, str]
Steps = tuple[str, ...]

MOST = 3
"""Places that a line names; of more, it says that there are."""
_LINES = 20
_EVERYWHERE = frozenset({"parts"})
"""Words that tell nothing apart: what a message says is in its parts."""
_WALKED = 2_000
"""Members of lists that are looked at for one line."""


class Places:
    """The wire paths of one format's requests by the hub's words."""

    __slots__ = ("_of", "_reads")

    def __init__(self, reads: Iterable[list[str]]) -> None:
        self._reads = tuple((tuple(path.split(".")), frozenset(words) - _EVERYWHERE) for path, *words in reads)
        # of the data and not of self: what holds itself lives until a full pass of the collector
        self._of = lru_cache(maxsize=1024)(partial(_kept_under, self._reads))

    @property
    def paths(self) -> Iterator[tuple[str, ...]]:
        """Every path that is read, as its names."""
        return (steps for steps, _ in self._reads)

    def named(self, lines: list[Line], body: Json, read: Json) -> list[Line]:
        """Lines that say where in ``body`` it was; ``read`` is the same body in the format's own spelling."""
        if not self._reads:
            return lines
        return [self._with(line, body, read) for line in lines[:_LINES]] + lines[_LINES:]

    def _with(self, line: Line, body: Json, read: Json) -> Line:
        path, why = line
        if "[" in path or (isinstance(read, dict) and path in read):
            return line  # it has a number, or is the caller's own already
        places = self.find(path, read)
        if not places:
            return line
        texts = ", ".join(path_text(own_path(body, read, place)) for place in places[:MOST])
        if texts == path:
            return line
        return path, f"{why} (in your request: {texts}{' and others' if len(places) > MOST else ''})"

    def of(self, path: str) -> tuple[Steps, ...]:
        """The wire paths outside of lists that say what a hub path of maps does."""
        nearest = self._of(path)
        return tuple(nearest[0]) if nearest else ()

    def find(self, path: str, read: Json) -> list[Path]:
        """The places that the hub's path stands for and that say something; the nearest in words that there are."""
        search = _Search()
        for nearest in self._of(path):
            for steps in nearest:
                search.look(read, steps, 0, ())
            if search.found:
                break
        return search.found


def _kept_under(reads: tuple[tuple[Steps, frozenset[str]], ...], path: str) -> list[list[Steps]]:
    """The wire paths that are kept under the words of a hub path: those with the fewest other words first."""
    words = frozenset(path.split(".")) - _EVERYWHERE
    near: dict[int, set[Steps]] = {}
    for steps, own_words in reads:
        if words <= own_words:
            near.setdefault(len(own_words), set()).add(steps[:-1] if steps[-1] == TESTED else steps)
    return [_uppermost(near[size]) for size in sorted(near)]


def _uppermost(paths: set[Steps]) -> list[Steps]:
    """The paths that stand below no other."""
    return sorted(steps for steps in paths if steps and not any(steps[:size] in paths for size in range(1, len(steps))))


class _Search:
    """One search; it ends when it has more than a line names, or has looked long enough."""

    __slots__ = ("_left", "found")

    def __init__(self) -> None:
        self.found: list[Path] = []
        self._left = _WALKED

    def look(self, value: Json, steps: Steps, depth: int, place: Path) -> None:
        """Note what stands at the steps below a value."""
        if value.__class__ is dict:
            if depth == len(steps):
                self.found += [place] if value else []
            else:
                held = value.get(steps[depth])
                if held is not None:
                    self.look(held, steps, depth + 1, (*place, steps[depth]))
        elif depth == len(steps):
            self.found += [place] if value or (value == 0 and value is not False) else []
        elif value.__class__ is list:
            self._left -= len(value)
            for index, item in enumerate(value):
                if item.__class__ is dict:
                    self.look(item, steps, depth, (*place, index))
                if len(self.found) > MOST or self._left < 0:
                    return
