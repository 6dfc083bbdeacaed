"""Regular expressions in linear time (RE2), with patterns that are known when a document is compiled."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from engine.filters.operations import GROWTH, fail

MEMORY = 4 << 20
"""Bytes that one compiled pattern may take; ``x{1000}{1000}`` needs more and is refused."""
LONGEST = 2000
"""Characters in a pattern."""


@lru_cache(maxsize=4096)
def pattern(text: str) -> Any:
    """A compiled pattern; ValueError with the reason if it is none."""
    if len(text) > LONGEST:
        raise ValueError(f"the pattern has more than {LONGEST} characters")
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    try:
        return re2.compile(text, options=options)
    except re2.error as ex:
        reason = ex.args[0] if ex.args else "not a pattern"
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from ex


def matches(value: Any, compiled: Any) -> bool:
    """Is the pattern found anywhere in the text?"""
    return type(value) is str and compiled.search(value) is not None


def replaced(value: Any, compiled: Any, new: str) -> str | None:
    """The text with each place where the pattern fits replaced; ``\\1`` stands for a group."""
    if type(value) is not str:
        return None
    result: str = compiled.sub(new, value)
    return result if len(result) - len(value) <= GROWTH else fail("the text grows too long")


def captured(value: Any, compiled: Any) -> dict[str, str] | None:
    """The named groups of the first place where the pattern fits; nothing if it does not."""
    found = compiled.search(value) if type(value) is str else None
    if found is None:
        return None
    return {name: text for name, text in found.groupdict().items() if text is not None}
