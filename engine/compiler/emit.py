"""Functions to a module: one code object that can be marshalled, the same for the same input.

Takes compiled Functions; gives the code object, or its Python text for people. Loads nothing and runs nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from types import CodeType

from engine.compiler.code import assign, const
from engine.compiler.frame import Function
from engine.filters.operations import MODULE


def tree(functions: Iterable[Function]) -> ast.Module:
    """The module's syntax tree: what lines stand for, constants in order of their names, then the functions."""
    ordered = sorted(functions, key=lambda function: function.name)
    constants: dict[str, ast.expr] = {}
    for function in ordered:
        constants.update(function.constants)
    head = [assign("_places", _places(ordered))]
    head.extend(assign(identifier, constants[identifier]) for identifier in sorted(constants))
    body: list[ast.stmt] = [ast.fix_missing_locations(statement) for statement in head]
    body.extend(function.node for function in ordered)
    return ast.Module(body, [])


def _places(functions: list[Function]) -> ast.Dict:
    """For each function, what its lines stand for: texts and paths, from line 1 on."""
    names: list[ast.expr | None] = [const(function.name) for function in functions]
    return ast.Dict(names, [const(function.places) for function in functions])


def module(functions: Iterable[Function]) -> CodeType:
    """The module as a code object."""
    return compile(tree(functions), MODULE, "exec", dont_inherit=True, optimize=0)


def source(functions: Iterable[Function]) -> str:
    """The module as Python text, to look at."""
    return ast.unparse(tree(functions))
