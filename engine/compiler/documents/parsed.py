"""Parsed files: what each file of the last set came to, since an edit touches one of them.

PERF: reading YAML is a tenth of a first compile and half of a later one.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.compiler.diagnostics import Fault
from engine.compiler.documents import load
from engine.compiler.documents.load import Document, Source

KEPT: dict[Source, tuple[list[Document], list[Fault]]] = {}


def keep(sources: Sequence[Source]) -> None:
    """Parse those that the last set had not, and forget the others that it had."""
    held = {source: KEPT.get(source) or load.parse(source) for source in sources}
    KEPT.clear()
    KEPT.update(held)


def documents(sources: Sequence[Source]) -> tuple[list[Document], list[Fault]]:
    """The documents of files that are kept, and what is wrong with these files."""
    parsed = [KEPT[source] for source in sources]
    return [item for items, _ in parsed for item in items], [fault for _, faults in parsed for fault in faults]
