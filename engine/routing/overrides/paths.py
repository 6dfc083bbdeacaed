r"""Paths into a body: names and numbers between dots, ``-1`` from the end, ``*`` for every member, ``\.`` for a dot.

``find`` reads; ``places`` gives the containers that hold what a path means, copied on the way down, so that the body
that was given stays as it is and whoever writes bytes sees by identity which members changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]
MISSING: Any = object()
EVERY = "*"
_NUMBER = re.compile(r"-?\d+\Z")
_FURTHEST = 1000
"""The last index that a list is filled up to: beyond it an operation would cost more than any request is worth."""


def path_of(text: Any) -> Path:
    """The path of a text; raises ValueError where it is none."""
    if not isinstance(text, str) or not text:
        raise ValueError("needs a path")
    keys = tuple(part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", text))
    if any(_NUMBER.match(key) and (len(key) > 6 or int(key) > _FURTHEST) for key in keys):
        raise ValueError(f"the index in {text[:80]!r} is above {_FURTHEST}")
    return keys


def find(value: Any, path: Path) -> Any:
    """What the path leads to, the first of several; ``MISSING`` where it leads nowhere."""
    for at, key in enumerate(path):
        if key == EVERY and isinstance(value, dict | list):
            members = value if isinstance(value, list) else value.values()
            inner = (find(member, path[at + 1 :]) for member in members)
            return next((result for result in inner if result is not MISSING), MISSING)
        index = _index(value, key)
        if index is None or not _holds(value, index):
            return MISSING
        value = value[index]
    return value


def places(owner: Any, path: Path, *, make: bool) -> Iterator[tuple[Any, Any]]:
    """Each (container, key) that the path means; the key need not be there. ``owner`` itself is changed.

    With ``make``, containers that are missing on the way are made.
    """
    key, rest = path[0], path[1:]
    for index in _indices(owner, key):
        if not rest:
            yield owner, index
            continue
        inner = owner[index] if _holds(owner, index) else None
        if not isinstance(inner, dict | list):
            if not make or key == EVERY:
                continue
            inner = [] if _NUMBER.match(rest[0]) else {}
        inner = inner.copy()
        put(owner, index, inner)
        yield from places(inner, rest, make=make)


def put(owner: Any, index: Any, value: Any) -> None:
    """Write a member; a list that is too short is filled up with null."""
    if isinstance(owner, list) and index >= len(owner):
        owner.extend([None] * (index + 1 - len(owner)))
    owner[index] = value


def take(owner: Any, index: Any) -> None:
    """Remove a member, if it is there."""
    if _holds(owner, index):
        del owner[index]


def _indices(owner: Any, key: str) -> list[Any]:
    if key == EVERY:
        return list(range(len(owner))) if isinstance(owner, list) else list(owner)
    index = _index(owner, key)
    return [] if index is None else [index]


def _index(owner: Any, key: str) -> Any:
    """The key as the container counts it; nothing where it can't have such."""
    if isinstance(owner, dict):
        return key
    if not isinstance(owner, list) or not _NUMBER.match(key):
        return None
    number = int(key)
    number += len(owner) if number < 0 else 0
    return number if number >= 0 else None


def _holds(owner: Any, index: Any) -> bool:
    return index < len(owner) if isinstance(owner, list) else index in owner
