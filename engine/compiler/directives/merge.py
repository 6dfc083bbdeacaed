"""`$merge`: maps put into one."""

from __future__ import annotations

import ast
from typing import Any

from engine.compiler.code import Code, assign, const, name
from engine.compiler.directives.record import Directive, Example, is_directive
from engine.compiler.frame import Frame
from engine.compiler.scope import Path
from engine.compiler.sinks import Into, Member, Sink


def _write(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    maps = tree["$merge"]
    if not isinstance(maps, list):
        frame.fault("wrong-type", "`$merge` takes a list of maps", (*path, "$merge"), expected="a list of trees")
        return
    container = frame.temp("out")
    frame.add(assign(container, ast.Dict([], [])))
    for position, one in enumerate(maps):
        here = (*path, "$merge", position)
        if isinstance(one, dict) and not is_directive(one):
            for key, value in one.items():
                frame.trees.emit(frame, value, Member(container, const(key)), (*here, key))
        elif isinstance(one, list):
            frame.fault("wrong-type", "`$merge` takes maps, not lists", here, expected="a map")
        else:
            frame.trees.emit(frame, one, Into(container), here)
    sink.put(frame, Code(name(container), "map", maybe=False, hollow={} not in maps))


DIRECTIVE = Directive(
    "$merge",
    "one map of several; later ones win, member by member",
    _write,
    examples=(Example('{$merge: [{a: 1, b: 1}, {b: 2}, "{{ body }}"]}', {"a": 1, "b": 2, "c": 3}, {"c": 3}),),
)
