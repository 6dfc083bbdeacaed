"""`$let`: names for values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from engine.compiler.directives.record import Directive, DirectiveChild, Example, Role
from engine.compiler.expressions.frame import Frame
from engine.compiler.expressions.scope import Path
from engine.compiler.expressions.sinks import Local, Sink


def _write(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    values = tree["$let"]
    if not isinstance(values, dict):
        frame.fault("wrong-type", "`$let` gives names to trees", (*path, "$let"), expected="a map")
        return
    with ExitStack() as names:
        for name, value in values.items():
            here = (*path, "$let", name)
            if not name.isidentifier():
                frame.fault("wrong-value", f"`{name}` can't be the name of a variable", here, token=name)
                continue
            local = frame.temp(f"v_{name}_")
            if value is None:
                Local(local).nothing(frame)
            else:
                frame.trees.emit(frame, value, Local(local), here)
            names.enter_context(frame.bound({name: frame.variable(local, null=True)}))
        if tree["$in"] is None:
            sink.nothing(frame)
        else:
            frame.trees.emit(frame, tree["$in"], sink, (*path, "$in"))


def _children(tree: dict[str, Any]) -> Iterator[DirectiveChild]:
    values = tree["$let"]
    for name, value in values.items() if isinstance(values, dict) else ():
        yield DirectiveChild(Role.NAMED, value, ("$let", name), (name,))
    if "$in" in tree:
        yield DirectiveChild(Role.RESULT, tree["$in"], ("$in",))


DIRECTIVE = Directive(
    "$let",
    "`$in`, where these names stand for these values; later ones see earlier ones",
    _write,
    _children,
    ("$in",),
    examples=(
        Example(
            """$let:
  name: "{{ body.first ~ ' ' ~ body.last }}"
  long: "{{ name | length > 5 }}"
$in: {name: "{{ name }}", long: "{{ long }}"}""",
            {"name": "Ada Lovelace", "long": True},
            {"first": "Ada", "last": "Lovelace"},
        ),
    ),
)
