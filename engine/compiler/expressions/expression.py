"""Jinja syntax trees to Code: names, reads, operators, literals. Filters and tests are in ``calls``.

Takes the text of a leaf or field; gives Code, and faults for what the language doesn't allow. There is no way from an
expression to a Python attribute, and no call but of registered filters and tests.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any, ClassVar

from jinja2 import nodes

from engine.compiler.expressions import calls
from engine.compiler.expressions.code import (
    NOTHING,
    Code,
    Read,
    call,
    choose,
    compare,
    const,
    has_type,
    is_nothing,
    method,
    name,
)
from engine.compiler.expressions.frame import Frame
from engine.compiler.expressions.parsing import ParseError, Piece, bare, names_of, pieces, reads_only
from engine.compiler.expressions.scope import Path
from engine.compiler.expressions.sinks import operand, twice, unless_nothing
from engine.filters.operations import PUT

_ARITHMETIC = {
    nodes.Add: ("o_add", "any"),
    nodes.Sub: ("o_subtract", "number"),
    nodes.Mul: ("o_multiply", "number"),
    nodes.Div: ("o_divide", "number"),
    nodes.FloorDiv: ("o_floor_divide", "number"),
    nodes.Mod: ("o_modulo", "number"),
}
_EQUAL: dict[str, type[ast.cmpop]] = {"eq": ast.Eq, "ne": ast.NotEq}
_ORDER: dict[str, type[ast.cmpop]] = {"lt": ast.Lt, "gt": ast.Gt, "lteq": ast.LtE, "gteq": ast.GtE}


def leaf(frame: Frame, text: str, path: Path) -> Code:
    """The value of a text in a mapping: literal, one typed expression, or a text with expressions inside."""
    if "{{" not in text and "{%" not in text:
        return Code(const(text), "text", maybe=False)
    try:
        parts = pieces(text)
    except ParseError as ex:
        frame.fault("bad-expression", str(ex), path, token=ex.token, found=text[:80])
        return NOTHING
    writer = Writer(frame, path)
    frame.place(path, parts[0].text if len(parts) == 1 else text)
    code = writer.piece(parts[0]) if len(parts) == 1 else writer.joined([writer.piece(piece) for piece in parts])
    if code.kind not in ("number", "boolean") and frame.far(names_of(*(piece.tree for piece in parts))):
        code = code.but(node=_counted(frame, code), variable=None)
    return _located(frame, code)


def _counted(frame: Frame, code: Code) -> ast.expr:
    """A value that may be put in many times over takes steps by its length.

    PERF: nothing and what is too short for a step are told in place (40 ns); the call takes three times that.
    """
    first, again = twice(frame, code.node)
    short = compare(call("len", again), ast.Lt(), const(1 << PUT))
    free = ast.BoolOp(ast.And(), [has_type(again, "str"), short])
    return choose(ast.BoolOp(ast.Or(), [is_nothing(first), free]), again, call("o_put", frame.budget(), again))


def field(frame: Frame, text: Any, path: Path) -> Code:
    """The value of a field that takes an expression, bare or in braces; other scalars stand for themselves."""
    if not isinstance(text, str):
        if isinstance(text, bool | int | float):
            return Code(const(text), "boolean" if isinstance(text, bool) else "number", maybe=False)
        frame.fault("wrong-type", "an expression is expected here", path, expected="an expression as text")
        return NOTHING
    try:
        piece = bare(text)
    except ParseError as ex:
        frame.fault("bad-expression", str(ex), path, token=ex.token, found=text[:80])
        return NOTHING
    frame.place(path, piece.text)
    return _located(frame, Writer(frame, path).piece(piece))


def names(text: Any) -> frozenset[str]:
    """The names that a field reads; none where it is no expression."""
    try:
        return names_of(bare(text).tree) if isinstance(text, str) else frozenset()
    except ParseError:
        return frozenset()


def handed_on(text: Any) -> bool:
    """Is a tree a leaf that gives a name's value, or a part of it, as it is?"""
    try:
        return isinstance(text, str) and reads_only(text)
    except ParseError:
        return False


def condition(frame: Frame, text: Any, path: Path) -> ast.expr:
    """A field as the test of an if statement."""
    return operand(frame, field(frame, text, path)).node


def _located(frame: Frame, code: Code) -> Code:
    frame.located(code.node)
    return code


