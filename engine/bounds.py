"""What a caller may send: every bound on size, number and depth, each with its reason. docs/bounds.md is this table.

A text is bounded where it is first read, before anything dearer than a look at its length is done with it. Knows
nothing of calls or formats. ``Kept`` is the cache for what follows from such texts: bounded in bytes, as it keeps
neither more entries nor longer names than it says.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import CallError

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Bound:
    """One line of the table: what is counted, the most of it that is taken, in which unit, and why no more."""

    name: str
    most: int
    unit: str
    reason: str

    def check(self, size: int, place: str, meaning: str = "bad_request") -> None:
        """Refuse what is larger; ``place`` is how the caller knows it."""
        if size > self.most:
            raise CallError(
                meaning,
                f"{place}: {size} {self.unit}, but {self.name} may have {self.most} at most ({self.reason}); send less",
                param=place,
                code="too_long",
            )


MODEL_NAME = Bound("a model's name", 255, "characters", "the longest that a channel can be given in the database")
ADDRESS = Bound("an address", 8_192, "characters", "the longest request line that servers commonly take")
ID = Bound("an id", 1_024, "characters", "the longest that providers are known to give have some hundred")
KEY = Bound("an API key", 512, "characters", "the longest that is made here has 48")
HERE = Bound("a body that a worker serves itself", 4_194_304, "bytes", "longer ones are served by a process beside")
VALUES_HERE = Bound(
    "a body that a worker serves itself",
    10_000,
    "values",
    "checking and mapping them takes 20 ms at a time",
)
MARKS_HERE = Bound(
    "a body that a worker serves itself",
    35_000,
    "commas and brackets, in its texts too",
    "texts may hold JSON, and reading 2,000 of its members takes 1 ms at a time",
)
HEAVY = Bound(
    "a worker",
    134_217_728,
    "bytes of large requests at once in the process beside",
    "each may take ten times its size there",
)
VALUES = Bound("a body", 1_000_000, "values", "each takes some hundred bytes of memory once it is read")
ITEMS = Bound("a conversation in another format", 20_000, "items in its lists", "mapping each takes some 35 µs")
MAPPED = Bound(
    "a request in another format",
    1_000_000,
    "steps of mapping, and one more for each 16 characters",
    "each takes up to 3 µs; only parts that go through each other take so many (directives.md, Bounds)",
)
FETCHES = Bound("a request", 32, "files to be fetched", "each is up to a minute of waiting and a file in memory")
SPOOLED = Bound("a worker", 2_147_483_648, "bytes of uploads in files", "each byte is on the disk until its call ends")
TASKS = Bound("a question for tasks", 200, "ids", "each is a row to be read")
CALL_TAGS = Bound("a call", 5, "tags", "each is a sum of its own in reports")
TAG = Bound("a tag", 64, "characters", "it names a line of a report, and is no place for texts")
COUNTED = Bound("a text to be counted", 2_097_152, "characters", "half a second; of longer ones parts stand for all")

REQUEST_LINE = Bound("the request line", 8_190, "bytes", "what common proxies take")
HEADER = Bound("a header", 16_382, "bytes", "what common proxies take; keys and ids are far shorter")
HEADERS = Bound("a head", 100, "headers", "clients send some twenty")
HEAD = Bound("a head", 65_536, "bytes", "it is read before anything is known of the caller")

TABLE: tuple[Bound, ...] = (
    MODEL_NAME,
    ADDRESS,
    ID,
    KEY,
    HERE,
    VALUES_HERE,
    MARKS_HERE,
    HEAVY,
    VALUES,
    ITEMS,
    MAPPED,
    FETCHES,
    SPOOLED,
    TASKS,
    CALL_TAGS,
    TAG,
    COUNTED,
    REQUEST_LINE,
    HEADER,
    HEADERS,
    HEAD,
)

LONGEST_KEPT = 512
"""Characters of a name under which anything is kept in memory: no honest name is longer, and each may be another."""


class Kept(dict[Key, Value]):
    """A cache by names that callers choose. Begins anew when it has ``most`` entries; long names are not kept."""

    __slots__ = ("most",)

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def keep(self, key: Key, value: Value) -> Value:
        """Keep a value, if its name is short; give it back."""
        if _length(key) <= LONGEST_KEPT:
            if len(self) >= self.most:
                self.clear()
            self[key] = value
        return value


def _length(key: Any) -> int:
    if isinstance(key, str | bytes):
        return len(key)
    return max(map(_length, key), default=0) if isinstance(key, tuple) else 0


PAGE = Path(__file__).resolve().parents[1] / "docs" / "bounds.md"
_HEAD = """# Bounds

Made from `engine/bounds.py` by `make docs`; don't edit by hand.

What a caller may send at most. Whatever is larger is refused in the caller's own dialect, in words that name the place,
before anything is done with it; sizes of bodies and files are [settings](settings.md).

| What | At most | Why no more |
| --- | --- | --- |
"""


def page() -> str:
    """The page of the table."""
    lines = (f"| {bound.name} | {bound.most:,} {bound.unit} | {bound.reason} |\n" for bound in TABLE)
    return _HEAD + "".join(lines)


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    PAGE.write_text(page(), encoding="utf-8")
