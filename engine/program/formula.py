"""Price expressions as New API's options hold them: one formula for what a call costs, in dollars per million tokens.

Takes the text once and gives a compiled Expression of plain functions; each call only runs them. ``tier`` in it
notes which tier held. Numbers are exact decimals. Knows nothing of rules and groups.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from engine.errors import GatewrightError
from engine.program.formula_parts import FUNCTIONS, OPERATORS, WORDS, FormulaScene
from engine.program.prices import decimal

_TOKEN = re.compile(r"""\s*(?:(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
                    r"""|(\|\||&&|==|!=|<=|>=|\*\*|\?\?|[-+*/%<>!?:(),]))""")  # fmt: skip
_BINDING = {"||": 1, "or": 1, "&&": 2, "and": 2, "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4,
            "has": 4, "contains": 4, "startsWith": 4, "endsWith": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6,
            "??": 7}  # fmt: skip
_KINDS = {
    "cr": "cache_read", "cc": "cache_write_5m", "cc1h": "cache_write_1h", "img": "input_image", "ai": "input_audio",
    "img_o": "output_image", "ao": "output_audio",
}  # fmt: skip
_COUNTS = ("p", "c", "len", *_KINDS)
_DEPTH, _LENGTH, _DIGITS = 64, 8192, 30

_NOTHING: Mapping[str, int] = {}
_LONG_WRITE = Decimal("1.6")
"""What writing for an hour costs to writing for minutes, where an expression has a price for the latter only."""

Node = Callable[[FormulaScene], Any]


class ExpressionError(GatewrightError, ValueError):
    """An expression that can't be read, or that gives no amount."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression and the counts that it names."""

    text: str
    value: Node
    multipliers: tuple[Node, ...]
    names: frozenset[str]

    def run(self, usage: Mapping[str, Any], body: Any, header: Mapping[str, str], now: float) -> tuple[Decimal, str]:
        """(dollars times a million, the tier that held)."""
        scene = FormulaScene(counts(usage, self.names), body, header, now)
        try:
            value, factor = decimal(self.value(scene)), Decimal(1)
            for multiplier in self.multipliers:
                factor *= multiplier(scene)
        except (ArithmeticError, TypeError, ValueError, AttributeError, KeyError, OSError) as ex:
            raise ExpressionError(f"the price expression failed: {ex}") from ex
        if value is None or value * factor < 0:
            raise ExpressionError("the price expression gives no amount")
        return value * factor, scene.tier


def counts(usage: Mapping[str, Any], names: frozenset[str]) -> dict[str, Decimal | int]:
    """The variables: a kind that the expression names is taken out of what it stands in.

    What is written for an hour counts as so much more written for minutes where only that has a price.
    """
    get, beyond = usage.get, usage.get("beyond") or _NOTHING
    kinds = {short: (get(name) or 0) + beyond.get(name, 0) for short, name in _KINDS.items()}
    whole, output = get("input_total") or 0, get("output_total") or 0
    apart = names | {"cc1h"} if "cc" in names else names
    named = {name: number for name, number in kinds.items() if name in apart}
    out = named.pop("img_o", 0) + named.pop("ao", 0)
    writes = kinds["cc"] if "cc1h" in names else kinds["cc"] + kinds["cc1h"] * _LONG_WRITE
    return {**kinds, "cc": writes, "len": whole, "p": max(0, whole - sum(named.values())), "c": max(0, output - out)}


@lru_cache(maxsize=512)
def compiled(text: str) -> Expression:
    """The expression of a text; raises ExpressionError, which says what is wrong with it."""
    if len(text) > _LENGTH:
        raise ExpressionError("the price expression is too long")
    head, *tail = text.removeprefix("v1:").split("|||")
    names: set[str] = set()
    value = _Parser(head, names).whole()
    multipliers = tuple(_Parser(part, names).whole() for part in tail if part.strip())
    return Expression(text, value, multipliers, frozenset(names))


class _Parser:
    """Precedence climbing over the tokens of one expression; each node becomes a function."""

    def __init__(self, text: str, names: set[str]) -> None:
        self.tokens = list(_tokens(text))
        self.at = 0
        self.depth = 0
        self.names = names

    def whole(self) -> Node:
        node = self.ternary()
        if self.at < len(self.tokens):
            raise ExpressionError(f"did not expect {self.tokens[self.at][1]!r} in the price expression")
        return node

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> tuple[str, str]:
        if self.at >= len(self.tokens) or (wanted and self.peek() != wanted):
            raise ExpressionError(f"expected {wanted or 'a value'!r} in the price expression, found {self.peek()!r}")
        self.at += 1
        return self.tokens[self.at - 1]

    def ternary(self) -> Node:
        self.depth += 1
        if self.depth > _DEPTH:
            raise ExpressionError("the price expression nests too deep")
        test = self.binary(1)
        if self.peek() == "?":
            self.take()
            then = self.ternary()
            self.take(":")
            test = _choose(test, then, self.ternary())
        self.depth -= 1
        return test

    def binary(self, least: int) -> Node:
        left = self.unary()
        while _BINDING.get(self.peek(), 0) >= least:
            sign = self.take()[1]
            left = _operation(sign, left, self.binary(_BINDING[sign] + 1))
        return left

    def unary(self) -> Node:
        if self.peek() in ("-", "+", "!", "not"):
            sign = self.take()[1]
            self.depth += 1
            inner = self.unary() if self.depth < _DEPTH else _too_deep()
            self.depth -= 1
            return _negated(sign, inner)
        return self.primary()

    def primary(self) -> Node:
        kind, text = self.take()
        if kind == "number":
            number = Decimal(text)
            if number and abs(number.adjusted()) > _DIGITS:
                raise ExpressionError(f"the number {text} in the price expression is out of all proportion")
            return _constant(number)
        if kind == "text":
            return _constant(re.sub(r"\\(.)", r"\1", text[1:-1]))
        if text == "(":
            node = self.ternary()
            self.take(")")
            return node
        if kind != "name":
            raise ExpressionError(f"did not expect {text!r} in the price expression")
        if text in WORDS:
            return _constant(WORDS[text])
        if self.peek() == "(":
            return self.call(text)
        if text not in _COUNTS:
            raise ExpressionError(f"the price expression names {text!r}, which is none of {', '.join(_COUNTS)}")
        self.names.add(text)
        return _count(text)

    def when(self) -> Node:
        """``when(condition) * number`` is the number where the condition holds, else 1."""
        self.take("(")
        condition = self.ternary()
        self.take(")")
        self.take("*")
        return _choose(condition, self.unary(), _constant(Decimal(1)))

    def call(self, name: str) -> Node:
        if name == "when":
            return self.when()
        function = FUNCTIONS.get(name)
        if function is None:
            raise ExpressionError(f"the price expression calls {name!r}, which is none of {', '.join(FUNCTIONS)}")
        self.take("(")
        arguments: list[Node] = []
        while self.peek() != ")":
            if arguments:
                self.take(",")
            arguments.append(self.ternary())
        self.take(")")
        return _called(function, arguments)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"can't read the price expression at {text[at : at + 20]!r}")
        kind = ("number", "name", "text", "sign")[(match.lastindex or 1) - 1]
        tokens.append((kind, match[match.lastindex or 1]))
        at = match.end()
    return tokens


def _too_deep() -> Node:
    raise ExpressionError("the price expression nests too deep")


def _constant(value: Any) -> Node:
    return lambda scene: value


def _count(name: str) -> Node:
    return lambda scene: Decimal(scene.counts[name])


def _choose(test: Node, then: Node, otherwise: Node) -> Node:
    return lambda scene: then(scene) if test(scene) else otherwise(scene)


def _negated(sign: str, inner: Node) -> Node:
    if sign in ("!", "not"):
        return lambda scene: not inner(scene)
    return (lambda scene: -inner(scene)) if sign == "-" else inner


def _operation(sign: str, left: Node, right: Node) -> Node:
    if sign in ("||", "or"):
        return lambda scene: left(scene) or right(scene)
    if sign in ("&&", "and"):
        return lambda scene: left(scene) and right(scene)
    operator = OPERATORS[sign]
    return lambda scene: operator(left(scene), right(scene))


def _called(function: Callable[..., Any], arguments: Sequence[Node]) -> Node:
    return lambda scene: function(scene, *[node(scene) for node in arguments])
