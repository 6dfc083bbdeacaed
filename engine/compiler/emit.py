"""Functions to a module: one code object that can be marshalled, the same for the same input.

Takes compiled Functions; gives the code object, or its Python text for people. Loads nothing and runs nothing.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable
from types import CodeType

from engine.compiler.code import assign, const
from engine.compiler.frame import Function
from engine.filters.operations import MODULE


def tree(functions: Iterable[Function]) -> ast.Module:
    """The module's syntax tree: what lines stand for, constants in order of their names, then the functions."""
    ordered = sorted(functions, key=lambda function: function.name)
    constants: dict[str, ast.expr] = {}
    places: list[tuple[str, str]] = []
    nodes: list[ast.stmt] = []
    for function in ordered:
        constants.update(function.constants)
        node = copy.deepcopy(function.node)
        nodes.append(ast.increment_lineno(node, len(places)))
        places.extend(function.places or [("", "")])
    pairs: list[tuple[ast.expr, ast.expr]] = [
        (const(line), ast.Tuple([const(text), const(path)], ast.Load())) for line, (text, path) in enumerate(places, 1)
    ]
    body: list[ast.stmt] = [assign("_places", ast.Dict([line for line, _ in pairs], [place for _, place in pairs]))]
    body.extend(assign(identifier, constants[identifier]) for identifier in sorted(constants))
    body.extend(nodes)
    return ast.fix_missing_locations(ast.Module(body, []))


def module(functions: Iterable[Function]) -> CodeType:
    """The module as a code object."""
    return compile(tree(functions), MODULE, "exec", dont_inherit=True, optimize=0)


def source(functions: Iterable[Function]) -> str:
    """The module as Python text, to look at."""
    return ast.unparse(tree(functions))
