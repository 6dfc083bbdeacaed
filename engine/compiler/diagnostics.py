"""Faults: what is wrong with a document, where it stands, and how to mend it.

Takes findings of the stages of the compiler; gives them as values, as text with the offending line and a caret, or as
JSON. Knows nothing of YAML, schemas or expressions. The one table of codes stands here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

CODES: dict[str, str] = {
    "yaml-syntax": "the text is not YAML",
    "unquoted": "YAML cut an expression that has to be quoted",
    "not-utf8": "the file is not UTF-8",
    "outside": "the file is a link out of its directory",
    "duplicate-key": "a key stands twice in one map",
    "too-large": "the document has more nodes, or nests deeper, than is allowed",
    "wrong-type": "the value has another type than the field takes",
    "wrong-value": "the value is not one that the field takes",
    "missing-key": "a required key is absent",
    "unknown-key": "nobody reads this key",
    "unknown-kind": "there is no such kind of document",
    "unknown-parent": "`extends` names a document that does not exist",
    "extends-circle": "`extends` leads back to the document itself",
    "duplicate-document": "two documents of one layer have the same kind and name",
    "another-owner": "the document belongs to another place and is changed there",
    "unknown-reference": "the document that is named does not exist",
    "never-used": "nothing ever comes to it",
    "bad-secret": "a secret reference is not usable",
    "bad-pattern": "a regular expression is not valid",
    "bad-expression": "an expression can't be parsed or does what is not allowed",
    "unknown-name": "a variable is not in scope",
    "unknown-hub-name": "the hub has no such field or word",
    "unknown-filter": "there is no such filter",
    "unknown-test": "there is no such test",
    "unknown-directive": "there is no such directive, or it can't stand here",
    "unknown-fragment": "there is no such fragment",
    "unknown-table": "there is no such table",
    "wrong-arguments": "a filter, test or fragment is given what it does not take",
    "silent-loss": "something would be lost without a word",
    "truthiness": 'a condition is false for 0, "" and false too',
    "test-failed": "a document's own test gives another result",
    "internal": "the compiler failed; this is a fault of the program, not of the document",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: file, line and column (both from 1), and the text of that line."""

    file: str
    line: int = 1
    column: int = 1
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One finding. ``path`` is the way to the value inside the document, such as ``spec.channels[0].provider``."""

    code: str
    message: str
    place: Place
    path: str = ""
    expected: str | None = None
    found: str | None = None
    nearest: str | None = None
    severity: str = "error"
    document: str = field(default="", compare=False)
    """``Kind/name`` of the document, where it is known."""

    def as_json(self) -> dict[str, Any]:
        """The fault as plain data, for ``--json`` and the console."""
        parts = {
            "code": self.code,
            "severity": self.severity,
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "path": self.path,
            "message": self.message,
            "expected": self.expected,
            "found": self.found,
            "nearest": self.nearest,
            "document": self.document or None,
            "text": self.place.text,
        }
        return {key: value for key, value in parts.items() if value is not None}

    def as_text(self) -> str:
        """The fault in words: one head line, the details, then the line of the document with a caret."""
        head = f"{self.place}: {self.severity}: {self.message} [{self.code}]"
        lines = [head]
        if self.path:
            lines.append(f"  at {self.path}" + (f" of {self.document}" if self.document else ""))
        if self.expected is not None:
            lines.append(f"  expected: {self.expected}")
        if self.found is not None:
            lines.append(f"  found: {self.found}")
        if self.nearest is not None:
            lines.append(f"  did you mean: {self.nearest}")
        return "\n".join(lines + self._quoted_line())

    def as_log(self) -> str:
        """The fault in one line for a log: without anything that stands in the document, which may be a secret."""
        path = f" at {self.path}" if self.path else ""
        quotes = self.code in ("unquoted", "yaml-syntax")  # these repeat the line, mended
        message = CODES[self.code] if quotes else self.message
        expected = f"; expected: {self.expected}" if self.expected is not None and not quotes else ""
        near = f"; did you mean {self.nearest}" if self.nearest is not None else ""
        return f"{self.place}: {self.severity}: {message}{path}{expected}{near} [{self.code}]"

    def _quoted_line(self) -> list[str]:
        text, column = _window(self.place.text, self.place.column - 1)
        if not text.strip():
            return []
        margin = f"{self.place.line:>5} | "
        # Tabs stay tabs under the line, so that the caret stands right however wide they are shown.
        blank = "".join("\t" if char == "\t" else " " for char in text[:column])
        return [margin + text, " " * 5 + " | " + blank + "^"]


def _window(text: str, column: int, width: int = 160) -> tuple[str, int]:
    """The part of a long line around a column."""
    if len(text) <= width:
        return text, column
    start = max(0, min(column - width // 2, len(text) - width))
    return ("…" if start else "") + text[start : start + width] + "…", column - start + bool(start)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` was most likely meant to be, if any is close."""
    names = sorted(set(known))
    folded = {fold(candidate): candidate for candidate in reversed(names)}
    if fold(name) in folded:
        return folded[fold(name)]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return close[0] if close else None


def fold(name: str) -> str:
    """A name without case, blanks and separators: ``base_url`` and ``baseUrl`` fold to the same."""
    return "".join(name.replace("_", "").replace("-", "").lower().split())


def path_text(path: Iterable[str | int]) -> str:
    """A path as people write it: ``spec.channels[0].provider``; keys that are no words are quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and all(char.isalnum() or char in "_$-" for char in step):
            text += f".{step}" if text else step
        else:
            text += f"[{step!r}]"
    return text


def describe(value: object, limit: int = 60) -> str:
    """A value for the ``found`` of a fault: its type and, when short, itself."""
    match value:
        case None:
            return "null"
        case bool():
            return f"the boolean {str(value).lower()}"
        case str():
            shown = value if len(value) <= limit else value[: limit - 1] + "…"
            return f"the text {shown!r}"
        case int() | float():
            return f"the number {value}"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return f"a map with {', '.join(list(value)[:4])}" if value else "an empty map"
    return type(value).__name__


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Faults without repetitions, sorted by place, so that the same set always tells the same.

    On a line that YAML cut, only that is told: what else seems wrong there follows from it.
    """
    unique = list(dict.fromkeys(faults))
    cut = {(fault.place.file, fault.place.line) for fault in unique if fault.code == "unquoted"}
    unique = [item for item in unique if item.code == "unquoted" or (item.place.file, item.place.line) not in cut]
    return sorted(unique, key=lambda fault: (fault.place.file, fault.place.line, fault.place.column, fault.code))


def summary(faults: list[Fault]) -> str:
    """One line that counts errors and warnings."""
    errors = sum(fault.severity == "error" for fault in faults)
    warnings = len(faults) - errors
    parts = [f"{errors} fault{'' if errors == 1 else 's'}"] if errors or not warnings else []
    if warnings:
        parts.append(f"{warnings} warning{'' if warnings == 1 else 's'}")
    return ", ".join(parts)


def has_errors(faults: Iterable[Fault]) -> bool:
    """Whether any finding is more than a warning."""
    return any(fault.severity == "error" for fault in faults)
