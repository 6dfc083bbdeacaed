"""Sets: loaded documents to one definition per kind and name.

Takes documents of several layers; gives definitions, where a higher layer's document has taken the place of a lower
one's, and faults for whatever has no kind, no name, or a name twice. Knows nothing of what a spec says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from engine.compiler.diagnostics import Fault, Place, describe, nearest, path_text
from engine.compiler.documents.load import Document
from engine.compiler.documents.positions import Path

KINDS = (
    *("Format", "Provider", "Model", "Alias", "Route", "Policy", "Price", "Task", "Payment", "Notice", "Login"),
    *("Captcha", "Settings", "Team"),
)
API_VERSION = "gatewright/v1"

Name = tuple[str, str]


def as_map(value: Any) -> dict[str, Any]:
    """A value where a map belongs; an empty one where something else stands, of which the schema tells."""
    return value if isinstance(value, dict) else {}


@dataclass(slots=True)
class Definition:
    """A document with its kind and name. ``data`` is what holds after ``extends``; ``chain`` are the documents that
    it was merged from, the own one first."""

    kind: str
    name: str
    data: dict[str, Any]
    chain: tuple[Document, ...]
    replaced: Definition | None = None
    """The document of a lower layer whose place this one took."""
    orphan: bool = False
    """It extends something that can't be found, so nobody knows what it lacks."""
    _text: str | None = None

    @property
    def text(self) -> str:
        """What it says as JSON, keys in the document's order, since that is the order of the wire's keys. PERF: written
        once; to be asked for when ``extends`` is resolved."""
        if self._text is None:
            self._text = json.dumps(self.data, ensure_ascii=False)
        return self._text

    @property
    def title(self) -> str:
        """Kind/name, as people and commands write it."""
        return f"{self.kind}/{self.name}"

    @property
    def layer(self) -> int:
        """The layer of the document itself."""
        return self.chain[0].layer

    @property
    def abstract(self) -> bool:
        """Whether the document only serves others."""
        return self.data.get("metadata", {}).get("abstract") is True

    @property
    def spec(self) -> dict[str, Any]:
        """What the document says; empty where it is missing or no map."""
        spec = self.data.get("spec")
        return spec if isinstance(spec, dict) else {}

    def owner(self, path: Path) -> Document:
        """The document of the chain that a value came from, or that holds most of the path."""
        depths = [document.positions.depth(path) for document in self.chain]
        return self.chain[depths.index(max(depths))]

    def where(self, path: Path, token: str | None = None) -> Place:
        """The place of a value, in whichever document of the chain it stands."""
        return self.owner(path).where(path, token)

    def key(self, path: Path) -> Place:
        """The place of a key."""
        return self.owner(path).key(path)

    def fault(self, code: str, message: str, path: Path, *, key: bool = False, **more: Any) -> Fault:
        """A fault at a value (or its key) of this document."""
        place = self.key(path) if key else self.where(path, more.pop("token", None))
        return Fault(code, message, place, path_text(path), document=self.title, **more)


@dataclass(slots=True)
class Definitions:
    """All definitions of a set, in the order of kinds and names (which ``gather`` puts them into)."""

    by_name: dict[Name, Definition] = field(default_factory=dict)

    def of(self, kind: str) -> list[Definition]:
        """The definitions of a kind that are in the program, by name."""
        return [item for (its_kind, _), item in self.by_name.items() if its_kind == kind and not item.abstract]

    def get(self, kind: str, name: str) -> Definition | None:
        """One definition."""
        return self.by_name.get((kind, name))

    def names(self, kind: str) -> list[str]:
        """The names of a kind, abstract documents included."""
        return [name for its_kind, name in self.by_name if its_kind == kind]

    def __iter__(self) -> Any:
        return iter(self.by_name.values())


def gather(documents: list[Document]) -> tuple[Definitions, list[Fault]]:
    """One definition per kind and name; the highest layer wins."""
    definitions = Definitions()
    faults: list[Fault] = []
    for document in sorted(documents, key=lambda item: item.layer):
        name = _name(document, faults)
        if name is None:
            continue
        lower = definitions.by_name.get(name)
        if lower is not None and lower.layer == document.layer:
            faults.append(_twice(document, lower))
            continue
        definitions.by_name[name] = Definition(name[0], name[1], document.data, (document,), lower)
    definitions.by_name = dict(sorted(definitions.by_name.items()))
    return definitions, faults


def _twice(document: Document, first: Definition) -> Fault:
    place = document.where(("metadata", "name"))
    message = f"{first.title} is defined twice; the first stands at {first.where(('metadata', 'name'))}"
    return Fault("duplicate-document", message, place, "metadata.name", document=first.title)


def _name(document: Document, faults: list[Fault]) -> Name | None:
    """Kind and name, or a fault for each that is missing."""
    data = document.data
    if not isinstance(data, dict):
        message = "a document is a map with apiVersion, kind, metadata and spec"
        faults.append(Fault("wrong-type", message, document.where(()), found=describe(data)))
        return None
    before = len(faults)
    kind = data.get("kind")
    if not isinstance(kind, str):
        faults.append(_missing(document, "kind", f"one of {', '.join(KINDS)}", kind))
    elif kind not in KINDS:
        fault = Fault(
            "unknown-kind",
            f"there is no kind {kind!r}",
            document.where(("kind",)),
            "kind",
            expected=f"one of {', '.join(KINDS)}",
            nearest=nearest(kind, KINDS),
        )
        faults.append(fault)
    metadata = data.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        faults.append(_missing(document, "metadata.name", "a name", name))
    if len(faults) > before:
        return None
    return str(kind), str(name)


def _missing(document: Document, path: str, expected: str, actual: Any) -> Fault:
    place = document.where(tuple(path.split(".")))
    if actual is None:
        return Fault("missing-key", f"the document has no {path}", place, path, expected=expected)
    return Fault("wrong-type", f"{path} must be a text", place, path, expected=expected, found=describe(actual))
