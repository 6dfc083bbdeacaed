"""Vendors of tasks on loopback, as strict as their documentation: what they don't know is refused, and noted.

A ``Vendor`` is a table: how a submission must look and what is answered, then what each question is answered in turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.upstreams.loopback import Loopback

Check = Callable[["Asked"], str]
"""What is wrong with a request; nothing where it is right."""


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass
class Answered:
    """An answer: JSON, or bytes of a kind."""

    body: Any = None
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    halfway: Callable[[], None] | None = None
    """Called when the first half has been sent."""

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Vendor(Loopback):
    """``answer`` takes what was asked and gives what is answered; ``faults`` are what it had to refuse."""

    def __init__(self) -> None:
        self.got: list[Asked] = []
        self.faults: list[str] = []
        self.answer: Callable[[Asked], Answered] = lambda asked: Answered({}, 404)
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, self.rfile.read(length))
                vendor.got.append(asked)
                try:
                    answered = vendor.answer(asked)
                except AssertionError as error:
                    vendor.faults.append(f"{asked.method} {asked.path}: {error}")
                    answered = Answered({"error": {"message": str(error)}, "message": str(error), "code": 1201}, 400)
                raw = answered.raw
                self.send_response(answered.status)
                for name, value in {"content-type": answered.kind, **answered.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                half = len(raw) // 2 if answered.halfway is not None else len(raw)
                self.wfile.write(raw[:half])
                if answered.halfway is not None:
                    answered.halfway()
                    self.wfile.write(raw[half:])

            do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the library's names

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        super().__init__(Handler)
