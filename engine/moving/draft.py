"""What an import gathers before anything is written: channels, providers, prices, and what could not be carried.

``Draft`` gives the documents as files; ``write`` puts them, and secrets if that is wanted, into a directory that must
be empty. Knows no source and no compiler.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.errors import Conflict, Unavailable

_HEAD = "apiVersion: gatewright/v1\n"
_NAME = re.compile(r"[^A-Za-z0-9._-]+")
SECRETS = "imported"
"""The folder below that of secrets in which imported ones lie."""


@dataclass(frozen=True, slots=True)
class Left:
    """Something that could not be carried: its place (file and line, or table and row), what it is, what to do."""

    place: str
    what: str
    how: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" + (f"; {self.how}" if self.how else "")


@dataclass(slots=True)
class Draft:
    """See the module. ``secrets`` are by file name below ``imported/``."""

    channels: list[dict[str, Any]] = field(default_factory=list)
    providers: dict[str, dict[str, Any]] = field(default_factory=dict)
    prices: list[dict[str, Any]] = field(default_factory=list)
    shared: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    aliases: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def name(self, wanted: str, otherwise: str) -> str:
        """A name for a channel or a provider that nobody has yet."""
        slug = _NAME.sub("-", wanted).strip("-._")[:80] or otherwise
        name, number = slug, 2
        while name in self.names:
            name, number = f"{slug}-{number}", number + 1
        self.names.add(name)
        return name

    def leave(self, place: str, what: str, how: str = "") -> None:
        """Note what could not be carried."""
        self.left.append(Left(place, what, how))

    def secret(self, name: str, value: str) -> dict[str, Any]:
        """A reference to a secret that is kept in a file."""
        self.secrets[f"{name}.key"] = value
        return {"secretRef": {"file": f"{SECRETS}/{name}.key"}}

    def files(self, source: str) -> dict[str, str]:
        """The documents by file name."""
        what = f"Imported from {source}"
        documents: dict[str, list[dict[str, Any]]] = {
            "routes.yaml": [_document("Route", "imported", what, {"channels": self.channels})] if self.channels else [],
            "providers.yaml": [
                {**_document("Provider", name, what, spec["spec"]), "extends": spec["extends"]}
                for name, spec in self.providers.items()
            ],
            "aliases.yaml": [_document("Alias", name, what, spec) for name, spec in self.aliases.items()],
            "policy.yaml": [_document("Policy", "imported", what, self.policy)] if self.policy else [],
        }
        prices = []
        if self.prices:
            prices.append(_document("Price", "imported", what, {"models": self.prices}))
        if self.shared:
            prices.append(_document("Price", "imported-factors", f"{what}: factors of all models", self.shared))
        documents["prices.yaml"] = prices
        return {name: "---\n".join(map(_text, listed)) for name, listed in documents.items() if listed}


def _document(kind: str, name: str, description: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "description": description}, "spec": dict(spec)}


def _text(document: Mapping[str, Any]) -> str:
    order = ("kind", "metadata", "extends", "spec", "tests")
    ordered = {key: document[key] for key in order if key in document}
    return _HEAD + yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Lists are set in, and nothing is told by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write(files: Mapping[str, str], directory: Path, secrets: Mapping[str, str], place: Path | None) -> None:
    """Write documents into an empty directory, and secrets below ``place``, for their owner alone."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Conflict(f"{directory} is not empty; name another one by --output, nothing is written over")
    if place is not None and (taken := [name for name in secrets if (place / SECRETS / name).exists()]):
        raise Conflict(f"{place / SECRETS / taken[0]} is there already; nothing is written over")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")
        for name, value in secrets.items() if place is not None else ():
            path = place / SECRETS / name  # type: ignore[operator]
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(value)
    except OSError as error:
        raise Unavailable(f"{error.filename or directory}: {error.strerror}") from None
