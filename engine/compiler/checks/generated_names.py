"""Made-up names: what a Format demands of names and ids must be something that the gateway can make.

Takes a definition; gives faults. A name that doesn't fit would else be refused by the vendor, a request at a time.
"""

from __future__ import annotations

from typing import Any

import re2

from engine.compiler.checks.references import compiled
from engine.compiler.diagnostics import Fault
from engine.compiler.documents.sets import Definition
from engine.hub import naming

_MEND = (
    "a pattern that some names of letters (or lower-case letters, or digits) with `_`, `-` or nothing between them fit,"
    " with 4 to 64 characters that may differ"
)


def check_generated_names(definition: Definition) -> list[Fault]:
    """A fault for each of the two demands that no made-up name meets."""
    shape = definition.spec.get("shape") if definition.kind == "Format" else None
    if not isinstance(shape, dict):
        return []
    tools = shape.get("tools")
    names, ids = tools.get("name") if isinstance(tools, dict) else None, shape.get("ids")
    faults: list[Fault] = []
    if isinstance(names, dict) and _sound(names) and not naming.can_name(names.get("pattern"), names.get("max")):
        faults.append(_fault(definition, "a name for a tool whose own does not fit", names, ("tools", "name")))
    if isinstance(ids, dict) and _sound(ids) and not _identifiable(ids):
        behind = f" behind the prefix {ids['prefix']!r}" if ids.get("prefix") else ""
        faults.append(_fault(definition, f"an id for a call whose own does not fit{behind}", ids, ("ids",)))
    return faults


def _identifiable(rule: dict[str, Any]) -> bool:
    return naming.can_identify(rule.get("pattern"), rule.get("max"), rule.get("prefix"))


def _sound(rule: dict[str, Any]) -> bool:
    """Whether the demand can be read at all; if not, that is told elsewhere."""
    pattern, texts = rule.get("pattern"), (rule.get("pattern"), rule.get("prefix"))
    if any(not isinstance(text, str | None) for text in texts) or type(rule.get("max", 1)) is not int:
        return False
    try:
        return pattern is None or compiled(pattern) is not None
    except re2.error:
        return False


def _fault(definition: Definition, what: str, rule: dict[str, Any], at: tuple[str, ...]) -> Fault:
    bound = f" in {rule['max']} characters" if "max" in rule else ""
    key = "pattern" if "pattern" in rule else "max"
    message = f"the gateway can't make {what}: none of its ways gives one of this form{bound}"
    return definition.fault(
        "bad-pattern", message, ("spec", "shape", *at, key), expected=_MEND, found=str(rule.get(key))
    )
