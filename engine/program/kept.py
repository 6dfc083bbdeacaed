"""What a format says of things that its provider keeps (files, uploads), and of requests in one. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.program import layout
from engine.program.layout import Function, data


@dataclass(frozen=True, slots=True)
class ManyRequests:
    """Many requests in one: in a file of the form, in a file that is kept, or in a list of the body."""

    file: str = data(read=layout.text, default="")
    """The field that is the file, or names it."""
    family: str = data(read=layout.text, default="")
    """Of a file that is named: what its id is an id of."""
    list: str = data(read=layout.text, default="")
    """The field that is the list."""
    at: str = data(read=layout.text, default="")
    """Where an entry has the request's body."""
    url: str = data(read=layout.text, default="")
    """Where an entry names the path that it is a request for."""
    format: str = data(read=layout.text, default="")
    """The format of all of them, where no entry says so."""
    when: Function | None = data(read=layout.function, default=None)
    """(_r, body) -> whether the file is one."""


@dataclass(frozen=True, slots=True)
class KeptRules:
    """How things are known that a provider keeps for a key."""

    family: str = data(needed=True)
    id: str = data(read=layout.otherwise("id"), default="id")
    gives: tuple[dict[str, str], ...] = data(read=layout.items, default=())
    """{at, family}: ids of other things in an answer, which become the caller's own."""
    paging: dict[str, Any] = data(read=layout.mapping, default_factory=dict)
    filters: tuple[str, ...] = data(read=layout.items, default=())
    requests: ManyRequests | None = data(read=layout.maybe(ManyRequests), default=None)
    listed: Function | None = data(read=layout.function, default=None)
    """(_r, items, more) -> an answer."""
