"""A route of ``/api/v2`` as a record: on top of ``Route`` what it takes, gives and lists, in shapes.

Checks, headers, filters and the OpenAPI document come from it; nothing of that is said a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from engine.api.fields import Field, Shape
from engine.api.refusals import Told
from engine.api.route import Ask, Route
from engine.storage.rows.crud import Guard, Row

PREFIX = "/api/v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Route):
    """``words`` say what it does. ``takes``: the body, whole where something is ``made``, else what is to be changed.

    ``gives``: what is answered; ``many``: a page of it. ``query``: parameters beside those of lists. ``guarded``: it
    needs ``If-Match``. ``stream``: the media types that it answers in place of JSON.
    """

    words: str
    takes: Shape | None = None
    gives: Shape | None = None
    many: bool = False
    paged: bool = True
    """Of a list: whether it is told in pages and takes filters."""
    query: Mapping[str, Field] = field(default_factory=dict)
    status: int = 200
    guarded: bool = False
    makes: bool = False
    whole: bool = False
    """Whether what a changed thing has to have must be sent, as where one is made."""
    also: tuple[int, ...] = ()
    """Other statuses of the same answer: of what was made, or of what has faults."""
    stream: tuple[str, ...] = ()

    @property
    def fresh(self) -> bool:
        """Whether a body has to have all that is needed."""
        return self.makes or self.whole

    @property
    def name(self) -> str:
        """What clients call it: the module and the function that answers."""
        return f"{self.call.__module__.rpartition('.')[2]}_{self.call.__name__}"


def entity_tag(shape: Shape, shown: Mapping[str, Any]) -> str:
    """The tag of a thing: over what can be written of it, so that use (a balance, a count) does not change it."""
    kept = {name: shown.get(name) for name, one in shape.fields.items() if one.sent and one.told}
    raw = orjson.dumps([shown.get("id"), kept], option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
    return f'"{hashlib.sha256(raw).hexdigest()[:32]}"'


def matches(ask: Ask, shape: Shape, shown: Mapping[str, Any]) -> bool:
    """Whether ``If-Match`` names the tag of a thing."""
    tags = [tag.strip() for tag in ask.match.split(",")]
    return "*" in tags or entity_tag(shape, shown) in tags


def unchanged(ask: Ask, shape: Shape, tell: Callable[[Row], Mapping[str, Any]] | None = None) -> Guard:
    """Whether a row is still the one that the caller names with ``If-Match``; ``*`` is whatever is there."""

    def guard(row: Row) -> None:
        ask.before = (tell or shape.tell)(row)
        if not matches(ask, shape, ask.before):
            raise Told.of("v2.match", 412, "precondition_failed")

    return guard
