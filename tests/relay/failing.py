"""A gateway over two upstreams that fail as a test says, with the documents of docs/routing.md by their names.

What the first answers counts 100 and 40 tokens, the second 50 and 20, so that a charge tells whose answer it is of.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.relay import plain
from tests.relay.conftest import provider
from tests.relay.scripted import Say, Upstream
from tests.relay.test_metering import Row
from tests.support import Gateway

PAGE = Path(__file__).resolve().parents[2] / "docs" / "routing.md"
USED = {"first": (100, 40), "second": (50, 20)}
CHARGED = {"first": 520, "second": 260}
"""Units, by a price of 4 and 16 dollars a million tokens."""
COST = {"first": "0.00014", "second": "0.00007"}
"""Dollars, by a cost of 1 dollar a million."""
WORDS = ("Hello", " there")
_PRICES = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: asked}
spec: {models: [{names: [m, other], tokens: {input: 4, output: 16}}]}
---
apiVersion: gatewright/v1
kind: Price
metadata: {name: paid}
spec: {cost: {channels: [first, second]}, models: [{names: [m, other], tokens: {input: 1, output: 1}}]}
"""
_ROUTE = """
apiVersion: gatewright/v1
kind: Route
metadata: {name: zz}
spec:
  channels:
    - {name: first, provider: p-first, models: [m, other], priority: 5}
    - {name: second, provider: p-second, models: [m, other]}
"""
Play = Callable[[Say], None]


def example(name: str) -> str:
    """The document of that name that stands in docs/routing.md."""
    blocks = re.findall(r"(?:^    .*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    (block,) = [block for block in blocks if f"metadata: {{name: {name}}}" in block]
    return re.sub(r"^    ", "", block, flags=re.MULTILINE)


def answer(which: str, say: Say, fmt: str = "openai.chat") -> None:
    """The answer of an upstream, whole or as a stream, as it is asked for."""
    if wants_stream(say):
        say.events(*stream(which, fmt))
    else:
        say.whole(plain.whole(fmt, "".join(words(which)), USED[which]))


def words(which: str) -> tuple[str, ...]:
    """What an upstream says."""
    return tuple(f"{which}:{word}" for word in WORDS)


def stream(which: str, fmt: str = "openai.chat") -> list[bytes]:
    """The events of an upstream's stream."""
    return [plain.wire(event) for event in plain.events(fmt, words(which), USED[which])]


def wants_stream(say: Say) -> bool:
    """Whether a request is for a stream."""
    return bool(say.arrived.json.get("stream"))


class Site:
    """See the module. ``first`` and ``second`` answer each request that comes; they are ``answer`` at first."""

    def __init__(
        self, data: Path, *documents: str, formats: tuple[str, str] = ("openai.chat",) * 2, **more: Any
    ) -> None:
        self.upstreams = {name: Upstream() for name in USED}
        own = {"first": more.pop("first", "")}
        providers = [provider(f"p-{name}", self.upstreams[name].base, fmt, more=own.get(name, ""))
                     for name, fmt in zip(USED, formats, strict=True)]  # fmt: skip
        self.formats = dict(zip(USED, formats, strict=True))
        allowed = ",".join(f"127.0.0.1:{one.port}" for one in self.upstreams.values())
        specs = {"test.yaml": "\n---\n".join([*providers, _PRICES, _ROUTE, *documents])}
        env = more.pop("env", {})
        allowed = ",".join(filter(None, (allowed, env.pop("GATEWRIGHT_EGRESS_ALLOW", ""))))
        env = {"GATEWRIGHT_EGRESS_ALLOW": allowed, "ERROR_LOG_ENABLED": "true", **env}
        self.gateway = Gateway(data, specs=specs, priced=True, env=env, **more).ready()
        self.play()

    def play(self, first: Play | None = None, second: Play | None = None) -> None:
        """Say what the upstreams do from now on; nothing: they answer."""
        for name, given in (("first", first), ("second", second)):
            upstream = self.upstreams[name]
            upstream.got.clear()
            upstream.script = given or (lambda say, name=name: answer(name, say, self.formats[name]))

    def ask(self, *, streamed: bool = False, model: str = "m", path: str = "/v1/chat/completions", **more: Any) -> Any:
        """The answer to a call, read to its end."""
        headers = more.pop("headers", {})
        body = {"model": model, "messages": [{"role": "user", "content": "River?"}], "max_tokens": 100, **more}
        if streamed:
            body |= {"stream": True}
        return self.gateway.post(path, body, headers={"connection": "close", **headers})

    def row(self, reply: requests.Response) -> Row:
        """The log row of a call."""
        return Row(self.gateway, reply.headers["x-request-id"])

    @property
    def asked(self) -> tuple[int, int]:
        """How many requests came to the first upstream and to the second."""
        return len(self.upstreams["first"].got), len(self.upstreams["second"].got)

    def close(self) -> None:
        """End it; nothing may have gone wrong unseen."""
        self.gateway.stop()
        for upstream in self.upstreams.values():
            upstream.close()
        assert "Traceback" not in self.gateway.output, self.gateway.output
