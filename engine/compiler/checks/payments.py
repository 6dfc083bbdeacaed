"""Payments: what it needs is an option that it names, and no two of them share a path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.compiler.checks.needs import unknown_needs
from engine.compiler.diagnostics import Fault
from engine.compiler.documents.sets import Definitions


def check(definitions: Definitions) -> list[Fault]:
    """A fault for each option that is needed and not named, and for each path that is taken."""
    faults: list[Fault] = []
    owners: dict[str, str] = {}
    for definition in definitions.of("Payment"):
        faults += unknown_needs(definition)
        for path, place in _paths(definition.spec):
            other = owners.setdefault(str(path), definition.title) if path else definition.title
            if other != definition.title:
                message = f"{path} already belongs to {other}"
                faults.append(definition.fault("duplicate-document", message, ("spec", *place)))
    return faults


def _paths(spec: Mapping[str, Any]) -> Iterator[tuple[Any, tuple[str | int, ...]]]:
    """The paths that a document claims, with their places."""
    offer, notice = spec.get("offer") or {}, spec.get("notice") or {}
    for section, key in (("offer", "amount"), ("offer", "pay"), ("notice", "path"), ("notice", "back")):
        yield (spec.get(section) or {}).get(key), (section, key)
    yield (offer.get("plan") or {}).get("pay"), ("offer", "plan", "pay")
    for index, path in enumerate(notice.get("also") or ()):
        yield path, ("notice", "also", index)
