"""What the wires share: a call, an answer, a refusal, seals on opaque things, and frames of server-sent events."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_SEAL_KEY = b"gatewright demo upstream"
MODELS = {
    "openai": ("demo-openai", "demo-openai-thinking", "demo-responses", "demo-responses-thinking"),
    "claude": ("demo-claude", "demo-claude-thinking"),
    "gemini": ("demo-gemini", "demo-gemini-thinking"),
}
CREATED = 1_790_000_000


@dataclass(frozen=True)
class Options:
    """How strict and how fast to be."""

    pace: float = 0.015
    any_model: bool = False
    any_signature: bool = False
    log: str = ""


@dataclass(frozen=True)
class Call:
    """One request as it came in; header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    options: Options


@dataclass
class Reply:
    """An answer: a JSON body, or chunks of a stream with the pause between them."""

    body: Any = None
    chunks: Iterator[bytes] | None = None
    content_type: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pace: float = 0.0
    delay: float = 0.0
    cut_after: int | None = None


_LOGGING = threading.Lock()


def note(call: Call, status: int, answer: bytes) -> None:
    """Append a call and its answer, as they went over the line, to the log that was asked for."""
    if call.options.log:
        told = {"method": call.method, "path": call.path, "query": call.query, "headers": call.headers}
        told |= {"body": call.body, "status": status, "answer": answer.decode()}
        with _LOGGING, open(call.options.log, "a", encoding="utf-8") as log:
            log.write(compact(told) + "\n")


class RefusedError(Exception):
    """An error answer in the vendor's own shape."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


class AskedError(Exception):
    """The prompt asked for an error with this status; each wire dresses it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def compact(value: Any) -> str:
    """JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def stable_id(prefix: str, *things: Any) -> str:
    """An id that is the same for the same call."""
    return prefix + hashlib.sha256(compact(things).encode()).hexdigest()[:24]


def seal(kind: str, text: str) -> str:
    """An opaque text that carries ``text`` and that only this program makes."""
    mark = hmac.new(_SEAL_KEY, f"{kind}:{text}".encode(), hashlib.sha256).digest()
    return base64.b64encode(mark + text.encode()).decode()


def unseal(kind: str, sealed: Any) -> str | None:
    """The text of a seal of ours, nothing if it is foreign."""
    try:
        raw = base64.b64decode(sealed, validate=True)
        text = raw[32:].decode()
    except (binascii.Error, ValueError, TypeError):
        return None
    return text if hmac.compare_digest(seal(kind, text), sealed) else None


def tokens(value: Any) -> int:
    """About as many tokens as a model would count in the text of this."""
    if isinstance(value, str):
        return (len(value) + 3) // 4
    if isinstance(value, dict):
        return sum(tokens(item) for name, item in value.items() if name not in ("data", "image_url", "file_data"))
    return sum(tokens(item) for item in value) if isinstance(value, list) else 0


def standard_base64(text: Any) -> str:
    """Base64 of either alphabet, padded or not, in the standard one."""
    plain = str(text).replace("-", "+").replace("_", "/").rstrip("=")
    return plain + "=" * (-len(plain) % 4)


def is_base64(text: Any) -> bool:
    """Whether this is base64 of something."""
    try:
        return isinstance(text, str) and bool(text) and bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


def pieces(text: str, size: int = 1) -> list[str]:
    """A text in words, blanks behind them."""
    words = re.findall(r"\s*\S+\s*?(?=\s|$)|\s+", text)
    return ["".join(words[i : i + size]) for i in range(0, len(words), size)] if text else []


def event(data: Any, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {compact(data)}\n\n".encode()
