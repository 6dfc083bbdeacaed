"""What a Format of the kind task tells its callers, and what a Task document says of a vendor's tasks. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.program import layout
from engine.program.kept import ManyRequests
from engine.program.layout import Function, data

FINAL = frozenset({"SUCCESS", "FAILURE", "CANCELLED"})
"""The states that a task never leaves."""
RANKS: Mapping[str, int] = {"NOT_START": 0, "SUBMITTED": 1, "QUEUED": 2, "IN_PROGRESS": 3} | dict.fromkeys(FINAL, 4)
"""How far a state is: a task never goes back."""


@dataclass(frozen=True, slots=True)
class TaskViews:
    """What callers of a format are told of their tasks."""

    medium: str = data(needed=True)
    submitted: Function = data(read=layout.function, needed=True)
    """(_r, task, ctx) -> an answer; so are the three that follow."""
    fetched: Function | None = data(read=layout.function)
    deleted: Function | None = data(read=layout.function)
    cancelled: Function | None = data(read=layout.function)
    listed: Function | None = data(read=layout.function)
    """(_r, tasks, more, ctx) -> an answer."""
    callback: Function | None = data(read=layout.function, default=None)
    """(_r, body) -> the address at which a caller wants to be told of what becomes of a task."""
    callback_option: str = data(read=layout.text, default="")
    image_option: str = data(read=layout.text, default="")
    image_path: str = data(read=layout.text, default="")
    """Where pictures are handed on, if that option is not off."""
    owner: str = data(read=layout.otherwise("user"), default="user")
    """Whose its tasks are: of the user, or of the key that made them alone."""
    prefix: str = data(read=layout.otherwise("task_"), default="task_")
    """What the ids begin with that callers know them by."""
    after: str = data(read=layout.otherwise("after"), default="after")
    """The query parameter that says after which one a page begins."""
    requests: ManyRequests | None = data(read=layout.maybe(ManyRequests), default=None)
    rows: str = data(read=layout.otherwise("tasks"), default="tasks")
    """Which of the tables its tasks stand in: tasks, or drawings, whose callers know them by their vendor's ids."""


def _get(value: Any, functions: layout.Functions) -> str:
    return value or "GET"


@dataclass(frozen=True, slots=True)
class LiveRules:
    """How events of a live connection are read."""

    done: str = data(needed=True)
    problem: Function | None = data(read=layout.function)
    """(_r, error, ctx) -> an event; nothing: only the close code tells."""
    members: bool = data(read=layout.flag)
    """Events have no type: what one is, the names of its members say."""
    bytes: bool = data(read=layout.flag)
    """Events may come as bytes."""
    model: Function | None = data(read=layout.function)
    """(_r, data) -> the model that the first message names; nothing: the address does."""
    named: Function | None = data(read=layout.function)
    """(_r, model) -> how a model is named in a set-up."""
    begin: Function | None = data(read=layout.function)
    """(_r, header, query, ctx) -> members of the state."""
    audio: dict[str, dict[str, Any]] = data(read=layout.mapping)
    setup_first: bool = data("setupFirst", layout.flag)
    number: str = data(read=layout.text)
    decode: Function | None = data(read=layout.function)
    """(_r, data, state) -> the hub's events."""
    encode: dict[str, Function] = data(read=layout.function_table)
    """(_r, event, state, ctx) -> events; so is ``tell``."""
    tell: dict[str, Function] = data(read=layout.function_table)
    takes: dict[str, list[str]] = data(read=layout.mapping)
    """By the hub's event the members that ``encode`` takes."""
    reads: frozenset[str] = data(read=layout.words)
    """The dotted paths that ``decode`` reads."""
    subprotocols: tuple[str, ...] = data(read=layout.items)
    session: frozenset[str] = data(read=layout.words)
    counted: dict[str, dict[str, Any]] = data(read=layout.mapping)
    secret: Function | None = data(read=layout.function)
    """(_r, value, expires, session, ctx) -> an answer."""


