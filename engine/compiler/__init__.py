"""The compiler: documents to one artefact, or the faults that are in the way.

    load -> sets -> extends -> schema -> references, mappings (link) -> emit

Takes the text of files; gives an artefact that ``engine.program`` loads. Knows nothing of HTTP, databases or greenlets.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

from engine import __version__, paths, program
from engine.compiler.diagnostics import Fault, has_errors, in_order
from engine.compiler.documents import extends, fragments, load, parsed, schema, sets
from engine.compiler.documents.fragments import Fragments
from engine.compiler.documents.load import Source
from engine.compiler.documents.sets import Definitions
from engine.compiler.expressions import emit
from engine.compiler.link import Linked, link
from engine.compiler.standing import uncollected

__all__ = ["Fault", "Result", "Source", "check_set", "compile_set", "read_set"]


@dataclass(slots=True)
class Result:
    """What came of a set: ``code`` of its module, and so an artefact and a Program, unless a fault is an error."""

    code: tuple[CodeType, ...] | None
    faults: list[Fault]
    hash: str
    documents: Definitions = field(default_factory=Definitions)
    linked: Linked = field(default_factory=Linked)
    _written: bytes | None = None
    _built: program.Program | None = None

    @property
    def ok(self) -> bool:
        """Whether it can run."""
        return self.code is not None

    @property
    def artefact(self) -> bytes | None:
        """The artefact, written when first asked for: a plan needs none."""
        if self._written is None and self.code is not None:
            self._written = program.dump(self.hash, self.code, self.linked.data)
        return self._written

    def program(self) -> program.Program:
        """The Program, ready to run; built once."""
        if self.code is None:
            raise ValueError("a set with faults makes no program")
        if self._built is None:
            self._built = program.build(self.hash, program.run(self.code), self.linked.data)
        return self._built


def read_set(directories: list[Path], templates: Path | None = None) -> tuple[list[Source], list[Source], list[Fault]]:
    """Sources of documents (a layer for each directory, the lowest first), of shared fragments, and faults."""
    sources: list[Source] = []
    faults: list[Fault] = []
    for layer, directory in enumerate(directories):
        layer_sources, wrong = load.read(directory, layer)
        sources += layer_sources
        faults += wrong
    shared, wrong = load.read((templates or paths.TEMPLATES) / "fragments")
    return sources, shared, faults + wrong


def compile_set(sources: list[Source], shared: list[Source] | None = None) -> Result:
    """Compile documents; ``shared`` are files of fragments, the shipped ones if left out."""
    with uncollected():
        return _compiled(sources, shared)


def _compiled(sources: list[Source], shared: list[Source] | None) -> Result:
    definitions, common, faults = check_set(sources, shared)
    linked = link(definitions, common)
    faults = in_order(faults + linked.faults)
    digest = release_hash(definitions, common)
    code = None if has_errors(faults) else emit.module(linked.functions)
    return Result(code, faults, digest, definitions, linked)


def check_set(sources: list[Source], shared: list[Source] | None = None) -> tuple[Definitions, Fragments, list[Fault]]:
    """Load, merge and check documents by their schemas; nothing is compiled yet."""
    if shared is None:
        shared = load.read(paths.TEMPLATES / "fragments")[0]
    parsed.keep([*sources, *shared])
    documents, faults = parsed.documents(sources)
    shared_documents, wrong = parsed.documents(shared)
    faults += wrong
    common, wrong = fragments.gather(shared_documents)
    faults += wrong
    definitions, wrong = sets.gather(documents)
    faults += wrong
    faults += extends.resolve(definitions)
    for definition in definitions:
        faults += schema.check(definition)
    return definitions, common, faults


def release_hash(definitions: Definitions, common: Fragments) -> str:
    """The content address of a release: documents after ``extends``, shared fragments, and the engine's version.

    The order of keys counts, since it is the order of the wire's keys.
    """
    digest = hashlib.sha256(f"gatewright {__version__}\n".encode())
    for definition in definitions:
        digest.update(f"{json.dumps(definition.title)} {definition.text}\n".encode("utf-8", "replace"))
    for name, fragment in sorted(common.items()):
        digest.update(json.dumps([name, fragment.args, fragment.do], ensure_ascii=False).encode("utf-8", "replace"))
    return digest.hexdigest()
