"""What a filter is: a pure function with its name, types, words and examples. The one source for compiler, docs, tests.

A filter's function takes the value (never nothing: the compiler leaves it out for nothing) and its arguments (which may
be nothing), and gives a value or None. It never raises but MappingError, does bounded work and touches nothing outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Filter:
    """``arguments`` are written ``name`` (required), ``name?`` (optional) or ``names*`` (any number, at least one)."""

    name: str
    function: Callable[..., Any]
    takes: str
    gives: str
    words: str
    examples: tuple[tuple[str, Any], ...]
    arguments: tuple[str, ...] = ()
    cost: int = 1
    """How dear it is to go through its input, where it may be repeated: 0 if it does not, more if it writes JSON."""

    @property
    def least(self) -> int:
        """How many arguments it needs."""
        return sum(not name.endswith("?") for name in self.arguments)

    @property
    def most(self) -> int | None:
        """How many arguments it takes; None if there is no limit."""
        return None if any(name.endswith("*") for name in self.arguments) else len(self.arguments)

    @property
    def signature(self) -> str:
        """How it is written: ``replace(old, new)``."""
        return f"{self.name}({', '.join(self.arguments)})" if self.arguments else self.name


@dataclass(frozen=True, slots=True)
class Question:
    """A question after ``is``; its function takes the value, which may be nothing, and gives true or false."""

    name: str
    function: Callable[..., bool]
    words: str
    examples: tuple[tuple[str, bool], ...]
    arguments: tuple[str, ...] = ()
