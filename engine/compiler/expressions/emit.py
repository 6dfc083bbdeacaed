"""Functions to a module: code objects that can be marshalled, the same for the same input.

Takes compiled Functions; gives the code. Loads nothing and runs nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from types import CodeType

from engine.compiler.expressions.code import assign, const
from engine.compiler.expressions.frame import Function
from engine.filters.failures import MODULE


def head(functions: Iterable[Function]) -> ast.Module:
    """What stands before the functions: what their lines stand for, and constants in order of their names."""
    ordered = _ordered(functions)
    constants: dict[str, ast.expr] = {}
    for function in ordered:
        constants.update(function.constants)
    body = [assign("_places", _places(ordered))]
    body.extend(assign(identifier, constants[identifier]) for identifier in sorted(constants))
    return ast.Module([ast.fix_missing_locations(statement) for statement in body], [])


def _ordered(functions: Iterable[Function]) -> list[Function]:
    return sorted(functions, key=lambda function: function.name)


def _places(functions: list[Function]) -> ast.Dict:
    """For each function, what its lines stand for: texts and paths, from line 1 on."""
    names: list[ast.expr | None] = [const(function.name) for function in functions]
    return ast.Dict(names, [const(function.places) for function in functions])


def module(functions: Iterable[Function]) -> tuple[CodeType, ...]:
    """The module as code objects, to be run in this order in one namespace: the head, then each function's own."""
    ordered = _ordered(functions)
    first = compile(head(ordered), MODULE, "exec", dont_inherit=True, optimize=0)
    return (first, *(function.code for function in ordered))
