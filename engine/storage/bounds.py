"""How long a database may be silent: bounds of a serving process on connecting, reading and committing.

``watched(engine, kind, seconds, connect)`` gives an engine's new connections their bound, in the way of each driver,
none of which blocks the worker. A bound that passes closes the connection: what was under way may have been done or
not. Knows no tables.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Engine, event

_CONNECT = 10
"""Seconds, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds until a new connection, an answer to a request's read, or one to a statement of a commit is given up."""

    connect: int
    read: int
    write: int


def watched(engine: Engine, kind: str, told: Callable[[], tuple[int, int | None]]) -> None:
    """Bound an engine's new connections. ``told`` gives the seconds for connecting, and those for an answer (or none).

    What the DSN itself says goes before both.
    """

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _record: Any, arguments: Any, named: dict[str, Any]) -> Any:
        connect, answer = told()
        named.setdefault("connect_timeout", connect)
        if kind == "postgresql":
            connection = _bounded().connect(*arguments, **named)
            connection.seconds = answer
            return connection
        if answer is not None:
            named.setdefault("read_timeout", answer)
            named.setdefault("write_timeout", answer)
        return _trusting()(*arguments, **named) if kind == "mysql" else dialect.connect(*arguments, **named)


def seconds(bounds: Bounds | None, *, write: bool) -> tuple[int, int | None]:
    """For connecting and for an answer; a process that serves nobody waits as long as it takes."""
    if bounds is None:
        return _CONNECT, None
    return bounds.connect, bounds.write if write else bounds.read


@cache
def _bounded() -> Any:
    """The driver's connection with an end to its waiting, which the protocol itself knows nothing of."""
    import psycopg

    class Bounded(psycopg.Connection[Any]):
        seconds: int | None = None

        def wait(self, gen: Any, *more: Any, **named: Any) -> Any:
            if self.seconds is not None:
                gen = _within(gen, self.seconds, self._give_up)
            return super().wait(gen, *more, **named)

        def _give_up(self) -> None:
            self.close()
            raise psycopg.OperationalError(f"no answer within {self.seconds} s")

    return Bounded


@cache
def _trusting() -> Any:
    """The driver's connection that keeps what it makes of its options for TLS.

    PERF: reading all authorities takes 50 to 150 ms, which each new connection would take of those who are served.
    """
    from pymysql.connections import Connection

    contexts: dict[str, Any] = {}

    class Trusting(Connection):  # type: ignore[misc]
        def _create_ssl_ctx(self, sslp: Any) -> Any:
            if not isinstance(sslp, dict):
                return sslp
            key = repr(sorted(sslp.items()))
            if key not in contexts:
                contexts[key] = super()._create_ssl_ctx(sslp)
            return contexts[key]

    return Trusting


def _within(gen: Any, most: float, give_up: Callable[[], None]) -> Generator[Any, Any, Any]:
    """The driver's generator, which is sent a nothing several times a second while the server says nothing."""
    end = time.monotonic() + most
    try:
        asked = next(gen)
        while True:
            ready = yield asked
            if not ready and time.monotonic() > end:
                give_up()
            asked = gen.send(ready)
    except StopIteration as done:
        return done.value
