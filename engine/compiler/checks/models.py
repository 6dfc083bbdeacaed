"""Models: whether a document contradicts itself, which of several goes first, and what is asked of them.

Takes definitions and compiled mappings; gives faults: a word against another, a name that another document takes, a
trait that no Model can have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import re2

from engine.compiler.checks import references
from engine.compiler.diagnostics import Fault, nearest
from engine.compiler.documents.positions import Path
from engine.compiler.documents.schema import schema_of
from engine.compiler.documents.sets import Definition, Definitions, as_map
from engine.compiler.mappings.document import Compiled

_PLAIN = re.compile(r"[a-z0-9._-]+")
_READ = "traits"
_MADE = frozenset({"name", "effort"})
"""What a Program adds to a document's words."""


def in_order(definitions: Definitions) -> list[Definition]:
    """All models, the nearest first: those of higher layers, and those that extend others before these."""
    return sorted(definitions.of("Model"), key=lambda item: (-item.layer, -len(item.chain), item.name))


def check(definition: Definition) -> list[Fault]:
    """What a Model says against itself."""
    return list(_contradictions(definition)) if definition.kind == "Model" else []


def _contradictions(definition: Definition) -> Iterator[Fault]:
    spec = definition.spec
    thinking = as_map(spec.get("thinking"))
    yield from _of_thinking(definition, spec, thinking)
    yield from _of_efforts(definition, spec, thinking.get("mode"))
    for word in as_map(spec.get("sources")):
        if word not in spec:
            message = f"there is a source for {word!r}, which is not said"
            yield _fault(definition, message, ("sources", word), "a word of spec")


def _fault(definition: Definition, message: str, path: Path, expected: str) -> Fault:
    return definition.fault("contradiction", message, ("spec", *path), expected=expected)


def _of_thinking(definition: Definition, spec: dict[str, Any], thinking: dict[str, Any]) -> Iterator[Fault]:
    mode, budget = thinking.get("mode"), thinking.get("budget")
    if mode == "never":
        for word in ("adaptive", "returns", "shown", "budget"):
            if thinking.get(word):
                message = f"it never thinks, and {word} says how"
                yield _fault(definition, message, ("thinking", word), "no word on how, or another mode")
        if spec.get("refusesThinking"):
            yield _fault(definition, "it never thinks", ("refusesThinking",), "refuses, for what it takes at no time")
    if mode == "always" and spec.get("prefill") is True:
        message = "an answer that is begun for it leaves no room for thought"
        yield _fault(definition, message, ("prefill",), "false")
    if isinstance(budget, dict) and budget.get("min", 0) > budget.get("max", budget.get("min", 0)):
        message = "the least is above the most"
        yield _fault(definition, message, ("thinking", "budget", "min"), f"{budget['max']} at most")


def _of_efforts(definition: Definition, spec: dict[str, Any], mode: Any) -> Iterator[Fault]:
    efforts = spec.get("efforts")
    if not isinstance(efforts, list):
        return
    if mode == "never" and efforts != ["none"]:
        message = "it never thinks, and knows efforts"
        yield _fault(definition, message, ("efforts",), "no efforts, or another thinking.mode")
    if mode == "always" and "none" in efforts:
        message = "it always thinks, and knows `none`"
        yield _fault(definition, message, ("efforts",), "no `none`, or thinking.mode optional")
    expected = f"one of {', '.join(map(str, efforts))}"
    for word, stands in as_map(spec.get("nearest")).items():
        if stands not in efforts:
            yield _fault(definition, f"it does not know {stands!r}", ("nearest", word), expected)
        if word in efforts:
            yield _fault(definition, f"it knows {word!r} itself", ("nearest", word), "efforts that it does not know")


def shadowed(definitions: Definitions) -> list[Fault]:
    """Names that are written out, and patterns that are the same, which another document takes."""
    faults: list[Fault] = []
    before: list[tuple[Definition, list[Any], list[Any]]] = []
    patterns: dict[str, Definition] = {}
    for definition in in_order(definitions):
        for index, name in enumerate(_listed(definition.spec.get("names"))):
            taker = patterns.get(name) or (_taker(name, before) if _PLAIN.fullmatch(name) else None)
            if taker is not None and taker.layer == definition.layer and taker is not definition:
                faults.append(_shadow(definition, ("spec", "names", index), name, taker))
            patterns.setdefault(name, definition)
        before.append((definition, _patterns(definition, "names"), _patterns(definition, "except")))
    return faults


def _shadow(definition: Definition, path: Path, name: str, taker: Definition) -> Fault:
    message = f"{name} is never reached: {taker.title} at {taker.where(('spec', 'names'))} takes it"
    expected = f"an `except` there, or this document to extend {taker.name}"
    return definition.fault("shadowed", message, path, expected=expected, severity="warning")


def _taker(name: str, before: list[tuple[Definition, list[Any], list[Any]]]) -> Definition | None:
    for definition, names, exceptions in before:
        if any(pattern.fullmatch(name) for pattern in names) and not any(
            pattern.fullmatch(name) for pattern in exceptions
        ):
            return definition
    return None


def _patterns(definition: Definition, field: str) -> list[Any]:
    compiled = []
    for text in _listed(definition.spec.get(field)):
        try:
            compiled.append(references.compiled(text))
        except re2.error:
            continue  # told already
    return compiled


def unknown_traits(definitions: Definitions, compiled: Mapping[str, Mapping[Path, Compiled]]) -> list[Fault]:
    """Words that a mapping asks a model for and that no Model can say."""
    known = schema_of("Model")["properties"]["spec"]["properties"].keys() | _MADE
    faults = []
    for title, mappings in compiled.items():
        kind, _, name = title.partition("/")
        definition = definitions.get(kind, name)
        traits = {
            (word, path)
            for path, mapping in mappings.items()
            for word in _asked(mapping)
            if definition is not None and word not in known
        }
        for word, path in sorted(traits, key=str):
            message = f"no Model can say {word!r}"
            faults.append(
                definition.fault("unknown-trait", message, path, token=word, found=word, nearest=nearest(word, known))  # type: ignore[union-attr]
            )
    return faults


def _asked(mapping: Compiled) -> set[str]:
    return {path.split(".")[0] for path in mapping.below(_READ)} - {"*", "?", "", _READ}


def _listed(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