@dataclass(frozen=True, slots=True)
class TaskQuestion:
    """A request about a task that exists; ``answer`` is (_r, body, header, ctx)."""

    path: str = data(needed=True)
    method: str = data(read=_get)
    headers: dict[str, str] = data(read=layout.mapping)
    body: Function | None = data(read=layout.function)
    """(_r, ids, task, ctx) of a follow-up, (_r, id, task, ctx) of a cancellation."""
    answer: Function | None = data(read=layout.function)
    many: int = data(read=layout.otherwise(1))
    first: float = data(read=layout.otherwise(5.0))
    most: float = data(read=layout.otherwise(120.0))


@dataclass(frozen=True, slots=True)
class TaskCallback:
    """What a vendor tells by itself."""

    genuine: Function = data(read=layout.function, needed=True)
    """(_r, text, header, query, key, id) -> whether it is true."""
    answer: Function = data(read=layout.function, needed=True)
    """(_r, body, header, ctx) -> the task."""


@dataclass(frozen=True, slots=True)
class TaskContent:
    """How a result is fetched."""

    path: str = data(needed=True)
    query: tuple[str, ...] = data(read=layout.items)
    usual: dict[str, str] = data(read=layout.mapping)
    """What these parameters say where the result itself is meant."""


@dataclass(frozen=True, slots=True)
class UsedLines:
    """Answers one a line, whose usage is what a task used."""

    path: str = data(needed=True)
    at: str = data(needed=True)
    """Where a line has the answer."""
    speaks: Function = data(read=layout.function, needed=True)
    """(_r, request) -> the format of the answers, or a path where it is served."""


@dataclass(frozen=True, slots=True)
class TaskCharge:
    """What a task costs."""

    meters: Function | None = data(read=layout.function, default=None)
    """(_r, request, model); so is ``factors``."""
    factors: Function | None = data(read=layout.function, default=None)
    final: Function | None = data(read=layout.function, default=None)
    """(_r, task, request, model) -> tokens, meters, factors."""
    failed: str = data(read=layout.otherwise("refund"), default="refund")
    lines: UsedLines | None = data(read=layout.maybe(UsedLines), default=None)


@dataclass(frozen=True, slots=True)
class TaskRules:
    """A vendor's tasks, by the format whose requests make them."""

    name: str = data(needed=True)
    format: str = data(needed=True)
    words: Function | None = data("submit.words", layout.function)
    """(_r, request, ctx) -> words of paths."""
    path: Function | None = data("submit.path", layout.function)
    """(_r, request, ctx) -> where it goes, if not where its provider says; nothing: there."""
    submitted: Function = data("submit.answer", layout.function, needed=True)
    """(_r, body, header, request, ctx) -> the task."""
    follow: TaskQuestion = data(read=layout.one(TaskQuestion), needed=True)
    states: dict[str, str] = data(read=layout.mapping)
    file: TaskQuestion | None = data(read=layout.maybe(TaskQuestion), default=None)
    cancel: TaskQuestion | None = data(read=layout.maybe(TaskQuestion), default=None)
    questions: dict[str, TaskQuestion] = data(read=layout.table(TaskQuestion), default_factory=dict)
    """What else may be asked about one, by the action of a route."""
    callback: TaskCallback | None = data(read=layout.maybe(TaskCallback), default=None)
    content: TaskContent | None = data(read=layout.maybe(TaskContent), default=None)
    charge: TaskCharge = data(read=layout.one(TaskCharge), default=TaskCharge())
    timeout: float | None = data(default=None)
    within: float = data(read=layout.otherwise(120.0), default=120.0)
    """Seconds for which the caller of a plain format waits."""

    def state(self, word: Any) -> str | None:
        """The state that the vendor's word means; nothing where it says nothing of it."""
        state = self.states.get(word if isinstance(word, str) else str(word), self.states.get("_", "UNKNOWN"))
        return None if state == "UNKNOWN" or word is None else state
