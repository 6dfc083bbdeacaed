"""What the scripted vendors share: a service that answers what its vendor's page allows, and refuses the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.relay.scripted import Arrived, Say, Upstream


class RefusedError(Exception):
    """The vendor's refusal."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        super().__init__(status, body)
        self.status, self.body, self.headers = status, body, headers


@dataclass
class Streamed:
    """An answer in pieces."""

    kind: str
    pieces: Iterable[bytes]
    headers: dict[str, str] = field(default_factory=dict)


def channel(name: str, provider: str, base: str, env: str, *models: str, **more: Any) -> dict[str, Any]:
    """A channel of a Route, whose secret is the environment's ``GATEWRIGHT_KEY_`` and ``env``."""
    credential = {"secretRef": {"env": f"GATEWRIGHT_KEY_{env}"}}
    known = {"name": name, "provider": provider, "baseUrl": base, "credential": credential, "models": models}
    return {**known, **more}


def route(*channels: dict[str, Any]) -> str:
    """The document of these channels; JSON is YAML."""
    head = {"apiVersion": "gatewright/v1", "kind": "Route", "metadata": {"name": "r"}}
    return json.dumps({**head, "spec": {"channels": channels}})


Handle = Callable[[Arrived], Any]
"""Takes a request; gives the answer's JSON or a stream, or raises ``RefusedError``."""


def serve(handle: Handle) -> Upstream:
    """The service on loopback; ``got`` has all that arrived."""

    def script(say: Say) -> None:
        try:
            answer = handle(say.arrived)
        except RefusedError as ex:
            say.whole(ex.body, ex.status, **ex.headers)
            return
        if not isinstance(answer, Streamed):
            say.whole(answer)
            return
        say.head(200, answer.kind)
        for piece in answer.pieces:
            say.chunk(piece)
        say.end()

    upstream = Upstream()
    upstream.script = script
    return upstream
