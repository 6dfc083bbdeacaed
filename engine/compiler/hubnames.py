"""Hub names: what a Format's mappings read and write of the hub, held against the hub's own words.

Takes a definition and its compiled mappings; gives faults. A misspelt path would else be nothing, and left out
without a word. Knows the closed maps of `engine.hub.types`; what lies deeper, or comes out of fragments, is left to
tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from engine.compiler.diagnostics import Fault, nearest, path_text
from engine.compiler.positions import Path
from engine.compiler.sets import Definition
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

_EVENTS = set(get_args(types.EventKind))
_PARTS = set(get_args(types.PartKind))
_RESULTS = ("$do", "$then", "$else", "$in")


def check(definition: Definition, reads: Iterable[str], faults: list[Fault]) -> None:
    """Add a fault for each name that the hub does not have. ``reads``: what request.encode reads of ``request``."""
    for path in sorted({".".join(_closed(path)) for path in reads}):
        _path(definition, ENCODE, path, faults)
    stream = definition.spec.get("stream")
    if isinstance(stream, dict):
        at: Path = ("spec", "stream", "decode")
        for place, event in _results(stream.get("decode"), at):
            _word(definition, place, "type", event.get("type"), _EVENTS, faults)
            _word(definition, place, "kind", event.get("kind"), _PARTS, faults)


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
    found = f"request.{path}"
    faults.append(
        Fault("unknown-hub-name", message, place, path_text(at), None, found, near, document=definition.title)
    )


def _word(definition: Definition, at: Path, key: str, word: Any, known: set[str], faults: list[Fault]) -> None:
    """A literal word of an event; expressions are told by tests."""
    if not isinstance(word, str) or "{{" in word or word in known:
        return
    place = definition.where((*at, key))
    message = f"no hub event has the {key} {word!r}"
    path = path_text((*at, key))
    expected = "one of " + ", ".join(sorted(known))
    near = nearest(word, known)
    faults.append(Fault("unknown-hub-name", message, place, path, expected, word, near, document=definition.title))


def _results(tree: Any, at: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The maps that a mapping may give as they stand, through lists and directives."""
    if isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _results(item, (*at, index))
    elif isinstance(tree, dict):
        inner: list[tuple[Path, Any]] = [((key,), tree[key]) for key in _RESULTS if key in tree]
        cases = tree.get("$case")
        if isinstance(cases, dict):
            inner += [(("$case", key), value) for key, value in cases.items()]
        for path, value in inner:
            yield from _results(value, (*at, *path))
        if not inner and not any(str(key).startswith("$") for key in tree):
            yield at, tree
