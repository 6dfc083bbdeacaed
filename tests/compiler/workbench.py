"""Compile one mapping or expression in memory, for tests: no documents, no places but the path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine import program
from engine.compiler.diagnostics import Fault, Place
from engine.compiler.expressions import emit
from engine.compiler.expressions.scope import Scope
from engine.compiler.mappings import trees
from engine.compiler.mappings.sharing import Sharing

AT = ("spec", "request", "decode")
FRAGMENTS = ("spec", "fragments")


def nowhere(path: tuple[str | int, ...], token: str | None = None) -> Place:
    """Every place is the first line; the path and the token are told in its text."""
    return Place("test.yaml", 1, 1, token or "")


@dataclass
class Bench:
    """What mappings may name, and the faults that they had."""

    variables: tuple[str, ...] = ("body",)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fragments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def scope(self) -> Scope:
        """A scope whose faults are kept here."""
        sharing = Sharing()
        fragments = {
            name: sharing.fragment(name, tuple(held.get("args", ())), held["do"], nowhere, (*FRAGMENTS, name, "do"))
            for name, held in self.fragments.items()
        }
        return Scope("test", self.tables, fragments, nowhere, self.faults, tuple(fragments))

    def functions(self, tree: Any) -> list[trees.Function]:
        """The mapping ``m_test`` and its fragments."""
        scope = self.scope()
        main = trees.compile_function("m_test", tree, self.variables, scope, at=AT)
        return [main, *trees.fragment_functions(scope)]

    def compiled(self, tree: Any) -> Callable[..., Any]:
        """The function of a tree without faults."""
        code = emit.module(self.functions(tree))
        assert not self.faults, "\n".join(fault.as_text() for fault in self.faults)
        return program.run(code)["m_test"]

    def expression(self, text: str) -> Callable[..., Any]:
        """The function of one bare expression without faults."""
        function = trees.compile_expression("m_test", text, self.variables, self.scope(), at=AT)
        code = emit.module([function])
        assert not self.faults, "\n".join(fault.as_text() for fault in self.faults)
        return program.run(code)["m_test"]


def run(tree: Any, body: Any = None, *, report: list[tuple[str, str]] | None = None, **names: Any) -> Any:
    """What a tree gives for a body; tables and fragments by keyword."""
    return Bench(**names).compiled(tree)([] if report is None else report, body)


def value(text: str, body: Any = None) -> Any:
    """What a bare expression gives for a body."""
    return Bench().expression(text)([], body)


def faults(tree: Any, **names: Any) -> list[Fault]:
    """The faults of a tree."""
    bench = Bench(**names)
    bench.functions(tree)
    return bench.faults


def expression_faults(text: Any) -> list[Fault]:
    """The faults of a bare expression."""
    bench = Bench()
    trees.compile_expression("m_test", text, bench.variables, bench.scope(), at=AT)
    return bench.faults
