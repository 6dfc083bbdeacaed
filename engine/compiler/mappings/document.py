"""Mappings of a document: every field that its schema marks as a tree or an expression, compiled.

Takes a definition and its fields; gives a function for each mapping, in a scope that the whole document shares. What a
document inherits unchanged is compiled once.
"""

from __future__ import annotations

import json
import re
from collections import ChainMap
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.compiler.analyses import copied_texts, read_paths, request_fields, response_fields
from engine.compiler.checks import hub_fields, references
from engine.compiler.diagnostics import Fault
from engine.compiler.documents.fragments import Fragments
from engine.compiler.documents.positions import Path
from engine.compiler.documents.schema import SchemaField
from engine.compiler.documents.sets import Definition
from engine.compiler.expressions.scope import Fragment, Scope
from engine.compiler.expressions.sinks import FunctionResult, Listed
from engine.compiler.mappings import trees
from engine.compiler.mappings.sharing import Sharing

_TAKEN = "request, as encode takes it"


@dataclass(frozen=True, slots=True)
class Compiled:
    """One mapping: the name of its function, and the variables that it takes after the report."""

    name: str
    variables: tuple[str, ...]
    tree: Any
    scope: Scope
    known: dict[str, frozenset[str]] = field(default_factory=dict, compare=False)
    told: dict[str, response_fields.Reads] = field(default_factory=dict, compare=False)

    def reads(self, variable: str) -> frozenset[str]:
        """The dotted paths below a variable that the mapping reads."""
        if variable not in self.known:
            self.known[variable] = frozenset(read_paths.reads(self.tree, variable, self.scope))
        return self.known[variable]

    def members(self, variable: str) -> frozenset[str]:
        """The members of a variable that an expression reads; see ``read_paths.members``."""
        key = f"{variable}, members of"
        if key not in self.known:
            self.known[key] = frozenset(read_paths.members(self.tree, variable, self.scope))
        return self.known[key]

    def below(self, name: str) -> set[str]:
        """The dotted paths that it reads below a variable, or below the member of ``ctx`` that has this name."""
        paths: set[str] = set()
        for variable, above in (("ctx", f"{name}."), (name, "")):
            if variable in self.variables:
                paths |= {path.removeprefix(above) for path in self.reads(variable) if path.startswith(above)}
        return paths - {"*", "?", ""}

    def fields(self, variable: str, usage: Mapping[str, Any], *, counts: bool = False) -> response_fields.Reads:
        """The wire paths below a variable that the mapping reads, with the hub's words above each."""
        key = f"{variable} {counts} {json.dumps(usage, sort_keys=True)}"
        if key not in self.told:
            self.told[key] = response_fields.fields(self.tree, variable, self.scope, usage, counts=counts)
        return self.told[key]

    def texts(self, variable: str) -> frozenset[str]:
        """The wire paths below a variable whose texts are only handed on; see ``copied_texts``."""
        key = f"{variable}, texts of"
        if key not in self.known:
            self.known[key] = frozenset(copied_texts.texts(self.tree, variable, self.scope))
        return self.known[key]

    def taken(self) -> frozenset[str]:
        """What request.encode takes of the request; see ``request_fields``."""
        if _TAKEN not in self.known:
            self.known[_TAKEN] = request_fields.taken(self.tree, self.scope)
        return self.known[_TAKEN]

    def asked(self, variable: str) -> response_fields.Reads:
        """The same of a request's body."""
        if variable not in self.told:
            self.told[variable] = response_fields.asked(self.tree, variable, self.scope)
        return self.told[variable]


@dataclass(slots=True)
class Shelf:
    """What a whole set has compiled so far."""

    functions: list[trees.Function] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    held: ChainMap[Hashable, Compiled] = field(default_factory=ChainMap)
    sharing: Sharing = field(default_factory=Sharing)

    def above(self) -> Shelf:
        """A shelf on which one document puts its own, and finds what is on this one too."""
        return Shelf([], self.taken, self.held.new_child(), self.sharing)

    def put(self, functions: list[trees.Function], held: Mapping[Hashable, Compiled]) -> None:
        """Take up what a document came to."""
        self.functions += functions
        self.taken.update(function.name for function in functions)
        self.taken.update(item.scope.name for item in held.values())
        self.held.update(held)

    def free(self, text: str) -> str:
        """An identifier like the text that nothing else has."""
        base = re.sub(r"[^A-Za-z0-9]", "_", text)
        name, number = base, 2
        while name in self.taken:
            name, number = f"{base}_{number}", number + 1
        self.taken.add(name)
        return name


