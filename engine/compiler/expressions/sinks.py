"""Where the value of a tree goes: a member of a map, an item of a list, a local, the function's result.

Takes Code; writes the statement that stores it, with the check that its marks call for and no other.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Protocol

from engine.compiler.expressions.code import (
    Code,
    assign,
    call,
    choose,
    compare,
    const,
    has_type,
    is_nothing,
    is_something,
    method,
    name,
    put_item,
    walrus,
)
from engine.compiler.expressions.frame import Frame


class Sink(Protocol):
    """A destination."""

    def put(self, frame: Frame, code: Code) -> None:
        """Store a value, or leave it out if it is nothing."""

    def nothing(self, frame: Frame) -> None:
        """What happens where a directive gives nothing."""


def twice(frame: Frame, node: ast.expr) -> tuple[ast.expr, ast.expr]:
    """A node for its first use, and a cheap one for the second."""
    if isinstance(node, ast.Name | ast.Constant):
        return node, node
    local = frame.temp()
    return walrus(local, node), name(local)


def without_null(frame: Frame, code: Code) -> ast.expr:
    """A value for a container: NULL is written as None."""
    if not code.null:
        return code.node
    first, again = twice(frame, code.node)
    return choose(compare(first, ast.Is(), name("NULL")), const(None), again)


def _checked(frame: Frame, code: Code) -> tuple[ast.expr | None, Code]:
    """The test for "something" (None if it needs none) and the value to use after it."""
    if code.hollow:
        return code.node, code
    if not code.maybe:
        return None, code
    first, again = twice(frame, code.node)
    return is_something(first), code.but(node=again)


def _store(frame: Frame, code: Code, statement: ast.stmt, test: ast.expr | None) -> None:
    if test is None:
        frame.add(statement)
    else:
        frame.branch(test, [frame.located(statement)])


@dataclass(frozen=True, slots=True)
class Member:
    """A key of a map that is being built."""

    container: str
    key: ast.expr

    def put(self, frame: Frame, code: Code) -> None:
        """``if value is not None: container[key] = value``."""
        test, code = _checked(frame, code)
        _store(frame, code, put_item(self.container, self.key, without_null(frame, code)), test)

    def nothing(self, frame: Frame) -> None:
        """The key is left out."""


@dataclass(frozen=True, slots=True)
class ListItem:
    """An item of a list that is being built; ``splice`` opens a list that a directive gives."""

    container: str
    splice: bool = False

    def put(self, frame: Frame, code: Code) -> None:
        """``if value is not None: container.append(value)``, or splice it."""
        if self.splice and code.kind in ("any", "list"):
            self._spliced(frame, code)
            return
        test, code = _checked(frame, code)
        append = method(name(self.container), "append", without_null(frame, code))
        _store(frame, code, ast.Expr(append), test)

    def nothing(self, frame: Frame) -> None:
        """The item is left out."""

    def _spliced(self, frame: Frame, code: Code) -> None:
        """``if type(value) is list: container.extend(value)``, else append it."""
        target = name(self.container)
        if code.kind == "list" and not code.maybe:
            frame.add(ast.Expr(method(target, "extend", code.node)))
            return
        first, again = twice(frame, code.node)
        with frame.into([]) as single:
            ListItem(self.container).put(frame, code.but(node=again, kind="other"))
        extend = frame.located(ast.Expr(method(target, "extend", again)))
        frame.branch(has_type(first, "list"), [extend], single)


@dataclass(frozen=True, slots=True)
class Local:
    """A local name."""

    target: str

    def put(self, frame: Frame, code: Code) -> None:
        """``target = value``."""
        frame.add(assign(self.target, plain(code)))

    def nothing(self, frame: Frame) -> None:
        """``target = None``."""
        frame.add(assign(self.target, const(None)))


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """What the function gives."""

    def put(self, frame: Frame, code: Code) -> None:
        """``return value``."""
        frame.add(ast.Return(plain(code)))

    def nothing(self, frame: Frame) -> None:
        """``return None``."""
        frame.add(ast.Return(const(None)))


@dataclass(frozen=True, slots=True)
class Listed:
    """What a function gives that has to be a list: anything else is a list of one."""

    def put(self, frame: Frame, code: Code) -> None:
        """``return value``, ``return [value]``, or whichever of the two it turns out to be."""
        if code.kind == "list":
            frame.add(ast.Return(plain(code)))
        elif code.kind == "any" or code.maybe or code.hollow or code.null:
            first, again = twice(frame, plain(code))
            frame.add(ast.Return(choose(has_type(first, "list"), again, call("o_listed", again))))
        else:
            frame.add(ast.Return(ast.List([code.node], ast.Load())))

    def nothing(self, frame: Frame) -> None:
        """``return None``."""
        frame.add(ast.Return(const(None)))


@dataclass(frozen=True, slots=True)
class Into:
    """All members go into a map that exists already, for `$merge`."""

    container: str

    def put(self, frame: Frame, code: Code) -> None:
        """``merged(container, value)``. PERF: asked inline, as most often there is nothing."""
        test, value = _checked(frame, code)
        _store(frame, value, ast.Expr(call("o_merged", name(self.container), value.node)), test)

    def nothing(self, frame: Frame) -> None:
        """Nothing is merged."""


def plain(code: Code) -> ast.expr:
    """The value, with a hollow map as nothing."""
    return ast.BoolOp(ast.Or(), [code.node, const(None)]) if code.hollow else code.node


def operand(frame: Frame, code: Code) -> Code:
    """The value for use in an expression: NULL and hollow maps are nothing."""
    if code.hollow:
        return code.but(node=plain(code), hollow=False, maybe=True)
    if code.null:
        return code.but(node=without_null(frame, code), null=False, maybe=True)
    return code


def unless_nothing(frame: Frame, code: Code, use: ast.expr | None = None) -> tuple[ast.expr | None, ast.expr]:
    """A test that the value is nothing (None if it can't be) and a node to use it by afterwards."""
    if not code.maybe:
        return None, code.node
    first, again = twice(frame, code.node)
    return is_nothing(first), again
