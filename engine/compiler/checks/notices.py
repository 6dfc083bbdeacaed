"""Notices: what a way needs is something that it names."""

from __future__ import annotations

from engine.compiler.checks.needs import unknown_needs
from engine.compiler.diagnostics import Fault
from engine.compiler.documents.sets import Definitions

_SECTIONS, _MISSING = ("setting", "options"), "neither `setting` nor `options` names it"


def check(definitions: Definitions) -> list[Fault]:
    """A fault for each setting or option that is needed and not named."""
    return [
        fault for definition in definitions.of("Notice") for fault in unknown_needs(definition, _SECTIONS, _MISSING)
    ]
