"""Arguments that arrive by path: ``{path: "$.items[0].price", value: 0.3}`` builds an object step by step.

Takes a root object and patches; changes the root in place. A text value whose predecessor at the same path said
``more`` continues it. Paths are bounded, so that a hostile index can't make a giant list.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Any

from engine.errors import GatewrightError

MAX_INDEX = 10_000
MAX_STEPS = 64

_STEP = re.compile(r"""\.?([^.\[\]'"$]+)|\[(\d{1,9})\]|\[(?:'([^']*)'|"([^"]*)")\]""")


class PatchError(GatewrightError, ValueError):
    """A path that can't be followed."""


@lru_cache(maxsize=512)
def steps(path: str) -> tuple[str | int, ...]:
    """The keys and indices of a path such as ``$.a[0]['b c']``."""
    at = 1 if path.startswith("$") else 0
    trail: list[str | int] = []
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or len(trail) >= MAX_STEPS:
            raise PatchError(f"argument path {path[:80]!r} can't be followed")
        name, index, quoted, double = match.groups()
        if index is None:
            trail.append(next(text for text in (name, quoted, double) if text is not None))
        elif int(index) > MAX_INDEX:
            raise PatchError(f"argument path {path[:80]!r} has an index over {MAX_INDEX}")
        else:
            trail.append(int(index))
        at = match.end()
    if not trail or isinstance(trail[0], int):
        raise PatchError(f"argument path {path[:80]!r} does not begin with a name")
    return tuple(trail)


class Patched:
    """An object under construction."""

    __slots__ = ("_more", "root")

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._more: set[str] = set()

    def apply(self, patch: Any) -> int:
        """Put one value at its path; gives about how many bytes were added."""
        if not isinstance(patch, dict) or not isinstance(patch.get("path"), str):
            raise PatchError("an argument patch names no path")
        path = patch["path"]
        keys = steps(path)
        value = patch.get("value")
        holder: Any = self.root
        for key, following in pairwise(keys):
            holder = _child(holder, key, following, path)
        last = keys[-1]
        old = _get(holder, last)
        if path in self._more and isinstance(old, str) and isinstance(value, str):
            value = old + value
        _put(holder, last, value, path)
        if patch.get("more"):
            self._more.add(path)
        else:
            self._more.discard(path)
        return len(path) + (len(value) if isinstance(value, str) else 16)


def _get(holder: Any, key: str | int) -> Any:
    if isinstance(key, int):
        return holder[key] if isinstance(holder, list) and key < len(holder) else None
    return holder.get(key) if isinstance(holder, dict) else None


def _put(holder: Any, key: str | int, value: Any, path: str) -> None:
    if isinstance(key, int):
        if not isinstance(holder, list):
            raise PatchError(f"argument path {path[:80]!r} takes an index of something that is no list")
        while len(holder) <= key:
            holder.append(None)
        holder[key] = value
    elif isinstance(holder, dict):
        holder[key] = value
    else:
        raise PatchError(f"argument path {path[:80]!r} takes a name of something that is no object")


def _child(holder: Any, key: str | int, following: str | int, path: str) -> Any:
    child = _get(holder, key)
    if child is None:
        child = [] if isinstance(following, int) else {}
        _put(holder, key, child, path)
    return child
