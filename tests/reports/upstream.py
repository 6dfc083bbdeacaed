"""The upstream of a case: answers as the case says, else plainly in the format that is asked, and keeps what came.

What an answer may say: ``status``, ``type``, ``headers``, ``body`` (JSON, or a text as it stands), ``events`` (a
stream; a pair is name and data), ``head_after``, ``first_after`` and ``gap`` (seconds of silence before the head,
before the first event, between two; ``gap`` may be a list), ``joined`` (everything in one piece).
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Mapping
from itertools import chain, repeat
from typing import Any

from tests.relay import plain
from tests.relay.rich import PNG
from tests.relay.scripted import Arrived, Say, Upstream

INNER = "INNER-WORDS of a place that is not public"
_ANSWER = {"status", "type", "headers", "body", "events", "head_after", "first_after", "gap", "joined"}


class ReportUpstream(Upstream):
    """``by_path`` are answers by path, ``told`` the one for all others; without either it answers plainly."""

    def __init__(self, host: str = "127.0.0.1", wrap: Any = None) -> None:
        super().__init__(host, wrap)
        self.told: Mapping[str, Any] | None = None
        self.by_path: Mapping[str, Mapping[str, Any]] = {}
        self.fetched: list[Arrived] = []
        self._lock = threading.Lock()
        self.script = self._answer

    def begin(self, by_path: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Forget what came before."""
        self.told, self.by_path = None, by_path or {}
        self.got.clear()
        self.fetched.clear()

    def _answer(self, say: Say) -> None:
        path = say.arrived.path.partition("?")[0]
        told = self.by_path.get(say.arrived.path) or self.by_path.get(path)
        if told is None and say.arrived.method == "GET" and not plain.format_of(path):
            self._file(say, path)
        elif told is not None or self.told is not None:
            answer(say, told or self.told or {})
        else:
            plainly(say)

    def _file(self, say: Say, path: str) -> None:
        with self._lock:
            self.fetched.append(say.arrived)
            self.got[:] = [each for each in self.got if each is not say.arrived]
        if path.endswith("/models"):
            say.whole({"object": "list", "data": [], "models": []})
        elif path.startswith("/img"):
            say.whole(base64.b64decode(PNG), kind="image/png")
        else:
            say.whole(INNER.encode(), kind="text/plain")


def answer(say: Say, told: Mapping[str, Any]) -> None:
    """Answer as told."""
    unknown = told.keys() - _ANSWER
    if unknown:
        raise ValueError(f"an upstream's answer says {sorted(unknown)}")
    time.sleep(told.get("head_after", 0))
    headers = {name.replace("-", "_"): str(value) for name, value in told.get("headers", {}).items()}
    status = told.get("status", 200)
    if "events" not in told:
        body = told.get("body", {})
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        say.head(status, told.get("type", "application/json"), len(data), **headers)
        time.sleep(told.get("first_after", 0))
        say.sock.sendall(data)
        return
    say.head(status, told.get("type", "text/event-stream"), **headers)
    time.sleep(told.get("first_after", 0))
    events = [plain.wire(event) for event in told["events"]]
    if told.get("joined"):
        say.chunk(b"".join(events))
    else:
        gap = told.get("gap", 0)
        for event, seconds in zip(
            events, chain(gap, repeat(0)) if isinstance(gap, list) else repeat(gap), strict=False
        ):
            say.chunk(event)
            time.sleep(seconds)
    say.end()


def plainly(say: Say) -> None:
    """A plain answer in the format that the path speaks."""
    path = say.arrived.path
    fmt = plain.format_of(path)
    body = say.arrived.json if say.arrived.body else {}
    if any(word in path for word in ("count_tokens", "input_tokens", "countTokens")):
        say.whole({"input_tokens": plain.INPUT, "totalTokens": plain.INPUT})
    elif not fmt:
        say.whole({"error": {"message": f"no such path: {path}"}}, 404)
    elif body.get("stream") or ":streamGenerateContent" in path:
        say.events(*map(plain.wire, plain.events(fmt)))
    else:
        say.whole(plain.whole(fmt))
