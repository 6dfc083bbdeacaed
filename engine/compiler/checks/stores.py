"""Stores of results: the one that a Policy keeps in is declared, and has a place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.compiler.diagnostics import Fault, nearest
from engine.compiler.documents.sets import Definitions, as_map


def check(definitions: Definitions) -> list[Fault]:
    """A fault for each ``keep`` that names no store, or one without a place."""
    return list(_faults(definitions))


def _faults(definitions: Definitions) -> Iterator[Fault]:
    policies = [(one, as_map(one.spec.get("results"))) for one in definitions.of("Policy")]
    stores: dict[str, dict[str, Any]] = {}
    for _, results in policies:
        for store, declared in as_map(results.get("stores")).items():
            stores[store] = {**stores.get(store, {}), **as_map(declared)}
    for definition, results in policies:
        name = results.get("keep")
        if not name:
            continue
        path = ("spec", "results", "keep")
        if name not in stores:
            near = nearest(str(name), stores)
            yield definition.fault("unknown-reference", f"no Policy declares the store {name!r}", path, nearest=near)
        elif not stores[name].get("url") and not stores[name].get("directory"):
            message = f"the store {name!r} has no place: it needs a url or a directory"
            yield definition.fault("missing-key", message, path, expected=f"results.stores.{name}.url")
