"""The declared rules of a stream's two sides, in the form the assembler reads.

Takes the ``stream`` section of a Format, either as the compiled object (attributes in snake case) or as the document's
own dict (camel case); gives slotted records. Knows no format: the defaults are the mildest reading of silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

ENDS = ("marker", "finish")
GROUPED = frozenset({"text", "refusal", "thinking"})
"""Kinds whose neighbours share an item; every other part is an item of its own."""


def _read(stream: Any, attribute: str, key: str, default: Any) -> Any:
    value = stream.get(key) if isinstance(stream, Mapping) else getattr(stream, attribute, None)
    return default if value is None else value


def completed_by(ends: Mapping[str, bool]) -> frozenset[str]:
    """What completes a stream. Where nothing is declared, either does: one that just stops is never whole."""
    return frozenset(name for name in ENDS if ends.get(name)) or frozenset(ENDS)


@dataclass(frozen=True, slots=True)
class SourceRules:
    """What the decoding side declares."""

    interleaved: frozenset[str] = frozenset()
    """Kinds whose parts overlap; they stay open until their end mark or the end of the answer."""
    marker: bool = False
    """An end marker completes the stream."""
    finish: bool = False
    """A finish reason completes the stream."""
    starts: str = ""
    """``once``: a start with another id is a new answer; ``each``: every event has one; empty: found out."""

    @classmethod
    def of(cls, stream: Any) -> SourceRules:
        """Read the declared rules; ``None`` is a whole answer that is being replayed."""
        if stream is None:
            return cls()
        parts: Mapping[str, str] = _read(stream, "parts", "parts", {})
        ends = completed_by(_read(stream, "ends", "ends", {}))
        return cls(
            frozenset(kind for kind, how in parts.items() if how == "interleaved"),
            "marker" in ends,
            "finish" in ends,
            _read(stream, "starts", "starts", ""),
        )


@dataclass(frozen=True, slots=True)
class TargetRules:
    """What the encoding side declares."""

    one_open: bool = False
    accepts: frozenset[str] | None = None
    """Kinds that can be encoded; ``None`` takes all."""
    items: Mapping[str, str] = field(default_factory=dict)
    """Part kind to item kind; empty when the format has no items."""
    single: frozenset[str] = frozenset()
    """Item kinds that hold one part only."""
    needs_sum: bool = False
    item_id: Callable[..., Any] | None = None
    """(report, item, message) -> the id of an item that begins."""
    together: frozenset[str] = frozenset()
    """Kinds that are numbered together."""

    @classmethod
    def of(cls, stream: Any) -> TargetRules:
        """Read the declared rules; ``None`` takes everything as it comes."""
        if stream is None:
            return cls()
        accepts = _read(stream, "accepts", "accepts", None)
        declared: Mapping[str, Any] = _read(stream, "items", "items", {})
        items = {kind: item for item, kinds in declared.items() for kind in kinds}
        single = frozenset(item for item, kinds in declared.items() if not GROUPED.issuperset(kinds))
        return cls(
            bool(_read(stream, "one_open", "oneOpen", False)),
            frozenset(accepts) if accepts else None,
            items,
            single,
            bool(_read(stream, "needs_sum", "needsSum", False)),
            getattr(stream, "item_id", None),
            frozenset(_read(stream, "together", "together", ()) or ()),
        )
