"""Parameters: every word in braces in a provider's paths and headers is declared, and so is what a channel sets.

Takes definitions; gives faults with the nearest right name. A word that nobody declares would go up as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engine.compiler.diagnostics import Fault, nearest
from engine.compiler.positions import Path
from engine.compiler.sets import Definition, Definitions

_WORD = re.compile(r"\{([A-Za-z_]\w*)\}")


def check(definition: Definition, definitions: Definitions) -> list[Fault]:
    """Faults of a Provider's texts, or of the channels of a Route."""
    if definition.kind == "Provider":
        known = _map(definition.spec.get("parameters"))
        return [
            _fault(definition, path, word, known, key=False)
            for path, text, model in _texts(definition)
            for word in _WORD.findall(text)
            if word not in known and not (model and word == "model")
        ]
    if definition.kind != "Route":
        return []
    faults: list[Fault] = []
    channels = definition.spec.get("channels")
    for index, channel in enumerate(channels if isinstance(channels, list) else ()):
        chosen = _map(_map(channel).get("parameters"))
        provider = definitions.get("Provider", str(_map(channel).get("provider")))
        known = _map(provider.spec.get("parameters")) if provider is not None else chosen
        path = ("spec", "channels", index, "parameters")
        faults += [_fault(definition, (*path, name), name, known, key=True) for name in chosen if name not in known]
    return faults


def _texts(definition: Definition) -> Iterator[tuple[Path, str, bool]]:
    """The texts that may hold words; of each whether the model is one of them."""
    for name, hop in _map(definition.spec.get("formats")).items():
        at = ("spec", "formats", name)
        for member in ("path", "stream", "countTokensPath"):
            if isinstance(text := _map(hop).get(member), str):
                yield (*at, member), text, True
        yield from _headers((*at, "headers"), _map(hop).get("headers"))
    yield from _headers(("spec", "headers", "set"), _map(definition.spec.get("headers")).get("set"))


def _headers(at: Path, headers: Any) -> Iterator[tuple[Path, str, bool]]:
    for name, text in _map(headers).items():
        if isinstance(text, str):
            yield (*at, name), text, False


def _fault(definition: Definition, path: Path, name: str, known: dict[str, Any], *, key: bool) -> Fault:
    message = f"there is no parameter {name!r}; `parameters` of the Provider declares them"
    near = nearest(name, known)
    return definition.fault("unknown-reference", message, path, key=key, found=name, nearest=near)


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
