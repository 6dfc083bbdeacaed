"""A function in the making: its statements, locals, variables in scope, and the text that each line stands for.

Takes Code from expressions and directives; gives the finished ``ast.FunctionDef``. One Frame per generated function.
"""

from __future__ import annotations

import ast
import marshal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import CodeType
from typing import Any, Protocol, TypeVar

from jinja2 import nodes

from engine.compiler.diagnostics import path_text
from engine.compiler.expressions.code import (
    GETTER_READS,
    Code,
    Getter,
    Variable,
    assign,
    call,
    const,
    name,
    settle,
    when,
)
from engine.compiler.expressions.scope import Path, Scope, Where
from engine.filters.failures import MODULE
from engine.filters.operations import DEPTH, SLICE, STEPS

Node = TypeVar("Node", bound=ast.AST)

LOOPS = 12
"""How deep loops of one function may nest (Python allows 20 blocks)."""
LEVELS = 40
"""How deep trees may nest."""
_SHORT = frozenset({"ctx"})


@dataclass(frozen=True)
class Function:
    """A compiled mapping: its syntax tree, what its lines stand for, and the module globals that it needs.

    One that another process compiled has its code and no tree.
    """

    name: str
    node: ast.FunctionDef | None
    places: tuple[tuple[str, str], ...]
    """For line 1, 2, ...: the expression's text, and the path of the leaf."""
    constants: Mapping[str, ast.expr]

    @cached_property
    def code(self) -> CodeType:
        """Its definition, ready to run. PERF: a function that an edit does not touch is not made again."""
        assert self.node is not None
        return compile(ast.Module([self.node], []), MODULE, "exec", dont_inherit=True, optimize=0)

    def __reduce__(self) -> tuple[Any, ...]:
        """Without its tree, which has done its work once there is code."""
        return _taken_up, (self.name, self.places, self.constants, marshal.dumps(self.code))


def _taken_up(name: str, places: Any, constants: Any, code: bytes) -> Function:
    function = Function(name, None, places, constants)
    function.__dict__["code"] = marshal.loads(code)  # noqa: S302 - put away by this program
    return function


class Trees(Protocol):
    """The writer of trees, for directives that hold some (the module ``trees``)."""

    def emit(self, frame: Frame, tree: Any, sink: Any, path: Path) -> None:
        """Write a tree's value into a sink."""

    def value(self, frame: Frame, tree: Any, path: Path) -> Code:
        """A tree's value as Code."""


class Expressions(Protocol):
    """The writer of one leaf's expressions, for filters and tests (the module ``expression``)."""

    @property
    def frame(self) -> Frame:
        """The function that is being written."""

    def fault(self, code: str, message: str, **details: Any) -> Code:
        """Note a fault; the value is nothing, so that the rest can still be checked."""

    def write(self, node: nodes.Node) -> Code:
        """The Code of any expression."""

    def value(self, node: nodes.Node) -> Code:
        """The Code of an expression that an operator uses: NULL counts as nothing."""

    def contained(self, item: Code, container: Code) -> ast.expr:
        """``item in container``."""


