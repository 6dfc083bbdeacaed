"""Directives: the ``$`` keys that steer a tree. A module per directive; this list is the only one.

Takes a tree with ``$`` keys and a sink; writes its statements. Knows no expression's inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from engine.compiler.directives import condition, local, loop, merge, report, switch, use, value
from engine.compiler.directives.record import PUT_IN, Directive, DirectiveChild, Role, is_directive, item
from engine.compiler.directives.use import fragment_name
from engine.compiler.expressions.frame import Frame
from engine.compiler.expressions.scope import Path
from engine.compiler.expressions.sinks import ListItem, Sink

DIRECTIVES: Final[dict[str, Directive]] = {
    directive.key: directive
    for directive in (
        condition.DIRECTIVE,
        switch.DIRECTIVE,
        loop.DIRECTIVE,
        local.DIRECTIVE,
        merge.DIRECTIVE,
        use.DIRECTIVE,
        *value.DIRECTIVES,
        *report.DIRECTIVES,
    )
}
_COMPANIONS = {key for directive in DIRECTIVES.values() for key in (*directive.needed, *directive.optional)}

__all__ = [
    "DIRECTIVES",
    "PUT_IN",
    "Directive",
    "DirectiveChild",
    "Role",
    "Survey",
    "children",
    "directive_of",
    "emit",
    "fragment_name",
    "is_directive",
    "item",
    "survey",
]


def directive_of(tree: Any) -> Directive | None:
    """The directive that steers a tree; the first, where a faulty document has several in one map."""
    if isinstance(tree, dict):
        for key in tree:
            directive = DIRECTIVES.get(key)
            if directive is not None:
                return directive
    return None


def children(tree: Any) -> Iterable[DirectiveChild] | None:
    """What the directive of a tree holds, by its roles; None for a tree without one."""
    directive = directive_of(tree)
    return None if directive is None else directive.children(tree)


@dataclass(slots=True)
class Survey:
    """What stands somewhere in a tree."""

    fragments: set[str] = field(default_factory=set)
    """The names of those that it uses."""
    gives_null: bool = False
    """A null that was written on purpose may come out of it."""


def survey(tree: Any) -> Survey:
    """What a tree's directives come to, at any depth; nothing is looked for in what is taken literally."""
    summary = Survey()
    _look(tree, summary)
    return summary


def _look(tree: Any, summary: Survey) -> None:
    if isinstance(tree, list):
        for inner in tree:
            _look(inner, summary)
    directive = directive_of(tree)
    if directive is not None:
        _look_below(directive, tree, summary)
    elif isinstance(tree, dict):
        for inner in tree.values():
            _look(inner, summary)


def _look_below(directive: Directive, tree: dict[str, Any], summary: Survey) -> None:
    summary.gives_null = summary.gives_null or directive.gives_null
    for child in directive.children(tree):
        if child.role is Role.FRAGMENT:
            summary.fragments.update({child.value} if isinstance(child.value, str) else ())
        elif child.role is not Role.LITERAL:
            _look(child.value, summary)


def emit(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    """Write a directive. In a list, what it gives is spliced."""
    directive = _directive(frame, tree, path)
    if directive is None:
        return
    if isinstance(sink, ListItem):
        sink = ListItem(sink.container, splice=True)
    directive.write(frame, tree, sink, path)


def _directive(frame: Frame, tree: dict[str, Any], path: Path) -> Directive | None:
    directives = [DIRECTIVES[key] for key in tree if key in DIRECTIVES]
    if len(directives) != 1:
        _no_directive(frame, tree, directives, path)
        return None
    directive = directives[0]
    allowed = (directive.key, *directive.needed, *directive.optional)
    good = True
    for key in tree:
        if key in allowed:
            continue
        good = False
        if key.startswith("$"):
            message = f"`{directive.key}` does not go with `{key}`"
        else:
            message = (
                f"a plain key can't stand beside `{directive.key}`; use `$merge`, or `$raw` for a key with a dollar"
            )
        frame.fault("unknown-directive", message, (*path, key), token=key, known=allowed, expected=", ".join(allowed))
    for key in directive.needed:
        if key not in tree:
            good = False
            frame.fault("missing-key", f"`{directive.key}` needs `{key}`", path, token=directive.key, expected=key)
    return directive if good else None


def _no_directive(frame: Frame, tree: dict[str, Any], directives: list[Directive], path: Path) -> None:
    if directives:
        names = " and ".join(f"`{directive.key}`" for directive in directives)
        frame.fault("unknown-directive", f"{names} can't stand in one map", path, token=directives[1].key)
        return
    for key in tree:
        if key in _COMPANIONS:
            owners = " or ".join(
                f"`{item.key}`" for item in DIRECTIVES.values() if key in (*item.needed, *item.optional)
            )
            frame.fault("unknown-directive", f"`{key}` needs {owners} beside it", (*path, key), token=key)
        elif key.startswith("$"):
            message = f"there is no directive `{key}`"
            frame.fault("unknown-directive", message, (*path, key), token=key, known=[*DIRECTIVES, *_COMPANIONS])
