"""Parameters: every word in braces in a provider's paths and headers is declared, and so is what a channel sets.

Takes definitions; gives faults with the nearest right name. A word that nobody declares would go up as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.compiler.diagnostics import Fault, nearest
from engine.compiler.documents.positions import Path
from engine.compiler.documents.sets import Definition, Definitions, as_map

Words = Mapping[Any, Mapping[str, Any]]
_WORD = re.compile(r"\{([A-Za-z_]\w*)\}")


def check(definition: Definition, definitions: Definitions, words: Words) -> list[Fault]:
    """Faults of a Provider's texts, or of the channels of a Route; ``words`` are those of ``task_words``."""
    if definition.kind == "Provider":
        known = as_map(definition.spec.get("parameters"))
        credential = as_map(as_map(definition.spec.get("auth")).get("key"))
        shown = {*(credential.get("public") or ()), *as_map(credential.get("derived")), "model", "segment"}
        return _renewal(definition) + [
            _fault(definition, path, word, known, key=False)
            for path, text, model in _texts(definition)
            for word in _WORD.findall(text)
            if word not in known and not (model and (word in shown or word in words.get(path[2], ())))
        ]
    if definition.kind != "Route":
        return []
    faults: list[Fault] = []
    channels = definition.spec.get("channels")
    for index, channel in enumerate(channels if isinstance(channels, list) else ()):
        chosen = as_map(as_map(channel).get("parameters"))
        provider = definitions.get("Provider", str(as_map(channel).get("provider")))
        known = as_map(provider.spec.get("parameters")) if provider is not None else chosen
        path = ("spec", "channels", index, "parameters")
        faults += [_fault(definition, (*path, name), name, known, key=True) for name in chosen if name not in known]
    return faults


def _renewal(definition: Definition) -> list[Fault]:
    """Faults of a credential that each exchange replaces: its members must be known, and be members of JSON."""
    auth = as_map(definition.spec.get("auth"))
    renews, form = as_map(as_map(auth.get("exchange")).get("renews")), as_map(auth.get("key"))
    if not renews:
        return []
    at = ("spec", "auth", "exchange", "renews")
    if not form.get("json"):
        message = "a credential that is renewed must be a JSON object: say `key: {json: true, parts: [...]}`"
        return [definition.fault("wrong-value", message, at, key=True)]
    known = form.get("parts") or []
    named: list[tuple[Path, Any]] = [((*at, member), renews.get(member)) for member in ("token", "until")]
    named += [((*at, member, part), part) for member in ("parts", "times") for part in as_map(renews.get(member))]
    return [
        definition.fault(
            "unknown-reference",
            f"the key has no part {part!r}",
            path,
            key=False,
            found=part,
            nearest=nearest(part, known),
        )
        for path, part in named
        if part is not None and part not in known
    ]


def task_words(definitions: Definitions) -> Words:
    """The words that tasks put into the paths of their formats, by format."""
    return {
        task.spec.get("format"): as_map(as_map(task.spec.get("submit")).get("words")) for task in definitions.of("Task")
    }


def _texts(definition: Definition) -> Iterator[tuple[Path, str, bool]]:
    """The texts that may hold words; of each whether the model and parts of the credential are among them."""
    if isinstance(base := definition.spec.get("baseUrl"), str):
        yield ("spec", "baseUrl"), base, True
    for name, hop in as_map(definition.spec.get("formats")).items():
        at = ("spec", "formats", name)
        for member in ("path", "stream", "countTokensPath"):
            if isinstance(text := as_map(hop).get(member), str):
                yield (*at, member), text, True
        for member in ("headers", "streamHeaders"):
            yield from _headers((*at, member), as_map(hop).get(member))
    yield from _headers(("spec", "bodyParameters"), definition.spec.get("bodyParameters"))
    yield from _headers(("spec", "headers", "set"), as_map(definition.spec.get("headers")).get("set"))


def _headers(at: Path, headers: Any) -> Iterator[tuple[Path, str, bool]]:
    for name, text in as_map(headers).items():
        if isinstance(text, str):
            yield (*at, name), text, False


def _fault(definition: Definition, path: Path, name: str, known: dict[str, Any], *, key: bool) -> Fault:
    message = f"there is no parameter {name!r}; `parameters` of the Provider declares them"
    near = nearest(name, known)
    return definition.fault("unknown-reference", message, path, key=key, found=name, nearest=near)
