"""What a Team document says, as data: the rows that are to be, and the rights that hold. Its limits are a Policy's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.program import layout
from engine.program.layout import data


@dataclass(frozen=True, slots=True)
class TeamTerms:
    """A declared team; budgets, projects and tags as the document has them."""

    name: str = data(needed=True)
    title: str = data(read=layout.text)
    group: str = data(read=layout.otherwise("default"))
    rights: dict[str, str] = data(read=layout.mapping)
    budgets: tuple[dict[str, Any], ...] = data(read=layout.items)
    member: dict[str, Any] = data(read=layout.mapping)
    projects: dict[str, Any] = data(read=layout.mapping)
    tags: dict[str, Any] = data(read=layout.mapping)
