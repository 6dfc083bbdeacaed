"""Filters and tests of expressions to Code: checks of names and arguments, calls, and what is written in place.

Takes Jinja's filter and test nodes; gives Code. What each does is in engine.filters; its record says what it takes and
how it is written, so nothing here knows one by name.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping

from jinja2 import nodes

from engine.compiler.expressions.code import (
    NOTHING,
    Code,
    call,
    choose,
    compare,
    const,
    has_type,
    is_nothing,
    is_something,
    literal,
    name,
)
from engine.compiler.expressions.frame import Expressions
from engine.compiler.expressions.sinks import operand, unless_nothing
from engine.filters import FILTERS, TESTS, Filter, Literal, Question, QuestionForm, patterns

_KINDS = {"text", "number", "boolean", "list", "map"}


def write_filter(writer: Expressions, node: nodes.Filter) -> Code:
    """``value | name(arguments)``."""
    if node.node is None:
        return writer.fault("bad-expression", "a filter needs a value before it")
    value = writer.value(node.node)
    record = FILTERS.get(node.name)
    if record is None:
        return _unknown(writer, "filter", node.name, FILTERS)
    if not _arguments_fit(writer, record, node):
        return NOTHING
    if record.alternative:
        return _alternative(writer, value, node.args[0])
    arguments = _arguments(writer, record, node.args)
    if arguments is None:
        return NOTHING
    if record.reports:
        arguments.append(name("_r"))
    kind = record.gives if record.gives in _KINDS else "any"
    absent, again = unless_nothing(writer.frame, value)
    result = _work(writer, f"f_{record.name}", record.cost, again, *arguments)
    if absent is not None:
        result = choose(absent, const(None), result)
    return Code(result, kind, maybe=absent is not None or not record.never_nothing)


def write_test(writer: Expressions, node: nodes.Test) -> Code:
    """``value is name(arguments)``: always true or false."""
    value = writer.value(node.node)
    record = TESTS.get(node.name)
    if record is None:
        return _unknown(writer, "test", node.name, TESTS)
    if not _arguments_fit(writer, record, node):
        return NOTHING
    return Code(_answer(writer, record, value, node.args), "boolean", maybe=False)


def _answer(writer: Expressions, record: Question, value: Code, expressions: list[nodes.Expr]) -> ast.expr:
    match record.asks:
        case QuestionForm.PRESENT:
            return is_something(value.node)
        case QuestionForm.ABSENT:
            return is_nothing(value.node)
        case QuestionForm.MEMBER:
            return writer.contained(value, writer.value(expressions[0]))
        case QuestionForm.TYPE if len(record.types) == 1:
            return has_type(value.node, record.types[0].__name__)
        case QuestionForm.TYPE:
            return compare(call("type", value.node), ast.In(), _types(writer, record.types))
    arguments = _arguments(writer, record, expressions)
    return const(False) if arguments is None else _work(writer, f"q_{record.name}", record.cost, value.node, *arguments)


def _types(writer: Expressions, types: tuple[type, ...]) -> ast.expr:
    """PERF: made once, when the module is loaded."""
    names = [item.__name__ for item in types]
    return writer.frame.constant("y_" + "_".join(names), ast.Tuple([name(item) for item in names], ast.Load()))


def _unknown(writer: Expressions, what: str, word: str, known: Mapping[str, Filter | Question]) -> Code:
    for record in known.values():
        if word in record.elsewhere:
            message = f"there is no {what} `{word}`; here it is called `{record.name}`"
            return writer.fault(f"unknown-{what}", message, token=word, near=record.name)
    return writer.fault(f"unknown-{what}", f"there is no {what} `{word}`", token=word, known=list(known))


def _arguments_fit(writer: Expressions, record: Filter | Question, node: nodes.Filter | nodes.Test) -> bool:
    if node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
        writer.fault("wrong-arguments", f"arguments of `{record.name}` are given by position", token=record.name)
        return False
    least = sum(not argument.endswith("?") for argument in record.arguments)
    most = None if any(argument.endswith("*") for argument in record.arguments) else len(record.arguments)
    if len(node.args) >= least and (most is None or len(node.args) <= most):
        return True
    shape = ", ".join(record.arguments)
    writer.fault(
        "wrong-arguments",
        f"`{record.name}` is given {len(node.args)} argument{'' if len(node.args) == 1 else 's'}",
        token=record.name,
        expected=f"{record.name}({shape})" if shape else f"{record.name}, without arguments",
    )
    return False


def _alternative(writer: Expressions, value: Code, argument: nodes.Expr) -> Code:
    """The value, or what stands in for it; which is not even looked at where it is not needed."""
    other = writer.write(argument)
    absent, again = unless_nothing(writer.frame, value)
    if absent is None:
        return value
    other = operand(writer.frame, other)
    kind = value.kind if value.kind == other.kind else "any"
    return Code(choose(absent, other.node, again), kind, other.maybe)


def _work(writer: Expressions, function: str, cost: int, value: ast.expr, *arguments: ast.expr) -> ast.expr:
    """A call whose time depends on its input; where it may be repeated, it takes from the mapping's steps."""
    if cost and writer.frame.repeats:
        return call("o_work", writer.frame.budget(), const(cost), name(function), value, *arguments)
    return call(function, value, *arguments)


