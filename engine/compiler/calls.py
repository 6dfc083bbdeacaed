"""Filters and tests of expressions to Code: checks of names and arguments, and the few that are written in place.

Takes Jinja's filter and test nodes; gives Code. What the others do is in engine.filters; their records say what they
take, so nothing here knows one by name but the special ones in the tables at the end.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jinja2 import nodes

from engine.compiler.code import (
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
from engine.compiler.sinks import operand, unless_nothing
from engine.filters import FILTERS, TESTS, Filter, Question, patterns

if TYPE_CHECKING:
    from engine.compiler.expression import Writer

_KINDS = {"text", "number", "boolean", "list", "map"}
_NEVER_NOTHING = {"string", "tojson", "hash_id", "startswith", "endswith", "has", "is_data_url"}
_ELSEWHERE = {
    "d": "default", "count": "length", "reverse": "reverse", "tojson_object": "fromjson_object", "select": "where",
    "selectattr": "where", "rejectattr": "reject", "map": "pluck", "dictsort": "sort_keys", "combine": "merge",
    "strip": "trim", "to_json": "tojson", "from_json": "fromjson", "str": "string", "len": "length",
}  # fmt: skip
_ELSEWHERE_TESTS = {
    "defined": "present", "undefined": "absent", "none": "absent", "null": "absent", "sequence": "list",
    "iterable": "list", "dict": "map", "text": "string", "bool": "boolean", "object": "map", "array": "list",
}  # fmt: skip


def write_filter(writer: Writer, node: nodes.Filter) -> Code:
    """``value | name(arguments)``."""
    if node.node is None:
        return writer.fault("bad-expression", "a filter needs a value before it")
    value = writer.value(node.node)
    record = FILTERS.get(node.name)
    if record is None:
        return _unknown(writer, "filter", node.name, FILTERS, _ELSEWHERE)
    if not _arguments_fit(writer, record, node):
        return NOTHING
    special = _FILTERS.get(node.name)
    if special is not None:
        return special(writer, value, node.args)
    arguments = [writer.value(argument).node for argument in node.args]
    kind = record.gives if record.gives in _KINDS else "any"
    absent, again = unless_nothing(writer.frame, value)
    result = _work(writer, f"f_{record.name}", again, *arguments, cost=record.cost)
    if absent is not None:
        result = choose(absent, const(None), result)
    return Code(result, kind, maybe=absent is not None or record.name not in _NEVER_NOTHING)


def write_test(writer: Writer, node: nodes.Test) -> Code:
    """``value is name(arguments)``: always true or false."""
    value = writer.value(node.node)
    record = TESTS.get(node.name)
    if record is None:
        return _unknown(writer, "test", node.name, TESTS, _ELSEWHERE_TESTS)
    if not _arguments_fit(writer, record, node):
        return NOTHING
    special = _TESTS.get(node.name)
    if special is not None:
        return Code(special(writer, value, node.args), "boolean", maybe=False)
    arguments = [writer.value(argument).node for argument in node.args]
    return Code(call(f"q_{record.name}", value.node, *arguments), "boolean", maybe=False)


def _unknown(writer: Writer, what: str, given: str, known: dict[str, Any], elsewhere: dict[str, str]) -> Code:
    if given in elsewhere:
        message = f"there is no {what} `{given}`; here it is called `{elsewhere[given]}`"
        return writer.fault(f"unknown-{what}", message, token=given, near=elsewhere[given])
    return writer.fault(f"unknown-{what}", f"there is no {what} `{given}`", token=given, known=list(known))


def _arguments_fit(writer: Writer, record: Filter | Question, node: nodes.Filter | nodes.Test) -> bool:
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


# -- written in place


def _literal_text(writer: Writer, node: nodes.Expr, what: str) -> str | None:
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        return node.value
    writer.fault(
        "wrong-arguments", f"{what} has to be written out as a text, not computed", expected="a text in quotes"
    )
    return None


def _default(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> Code:
    other = writer.write(arguments[0])
    absent, again = unless_nothing(writer.frame, value)
    if absent is None:
        return value
    other = operand(writer.frame, other)
    kind = value.kind if value.kind == other.kind else "any"
    return Code(choose(absent, other.node, again), kind, other.maybe)


def _lookup(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> Code:
    table_name = _literal_text(writer, arguments[0], "the table's name")
    if table_name is None:
        return NOTHING
    scope = writer.frame.scope
    table = scope.tables.get(table_name)
    if table is None:
        message = f"there is no table `{table_name}`"
        return writer.fault("unknown-table", message, token=table_name, known=list(scope.tables))
    constant = writer.frame.constant(f"t_{scope.name}_{_identifier(table_name)}", literal(dict(table)))
    return Code(call("o_lookup", name("_r"), constant, const(table_name), value.node))


def _pattern(writer: Writer, node: nodes.Expr) -> ast.expr | None:
    text = _literal_text(writer, node, "a pattern")
    if text is None:
        return None
    try:
        patterns.pattern(text)
    except ValueError as ex:
        writer.fault("bad-pattern", f"not a pattern: {ex}", token=text, found=text[:80])
        return None
    return writer.frame.constant(f"r_{_digest(text)}", call("o_pattern", const(text)))


def _matches(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> ast.expr:
    pattern = _pattern(writer, arguments[0])
    return const(False) if pattern is None else _work(writer, "o_matches", value.node, pattern)


def _matches_filter(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> Code:
    pattern = _pattern(writer, arguments[0])
    return NOTHING if pattern is None else _unless(writer, value, "boolean", "o_matches", pattern, sure=True)


def _replace_re(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> Code:
    pattern, new = _pattern(writer, arguments[0]), _literal_text(writer, arguments[1], "a replacement")
    if pattern is None or new is None:
        return NOTHING
    try:
        template = patterns.template(new, patterns.pattern(arguments[0].value).compiled.groups)  # type: ignore[attr-defined]
    except ValueError as ex:
        return writer.fault("bad-pattern", f"the replacement does not fit its pattern: {ex}", token=new)
    return _unless(writer, value, "text", "o_replaced", pattern, const(template))


def _capture(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> Code:
    pattern = _pattern(writer, arguments[0])
    return NOTHING if pattern is None else _unless(writer, value, "map", "o_captured", pattern)


def _fromjson_object(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> Code:
    absent, again = unless_nothing(writer.frame, value)
    result = _work(writer, "o_object", again, name("_r"), cost=FILTERS["fromjson"].cost)
    if absent is not None:
        result = choose(absent, const(None), result)
    return Code(result, "map", maybe=absent is not None)


def _work(writer: Writer, function: str, value: ast.expr, *arguments: ast.expr, cost: int = 1) -> ast.expr:
    """A call whose time depends on its input; where it may be repeated, it takes from the mapping's steps."""
    if cost and writer.frame.repeats:
        return call("o_work", writer.frame.budget(), const(cost), name(function), value, *arguments)
    return call(function, value, *arguments)


