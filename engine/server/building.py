"""A worker's parts: the relay's state and its Falcon app, made from settings, program and the compiler's status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from engine import api
from engine.program import Program
from engine.relay import app as relay_app
from engine.relay import state as relay_state
from engine.settings import Settings


class State(Protocol):
    """What the server asks of a worker's state."""

    def swap(self, program: Program) -> None:
        """Make this the program of new requests."""

    def follow_background(self) -> None:
        """Ask for answers that are made in the background."""

    def follow_secrets(self) -> None:
        """Read secrets again whose files have changed."""

    def refresh(self) -> None:
        """Read what the database says again."""

    def hand_on_to(self, path: str) -> None:
        """Have large requests served by the process behind a socket."""

    def drain(self) -> None:
        """End the calls that are still open, with a word to their callers."""

    def close(self) -> None:
        """Write out what waits."""


def warm(settings: Settings) -> None:
    """In the master, before the fork: what workers share in memory."""
    relay_state.warm(settings)


def relay(settings: Settings, program: Program, status: Callable[[], dict[str, Any]]) -> tuple[State, Any]:
    """State and WSGI app of a worker; after the fork, as it opens connections."""
    state = relay_state.build(settings, program, status)
    return state, relay_app.create_app(state, api.routes(state))