class Frame:
    """State while one function is written."""

    def __init__(self, scope: Scope, where: Where, trees: Trees, *, fragment: bool = False) -> None:
        self.scope = scope
        self.where = where
        self.trees = trees
        self.fragment = fragment
        self.block: list[ast.stmt] = []
        self.names: dict[str, Code] = {}
        self.loops = 0
        self.level = 0
        self.near: frozenset[str] | None = None
        """In loops: names whose values all turns together put in once; None where nothing is repeated."""
        self.counts_steps = fragment
        self.constants: dict[str, ast.expr] = {}
        self._places: list[tuple[str, str]] = []
        self._variables: list[Variable] = []
        self._temps = 0

    # -- statements

    def add(self, statement: ast.stmt) -> None:
        """Append a statement to the current block."""
        self.block.append(self.located(statement))

    @contextmanager
    def into(self, block: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
        """Append to another block for a while."""
        outer, self.block = self.block, block
        try:
            yield block
        finally:
            self.block = outer

    def branch(self, test: ast.expr, body: list[ast.stmt], otherwise: list[ast.stmt] | None = None) -> None:
        """Append an if statement, unless there is nothing to do in it."""
        if body or otherwise:
            self.add(when(test, body, otherwise))

    # -- places

    def place(self, path: Path, text: str) -> None:
        """What is written from now on stands for this leaf."""
        entry = (text if len(text) <= 200 else text[:197] + "...", path_text(path))
        if not self._places or self._places[-1] != entry:
            self._places.append(entry)

    def located(self, node: Node) -> Node:
        """Give a node the line of the current place; in the end, all inside it that has none takes its line."""
        if isinstance(node, ast.stmt | ast.expr) and not hasattr(node, "lineno"):
            node.lineno = node.end_lineno = max(len(self._places), 1)
            node.col_offset = node.end_col_offset = 0
        return node

    def fault(self, code: str, message: str, path: Path, **details: object) -> None:
        """Note a fault of the document."""
        self.scope.fault(code, message, path, where=self.where, **details)  # type: ignore[arg-type]

    # -- names

    def temp(self, stem: str = "t") -> str:
        """A local of its own."""
        self._temps += 1
        return f"{stem}{self._temps}"

    def constant(self, identifier: str, value: ast.expr) -> ast.Name:
        """A module global that is made once, when the module is loaded."""
        self.constants[identifier] = value
        return name(identifier)

    def variable(self, local: str, *, kind: str = "any", maybe: bool = True, null: bool = False) -> Code:
        """A local whose keys can be read; call where it has just been set."""
        variable = Variable(local)
        self._variables.append(variable)
        self.add(Getter(variable))
        return Code(name(local), kind, maybe, null, variable=variable)

    @contextmanager
    def bound(self, names: Mapping[str, Code]) -> Iterator[None]:
        """Names in scope for a while; inner ones hide outer ones."""
        outer, near = self.names, self.near
        self.names = {**outer, **names}
        if near:
            self.near = near | names.keys()
        try:
            yield
        finally:
            self.names, self.near = outer, near

    @contextmanager
    def handing_on(self) -> Iterator[None]:
        """What is written is counted where it is put in."""
        outer, self.near = self.near, None
        try:
            yield
        finally:
            self.near = outer

    @contextmanager
    def turning(self, names: Iterable[str], source: frozenset[str]) -> Iterator[None]:
        """Inside a loop: its names are near, unless what it runs over is gone through again by an outer loop."""
        outer, self.near = self.near, frozenset() if self.far(source) else frozenset(names)
        self.loops += 1
        try:
            yield
        finally:
            self.loops -= 1
            self.near = outer

    def far(self, names: frozenset[str]) -> bool:
        """May one value of these names be put in many times over? What the gateway says of a call itself is short."""
        return self.near is not None and not names <= self.near | _SHORT

    @contextmanager
    def deeper(self, path: Path) -> Iterator[bool]:
        """One level down the tree; gives False, with a fault, where trees end."""
        self.level += 1
        try:
            if self.level > LEVELS:
                self.fault("too-large", f"the mapping nests deeper than {LEVELS} levels", path)
            yield self.level <= LEVELS
        finally:
            self.level -= 1

    def charge(self, amount: ast.expr) -> None:
        """Take steps from the budget of this call."""
        self.counts_steps = True
        left = ast.Subscript(name("_n"), const(0), ast.Load())
        self.add(ast.AugAssign(ast.Subscript(name("_n"), const(0), ast.Store()), ast.Sub(), amount))
        self.add(when(ast.Compare(left, [ast.Lt()], [const(0)]), [ast.Expr(call("o_spent", name("_n")))]))

    # -- the end

    def finish(self, identifier: str, parameters: list[str]) -> Function:
        """The function, with all reads resolved and its budget set up."""
        for variable in self._variables:
            if variable.reads.total() >= GETTER_READS:
                variable.getter = f"{variable.local}_get"
        body = self.block or [ast.Pass()]
        if self.fragment:
            head = ["_r", "_n", "_d"]
        else:
            head = ["_r"]
            body = self._guarded(body, parameters)
        arguments = ast.arguments([], [ast.arg(item) for item in head + parameters], None, [], [], None, [])
        node = ast.FunctionDef(identifier, arguments, body, [], None, None)
        settle(node, 1)
        return Function(identifier, node, tuple(self._places), dict(self.constants))

    def _guarded(self, body: list[ast.stmt], parameters: list[str]) -> list[ast.stmt]:
        """The body with its budget (see ``spent``); failures name their expression (PERF: free while none happens)."""
        error = ast.ExceptHandler(
            name("Exception"), "error", [ast.Raise(call("o_located", name("error")), name("error"))]
        )
        steps = [const(SLICE), const(STEPS - SLICE), *map(name, parameters)]
        budget = [assign("_n", ast.List(steps, ast.Load()))] if self.counts_steps else []
        return [*budget, ast.Try(body, [error], [], [])]

    @property
    def repeats(self) -> bool:
        """Is what is written now run more than once for one call?"""
        return self.fragment or self.loops > 0

    def budget(self) -> ast.expr:
        """The budget of steps, for operations that take from it by the size of what they handle."""
        self.counts_steps = True
        return name("_n")

    def guard_fragment(self, steps: int) -> None:
        """What a fragment that uses fragments does first: take steps by its size, and one level.

        One that uses none takes no more than its own size and its loops, which are counted.
        """
        self.charge(const(steps))
        self.add(when(ast.Compare(name("_d"), [ast.Gt()], [const(DEPTH)]), [ast.Expr(call("o_too_deep"))]))

    @property
    def depth(self) -> ast.expr:
        """The depth argument for a fragment that is called from here."""
        return ast.BinOp(name("_d"), ast.Add(), const(1)) if self.fragment else const(1)
