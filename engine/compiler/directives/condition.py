"""`$if`: one of two trees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.compiler.directives.record import Directive, DirectiveChild, Example, Role, branch
from engine.compiler.expressions import expression
from engine.compiler.expressions.frame import Frame
from engine.compiler.expressions.scope import Path
from engine.compiler.expressions.sinks import Sink


def _write(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    test = frame.located(expression.condition(frame, tree["$if"], (*path, "$if")))
    then = branch(frame, tree, "$then", sink, path)
    otherwise = branch(frame, tree, "$else", sink, path)
    frame.branch(test, then, otherwise)


def _children(tree: dict[str, Any]) -> Iterator[DirectiveChild]:
    yield DirectiveChild(Role.ASKED, tree["$if"], ("$if",))
    if "$then" in tree:
        yield DirectiveChild(Role.RESULT, tree["$then"], ("$then",), when=tree["$if"])
    if "$else" in tree:
        yield DirectiveChild(Role.RESULT, tree["$else"], ("$else",))


DIRECTIVE = Directive(
    "$if",
    "`$then` if the expression holds, else `$else` or nothing",
    _write,
    _children,
    optional=("$then", "$else"),
    examples=(
        Example('{$if: "{{ body.a > 1 }}", $then: many, $else: few}', "many", {"a": 2}),
        Example("{say: {$if: body.a is present, $then: told}, b: 1}", {"b": 1}, {}),
    ),
)
