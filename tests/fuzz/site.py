"""A gateway with one worker before an upstream that answers as the case at hand says, and one connection to it.

The upstream finds a case by the number in the prompt (``n=17``); without one it answers plainly.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.fuzz.answers import Answer
from tests.relay import plain
from tests.relay.conftest import provider
from tests.relay.scripted import Say, Upstream
from tests.reports.upstream import plainly
from tests.support import Gateway

_PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "anthropic.messages": "/v1/messages",
}
_POLICY = (
    "\napiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: fuzz}\nspec: {unpriced: allow, retries: {times: 0}}\n"
)
_NUMBER = re.compile(rb"n=(\d+)")
_TIMEOUT = 20.0
"""Seconds after which an answer that has not come counts as a stall; the provider's own limits are far below."""


class Site:
    """``answers`` are the upstream's, by number."""

    def __init__(self, directory: Path) -> None:
        self.answers: dict[int, Answer] = {}
        self.upstream = Upstream()
        self.upstream.script = self._answer
        limits = "  timeouts: {connect: 2, firstByte: 5, idle: 5}\n"
        documents = [
            provider(f"p-{number}", self.upstream.base, fmt, f"m-{fmt}", more=limits)
            for number, fmt in enumerate(plain.FORMATS)
        ]
        env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{self.upstream.port}"}
        self.gateway = Gateway(directory, specs={"fuzz.yaml": "---".join([*documents, _POLICY])}, env=env)
        self.gateway.ready()
        self._connection: http.client.HTTPConnection | None = None
        started = [line for line in self.gateway.lines if "Booting worker with pid" in line]
        self.worker = int(started[-1].rpartition(" ")[2])

    def close(self) -> None:
        """End everything."""
        self._hang_up()
        self.gateway.stop()
        self.upstream.close()

    def _answer(self, say: Say) -> None:
        self.upstream.got.clear()
        say.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = _NUMBER.search(say.arrived.body)
        answer = self.answers.get(int(number[1])) if number else None
        if answer is None:
            plainly(say)
            return
        lines = [f"HTTP/1.1 {answer.status} X", "connection: close"]
        lines += [f"content-type: {answer.type}"] if answer.type else []
        pieces = answer.wire()
        lines.append("transfer-encoding: chunked" if answer.stream else f"content-length: {_length(answer)}")
        say.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        for piece in pieces:
            say.chunk(piece) if answer.stream else say.sock.sendall(piece)
        if answer.stream and answer.cut is None:
            say.end()
        raise OSError("the connection is closed")

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, fmt: str, target: str, body: Any, stream: bool = False) -> tuple[int, str, bytes]:
        """Status, type and body of an answer; a stall raises ``TimeoutError``."""
        model = f"m-{target}"
        path = _PATHS.get(fmt) or f"/v1beta/models/{model}:" + (
            "streamGenerateContent?alt=sse" if stream else "generateContent"
        )
        if isinstance(body, dict) and fmt in _PATHS:
            body = {"model": model, **body} | ({"stream": True} if stream else {})
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.gateway.key}", "content-type": "application/json"}
        for fresh in (False, True):
            if fresh:
                self._hang_up()
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=_TIMEOUT)
            try:
                self._connection.request("POST", path, data, headers)
                answer = self._connection.getresponse()
                return answer.status, answer.getheader("content-type") or "", answer.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if fresh:
                    raise
            except BaseException:
                self._hang_up()
                raise
        raise AssertionError("unreachable")

    def worker_ms(self) -> float:
        """CPU that the worker has used so far, in ms, to the microsecond."""
        used = 0
        for task in Path(f"/proc/{self.worker}/task").iterdir():
            with suppress(OSError):
                used += int((task / "schedstat").read_text().split()[0])
        return used / 1e6

    def memory_mb(self) -> float:
        """The worker's resident memory in MB."""
        pages = int(Path(f"/proc/{self.worker}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _length(answer: Answer) -> int:
    """The length that the head tells: that of all, however little comes."""
    return sum(map(len, Answer("", answer.stream, answer.parts).wire()))
