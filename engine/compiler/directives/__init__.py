"""Directives: the ``$`` keys that steer a tree. A module per directive; this list is the only one.

Takes a tree with ``$`` keys and a sink; writes its statements. Knows no expression's inside.
"""

from __future__ import annotations

from typing import Any, Final

from engine.compiler.directives import condition, local, loop, merge, report, switch, use, value
from engine.compiler.directives.record import Directive, is_directive, item
from engine.compiler.directives.use import fragment_name
from engine.compiler.frame import Frame
from engine.compiler.scope import Path
from engine.compiler.sinks import Item, Sink

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

__all__ = ["DIRECTIVES", "Directive", "emit", "fragment_name", "is_directive", "item"]


def emit(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    """Write a directive. In a list, what it gives is spliced."""
    directive = _directive(frame, tree, path)
    if directive is None:
        return
    if isinstance(sink, Item):
        sink = Item(sink.container, splice=True)
    directive.write(frame, tree, sink, path)


def _directive(frame: Frame, tree: dict[str, Any], path: Path) -> Directive | None:
    found = [DIRECTIVES[key] for key in tree if key in DIRECTIVES]
    if len(found) != 1:
        _no_directive(frame, tree, found, path)
        return None
    directive = found[0]
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


def _no_directive(frame: Frame, tree: dict[str, Any], found: list[Directive], path: Path) -> None:
    if found:
        names = " and ".join(f"`{directive.key}`" for directive in found)
        frame.fault("unknown-directive", f"{names} can't stand in one map", path, token=found[1].key)
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
