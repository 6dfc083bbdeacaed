"""Trees of a document to functions: maps, lists and leaves; directives are in their own folder.

Takes a tree of plain data, the variables it may use and a Scope; gives a Function. Faults go to the Scope.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from engine.compiler import directives
from engine.compiler.analyses import growth
from engine.compiler.expressions import expression
from engine.compiler.expressions.code import NOTHING, Code, assign, const, name
from engine.compiler.expressions.frame import Frame, Function
from engine.compiler.expressions.scope import Fragment, Path, Scope, weight
from engine.compiler.expressions.sinks import FunctionResult, ListItem, Local, Member, Sink, operand

_RESULT = FunctionResult()


def compile_function(
    identifier: str,
    tree: Any,
    variables: tuple[str, ...],
    scope: Scope,
    *,
    at: Path = (),
    members: Mapping[str, str] | None = None,
    sink: Sink = _RESULT,
) -> Function:
    """The function ``identifier(_r, *variables)`` of a tree; ``members`` are bare names for keys of a variable."""
    frame = Frame(scope, scope.where, _TREES)
    before = len(scope.faults)
    with frame.bound(_parameters(frame, variables, members or {})):
        emit(frame, tree, sink, at)
    if len(scope.faults) == before:
        growth.check(scope, scope.where, tree, variables, at)
    return frame.finish(identifier, [f"v_{item}" for item in variables])


def compile_expression(
    identifier: str,
    text: Any,
    variables: tuple[str, ...],
    scope: Scope,
    *,
    at: Path = (),
    members: Mapping[str, str] | None = None,
) -> Function:
    """The function of a field that is one expression, bare or in braces."""
    frame = Frame(scope, scope.where, _TREES)
    with frame.bound(_parameters(frame, variables, members or {})):
        FunctionResult().put(frame, operand(frame, expression.field(frame, text, at)))
    return frame.finish(identifier, [f"v_{item}" for item in variables])


def fragment_functions(scope: Scope) -> list[Function]:
    """The functions of all fragments that the scope's mappings use, and the document's own, to check them too."""
    functions: dict[str, Function] = {}
    for fragment_name in scope.own:
        scope.used.setdefault(fragment_name)
    while waiting := [item for item in scope.used if item not in functions]:
        for fragment_name in waiting:
            functions[fragment_name] = _fragment(scope, scope.fragments[fragment_name])
    return list(functions.values())


def _fragment(scope: Scope, fragment: Fragment) -> Function:
    frame = Frame(scope, fragment.where, _TREES, fragment=True)
    if fragment.uses:
        frame.guard_fragment(weight(fragment.do))
    if scope.circular(fragment.name):
        frame.near = growth.descending(scope, fragment)
    before = len(scope.faults)
    with frame.bound(_parameters(frame, fragment.args, {})):
        emit(frame, fragment.do, FunctionResult(), fragment.at)
    if len(scope.faults) == before and fragment.name not in scope.factors:
        growth.check(scope, fragment.where, fragment.do, fragment.args, fragment.at)
    return frame.finish(directives.fragment_name(scope, fragment.name), [f"v_{item}" for item in fragment.args])


def _parameters(frame: Frame, variables: tuple[str, ...], members: Mapping[str, str]) -> dict[str, Code]:
    names = {item: frame.variable(f"v_{item}") for item in variables}
    writer = expression.Writer(frame, ())
    for member, owner in members.items():
        if member not in names:
            local = f"v_{owner}_{member}"
            frame.add(assign(local, writer.read(names[owner], member).node))
            names[member] = frame.variable(local)
    return names


class _Trees:
    """This module as directives see it."""

    def emit(self, frame: Frame, tree: Any, sink: Sink, path: Path) -> None:
        emit(frame, tree, sink, path)

    def value(self, frame: Frame, tree: Any, path: Path) -> Code:
        return value(frame, tree, path)


_TREES = _Trees()


def emit(frame: Frame, tree: Any, sink: Sink, path: Path) -> None:
    """Write a tree's value into a sink."""
    with frame.deeper(path) as allowed:
        if not allowed:
            return
        if directives.is_directive(tree):
            directives.emit(frame, tree, sink, path)
        elif isinstance(tree, list) and isinstance(sink, ListItem) and sink.splice:
            for position, item in enumerate(tree):
                emit(frame, item, directives.item(sink.container, item), (*path, position))
        else:
            sink.put(frame, value(frame, tree, path))


