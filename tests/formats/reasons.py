"""Why a message that goes through the hub and back to its own format may differ: the list, and what looks differences up.

Same-format traffic passes through untouched, so none of these differences reaches anybody: they show what the hub has no
word for. A difference that isn't listed here fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engine.relay.fold import fold_keys
from tests.formats import listed as shared
from tests.formats import recorded
from tests.formats.recorded import Exchange

Difference = tuple[str, Any, Any]

LISTED: dict[tuple[str, str], list[tuple[str, str]]] = {}
"""(format, what): pairs of a pattern for paths (indices are written []) and the reason."""

_UNPARSED: list[tuple[str, str, str]] = [
    ("xai-code-execution-tool", "openai.responses", "the SDK does not know the recorded vendor's own item types"),
    ("xai-x-search-tool", "openai.responses", "the SDK does not know the recorded vendor's own item types"),
    ("xai-web-search-tool", "openai.responses", "the recorded vendor's own items lack members that the SDK asks for"),
    ("openai-image-generation-tool.1.chunks", "gemini.generateContent", "the recording's picture was shortened: no base64"),
]
"""(begin of the id, target, reason): answers that the target's SDK can't be asked to parse."""


def unparsed(exchange: Exchange, target: str) -> str | None:
    """Why the target's SDK can't parse this answer, if there is a listed reason."""
    return next((why for begin, name, why in [*_UNPARSED, *shared.UNPARSED] if exchange.id.startswith(begin) and name in ("", target)), None)


def differences(old: Any, new: Any, path: str = "") -> Iterator[Difference]:
    """Every place where two values part, with null members and missing ones taken as the same."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            yield from differences(before, after, f"{path}[]")
    elif old != new:
        yield path, old, new


def unexplained(name: str, what: str, told: Iterator[Difference]) -> list[Difference]:
    """The differences that nothing listed explains."""
    listed = LISTED.get((name, what), []) + shared.LISTED.get((name, what), [])
    return [item for item in told if not any(re.search(pattern, item[0]) for pattern, _ in listed)]


def asked(exchange: Exchange) -> Any:
    """The request as its decode sees it: keys folded, and without the fields that only pass through."""
    home = recorded.program().formats[exchange.format]
    body = fold_keys(exchange.request, home.keys) if home.keys else exchange.request
    assert isinstance(body, dict)
    return {key: value for key, value in body.items() if key in home.request_reads}


def unsent(exchange: Exchange) -> str | None:
    """Why a request can't go through the hub at all: it has a field that only its own format can carry."""
    home = recorded.program().formats[exchange.format]
    body = fold_keys(exchange.request, home.keys) if home.keys else exchange.request
    for key, value in (body or {}).items():
        if value is not None and key not in home.request_reads and key not in home.droppable:
            return f"{key} goes to its own format only: refused elsewhere with a 400"
    return None


def parts(message: dict[str, Any]) -> dict[str, Any]:
    """What of a hub message must survive: the parts without made-up names, finish and usage."""
    bare = ("index", "kind_index", "item_index", "item", "signature_of")
    usage = message.get("usage") or {}
    return {
        "parts": [{key: value for key, value in part.items() if key not in bare} for part in message["parts"]],
        "finish": (message.get("finish") or {}).get("reason"),
        "usage": {key: value for key, value in usage.items() if key not in ("raw", "flags")},
    }


def says_all(exchange: Exchange, rest: list[Any]) -> bool:
    """Whether what was cut off says nothing any more: terminators, usage, events after the finish reason."""
    marker = {"response.completed", "response.incomplete", "message_stop"}
    for data in rest:
        if data == "[DONE]" or not isinstance(data, dict):
            continue
        if data.get("type") in marker:
            return False
        if any(choice.get("finish_reason") for choice in data.get("choices") or ()):
            return False
        if any(candidate.get("finishReason") for candidate in data.get("candidates") or ()):
            return False
    return True


def is_error(name: str, data: Any) -> bool:
    """Whether an event is the format's way to tell an error."""
    return data.get("type") in ("error", "response.failed") or "error" in data