class Writer:
    """Writes the expressions of one leaf."""

    def __init__(self, frame: Frame, path: Path) -> None:
        self.frame = frame
        self.path = path

    def fault(self, code: str, message: str, **details: Any) -> Code:
        """Note a fault; the value is nothing, so that the rest can still be checked."""
        self.frame.fault(code, message, self.path, **details)
        return NOTHING

    def piece(self, piece: Piece) -> Code:
        """A stretch of a leaf."""
        return Code(const(piece.text), "text", maybe=False) if piece.tree is None else self.write(piece.tree)

    def write(self, node: nodes.Node) -> Code:
        """The Code of any expression."""
        writer = self._writers.get(type(node))
        if writer is None:
            return self.fault(*_refusal(node))
        return writer(self, node)

    def value(self, node: nodes.Node) -> Code:
        """The Code of an expression that an operator uses: NULL counts as nothing."""
        return operand(self.frame, self.write(node))

    # -- literals

    def _const(self, node: nodes.Const) -> Code:
        value = node.value
        if isinstance(value, float) and not math.isfinite(value):
            return self.fault("bad-expression", "the number is too large")
        kinds = {bool: "boolean", int: "number", float: "number", str: "text"}
        return Code(const(value), kinds.get(type(value), "any"), maybe=value is None)

    def _list(self, node: nodes.List | nodes.Tuple) -> Code:
        items = [self.write(item) for item in node.items]
        display = ast.List([item.node for item in items], ast.Load())
        if any(item.maybe or item.null or item.hollow for item in items):
            return Code(call("o_some", display), "list", maybe=False)
        return Code(display, "list", maybe=False)

    def _dict(self, node: nodes.Dict) -> Code:
        pairs = [(self.value(pair.key), self.write(pair.value)) for pair in node.items]
        if all(key.kind == "text" and not key.maybe and not (item.maybe or item.null) for key, item in pairs):
            return Code(ast.Dict([key.node for key, _ in pairs], [item.node for _, item in pairs]), "map", maybe=False)
        display: list[ast.expr] = [ast.Tuple([key.node, item.node], ast.Load()) for key, item in pairs]
        return Code(call("o_members", ast.List(display, ast.Load())), "map", maybe=False)

    # -- names and reads

    def _name(self, node: nodes.Name) -> Code:
        variable = self.frame.names.get(node.name)
        if variable is None:
            known = list(self.frame.names)
            return self.fault(
                "unknown-name",
                f"there is no variable `{node.name}` here",
                token=node.name,
                known=known,
                expected="one of " + ", ".join(sorted(known)) if known else "an expression without variables",
            )
        return variable

    def _getattr(self, node: nodes.Getattr) -> Code:
        return self.read(self.write(node.node), node.attr)

    def read(self, code: Code, key: str) -> Code:
        """A key of a map; nothing of anything else."""
        if code.variable is not None:
            code.variable.reads[key] += 1
            return Code(Read(code.variable, key))
        code = operand(self.frame, code)
        if code.kind == "map" and not code.maybe:
            return Code(method(code.node, "get", const(key)))
        if code.kind in ("text", "number", "boolean", "list"):
            return self.fault("bad-expression", f"`.{key}` reads a map's key, but here is always a {code.kind}")
        first, again = twice(self.frame, code.node)
        return Code(choose(has_type(first, "dict"), method(again, "get", const(key)), const(None)))

    def _getitem(self, node: nodes.Getitem) -> Code:
        argument = node.arg
        if isinstance(argument, nodes.Slice):
            return self._slice(self.value(node.node), argument)
        if isinstance(argument, nodes.Const) and isinstance(argument.value, str):
            return self.read(self.write(node.node), argument.value)
        code = self.value(node.node)
        if isinstance(argument, nodes.Const) and type(argument.value) is int:
            return Code(call("o_at", code.node, const(argument.value)))
        return Code(call("o_read", code.node, self.value(argument).node))

    def _slice(self, code: Code, node: nodes.Slice) -> Code:
        bounds = [
            const(None) if bound is None else self.value(bound).node for bound in (node.start, node.stop, node.step)
        ]
        return Code(call("o_cut", code.node, *bounds))

    # -- operators

    def _arithmetic(self, node: nodes.BinExpr) -> Code:
        function, kind = _ARITHMETIC[type(node)]
        left, right = self.value(node.left), self.value(node.right)
        allowed = ("any", "number") if function != "o_add" else ("any", "number", "text", "list")
        for side in (left, right):
            if side.kind not in allowed:
                return self.fault("bad-expression", f"`{node.operator}` takes numbers, not a {side.kind}")
        budget = [self.frame.budget()] if function == "o_add" else []
        return Code(call(function, *budget, left.node, right.node), kind)

    def _negative(self, node: nodes.Neg) -> Code:
        if isinstance(node.node, nodes.Const) and type(node.node.value) in (int, float):
            return Code(const(-node.node.value), "number", maybe=False)
        return Code(call("o_negate", self.value(node.node).node), "number")

    def _positive(self, node: nodes.Pos) -> Code:
        return self.value(node.node)

    def joined(self, parts: list[Code]) -> Code:
        """Values as one text; nothing if one of them is nothing."""
        values = [operand(self.frame, part) for part in parts]
        budget = self.frame.budget()
        return Code(
            call("o_concat", budget, *(value.node for value in values)), "text", any(value.maybe for value in values)
        )

    def _concat(self, node: nodes.Concat) -> Code:
        return self.joined([self.write(part) for part in node.nodes])

    def _not(self, node: nodes.Not) -> Code:
        return Code(ast.UnaryOp(ast.Not(), self.value(node.node).node), "boolean", maybe=False)

    def _and(self, node: nodes.And) -> Code:
        left, right = self.value(node.left), self.value(node.right)
        return Code(ast.BoolOp(ast.And(), [left.node, right.node]), _common(left, right), left.maybe or right.maybe)

    def _or(self, node: nodes.Or) -> Code:
        left, right = self.value(node.left), self.value(node.right)
        return Code(ast.BoolOp(ast.Or(), [left.node, right.node]), _common(left, right), right.maybe)

    def _if(self, node: nodes.CondExpr) -> Code:
        test = self.value(node.test)
        then = operand(self.frame, self.write(node.expr1))
        otherwise = NOTHING if node.expr2 is None else operand(self.frame, self.write(node.expr2))
        kind = then.kind if node.expr2 is None else _common(then, otherwise)
        return Code(choose(test.node, then.node, otherwise.node), kind, then.maybe or otherwise.maybe)

    def _compare(self, node: nodes.Compare) -> Code:
        left = self.value(node.expr)
        tests: list[ast.expr] = []
        for position, item in enumerate(node.ops):
            right = self.value(item.expr)
            if position + 1 < len(node.ops):
                first, again = twice(self.frame, right.node)
                tests.append(self.order(item.op, left, right.but(node=first)))
                left = right.but(node=again)
            else:
                tests.append(self.order(item.op, left, right))
        return Code(tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests), "boolean", maybe=False)

    def order(self, operator: str, left: Code, right: Code) -> ast.expr:
        """One comparison; with nothing all but ``==`` and ``!=`` are false."""
        if operator in _EQUAL:
            return compare(left.node, _EQUAL[operator](), right.node)
        if operator in ("in", "notin"):
            test = self.contained(left, right)
            return test if operator == "in" else ast.UnaryOp(ast.Not(), test)
        if right.kind == "number" and not right.maybe and left.kind in ("any", "number"):
            # PERF: the usual `x > 0`; a type that can't be ordered raises, and is told as any other wrong type
            absent, again = unless_nothing(self.frame, left)
            test = compare(again, _ORDER[operator](), right.node)
            return test if absent is None else ast.BoolOp(ast.And(), [ast.UnaryOp(ast.Not(), absent), test])
        return call("o_compare", const(operator), left.node, right.node)

    def contained(self, item: Code, container: Code) -> ast.expr:
        """``item in container``."""
        if isinstance(container.node, ast.List) and all(
            isinstance(element, ast.Constant) for element in container.node.elts
        ):
            return compare(item.node, ast.In(), ast.Tuple(container.node.elts, ast.Load()))
        if self.frame.repeats:
            # The container is what has to be gone through, so it stands first.
            return call("o_work", self.frame.budget(), const(1), name("o_holds"), container.node, item.node)
        return call("o_contains", item.node, container.node)

    # -- filters and tests

    def _filter(self, node: nodes.Filter) -> Code:
        return calls.write_filter(self, node)

    def _test(self, node: nodes.Test) -> Code:
        return calls.write_test(self, node)

    _writers: ClassVar[dict[type[nodes.Node], Callable[..., Code]]] = {
        nodes.Const: _const,
        nodes.List: _list,
        nodes.Tuple: _list,
        nodes.Dict: _dict,
        nodes.Name: _name,
        nodes.Getattr: _getattr,
        nodes.Getitem: _getitem,
        **dict.fromkeys(_ARITHMETIC, _arithmetic),
        nodes.Neg: _negative,
        nodes.Pos: _positive,
        nodes.Concat: _concat,
        nodes.Not: _not,
        nodes.And: _and,
        nodes.Or: _or,
        nodes.CondExpr: _if,
        nodes.Compare: _compare,
        nodes.Filter: _filter,
        nodes.Test: _test,
    }


def _common(left: Code, right: Code) -> str:
    return left.kind if left.kind == right.kind else "any"


def _refusal(node: nodes.Node) -> tuple[str, str]:
    if isinstance(node, nodes.Pow):
        return "bad-expression", "`**` is not part of the language"
    if isinstance(node, nodes.Call):
        return "bad-expression", "nothing can be called; use a filter: `x | name(...)`"
    return "bad-expression", f"{type(node).__name__.lower()} is not part of the language"
