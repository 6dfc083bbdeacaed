"""Reuse: a document that an edit does not touch is what it came to in the last compile.

Takes definitions with their fields and the shared fragments; gives the functions of all, and each document's mappings.
PERF: compiling is most of the time between an edit and its use, and an edit touches one document and its children.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from engine.compiler.diagnostics import Fault
from engine.compiler.documents.fragments import Fragments
from engine.compiler.documents.positions import Path
from engine.compiler.documents.schema import SchemaField
from engine.compiler.documents.sets import Definition
from engine.compiler.mappings.document import Compiled, Shelf, compile_definition
from engine.compiler.mappings.trees import Function


@dataclass(frozen=True, slots=True)
class CompiledDocument:
    """What one document came to without a fault: its mappings, and what it put on the shelf for them and for others."""

    digest: str
    compiled: dict[Path, Compiled]
    functions: list[Function]
    held: Mapping[Hashable, Compiled]


LAST: dict[str, CompiledDocument] = {}
"""Documents without a fault of the last compile, by title."""


def compile_all(
    wanted: list[tuple[Definition, list[SchemaField]]], shared: Fragments, faults: list[Fault]
) -> tuple[list[Function], dict[str, dict[Path, Compiled]]]:
    """Functions for every mapping of the definitions, and by title and path which of them stands for which."""
    fragments = _digest(json.dumps([[name, item.args, item.do] for name, item in shared.items()], ensure_ascii=False))
    digests = {item.title: _digest(fragments + item.text) for item, _ in wanted}
    works = _standing(digests)
    shelf = Shelf()
    for work in works.values():
        shelf.put(work.functions, work.held)
    faulty: dict[str, CompiledDocument] = {}
    for definition, fields in wanted:
        title = definition.title
        if title in works:
            continue
        own, wrong = shelf.above(), list[Fault]()
        mappings = compile_definition(definition, fields, shared, wrong, own)
        shelf.put(own.functions, own.held.maps[0])
        cache = faulty if wrong else works
        cache[title] = CompiledDocument(digests[title], mappings, own.functions, own.held.maps[0])
        faults += wrong
    LAST.clear()
    LAST.update(works)
    return shelf.functions, {title: work.compiled for title, work in (works | faulty).items()}


def _standing(digests: Mapping[str, str]) -> dict[str, CompiledDocument]:
    """The last compile's works whose documents are the same, and whose functions of other documents still stand too."""
    works = {title: work for title, work in LAST.items() if digests.get(title) == work.digest}
    while True:
        names = {function.name for work in works.values() for function in work.functions}
        fallen = [
            title for title, work in works.items() if any(item.name not in names for item in work.compiled.values())
        ]
        if not fallen:
            return works
        for title in fallen:
            del works[title]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
