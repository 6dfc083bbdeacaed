"""Small printing nodes: Python syntax trees with what is known about their value at compile time.

Takes and gives ``ast`` nodes. Knows nothing of documents, expressions or filters.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(slots=True)
class Variable:
    """A local name of a generated function that expressions read keys of."""

    local: str
    reads: Counter[str] = field(default_factory=Counter)
    """How often each key is read."""
    getter: str | None = None
    """The local that holds its bound ``.get``, if it is read often enough."""

    def held(self, key: str) -> str | None:
        """The local that holds what stands under a key, if that is read often enough; data never changes."""
        often = self.getter is not None and self.reads[key] >= HELD_READS and key.isidentifier()
        return f"k_{self.local}_{key}" if often else None


class Read(ast.expr):
    """``variable.get(key)``, or nothing if the variable is no map; resolved when all reads are counted."""

    _fields = ()

    def __init__(self, variable: Variable, key: str) -> None:
        super().__init__()
        self.variable = variable
        self.key = key


class Getter(ast.stmt):
    """The spot where a variable's getter is set, if it gets one."""

    _fields = ()

    def __init__(self, variable: Variable) -> None:
        super().__init__()
        self.variable = variable


@dataclass(frozen=True, slots=True)
class Code:
    """An expression of the generated function. ``kind`` is text, number, boolean, list, map or any."""

    node: ast.expr
    kind: str = "any"
    maybe: bool = True
    """It may be nothing."""
    null: bool = False
    """It may be NULL, a null that was written on purpose."""
    hollow: bool = False
    """It is a map that counts as nothing if it is empty."""
    variable: Variable | None = None

    def but(self, **changes: Any) -> Code:
        """The same with other marks."""
        return replace(self, **changes)


def name(identifier: str) -> ast.Name:
    """A local or global that is read."""
    return ast.Name(identifier, ast.Load())


def const(value: object) -> ast.Constant:
    """A literal scalar."""
    return ast.Constant(value)  # type: ignore[arg-type]


NOTHING = Code(const(None))


def literal(value: Any) -> ast.expr:
    """Plain data as a display, so that each call makes its own."""
    if isinstance(value, dict):
        return ast.Dict([const(key) for key in value], [literal(item) for item in value.values()])
    if isinstance(value, list):
        return ast.List([literal(item) for item in value], ast.Load())
    return const(value)


def call(function: str | ast.expr, *arguments: ast.expr) -> ast.Call:
    """A call with positional arguments."""
    return ast.Call(name(function) if isinstance(function, str) else function, list(arguments), [])


def method(value: ast.expr, attribute: str, *arguments: ast.expr) -> ast.Call:
    """A call of a method that the compiler itself chose, such as ``append``."""
    return ast.Call(ast.Attribute(value, attribute, ast.Load()), list(arguments), [])


def assign(local: str, value: ast.expr) -> ast.Assign:
    """``local = value``."""
    return ast.Assign([ast.Name(local, ast.Store())], value)


def put_item(container: str, key: ast.expr, value: ast.expr) -> ast.Assign:
    """``container[key] = value``."""
    return ast.Assign([ast.Subscript(name(container), key, ast.Store())], value)


def walrus(local: str, value: ast.expr) -> ast.NamedExpr:
    """``(local := value)``."""
    return ast.NamedExpr(ast.Name(local, ast.Store()), value)


def compare(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.Compare:
    """One comparison."""
    return ast.Compare(left, [operator], [right])


def is_nothing(value: ast.expr) -> ast.expr:
    """``value is None``; known at once for a literal."""
    if isinstance(value, ast.Constant):
        return const(value.value is None)
    return compare(value, ast.Is(), const(None))


def is_something(value: ast.expr) -> ast.expr:
    """``value is not None``; known at once for a literal."""
    if isinstance(value, ast.Constant):
        return const(value.value is not None)
    return compare(value, ast.IsNot(), const(None))


def has_type(value: ast.expr, type_name: str) -> ast.Compare:
    """``type(value) is type_name``."""
    return compare(call("type", value), ast.Is(), name(type_name))


def choose(test: ast.expr, then: ast.expr, otherwise: ast.expr) -> ast.IfExp:
    """``then if test else otherwise``."""
    return ast.IfExp(test, then, otherwise)


def when(test: ast.expr, body: list[ast.stmt], otherwise: list[ast.stmt] | None = None) -> ast.If:
    """An if statement; empty branches are allowed."""
    return ast.If(test, body or [ast.Pass()], otherwise or [])


GETTER_READS = 3
"""PERF: a bound ``.get`` pays from the third read of the same map on (45 ns to make, 20 ns saved by each read)."""
HELD_READS = 3
"""PERF: a key that is read in three places is read once, ahead of them (a read costs 25 ns, a local 2)."""


def settle(node: ast.AST, line: int) -> ast.AST:
    """The tree with Read and Getter turned into Python and a line on every node, once all reads are counted.

    PERF: one walk for both; a transformer of the standard library and its filling in of lines take four times as long.
    """
    if isinstance(node, Read):
        line = getattr(node, "lineno", line)
        node = _resolved(node)
    elif isinstance(node, Getter):
        line = getattr(node, "lineno", line)
        return ast.Module([settle(statement, line) for statement in _bound(node.variable)], [])  # type: ignore[misc]
    if node._attributes:
        line = getattr(node, "lineno", line)
        node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
        node.col_offset = node.end_col_offset = 0  # type: ignore[attr-defined]
    for member in node._fields:
        value = getattr(node, member, None)
        if isinstance(value, list):
            settled = [settle(item, line) if isinstance(item, ast.AST) else item for item in value]
            flat = [part for item in settled for part in (item.body if isinstance(item, ast.Module) else [item])]
            setattr(node, member, flat or [settle(ast.Pass(), line)] if member == "body" else flat)
        elif isinstance(value, ast.expr | ast.arguments):
            setattr(node, member, settle(value, line))
    return node


def _resolved(node: Read) -> ast.expr:
    """A read of a local, through the getter, or with a check of its own."""
    variable = node.variable
    held = variable.held(node.key)
    if held is not None:
        return name(held)
    if variable.getter is not None:
        return call(variable.getter, const(node.key))
    plain = method(name(variable.local), "get", const(node.key))
    return choose(has_type(name(variable.local), "dict"), plain, const(None))


def _bound(variable: Variable) -> list[ast.stmt]:
    """The assignments of a getter that is used, and of what is held."""
    if variable.getter is None:
        return []
    local = name(variable.local)
    bound = choose(has_type(local, "dict"), ast.Attribute(local, "get", ast.Load()), name("o_no_item"))
    held = [(identifier, key) for key in variable.reads if (identifier := variable.held(key))]
    return [assign(variable.getter, bound), *(assign(local, call(variable.getter, const(key))) for local, key in held)]
