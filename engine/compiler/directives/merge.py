"""`$merge`: maps put into one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from engine.compiler.directives.record import Directive, DirectiveChild, Example, Role, is_directive
from engine.compiler.expressions.code import Code, assign, const, name
from engine.compiler.expressions.frame import Frame
from engine.compiler.expressions.scope import Path
from engine.compiler.expressions.sinks import Into, Member, Sink


def _write(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    maps = tree["$merge"]
    if not isinstance(maps, list):
        frame.fault("wrong-type", "`$merge` takes a list of maps", (*path, "$merge"), expected="a list of trees")
        return
    container = frame.temp("out")
    frame.add(assign(container, ast.Dict([], [])))
    for position, piece in enumerate(maps):
        here = (*path, "$merge", position)
        if isinstance(piece, dict) and not is_directive(piece):
            for key, value in piece.items():
                frame.trees.emit(frame, value, Member(container, const(key)), (*here, key))
        elif isinstance(piece, list):
            frame.fault("wrong-type", "`$merge` takes maps, not lists", here, expected="a map")
        else:
            frame.trees.emit(frame, piece, Into(container), here)
    sink.put(frame, Code(name(container), "map", maybe=False, hollow={} not in maps))


def _children(tree: dict[str, Any]) -> Iterator[DirectiveChild]:
    maps = tree["$merge"]
    for position, piece in enumerate(maps if isinstance(maps, list) else ()):
        yield DirectiveChild(Role.PIECE, piece, ("$merge", position))


DIRECTIVE = Directive(
    "$merge",
    "one map of several; later ones win, member by member",
    _write,
    _children,
    examples=(Example('{$merge: [{a: 1, b: 1}, {b: 2}, "{{ body }}"]}', {"a": 1, "b": 2, "c": 3}, {"c": 3}),),
)