# -- arguments that are written out


def _arguments(writer: Expressions, record: Filter | Question, expressions: list[nodes.Expr]) -> list[ast.expr] | None:
    """The arguments as the function takes them; None, with a fault, where one is not what it has to be."""
    literals = _literals(writer, record.literals, expressions)
    ready: list[ast.expr] = []
    for piece in literals:
        if piece is None:
            return None
        ready.append(piece)
    return ready + [writer.value(argument).node for argument in expressions[len(record.literals) :]]


def _literals(
    writer: Expressions, literals: tuple[Literal, ...], expressions: list[nodes.Expr]
) -> Iterator[ast.expr | None]:
    pattern: patterns.Pattern | None = None
    for kind, argument in zip(literals, expressions, strict=False):
        text = _written(writer, argument, kind)
        if text is None:
            yield None
        elif kind is Literal.TABLE:
            yield _table(writer, text)
            yield const(text)
        elif kind is Literal.PATTERN:
            pattern = _pattern(writer, text)
            yield (
                None if pattern is None else writer.frame.constant(f"r_{_digest(text)}", call("o_pattern", const(text)))
            )
        else:
            yield _replacement(writer, text, pattern)


def _written(writer: Expressions, node: nodes.Expr, kind: Literal) -> str | None:
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        return node.value
    message = f"{kind.value} has to be written out as a text, not computed"
    writer.fault("wrong-arguments", message, expected="a text in quotes")
    return None


def _table(writer: Expressions, table_name: str) -> ast.expr | None:
    scope = writer.frame.scope
    table = scope.tables.get(table_name)
    if table is None:
        message = f"there is no table `{table_name}`"
        writer.fault("unknown-table", message, token=table_name, known=list(scope.tables))
        return None
    plain = table_name if table_name.isidentifier() and table_name.isascii() else f"x{_digest(table_name)}"
    return writer.frame.constant(f"t_{scope.name}_{plain}", literal(dict(table)))


def _pattern(writer: Expressions, text: str) -> patterns.Pattern | None:
    try:
        return patterns.pattern(text)
    except ValueError as ex:
        writer.fault("bad-pattern", f"not a pattern: {ex}", token=text, found=text[:80])
        return None


def _replacement(writer: Expressions, text: str, pattern: patterns.Pattern | None) -> ast.expr | None:
    try:
        return None if pattern is None else const(patterns.template(text, pattern.compiled.groups))
    except ValueError as ex:
        writer.fault("bad-pattern", f"the replacement does not fit its pattern: {ex}", token=text)
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
