"""`$null`, `$raw` and `$nonempty`: values that a plain tree can't say."""

from __future__ import annotations

from typing import Any

from engine.compiler.directives.record import Directive, DirectiveChild, Example, Role, one_child
from engine.compiler.expressions.code import Code, call, literal, name
from engine.compiler.expressions.frame import Frame
from engine.compiler.expressions.scope import Path
from engine.compiler.expressions.sinks import Sink, operand


def _null(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    if tree["$null"] is not True:
        frame.fault("wrong-value", "a null is written `{$null: true}`", (*path, "$null"), expected="true")
    sink.put(frame, Code(name("NULL"), maybe=False, null=True))


def _raw(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    value = tree["$raw"]
    if value is None:
        sink.put(frame, Code(name("NULL"), maybe=False, null=True))
        return
    kinds = {str: "text", bool: "boolean", int: "number", float: "number", list: "list", dict: "map"}
    sink.put(frame, Code(literal(value), kinds[type(value)], maybe=False))


def _nonempty(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    if tree["$nonempty"] is None:
        sink.nothing(frame)
        return
    code = operand(frame, frame.trees.value(frame, tree["$nonempty"], (*path, "$nonempty")))
    if code.kind in ("list", "map"):
        sink.put(frame, code.but(hollow=True))
    else:
        sink.put(frame, Code(call("o_nonempty", code.node), code.kind))


def _no_children(tree: dict[str, Any]) -> tuple[DirectiveChild, ...]:
    return ()


DIRECTIVES = (
    Directive(
        "$null",
        "a real null",
        _null,
        _no_children,
        examples=(Example("{a: {$null: true}}", {"a": None}),),
        gives_null=True,
    ),
    Directive(
        "$raw",
        "a value taken literally",
        _raw,
        one_child(Role.LITERAL, "$raw"),
        examples=(Example("{$raw: {$ref: '{{ no expression }}'}}", {"$ref": "{{ no expression }}"}),),
        gives_null=True,
    ),
    Directive(
        "$nonempty",
        "the tree's value, or nothing if it is an empty list, map or text",
        _nonempty,
        one_child(Role.RESULT, "$nonempty"),
        examples=(Example('{a: {$nonempty: [{$for: "x in body", $do: "{{ x }}"}]}, b: 1}', {"b": 1}, []),),
    ),
)
