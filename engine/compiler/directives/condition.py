"""`$if`: one of two trees."""

from __future__ import annotations

from typing import Any

from engine.compiler import expression
from engine.compiler.directives.record import Directive, Example, branch
from engine.compiler.frame import Frame
from engine.compiler.scope import Path
from engine.compiler.sinks import Sink


def _write(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    test = frame.located(expression.condition(frame, tree["$if"], (*path, "$if")))
    then = branch(frame, tree, "$then", sink, path)
    otherwise = branch(frame, tree, "$else", sink, path)
    frame.branch(test, then, otherwise)


DIRECTIVE = Directive(
    "$if",
    "`$then` if the expression holds, else `$else` or nothing",
    _write,
    optional=("$then", "$else"),
    examples=(
        Example('{$if: "{{ body.a > 1 }}", $then: many, $else: few}', "many", {"a": 2}),
        Example("{say: {$if: body.a is present, $then: told}, b: 1}", {"b": 1}, {}),
    ),
)
