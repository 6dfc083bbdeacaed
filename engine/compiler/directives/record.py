"""What a directive is: its key, the keys that go with it, how it is written, and what its children are to it.

Analyses know no directive by its key: they go through the children that its record tells of, by their roles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from engine.compiler.expressions.frame import Frame
from engine.compiler.expressions.scope import Path
from engine.compiler.expressions.sinks import ListItem, Sink


@dataclass(frozen=True, slots=True)
class Example:
    """A tree as YAML text and what it gives for a ``body``; both pages and tests are made of it.

    ``gives`` is None for nothing; ``fragments`` is what a document would have under that key.
    """

    tree: str
    gives: Any
    body: Any = None
    fragments: str = ""


class Role(Enum):
    """What a child is to its directive."""

    ASKED = auto()
    """An expression that decides or names; its value is put nowhere."""
    SOURCE = auto()
    """An expression whose items have the child's names, one after the other, in the children behind it."""
    NAMED = auto()
    """A tree whose value has the child's name in the children behind it."""
    ARGUMENT = auto()
    """A tree whose value a fragment is given under the child's name."""
    FRAGMENT = auto()
    """The name of the fragment whose value is the directive's."""
    LITERAL = auto()
    """A value that is the directive's as it is written, without expressions."""
    RESULT = auto()
    """A tree whose value may be the directive's; where there are several, one of them is."""
    PIECE = auto()
    """A tree of a map whose members are put into the directive's."""
    MEMBER = auto()
    """A tree whose value stands in the directive's, under a key that is computed."""
    TOLD = auto()
    """A text for the loss report or for a refusal."""


PUT_IN = frozenset({Role.RESULT, Role.PIECE, Role.MEMBER})
"""Trees whose values come to stand in the directive's."""


@dataclass(frozen=True, slots=True)
class DirectiveChild:
    """One value that a directive holds; ``at`` is its path below the directive."""

    role: Role
    value: Any
    at: Path
    names: tuple[str, ...] = ()
    when: Any = None
    """The expression that holds wherever this is the directive's value."""


Children = Callable[[dict[str, Any]], Iterable[DirectiveChild]]


def one_child(role: Role, key: str) -> Children:
    """The children of a directive that has one, under its own key."""
    return lambda tree: (DirectiveChild(role, tree[key], (key,)),)


@dataclass(frozen=True, slots=True)
class Directive:
    """``needed`` and ``optional`` are the keys beside its own. ``write`` calls ``put`` or ``nothing`` on every way."""

    key: str
    words: str
    write: Callable[[Frame, dict[str, Any], Sink, Path], None]
    children: Children
    """In the order in which they are looked at, so that names stand before what may use them; no faults here."""
    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    gives_null: bool = False
    """Its value may be a null that was written on purpose."""
    unnamed: Callable[[dict[str, Any]], Path | None] | None = None
    """Where its trees stand, if none of them is for a value that they do not name."""


def is_directive(tree: Any) -> bool:
    """Is a tree steered by a directive?"""
    return isinstance(tree, dict) and any(isinstance(key, str) and key.startswith("$") for key in tree)


def item(container: str, tree: Any) -> ListItem:
    """The sink of an item written in a list: what a directive gives is spliced, all else is one item."""
    return ListItem(container, splice=is_directive(tree))


def branch(frame: Frame, tree: dict[str, Any], key: str, sink: Sink, path: Path) -> list[Any]:
    """The statements of a tree under a key, in a block of its own; nothing if the key is absent or empty."""
    with frame.into([]) as block:
        if tree.get(key) is None:
            sink.nothing(frame)
        else:
            frame.trees.emit(frame, tree[key], sink, (*path, key))
    return block