def _unless(writer: Writer, value: Code, kind: str, function: str, *arguments: ast.expr, sure: bool = False) -> Code:
    absent, again = unless_nothing(writer.frame, value)
    result = _work(writer, function, again, *arguments)
    if absent is not None:
        result = choose(absent, const(None), result)
    return Code(result, kind, maybe=absent is not None or not sure)


def _of_type(type_name: str) -> Callable[[Writer, Code, list[nodes.Expr]], ast.expr]:
    def write(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> ast.expr:
        return has_type(value.node, type_name)

    return write


def _present(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> ast.expr:
    return is_something(value.node)


def _absent(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> ast.expr:
    return is_nothing(value.node)


def _in(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> ast.expr:
    return writer.contained(value, writer.value(arguments[0]))


def _number(writer: Writer, value: Code, arguments: list[nodes.Expr]) -> ast.expr:
    return compare(call("type", value.node), ast.In(), name("NUMBERS"))


def _identifier(text: str) -> str:
    return text if text.isidentifier() and text.isascii() else f"x{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


_FILTERS: dict[str, Callable[[Writer, Code, list[nodes.Expr]], Code]] = {
    "default": _default,
    "lookup": _lookup,
    "matches": _matches_filter,
    "replace_re": _replace_re,
    "capture": _capture,
    "fromjson_object": _fromjson_object,
}
_TESTS: dict[str, Callable[[Writer, Code, list[nodes.Expr]], ast.expr]] = {
    "present": _present,
    "absent": _absent,
    "string": _of_type("str"),
    "integer": _of_type("int"),
    "boolean": _of_type("bool"),
    "list": _of_type("list"),
    "map": _of_type("dict"),
    "mapping": _of_type("dict"),
    "number": _number,
    "matches": _matches,
    "in": _in,
}
