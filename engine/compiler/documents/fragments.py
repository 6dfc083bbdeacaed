"""Fragments: the named mappings that documents share.

Takes the files of ``templates/fragments`` (plain maps of ``name: {args, do}``); gives them by name, with faults for
what is malformed or named twice. Knows nothing of what a mapping means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.compiler.diagnostics import Fault, Place, describe, nearest, path_text
from engine.compiler.documents.load import Document
from engine.compiler.documents.positions import Path

KEYS = ("args", "do", "why", "description")


@dataclass(frozen=True, slots=True)
class Shared:
    """A shared fragment and where it stands."""

    name: str
    args: tuple[str, ...]
    do: Any
    document: Document

    def where(self, path: Path, token: str | None = None) -> Place:
        """The place of a value inside the fragment's mapping."""
        return self.document.where((self.name, "do", *path), token)


Fragments = dict[str, Shared]
Where = Callable[[Path, str | None], Place]


def gather(documents: list[Document]) -> tuple[Fragments, list[Fault]]:
    """Every shared fragment by name."""
    fragments: Fragments = {}
    faults: list[Fault] = []
    for document in documents:
        if not isinstance(document.data, dict):
            message = "a file of fragments is a map of `name: {args, do}`"
            faults.append(Fault("wrong-type", message, document.where(()), found=describe(document.data)))
            continue
        for name, value in document.data.items():
            fault = _check(name, value, document)
            faults += fault
            if not fault and name in fragments:
                other = fragments[name].document.key((name,))
                message = f"the fragment {name!r} is defined twice; the other stands at {other}"
                faults.append(Fault("duplicate-document", message, document.key((name,)), name))
            elif not fault:
                args = tuple(value.get("args") or ())
                fragments[name] = Shared(name, args, value["do"], document)
    return fragments, faults


def _check(name: str, value: Any, document: Document) -> list[Fault]:
    if not isinstance(value, dict) or "do" not in value:
        message = f"the fragment {name!r} needs `do`"
        return [Fault("missing-key", message, document.key((name,)), name, expected="a map with args and do")]
    faults = [
        Fault(
            "unknown-key",
            f"nobody reads {key!r} in a fragment",
            document.key((name, key)),
            path_text((name, key)),
            nearest=nearest(key, KEYS),
        )
        for key in value
        if key not in KEYS
    ]
    args = value.get("args")
    if args is not None and not (isinstance(args, list) and all(isinstance(arg, str) for arg in args)):
        place = document.where((name, "args"))
        faults.append(Fault("wrong-type", "args is a list of names", place, f"{name}.args", found=describe(args)))
    return faults
