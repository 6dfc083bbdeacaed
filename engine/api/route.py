"""A route of the management API as a record, what a call of one holds, and what is answered.

``Route`` says method, path (``:name`` is a variable), who may, what the body may hold, and the function that answers.
Routing, checks and the test of roles come from the records alone. Knows no rules of business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import Invalid
from engine.storage.values import ADMIN, ROOT
from engine.texts import refusal

if TYPE_CHECKING:
    from engine.accounts.people import Person
    from engine.notices import Notices
    from engine.relay.snapshot import Snapshot
    from engine.storage.rows.crud import Row

NOBODY, USER = 0, 1
__all__ = ["ADMIN", "NOBODY", "ROOT", "USER", "Answer", "Ask", "Call", "Page", "RawCall", "Route", "Worker"]

_MOST_ROWS = 100


class Worker(Protocol):
    """What the management API takes of a worker's parts."""

    @property
    def settings(self) -> Any: ...
    @property
    def db(self) -> Any: ...
    @property
    def log_db(self) -> Any: ...
    @property
    def options(self) -> Mapping[str, str]: ...
    @property
    def secret(self) -> bytes: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def upstream(self) -> Any: ...
    @property
    def notices(self) -> Notices: ...
    @property
    def started(self) -> float: ...
    @property
    def lane(self) -> Any: ...
    @property
    def memo(self) -> dict[Any, tuple[float, Any]]: ...
    def call(
        self,
        account: Any,
        path: str,
        body: bytes,
        channel: int = 0,
        ip: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Any: ...
    def test_channel(
        self, account: Any, path: str, body: bytes, row: Any, key: str | None, *, quiet: bool, ip: str = ""
    ) -> Any: ...
    def catch_up(self) -> None: ...
    def changed(self) -> None: ...


@dataclass(slots=True)
class Answer:
    """What is answered: ``data`` in the envelope, with what stands ``beside`` it; or ``whole`` in place of it.

    ``message`` is a key of the texts. Without ``data`` there is none in the envelope.
    """

    data: Any = None
    message: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)
    whole: Any = None
    success: bool = True
    status: int = HTTPStatus.OK
    stream: Iterator[bytes] | None = None
    """A body in pieces in place of the envelope; ``headers`` go with it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    shown: bool = False
    """Whether there is ``data`` though it is nothing."""
    noted: bool = True
    """Whether something was changed."""


@dataclass(slots=True)
class Ask:
    """A call of a route: who asks, and with what. ``cookies`` and ``headers`` go out with the answer."""

    worker: Worker
    route: Route
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    ip: str
    agent: str
    language: str
    secure: bool
    person: Person | None = None
    session: Row | None = None
    bearer: str = ""
    cookie: str = ""
    refresh: str = ""
    proof: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    raw: RawCall | None = None
    values: dict[str, Any] = field(default_factory=dict)
    """Columns that a body of ``/api/v2`` sets."""
    browser: str = ""
    """The cookie that says which browser a login on its way was given to."""
    vouched: str = ""
    """Whom a trusted proxy names as signed in."""
    match: str = ""
    """The entity tags that the caller takes a thing to have."""
    before: Any = None
    """What was there before a change, for the trail."""

    @property
    def user(self) -> Person:
        """Who asks, where the route is not for everybody."""
        assert self.person is not None
        return self.person

    def number(self, name: str = "id") -> int:
        """A variable of the path as a number."""
        text = self.path[name]
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise refusal(Invalid, "invalid.type", field=name, what="a whole number")
        return int(text)

    def given(self, name: str, default: Any = None) -> Any:
        """A member of the body; nothing (or null) is the default."""
        value = self.body.get(name)
        return default if value is None else value

    def whole(self, name: str, default: int | None = None) -> int | None:
        """A number of the query; what is none counts as not there."""
        text = self.query.get(name, "").strip()
        digits = text[1:] if text[:1] == "-" else text
        return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 16 else default

    def page(self, size: int = 10) -> Page:
        """Which page is asked for; out of bounds is the nearest that is given."""
        number = self.whole("p", 1) or 1
        rows = self.whole("page_size") or self.whole("ps") or self.whole("size") or size
        rows = size if rows < 1 else min(rows, _MOST_ROWS)
        return Page(number, rows, (max(number, 1) - 1) * rows)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list: its number as asked for, its size, and how many rows stand before it."""

    number: int
    size: int
    offset: int

    def of(self, items: list[Any], total: int, **more: Any) -> dict[str, Any]:
        """The page as it is answered."""
        return {"page": self.number, "page_size": self.size, "total": total, "items": items, **more}


Call = Callable[[Ask], Answer]


@dataclass(frozen=True, slots=True)
class RawCall:
    """What came as it came, for routes that strangers' programs call in their own form; headers in small letters."""

    body: bytes
    query: str
    header: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """See the module. ``body``: names and types of members; nothing, where the route reads none.

    ``session``: an access token will not do. ``broken``: status and key where the body can't be read. ``noted``:
    whether a change goes into the trail. ``right``: what an administrator needs besides, as ``resource.action``.
    """

    method: str
    path: str
    role: int
    call: Call
    body: Mapping[str, Any] | None = None
    session: bool = False
    broken: tuple[int, str] = (200, "invalid")
    noted: bool | None = None
    """Nothing: that of everything but a GET."""
    right: str = ""
    raw: bool = False
    """Whether the body is handed on as it came, in ``Ask.raw``; ``body`` is nothing then."""
    known: bool = False
    """Whether it is looked who asks, though nobody has to be known and the body is read."""
    heavy: bool = False
    """Whether the process beside the workers does it."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The pieces of the path; a slash at its end is an empty piece."""
        return tuple(self.path.split("/")[1:])
