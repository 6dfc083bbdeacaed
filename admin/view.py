"""A request of a page as a value, and what a page answers.

``View`` holds who looks, in which language, with what; its ``api`` asks the management API in the name of who looks.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.accounts.factors.proofs import ProofNeeded
from engine.api.route import ADMIN, ROOT, Answer
from engine.errors import Conflict, GatewrightError
from engine.storage.values import QUOTA_PER_UNIT
from engine.texts import told
from engine.turns import give_way

if TYPE_CHECKING:
    from engine.accounts.people import Person
    from engine.api.route import Worker
    from engine.storage.rows.crud import Row

NOBODY, USER = 0, 1
__all__ = ["ADMIN", "NOBODY", "ROOT", "USER", "Moved", "Page", "Sent", "Shown", "View"]


@dataclass(slots=True)
class Shown:
    """A template with its values. ``toast`` is said beside it; ``fresh``: rows on the page are read again."""

    template: str
    values: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    toast: str = ""
    undo: tuple[str, Mapping[str, Any]] | None = None
    fresh: bool = False
    opened: Mapping[str, Iterable[str]] = field(default_factory=dict)
    """What the page's policy opens for others, by directive (``script``, ``frame``, ``style``, ``connect``)."""
    done: bool = False
    """What was asked for is done: an open dialog closes."""


@dataclass(slots=True)
class Moved:
    """Another page follows."""

    to: str


@dataclass(slots=True)
class Sent:
    """Bytes as they are, or a stream of them."""

    body: Any
    type: str = "text/plain; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Result = Shown | Moved | Sent


class StepUp(Exception):  # noqa: N818 - no fault: pages let it pass
    """What was asked for needs a second factor first: the page asks for it, and then the same again."""

    def __init__(self, error: ProofNeeded) -> None:
        super().__init__(str(error))
        self.error = error
        self.asked = " ".join((error.beside["scope"], *error.beside["methods"]))


@dataclass(slots=True)
class View:
    """See the module. ``form`` are the members of a body, ``path`` the variables of the address."""

    worker: Worker
    ask: Callable[[View, str, str, dict[str, Any], dict[str, str]], Answer]
    method: str
    address: str
    path: Mapping[str, str]
    query: dict[str, str]
    form: dict[str, str]
    language: str
    theme: str
    density: str
    nonce: str
    ip: str
    agent: str
    secure: bool
    origin: str
    browser: str = ""
    """The cookie that says which browser a login on its way was given to."""
    proof: str = ""
    """What says that a second factor was just shown."""
    vouched: str = ""
    """Whom a trusted proxy names as signed in."""
    fragment: str = ""
    """Which part of the page is asked for: an element's id, or nothing for the whole page."""
    person: Person | None = None
    session: Row | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def user(self) -> Person:
        """Who looks, where the page is not for everybody."""
        assert self.person is not None
        return self.person

    @property
    def admin(self) -> bool:
        """Whether who looks is an administrator."""
        return self.person is not None and self.person.role >= ADMIN

    @property
    def root(self) -> bool:
        """Whether who looks may do anything."""
        return self.person is not None and self.person.role >= ROOT

    @property
    def seal(self) -> str:
        """What a form has to bring back: only our own pages know it, and only as long as the session is."""
        if self.session is None:
            return ""
        words = b"console form " + str(self.session["sid"]).encode()
        return hmac.new(self.worker.secret, words, hashlib.sha256).hexdigest()[:40]

    @property
    def unit(self) -> float:
        """Quota units of a dollar."""
        return float(self.worker.options.get("QuotaPerUnit") or QUOTA_PER_UNIT) or QUOTA_PER_UNIT

    @property
    def beside(self) -> bool:
        """Whether what stands beside the rows is asked for; who wants rows again takes them out of the whole page."""
        return self.fragment not in ("", "rows")

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None, /, **query: object) -> Any:
        """The data that a route of the management API answers, with what stands beside it if there is none."""
        answer = self.answer(method, path, body, **query)
        return answer.whole if answer.whole is not None else answer.data if answer.data is not None else answer.beside

    def answer(self, method: str, path: str, body: Mapping[str, Any] | None = None, /, **query: object) -> Answer:
        """A route's answer; raises ``Conflict`` where it says that something failed."""
        parameters = {name: str(value) for name, value in query.items() if value not in ("", None)}
        try:
            answer = self.ask(self, method, path, dict(body or {}), parameters)
        except ProofNeeded as error:
            raise StepUp(error) from None
        give_way()  # a page of many questions is not one piece of work
        if not answer.success:
            older = answer.whole.get("data") if isinstance(answer.whole, dict) else ""
            raise Conflict(str(answer.beside.get("message") or answer.message or older))
        return answer

    def words(self, error: GatewrightError) -> str:
        """An error in the page's language."""
        return told(error, self.language)

    def number(self, name: str = "id") -> int:
        """A variable of the address as a number; 0 where it is none."""
        text = self.path.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


@dataclass(frozen=True, slots=True)
class Page:
    """A page or an action: method, address (``:name`` is a variable), the least role, and the function."""

    method: str
    address: str
    role: int
    show: Callable[[View], Result]
    unsealed: bool = False
    """A form before there is a session: no seal can be asked for."""
