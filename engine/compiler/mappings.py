"""Mappings of a document: every field that its schema marks as a tree or an expression, compiled.

Takes a definition and its fields; gives a function for each mapping, in a scope that the whole document shares.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.compiler import analysis, mapping, references
from engine.compiler.diagnostics import Fault, Place
from engine.compiler.fragments import Fragments
from engine.compiler.positions import Path
from engine.compiler.schema import Field
from engine.compiler.scope import Fragment, Scope
from engine.compiler.sets import Definition


@dataclass(frozen=True, slots=True)
class Compiled:
    """One mapping: the name of its function, and the variables that it takes after the report."""

    name: str
    variables: tuple[str, ...]
    tree: Any
    scope: Scope

    def reads(self, variable: str) -> set[str]:
        """The dotted paths below a variable that the mapping reads."""
        return set(analysis.reads(self.tree, variable, self.scope))


def compile_definition(
    definition: Definition, fields: list[Field], shared: Fragments, faults: list[Fault], taken: set[str]
) -> tuple[dict[Path, Compiled], list[mapping.Function]]:
    """A function for each mapping of the document, by its path, and all functions that they need.

    ``taken`` are identifiers that the set uses already.
    """
    scope = _scope(definition, shared, faults, _free(f"{definition.kind}_{definition.name}".lower(), taken))
    compiled: dict[Path, Compiled] = {}
    functions: list[mapping.Function] = []
    groups = references.groups(definition.spec.get("match")) if definition.kind == "Alias" else ()
    members = dict.fromkeys(groups, "name")
    for item in fields:
        if item.mapping is None or item.path[:2] == ("spec", "fragments"):
            continue
        name = _free("_".join(["m", scope.name, *map(str, item.path[1:])]), taken)
        compile_ = mapping.compile_function if item.mapping == "tree" else mapping.compile_expression
        value = item.value if item.mapping == "tree" or isinstance(item.value, str) else str(item.value).lower()
        functions.append(compile_(name, value, item.variables, scope, at=item.path, members=members))
        compiled[item.path] = Compiled(name, item.variables, value, scope)
    return compiled, functions + mapping.fragment_functions(scope)


def _scope(definition: Definition, shared: Fragments, faults: list[Fault], identifier: str) -> Scope:
    spec = definition.spec
    own = spec.get("fragments")
    own = own if isinstance(own, dict) else {}
    fragments: dict[str, Fragment] = {
        name: Fragment(name, item.args, item.do, _anywhere(item.document.where), (name, "do"))
        for name, item in shared.items()
    }
    for name, value in own.items():
        if isinstance(value, dict) and "do" in value:
            arguments = value.get("args")
            args = tuple(str(arg) for arg in arguments) if isinstance(arguments, list) else ()
            at = ("spec", "fragments", name, "do")
            fragments[name] = Fragment(name, args, value["do"], _anywhere(definition.where), at)
    tables = spec.get("tables")
    return Scope(
        name=identifier,
        tables=tables if isinstance(tables, dict) else {},
        fragments=fragments,
        where=_anywhere(definition.where),
        faults=faults,
        own=tuple(own),
    )


def _anywhere(where: Callable[[Path, str | None], Place]) -> Callable[..., Place]:
    """``where`` with an optional token, as the mapping compiler calls it."""

    def place(path: Path, token: str | None = None) -> Place:
        return where(path, token)

    return place


def _free(text: str, taken: set[str]) -> str:
    """An identifier like the text that nothing else has."""
    base = re.sub(r"[^A-Za-z0-9]", "_", text)
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name
