"""What a filter or test is: a pure function with its name, types, words and examples, and all that is known of it.

The one source for compiler, analyses, docs and tests; whoever adds a filter writes its record and no more. A filter's
function takes the value (never nothing: the compiler leaves it out for nothing) and its arguments (which may be
nothing), and gives a value or None. It never raises but MappingError, does bounded work and touches nothing outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any


class HandsOn(Enum):
    """What a filter's result is of its input, so that whoever reads the result is known to read the input."""

    NOTHING = "something of its own"
    WHOLE = "its input as it is"
    ITEMS = "one or some of the items, each as it is"
    VALUES = "what the items hold under the key that is its first argument"
    REST = "a map without the members that its arguments name"
    MEMBERS = "a map with no other members than its arguments name"


class Literal(Enum):
    """What an argument is that has to be written out as a text, and is made ready when the document is compiled."""

    PATTERN = "a pattern"
    REPLACEMENT = "a replacement"
    TABLE = "the table's name"


class QuestionForm(Enum):
    """What a question looks at, where the compiler writes the answer in place of a call."""

    FUNCTION = "whatever its function does"
    TYPE = "whether the value has one of its types"
    PRESENT = "whether there is a value"
    ABSENT = "whether there is none"
    MEMBER = "whether the value is in its argument"


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
    never_nothing: bool = False
    """It gives a value for every value."""
    elsewhere: tuple[str, ...] = ()
    """What other template languages call it."""

    # How it is written
    literals: tuple[Literal, ...] = ()
    """What its first arguments are, where they have to be written out. A table is given to it with its name."""
    reports: bool = False
    """Its function takes the loss report behind all arguments."""
    alternative: bool = False
    """Its argument stands in for a value that is nothing; the compiler writes it in place."""

    # What it does with what it is given, for those who follow a value through a mapping
    hands_on: HandsOn = HandsOn.NOTHING
    by_key: bool = False
    """It chooses items by what stands under the key that is its first argument."""
    takes_one: bool = False
    """It gives the first or the last item, whatever the others are."""
    only_counts: bool = False
    """It says what there is, and nothing of what it holds."""
    only_asks: bool = False
    """It says whether the key that is its argument is there."""
    reads: str = ""
    """The one member of each item that it reads; empty: all."""
    longer: int = 1
    """How many times as long as its input the text that it gives may be."""

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
    cost: int = 0
    """As a filter's."""
    elsewhere: tuple[str, ...] = ()
    """What other template languages call it."""
    literals: tuple[Literal, ...] = ()
    """As a filter's."""
    asks: QuestionForm = QuestionForm.FUNCTION
    types: tuple[type, ...] = ()
    """Those that make the answer true, where only the type counts."""
    same_for_texts: bool = False
    """The answer is the same for every text that is not empty."""
