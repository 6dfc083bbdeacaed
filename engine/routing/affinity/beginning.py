"""What a prompt begins with, as a digest: each step of a conversation sends it again, and prompt caches go by it.

Knows no format: members of the body are named by whoever declares them. PERF: bounded, a few microseconds; of pictures
and long texts the beginning alone is looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.routing.request import RoutedCall

_CHARACTERS = 2048
"""Of each text; with its length, so that texts which go on differently are told apart mostly."""
_PIECES = 64
_DEEP = 6


def prompt_beginning(members: tuple[str, ...], tokens: int) -> Callable[[RoutedCall], str | None]:
    """Gives a call's digest; nothing for a request of fewer tokens, or without any of the members."""

    def digest(call: RoutedCall) -> str | None:
        if call.size < tokens or not isinstance(call.body, dict):
            return None
        found = [(member, call.body[member]) for member in members if call.body.get(member)]
        if not found:
            return None
        summed = hashlib.blake2b(digest_size=16)
        for member, value in found:
            summed.update(f"\0{member}".encode())
            for left, text in zip(range(_PIECES), _texts(_first(value), 0), strict=False):
                summed.update(f"\0{left} {len(text)} {text[:_CHARACTERS]}".encode("utf-8", "replace"))
        return summed.hexdigest()

    return digest


def _first(value: Any) -> Any:
    """Of messages those up to the first of a user: what comes after is another with each step."""
    if not isinstance(value, list):
        return value
    first = next((at for at, item in enumerate(value) if isinstance(item, dict) and item.get("role") == "user"), 0)
    return value[: first + 1]


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and depth < _DEEP:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item, depth + 1)
