"""Options and settings that a document names: what it needs is among them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.compiler.diagnostics import Fault, nearest
from engine.compiler.documents.sets import Definition


def unknown_needs(
    definition: Definition, sections: Sequence[str] = ("options",), missing: str = "`options` does not name it"
) -> list[Fault]:
    """A fault for each name that is needed and stands in none of the sections; ``missing`` says so."""
    known = [name for section in sections if isinstance(named := definition.spec.get(section), dict) for name in named]
    needs = definition.spec.get("needs")
    return [
        definition.fault(
            "unknown-reference",
            f"{name} is needed, but {missing}",
            ("spec", "needs", index),
            nearest=nearest(str(name), known),
        )
        for index, name in enumerate(needs if isinstance(needs, list) else ())
        if name not in known
    ]
