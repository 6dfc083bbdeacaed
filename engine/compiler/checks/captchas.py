"""Captchas: what is needed is an option that is named."""

from __future__ import annotations

from engine.compiler.checks.needs import unknown_needs
from engine.compiler.diagnostics import Fault
from engine.compiler.documents.sets import Definitions


def check(definitions: Definitions) -> list[Fault]:
    """A fault for each need that is no option."""
    return [fault for definition in definitions.of("Captcha") for fault in unknown_needs(definition)]
