"""`$report` and `$refuse`: what could not be carried on, told or refused."""

from __future__ import annotations

import ast
from typing import Any

from engine.compiler.directives.record import Children, Directive, DirectiveChild, Example, Role
from engine.compiler.expressions import expression
from engine.compiler.expressions.code import call, choose, const, is_something, method, name
from engine.compiler.expressions.frame import Frame
from engine.compiler.expressions.scope import Path
from engine.compiler.expressions.sinks import Sink, operand, twice


def _texts(frame: Frame, tree: dict[str, Any], key: str, why: str, path: Path) -> list[ast.expr]:
    texts: list[ast.expr] = []
    for field, fallback in ((key, "a field"), ("$why", why)):
        text = tree.get(field, fallback)
        if not isinstance(text, str):
            frame.fault("wrong-type", f"`{field}` is a text", (*path, field), expected="a text")
            continue
        code = operand(frame, expression.leaf(frame, text, (*path, field)))
        if code.maybe or code.kind != "text":
            first, again = twice(frame, code.node)
            texts.append(choose(is_something(first), call("o_as_text", again), const(fallback)))
        else:
            texts.append(code.node)
    return texts


def _report(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    texts = _texts(frame, tree, "$report", "dropped", path)
    frame.add(ast.Expr(method(name("_r"), "append", ast.Tuple(texts, ast.Load()))))
    sink.nothing(frame)


def _refuse(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    texts = _texts(frame, tree, "$refuse", "can't be carried to the target", path)
    frame.add(ast.Raise(call("Refusal", *texts), None))


def _children(key: str) -> Children:
    return lambda tree: [DirectiveChild(Role.TOLD, tree[name], (name,)) for name in (key, "$why") if name in tree]


DIRECTIVES = (
    Directive(
        "$report",
        "nothing, and a line in the loss report",
        _report,
        _children("$report"),
        optional=("$why",),
        examples=(Example("{a: 1, b: {$report: sampling.seed, $why: it has no seed}}", {"a": 1}),),
    ),
    Directive("$refuse", "no answer but a 400 that names the field", _refuse, _children("$refuse"), optional=("$why",)),
)
