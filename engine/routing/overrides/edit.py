"""What the operations of one attempt work on: its body, its headers and what conditions may ask. Plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import GatewrightError

Values = Mapping[str, Any]
Step = Callable[["Edit"], None]
"""One operation."""


class OverrideError(GatewrightError):
    """An operation that can't be done on this request: the channel's fault, another one may serve."""


class ReturnedError(GatewrightError):
    """An operation ends the request by an error of the operator's own. ``error`` has message, type, code, status."""

    def __init__(self, error: dict[str, Any], *, final: bool) -> None:
        super().__init__(error["message"])
        self.error = error
        self.final = final
        """No other channel is tried."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of an attempt besides its body. ``facts`` are read by conditions, by their dotted names."""

    facts: Values
    sent: Mapping[str, str]
    """The caller's headers, by lower-case names."""
    unsent: frozenset[str] = frozenset()
    """Names of the caller's headers that never go up: its credentials, and what describes its own connection."""


@dataclass(slots=True)
class Edit:
    """The request of one attempt while its operations run. ``body`` is a copy as far as it was changed."""

    body: dict[str, Any]
    known: Circumstances
    own: Mapping[str, str]
    """The channel's headers as its row lists them."""
    headers: dict[str, str | None] = field(default_factory=dict)
    """Set by operations, by lower-case names; nothing: taken away from what the channel lists."""

    def header(self, name: str) -> str | None:
        """What an operation or the channel set, else what the caller sent of it, unless that may not go up."""
        if name in self.headers:
            return self.headers[name]
        if name in self.own:
            return self.own[name]
        return None if name in self.known.unsent else self.known.sent.get(name)
