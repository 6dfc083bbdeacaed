"""Recorded traffic of real providers, and the ways it is sent through formats in process.

Reads the recordings (GATEWRIGHT_RECORDED, or ../shared/fixtures/recorded beside the checkout) and the shipped
documents; gives exchanges, and what becomes of them in another format. It goes the relay's way without its I/O, so
what is tested is what the formats and the hub say, not the network. Nothing of a recording is copied here.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.compiler import compile_set, read_set
from engine.compiler.translation import Translation, WireMessage, translate
from engine.hub.fold import fold_keys
from engine.program import Program
from engine.transport import framing

HOME = Path(__file__).resolve().parents[2]
FOLDERS = {
    "openai.chat": "openai.chat",
    "openai.responses": "openai.responses",
    "other.responses": "openai.responses",
    "anthropic.messages": "anthropic.messages",
    "gemini.generateContent": "gemini.generateContent",
}
"""Folder of recordings: the format that they are written in."""

DIALECTS = {
    "bedrock.converse": "bedrock.converse",
    "cerebras.chat": "openai.chat",
    "cohere.chat": "cohere.chat",
    "crusoe.chat": "openai.chat",
    "deepseek.chat": "deepseek.chat",
    "groq.chat": "openai.chat",
    "huggingface.chat": "openai.chat",
    "mistral.chat": "mistral.chat",
    "ollama.chat": "openai.chat",
    "openrouter.chat": "openrouter.chat",
    "snowflake.chat": "openai.chat",
    "xai.chat": "openai.chat",
    "zai.chat": "deepseek.chat",
}
"""Folder of recordings: the dialect of chat, or the provider format, that its vendor is spoken to in."""

FORMATS = ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generateContent")


def place() -> Path | None:
    """The folder of recordings, if there is one."""
    named = os.environ.get("GATEWRIGHT_RECORDED")
    folder = Path(named) if named else HOME.parent / "shared" / "fixtures" / "recorded"
    return folder if folder.is_dir() else None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call as it was recorded."""

    id: str
    folder: str
    format: str
    path: str
    status: int
    request: dict[str, Any] | None
    response: Any
    stream: str | None
    features: tuple[str, ...]

    @property
    def model(self) -> str:
        """The model that was asked."""
        asked = (self.request or {}).get("model")
        if asked is None and (found := re.search(r"/models?/([^/:%]+)", self.path)):
            asked = found[1]
        return str(asked or "recorded-model")


@functools.cache
def exchanges() -> tuple[Exchange, ...]:
    """All recordings of the four formats; none if the folder is missing."""
    home = place()
    return tuple(_read(home, FOLDERS)) if home else ()


@functools.cache
def dialects() -> tuple[Exchange, ...]:
    """All recordings of vendors who speak a dialect of chat."""
    home = place()
    return tuple(_read(home, DIALECTS)) if home else ()


def _read(home: Path, folders: dict[str, str]) -> Iterator[Exchange]:
    for folder, name in folders.items():
        for file in sorted((home / folder).glob("*.json")):
            found = json.loads(file.read_text("utf-8"))
            yield Exchange(
                found["id"],
                folder,
                name,
                found["api_path"],
                found["status"],
                found["request"],
                found["response"],
                _first(found["response_stream"]),
                tuple(found["features"]),
            )


def _first(stream: str | None) -> str | None:
    """One recording holds four answers in a row, which no provider sends: the first is taken."""
    begins = [found.start() for found in re.finditer(r'data: ?\{"type": ?"response.created"', stream or "")]
    return stream[: begins[1]] if stream is not None and len(begins) > 1 else stream


@functools.cache
def _compiled() -> Program | str:
    sources, shared, faults = read_set([HOME / "specs" / name for name in ("formats", "models", "tasks")])
    result = compile_set(sources, shared)
    if faults or result.artefact is None:
        return "\n".join(fault.as_text() for fault in faults + result.faults)
    return result.program()


def program() -> Program:
    """The shipped documents of the formats, compiled once."""
    found = _compiled()
    assert not isinstance(found, str), found
    return found


def message(exchange: Exchange, wire: Any) -> WireMessage:
    """A wire message of the exchange with what the relay would know beside it."""
    traits = program().models.traits(exchange.model)
    ctx = {
        "asked": "asked-model",
        "model": exchange.model,
        "traits": traits,
        "now": 1_750_000_000,
        "request_id": "req-1",
    }
    return WireMessage(wire, path={"model": exchange.model}, request=_hub_request(exchange), ctx=ctx)


def _hub_request(exchange: Exchange) -> dict[str, Any]:
    """The caller's request as hub data: what answers may repeat of it."""
    return {"model": exchange.model, "stream": exchange.stream is not None, "stream_usage": True, "messages": []}


def convey(exchange: Exchange, what: str, wire: Any, target: str) -> Translation:
    """The message in another format (or its own), with every step."""
    return translate(program(), exchange.format, target, what, message(exchange, wire))


def there_and_back(exchange: Exchange) -> Any:
    """The request decoded and encoded again, unshaped: a format makes no demands on itself."""
    home = program().formats[exchange.format]
    body = fold_keys(exchange.request, home.keys) if home.keys else exchange.request
    ctx = message(exchange, body).ctx
    assert home.decode_request is not None
    assert home.encode_request is not None
    hub = home.decode_request([], body, {"model": exchange.model}, {}, {}, ctx)
    return home.encode_request([], hub, ctx)


def events(exchange: Exchange, pieces: list[bytes] | None = None) -> list[Any]:
    """The data of a recorded stream's events; ``pieces`` are its bytes as they arrive, whole if left out."""
    return framed(exchange, pieces if pieces is not None else [stream_bytes(exchange)])


def stream_bytes(exchange: Exchange) -> bytes:
    """The recorded stream."""
    assert exchange.stream is not None
    return exchange.stream.encode("utf-8", "surrogatepass")


def framed(exchange: Exchange, pieces: list[bytes]) -> list[Any]:
    """Events of any bytes in the framing of the exchange's format."""
    stream = program().formats[exchange.format].stream
    assert stream is not None
    decoder = framing.decoder(stream.framing)
    found = [event for piece in pieces for event in decoder.feed(piece)]
    found += decoder.finish()
    if decoder.done:
        found.append((None, str(stream.framing["done"]).encode()))
    return [_data(data) for _, data in found]


def _data(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode()


def answer_parts(exchange: Exchange) -> dict[str, Any]:
    """The hub's view of the recorded answer: the settled message that every target is told of."""
    done = convey(exchange, "stream" if exchange.stream else "response", recorded_answer(exchange), exchange.format)
    wanted = "hub message" if exchange.stream else "settled hub response"
    return next(value for name, value in done.steps if name == wanted)


def recorded_answer(exchange: Exchange) -> Any:
    """What the provider answered: a body, or a list of events."""
    return events(exchange) if exchange.stream else exchange.response
