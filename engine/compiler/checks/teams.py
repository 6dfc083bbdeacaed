"""Teams: a name that an account can have, each budget once; and their limits as those of a Policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.compiler.diagnostics import Fault
from engine.compiler.documents.positions import Path
from engine.compiler.documents.sets import Definition, Definitions, as_map

_NAME = 20
_PART = 64


def check(definitions: Definitions) -> list[Fault]:
    """A fault for each name that no row can hold, and for each budget that is declared twice."""
    return [fault for definition in definitions.of("Team") for fault in _faults(definition)]


def _faults(definition: Definition) -> Iterator[Fault]:
    if len(definition.name) > _NAME:
        message = f"a team's name has {_NAME} characters at most, as those of users"
        yield definition.fault("wrong-value", message, ("metadata", "name"))
    for path, budgets in _budgets(definition):
        places: set[tuple[Any, Any]] = set()
        for index, budget in enumerate(budgets):
            place = (budget.get("period"), budget.get("unit", "quota"))
            if place in places:
                message = f"a budget of {place[1]} a {place[0]} stands here already"
                yield definition.fault("wrong-value", message, (*path, index))
            places.add(place)
    for kind in ("projects", "tags"):
        for name in as_map(definition.spec.get(kind)):
            if not name.strip() or len(name) > _PART:
                message = f"a name of {kind} has 1 to {_PART} characters"
                yield definition.fault("wrong-value", message, ("spec", kind, name), key=True)


def _budgets(definition: Definition) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    spec = definition.spec
    yield ("spec", "budgets"), _list(spec.get("budgets"))
    yield ("spec", "member", "budgets"), _list(as_map(spec.get("member")).get("budgets"))
    for kind in ("projects", "tags"):
        for name, part in as_map(spec.get(kind)).items():
            yield ("spec", kind, name, "budgets"), _list(as_map(part).get("budgets"))


def _list(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def limits(definitions: Definitions) -> dict[str, Any]:
    """The limits of all teams, as a Policy says such: each binds the calls of one account."""
    rules: dict[str, Any] = {}
    for definition in definitions.of("Team"):
        for name, rule in as_map(definition.spec.get("limits")).items():
            by = ["user", *_list_of_texts(as_map(rule).get("by"))]
            rules[f"{definition.name}: {name}"] = {
                **as_map(rule),
                "by": by,
                "when": {"users": [definition.name]},
                "declared": f"Team {definition.name}",
            }
    return rules


def _list_of_texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
