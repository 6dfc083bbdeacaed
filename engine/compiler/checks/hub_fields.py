"""Hub names: what a Format's mappings read of the hub's requests, held against the hub's own fields.

Takes a definition and what encode reads; gives faults, those of `hub_words` too. A misspelt path would else be nothing,
and left out without a word. Knows the closed maps of `engine.hub.types`; what lies deeper is left to tests.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.compiler.checks import hub_words
from engine.compiler.diagnostics import Fault, nearest, path_text
from engine.compiler.documents.positions import Path
from engine.compiler.documents.sets import Definition
from engine.hub import types

ENCODE: Path = ("spec", "request", "encode")
_CLOSED: dict[str, set[str]] = {
    "": set(types.Request.__annotations__),
    "messages": set(types.Message.__annotations__),
    "sampling": set(types.Sampling.__annotations__),
    "reasoning": set(types.Reasoning.__annotations__),
    "output": set(types.Output.__annotations__),
    "tool_choice": set(types.ToolChoice.__annotations__),
}
"""The maps of a hub request that have a fixed set of keys."""


def check_hub_fields(definition: Definition, reads: Iterable[str], faults: list[Fault]) -> None:
    """Add a fault for each name that the hub does not have. ``reads``: what request.encode reads of ``request``."""
    for path in sorted({".".join(_closed(path)) for path in reads}):
        _path(definition, ENCODE, path, faults)
    hub_words.check_hub_words(definition, faults)


def _closed(path: str) -> list[str]:
    """The head of a dotted path: as far as the hub's maps are closed, or the first key that is not known."""
    head, *rest = path.split(".")
    return [head, *rest[:1]] if head in _CLOSED else [head]


def _path(definition: Definition, at: Path, path: str, faults: list[Fault]) -> None:
    """A dotted path of closed maps below the hub request."""
    holder, _, key = path.rpartition(".")
    known = _CLOSED[holder]
    if key in known or key in "*?":
        return
    message = f"a hub request has no {key!r}" + (f" in {holder}" if holder else "")
    place, near = definition.where(at, key), nearest(key, known)
    full_path = f"request.{path}"
    faults.append(
        Fault("unknown-hub-name", message, place, path_text(at), None, full_path, near, document=definition.title)
    )
