"""Requests that are spoilt: rich ones with one to three fields wrong, or whose text is no longer what it was.

``spoilt(fmt, choose)`` gives a story and a body, a map or bytes; all hangs on the random numbers given.
"""

from __future__ import annotations

import json
import random
from typing import Any

from tests.relay import mutations, rich
from tests.relay.rich import nodes, replaced, spelled, without

_MORE: dict[str, dict[str, Any]] = {
    "openai.chat": {"logit_bias": {"50256": -100}, "n": 1, "logprobs": True, "top_logprobs": 2,
                    "stream_options": {"include_usage": True}},
    "openai.responses": {"store": False, "truncation": "auto", "include": ["reasoning.encrypted_content"]},
    "anthropic.messages": {"service_tier": "auto", "stop_sequences": ["END"]},
    "gemini.generateContent": {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]},
}  # fmt: skip
_KEYS = [
    "1",
    "0",
    "-1",
    "",
    "$ref",
    "__proto__",
    "a.b",
    "a[0]",
    "model",
    "Model",
    "stream",
    "x" * 3000,
    "\ud800",
    "é",
    "{{ model }}",
]
_VALUES = [
    True,
    "1",
    1.5,
    1.0,
    -0.0,
    10**40,
    2**63,
    -(2**63),
    1e308,
    "2026",
    "",
    [],
    {},
    [[]],
    [{}],
    {"1": "b"},
    [None],
    "a\0b",
]
_BYTES = [
    b'"',
    b"}",
    b"]",
    b",",
    b"\xff",
    b"\\u0000",
    b"\\ud800",
    b"NaN",
    b"1e999",
    b"-",
    b"\n\n",
    b"{{",
    b'","model":"x',
]


def rich_body(fmt: str) -> dict[str, Any]:
    """As much as a request can say."""
    return {**_MORE[fmt], **rich.RICH[fmt]}


def spoilt(fmt: str, model: str, choose: random.Random) -> tuple[str, Any]:
    """The story, and a request's body."""
    body, story = rich_body(fmt), []
    for _ in range(choose.choice((1, 1, 2, 3))):
        path = choose.choice(list(nodes(body)) or [()])
        if not path:
            break
        what, body = _one(body, path, choose)
        story.append(f"{spelled(path)} {what}")
    if choose.random() < 0.1:
        named = body if fmt == "gemini.generateContent" else {"model": model, **body}
        data = json.dumps(named).encode()
        place = choose.randrange(len(data) + 1)
        junk = choose.choice([*_BYTES, None])
        data = data[:place] if junk is None else data[:place] + junk + data[place + choose.choice((0, 1)) :]
        return f"{'; '.join(story)}; {junk!r} at byte {place}", data
    return "; ".join(story), body


def _one(body: Any, path: rich.Path, choose: random.Random) -> tuple[str, Any]:
    kind = choose.random()
    if kind < 0.7:
        return mutations.spoilt(choose, body, path)
    if kind < 0.85 and isinstance(path[-1], str):
        key, value = choose.choice(_KEYS), _at(body, path)
        return f"called {key[:20]!r}", replaced(without(body, path), (*path[:-1], key), value)
    value = choose.choice(_VALUES)
    return f"= {json.dumps(value)[:40]}", replaced(body, path, value)


def _at(body: Any, path: rich.Path) -> Any:
    for key in path:
        body = body[key]
    return body