def compile_definition(
    definition: Definition, fields: list[SchemaField], shared: Fragments, faults: list[Fault], shelf: Shelf
) -> dict[Path, Compiled]:
    """A function for each mapping of the document, by its path; what they need is put on the shelf."""
    scope = _scope(definition, shared, faults, shelf, shelf.free(f"{definition.kind}_{definition.name}".lower()))
    groups = references.groups(definition.spec.get("match")) if definition.kind == "Alias" else ()
    compiled: dict[Path, Compiled] = {}
    for item in fields:
        if item.mapping is not None and item.path[:2] != ("spec", "fragments"):
            compiled[item.path] = _compile(item, scope, groups, shelf)
    shelf.functions += trees.fragment_functions(scope)
    if definition.kind == "Format" and definition.spec.get("kind", "conversation") == "conversation":
        encode = compiled.get(hub_fields.ENCODE)
        hub_fields.check_hub_fields(definition, encode.reads("request") if encode else (), faults)
    return compiled


def _compile(item: SchemaField, scope: Scope, groups: tuple[str, ...], shelf: Shelf) -> Compiled:
    value = item.value if item.mapping == "tree" or isinstance(item.value, str) else str(item.value).lower()
    if item.schema.get("x-text") and isinstance(value, str):
        value = _as_text(value, (*item.variables, *groups))
    listed = bool(item.schema.get("x-list"))
    key = shelf.sharing.key(value, scope.fragments, scope.tables, item.mapping, item.variables, groups, listed)
    held = shelf.held.get(key)
    if held is None:
        name = shelf.free("_".join(["m", scope.name, *map(str, item.path[1:])]))
        members = dict.fromkeys(groups, "name")
        if item.mapping == "tree":
            sink = Listed() if listed else FunctionResult()
            function = trees.compile_function(
                name, value, item.variables, scope, at=item.path, members=members, sink=sink
            )
        else:
            function = trees.compile_expression(name, value, item.variables, scope, at=item.path, members=members)
        shelf.functions.append(function)
        held = shelf.held[key] = Compiled(name, item.variables, value, scope)
    return held


def _as_text(value: str, names: tuple[str, ...]) -> str:
    """The expression of a field that holds a text: without braces it is that text, unless a variable begins it."""
    if (
        "{{" in value
        or value[:1] in "'\""
        or any(value == name or value.startswith((f"{name}.", f"{name}[")) for name in names)
    ):
        return value
    return json.dumps(value, ensure_ascii=False)


def _scope(definition: Definition, shared: Fragments, faults: list[Fault], shelf: Shelf, identifier: str) -> Scope:
    spec = definition.spec
    own = spec.get("fragments")
    own = own if isinstance(own, dict) else {}
    fragments: dict[str, Fragment] = {
        name: shelf.sharing.fragment(name, item.args, item.do, item.document.where, (name, "do"))
        for name, item in shared.items()
    }
    for name, value in own.items():
        if isinstance(value, dict) and "do" in value:
            arguments = value.get("args")
            args = tuple(str(arg) for arg in arguments) if isinstance(arguments, list) else ()
            at = ("spec", "fragments", name, "do")
            fragments[name] = shelf.sharing.fragment(name, args, value["do"], definition.where, at)
    tables = spec.get("tables")
    tables = tables if isinstance(tables, dict) else {}
    return Scope(
        name=identifier,
        tables={name: table for name, table in tables.items() if isinstance(table, dict)},
        fragments=fragments,
        where=definition.where,
        faults=faults,
        own=tuple(name for name in _written(definition) if name in fragments),
        title=definition.title,
    )


def _written(definition: Definition) -> tuple[str, ...]:
    """The fragments that stand in the document itself; those of a parent are checked there."""
    spec = definition.chain[0].data.get("spec")
    fragments = spec.get("fragments") if isinstance(spec, dict) else None
    return tuple(fragments) if isinstance(fragments, dict) else ()
