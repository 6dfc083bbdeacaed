"""What a directive is: its key, the keys that go with it, and how it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.compiler.frame import Frame
from engine.compiler.scope import Path
from engine.compiler.sinks import Item, Sink


@dataclass(frozen=True, slots=True)
class Example:
    """A tree as YAML text and what it gives for a ``body``; both pages and tests are made of it.

    ``gives`` is None for nothing; ``fragments`` is what a document would have under that key.
    """

    tree: str
    gives: Any
    body: Any = None
    fragments: str = ""


@dataclass(frozen=True, slots=True)
class Directive:
    """``needed`` and ``optional`` are the keys beside its own. ``write`` calls ``put`` or ``nothing`` on every way."""

    key: str
    words: str
    write: Callable[[Frame, dict[str, Any], Sink, Path], None]
    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()


def is_directive(tree: Any) -> bool:
    """Is a tree steered by a directive?"""
    return isinstance(tree, dict) and any(isinstance(key, str) and key.startswith("$") for key in tree)


def item(container: str, tree: Any) -> Item:
    """The sink of an item written in a list: what a directive gives is spliced, all else is one item."""
    return Item(container, splice=is_directive(tree))


def branch(frame: Frame, tree: dict[str, Any], key: str, sink: Sink, path: Path) -> list[Any]:
    """The statements of a tree under a key, in a block of its own; nothing if the key is absent or empty."""
    with frame.into([]) as block:
        if tree.get(key) is None:
            sink.nothing(frame)
        else:
            frame.trees.emit(frame, tree[key], sink, (*path, key))
    return block
