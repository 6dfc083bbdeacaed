"""`$use`: a fragment, called with its arguments."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from engine.compiler.directives.record import Directive, DirectiveChild, Example, Role
from engine.compiler.expressions import expression
from engine.compiler.expressions.code import Code, call, const, name
from engine.compiler.expressions.frame import Frame
from engine.compiler.expressions.scope import Fragment, Path, Scope
from engine.compiler.expressions.sinks import Sink, operand


def fragment_name(scope: Scope, fragment: str) -> str:
    """The name of a fragment's function in the generated module."""
    plain = fragment.isidentifier() and fragment.isascii()
    return f"g_{scope.name}_{fragment if plain else 'x' + hashlib.sha256(fragment.encode()).hexdigest()[:12]}"


def _write(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    wanted, bindings = tree["$use"], tree.get("$with") or {}
    scope = frame.scope
    fragment = scope.fragments.get(wanted) if isinstance(wanted, str) else None
    if fragment is None:
        known = list(scope.fragments)
        frame.fault(
            "unknown-fragment", f"there is no fragment `{wanted}`", (*path, "$use"), token=str(wanted), known=known
        )
        return
    if not isinstance(bindings, dict):
        frame.fault("wrong-type", "`$with` gives names to trees", (*path, "$with"), expected="a map")
        return
    for key in bindings:
        if key not in fragment.args:
            _unknown_argument(frame, fragment, key, (*path, "$with", key))
    arguments: list[ast.expr] = []
    for argument in fragment.args:
        if bindings.get(argument) is None:
            arguments.append(const(None))
        else:
            # A fragment in a circle counts all that it puts in, so what is only handed on to it counts there.
            free = scope.circular(fragment.name) and expression.handed_on(bindings[argument])
            with frame.handing_on() if free else nullcontext():
                code = frame.trees.value(frame, bindings[argument], (*path, "$with", argument))
            arguments.append(operand(frame, code).node)
    scope.used.setdefault(fragment.name)
    frame.counts_steps = True
    frame.place((*path, "$use"), fragment.name)
    result = call(fragment_name(scope, fragment.name), name("_r"), name("_n"), frame.depth, *arguments)
    sink.put(frame, Code(result, null=scope.writes_null))


def _unknown_argument(frame: Frame, fragment: Fragment, key: str, path: Path) -> None:
    frame.fault(
        "wrong-arguments",
        f"the fragment `{fragment.name}` has no argument `{key}`",
        path,
        token=key,
        known=fragment.args,
        expected=", ".join(fragment.args) or "no arguments",
    )


def _children(tree: dict[str, Any]) -> Iterator[DirectiveChild]:
    bindings = tree.get("$with")
    for argument, value in bindings.items() if isinstance(bindings, dict) else ():
        yield DirectiveChild(Role.ARGUMENT, value, ("$with", argument), (argument,))
    yield DirectiveChild(Role.FRAGMENT, tree["$use"], ("$use",))


DIRECTIVE = Directive(
    "$use",
    "what a fragment gives for the arguments under `$with`",
    _write,
    _children,
    optional=("$with",),
    examples=(
        Example(
            '{$use: said, $with: {p: "{{ body.x }}"}}',
            {"say": "hi"},
            {"x": {"text": "hi"}},
            '{said: {args: [p], do: {say: "{{ p.text }}"}}}',
        ),
    ),
)
