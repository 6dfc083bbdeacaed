"""Text of a document's leaf to Jinja syntax trees. Finds the end of ``{{ }}`` with Jinja's lexer, never by a pattern.

Takes text; gives pieces (literal text, or an expression's source and tree) or a ParseError. Compiles nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from jinja2 import Environment, TemplateError, nodes
from jinja2.parser import Parser

from engine.errors import GatewrightError

LONGEST = 20_000
"""Characters in one expression."""
DEEPEST = 60
"""Levels in one expression's tree."""

# Only ``{{`` is special in a leaf: the lexer must take no other mark of templates for one.
_JINJA = Environment(  # noqa: S701 - nothing is ever rendered
    block_start_string="\x00{%",
    block_end_string="%}\x00",
    comment_start_string="\x00{#",
    comment_end_string="#}\x00",
    keep_trailing_newline=True,
)


class ParseError(GatewrightError, ValueError):
    """Text that is no expression; ``token`` is the word where reading stopped, if there is one."""

    def __init__(self, message: str, token: str | None = None) -> None:
        super().__init__(message)
        self.token = token


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a leaf: an expression if ``tree`` is there, else literal text."""

    text: str
    tree: nodes.Expr | None = None


@lru_cache(maxsize=1 << 14)
def parse(text: str) -> nodes.Expr:
    """One bare expression."""
    if len(text) > LONGEST:
        raise ParseError(f"the expression has more than {LONGEST} characters")
    try:
        parser = Parser(_JINJA, text, state="variable")
        if parser.stream.eos:
            raise ParseError("the expression is empty")
        tree = parser.parse_expression()
        last = parser.stream.current
    except TemplateError as ex:
        raise ParseError(f"not an expression: {_lower(ex.message)}") from ex
    except (RecursionError, ValueError, OverflowError) as ex:
        raise _as_parse_error(ex) from ex
    if last.type != "eof":
        raise ParseError(f"the expression should end before {str(last.value)!r}", str(last.value))
    if _deeper_than(tree, DEEPEST):
        raise ParseError(f"the expression nests deeper than {DEEPEST} levels")
    return tree


@lru_cache(maxsize=1 << 14)
def pieces(text: str) -> tuple[Piece, ...]:
    """The stretches of a leaf; one literal piece if it holds no expression."""
    if "{{" not in text:
        return (_literal(text),)
    if len(text) > LONGEST:
        raise ParseError(f"the text holds an expression and has more than {LONGEST} characters")
    parts: list[Piece] = []
    inside: list[str] | None = None
    try:
        for _, kind, value in _JINJA.lex(text):
            if kind == "variable_begin":
                inside = []
            elif kind == "variable_end" and inside is not None:
                source = "".join(inside).strip()
                parts.append(Piece(source, parse(source)))
                inside = None
            elif inside is not None:
                inside.append(value)
            else:
                parts.append(_literal(value))
    except TemplateError as ex:
        if text.count("{{") > text.count("}}"):
            raise ParseError("`{{` without its `}}`", "{{") from ex
        raise ParseError(f"not an expression: {_lower(ex.message)}") from ex
    if inside is not None:
        raise ParseError("`{{` without its `}}`", "{{")
    return tuple(parts)


def _literal(text: str) -> Piece:
    if "{%" in text:
        raise ParseError("statements of templates do nothing here; use `$if` or `$for`, or `$raw` for this text", "{%")
    return Piece(text)


def bare(text: str) -> Piece:
    """The one expression of a field that takes an expression, with or without braces around it."""
    source = text.strip()
    if not source.startswith("{{"):
        return Piece(source, parse(source))
    parts = pieces(source)
    if len(parts) != 1 or parts[0].tree is None:
        raise ParseError("one expression is expected here, without text around it")
    return parts[0]


def names_of(*trees: nodes.Node | None) -> frozenset[str]:
    """The names that expressions read."""
    descendants = (node for tree in trees if tree is not None for node in (tree, *tree.find_all(nodes.Name)))
    return frozenset(node.name for node in descendants if isinstance(node, nodes.Name))


def reads_only(text: str) -> bool:
    """Is a leaf no more than a name, or a part of its value?"""
    parts = pieces(text)
    return len(parts) == 1 and isinstance(root_of(parts[0].tree), nodes.Name)


def root_of(node: nodes.Node | None) -> nodes.Node | None:
    """What a part of a value is a part of."""
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        node = node.node
    return node


def _lower(message: str | None) -> str:
    text = (message or "can't be read").rstrip(".")
    return text[:1].lower() + text[1:]


def _as_parse_error(error: Exception) -> ParseError:
    if isinstance(error, ParseError):
        return error
    if isinstance(error, RecursionError):
        return ParseError(f"the expression nests deeper than {DEEPEST} levels")
    return ParseError("the expression holds a number that is too long")


def _deeper_than(tree: nodes.Node, limit: int) -> bool:
    level: list[nodes.Node] = [tree]
    for _ in range(limit):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return False
    return True