def value(frame: Frame, tree: Any, path: Path) -> Code:
    """A tree's value as Code, after the statements that it needs."""
    if directives.is_directive(tree):
        target = frame.temp()
        emit(frame, tree, Local(target), path)
        return frame.variable(target, null=True)
    match tree:
        case str():
            return expression.leaf(frame, tree, path)
        case dict():
            return _map(frame, tree, path)
        case list():
            return _list(frame, tree, path)
        case bool():
            return Code(const(tree), "boolean", maybe=False)
        case int() | float():
            return Code(const(tree), "number", maybe=False)
    frame.fault(
        "wrong-type",
        "an empty value says neither null nor nothing" if tree is None else "a mapping can't hold this value",
        path,
        expected="`{$null: true}` for a null; no key at all for nothing",
    )
    return NOTHING


def _map(frame: Frame, tree: dict[str, Any], path: Path) -> Code:
    """A map: members that are always there stand in one display, from the first other one on they are put in."""
    keys: list[ast.expr | None] = []
    values: list[ast.expr] = []
    container = ""
    sure = not tree
    for key, item in tree.items():
        _check_key(frame, key, (*path, key))
        if not container and directives.is_directive(item):
            container = _opened(frame, ast.Dict(keys, values))
        if container:
            sink = Member(container, const(key))
            if directives.is_directive(item):
                emit(frame, item, sink, (*path, key))
                continue
        code = _nested(frame, item, (*path, key))
        if _always(code):
            sure = True
        elif not container:
            container = _opened(frame, ast.Dict(keys, values))
        if container:
            Member(container, const(key)).put(frame, code)
        else:
            keys.append(const(key))
            values.append(code.node)
    if not container:
        return Code(ast.Dict(keys, values), "map", maybe=False)
    return Code(name(container), "map", maybe=False, hollow=not sure)


def _list(frame: Frame, tree: list[Any], path: Path) -> Code:
    """A list, in the same way."""
    items: list[ast.expr] = []
    container = ""
    for position, item in enumerate(tree):
        here = (*path, position)
        if not container and directives.is_directive(item):
            container = _opened(frame, ast.List(items, ast.Load()))
        if container and directives.is_directive(item):
            emit(frame, item, ListItem(container, splice=True), here)
            continue
        code = _nested(frame, item, here)
        if not container and not _always(code):
            container = _opened(frame, ast.List(items, ast.Load()))
        if container:
            ListItem(container).put(frame, code)
        else:
            items.append(code.node)
    if not container:
        return Code(ast.List(items, ast.Load()), "list", maybe=False)
    return Code(name(container), "list", maybe=False)


def _nested(frame: Frame, tree: Any, path: Path) -> Code:
    with frame.deeper(path) as allowed:
        return value(frame, tree, path) if allowed else NOTHING


def _always(code: Code) -> bool:
    return not (code.maybe or code.null or code.hollow)


def _opened(frame: Frame, display: ast.expr) -> str:
    container = frame.temp("out")
    frame.add(assign(container, display))
    return container


def _check_key(frame: Frame, key: str, path: Path) -> None:
    if "{{" in key:
        frame.fault(
            "bad-expression",
            "a key is taken literally",
            path,
            expected="`$for` with `$key`, or a map inside an expression: `{{ {key: value} }}`",
        )


__all__ = [
    "Fragment",
    "Function",
    "Scope",
    "compile_expression",
    "compile_function",
    "emit",
    "fragment_functions",
    "value",
]
