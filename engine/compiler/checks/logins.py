"""Logins: what is needed is an option that is named, no two share a column, and there is a way to prove who came."""

from __future__ import annotations

from engine.compiler.checks.needs import unknown_needs
from engine.compiler.diagnostics import Fault
from engine.compiler.documents.sets import Definition, Definitions

RESERVED = frozenset({"state", "email", "bind", "login"})
"""Names that stand in paths beside those of logins."""


def check(definitions: Definitions) -> list[Fault]:
    """A fault for each login that can't work."""
    faults: list[Fault] = []
    owners: dict[str, str] = {}
    for definition in definitions.of("Login"):
        faults += [*unknown_needs(definition), *_way_in(definition)]
        column = definition.spec.get("column")
        other = owners.setdefault(str(column), definition.title) if column else definition.title
        if other != definition.title:
            message = f"the column {column} already belongs to {other}"
            faults.append(definition.fault("duplicate-document", message, ("spec", "column")))
    return faults


def _way_in(definition: Definition) -> list[Fault]:
    """Whether its sections go together."""
    spec, faults = definition.spec, []

    def fault(message: str, *path: str, expected: str | None = None) -> None:
        faults.append(definition.fault("wrong-value", message, ("spec", *path), expected=expected))

    if definition.name in RESERVED or "/" in definition.name:
        message = f"a login can't be called {definition.name}: its name is a piece of a path, and that one is taken"
        faults.append(definition.fault("wrong-value", message, ("metadata", "name")))
    ways = [key for key in ("authorize", "proof") if key in spec]
    if len(ways) > 1:
        fault("people are sent to a service, or bring what it signed, not both", "proof")
    if "authorize" in spec:
        if "client" not in spec:
            fault("whoever sends people to a service has an id there", "authorize", expected="`client`")
        missing = [key for key in ("authorize", "token") if "url" not in (spec.get(key) or {})]
        if missing and "discovery" not in spec:
            fault(f"`{missing[0]}` has no address", missing[0], expected="`url`, or `discovery`")
    if "idToken" in spec and "discovery" not in spec and {"issuer", "keys"} - set(spec["idToken"] or {}):
        fault("nobody says whose keys count", "idToken", expected="`issuer` and `keys`, or `discovery`")
    if "authorize" not in spec and "proof" not in spec and not spec.get("reads"):
        fault("nothing proves who came", expected="`authorize`, `proof`, or `reads` that take a code")
    return faults
