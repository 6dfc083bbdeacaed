"""A compiled mapping against its handwritten twin: a chat request of 4 KB into the hub's shape, and from there on.

    python tests/bench/bench_mapping.py [--limit 2.0]

Both give the same result, which is checked first. Prints microseconds per call (the best of many rounds, since other
work on the machine only ever adds) and the quotient; exits with 1 if a quotient is above the limit.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.compiler.workbench import Bench

MAPPINGS = yaml.safe_load(Path(__file__).with_name("mappings.yaml").read_text(encoding="utf-8"))


def request() -> dict[str, Any]:
    """A chat request with tools, a picture, a tool call and its result."""
    text = "The quick brown fox jumps over the lazy dog, again and again. " * 6
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "a number"},
            "b": {"type": "string", "enum": ["x", "y"]},
        },
        "required": ["a"],
    }
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/" + "p" * 200, "detail": "high"}}
    return {
        "model": "m",
        "stream": True,
        "temperature": 0.7,
        "max_tokens": 1000,
        "stop": ["a", "b"],
        "messages": [
            {"role": "system", "content": "You are helpful. " + text},
            {"role": "user", "content": [{"type": "text", "text": "What is on it?"}, picture]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "a fox"},
            {"role": "assistant", "content": "It is a fox. " + text},
            {"role": "user", "content": "And now? " + text},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": f"look{i}", "description": "Looks at things", "parameters": schema},
            }
            for i in range(5)
        ],
    }


def decode_by_hand(body: dict[str, Any]) -> dict[str, Any]:
    """What a careful person would write for the same: checks where a client could send anything, no more."""
    hub: dict[str, Any] = {}
    if (model := body.get("model")) is not None:
        hub["model"] = model
    if (stream := body.get("stream")) is not None:
        hub["stream"] = stream
    messages = hub["messages"] = []
    for message in body.get("messages") or ():
        role = message.get("role")
        if role == "tool":
            result = {"type": "tool_result", "id": message.get("tool_call_id"), "parts": _parts(message.get("content"))}
            messages.append({"role": "tool", "parts": [result]})
            continue
        parts = _parts(message.get("content"))
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            part = {"type": "tool_call"}
            if (identifier := call.get("id")) is not None:
                part["id"] = identifier
            if (name := function.get("name")) is not None:
                part["name"] = name
            part["arguments"] = function.get("arguments") or "{}"
            parts.append(part)
        messages.append({"role": "system" if role == "developer" else role, "parts": parts})
    tools = []
    for tool in body.get("tools") or ():
        function = tool.get("function") or {}
        item = {"kind": "function"}
        for source, target in (("name", "name"), ("description", "description"), ("parameters", "schema")):
            if (value := function.get(source)) is not None:
                item[target] = value
        tools.append(item)
    if tools:
        hub["tools"] = tools
    sampling = {key: value for key in ("temperature", "top_p", "seed") if (value := body.get(key)) is not None}
    if sampling:
        hub["sampling"] = sampling
    limit = body.get("max_completion_tokens")
    if limit is None:
        limit = body.get("max_tokens")
    if limit is not None:
        hub["max_tokens"] = limit
    if (stop := body.get("stop")) is not None:
        hub["stop"] = [stop] if isinstance(stop, str) else stop
    return hub


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    parts = []
    for part in content or ():
        kind = part.get("type")
        if kind == "text":
            parts.append({"type": "text", "text": part.get("text")})
        elif kind == "image_url":
            picture = part.get("image_url") or {}
            found = {"type": "image"}
            if (url := picture.get("url")) is not None:
                found["source"] = {"url": url}
            if (detail := picture.get("detail")) is not None:
                found["detail"] = detail
            parts.append(found)
    return parts


def encode_by_hand(hub: dict[str, Any]) -> dict[str, Any]:
    """The hub's request for a vendor that takes system text apart and content in blocks."""
    body: dict[str, Any] = {}
    if (model := hub.get("model")) is not None:
        body["model"] = model
    body["max_tokens"] = hub.get("max_tokens", 4096)
    system = []
    messages = []
    for message in hub.get("messages") or ():
        if message.get("role") == "system":
            system += [{"type": "text", "text": part.get("text")} for part in message.get("parts") or ()]
            continue
        blocks = [block for part in message.get("parts") or () if (block := _block(part)) is not None]
        messages.append({"role": "assistant" if message.get("role") == "assistant" else "user", "content": blocks})
    if system:
        body["system"] = system
    body["messages"] = messages
    tools = []
    for tool in hub.get("tools") or ():
        item = {}
        for source, target in (("name", "name"), ("description", "description"), ("schema", "input_schema")):
            if (value := tool.get(source)) is not None:
                item[target] = value
        tools.append(item)
    if tools:
        body["tools"] = tools
    if (sampling := hub.get("sampling")) is not None:
        for key in ("temperature", "top_p"):
            if (value := sampling.get(key)) is not None:
                body[key] = value
    if (stop := hub.get("stop")) is not None:
        body["stop_sequences"] = stop
    if (stream := hub.get("stream")) is not None:
        body["stream"] = stream
    return body


def _block(part: dict[str, Any]) -> dict[str, Any] | None:
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": part.get("text")}
    if kind == "image":
        return {"type": "image", "source": {"type": "url", "url": (part.get("source") or {}).get("url")}}
    if kind == "tool_call":
        try:
            arguments = json.loads(part.get("arguments") or "{}")
        except ValueError:
            arguments = {}
        return {"type": "tool_use", "id": part.get("id"), "name": part.get("name"), "input": arguments}
    if kind == "tool_result":
        inner = [block for one in part.get("parts") or () if (block := _block(one)) is not None]
        return {"type": "tool_result", "tool_use_id": part.get("id"), "content": inner}
    return None


def best(function: Callable[[], Any], calls: int = 400, rounds: int = 25) -> float:
    """Microseconds of one call."""
    shortest = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(calls):
            function()
        shortest = min(shortest, time.perf_counter() - started)
    return shortest / calls * 1e6


def measure() -> list[tuple[str, float, float]]:
    """Name, compiled and handwritten time of each mapping."""
    fragments = MAPPINGS["fragments"]
    decode = Bench(fragments=fragments).compiled(MAPPINGS["decode"])
    encode = Bench(fragments=fragments).compiled(MAPPINGS["encode"])
    body = request()
    hub = decode_by_hand(body)
    assert decode([], body) == hub, "the mapping and its twin differ"
    assert encode([], hub) == encode_by_hand(hub), "the mapping and its twin differ"
    return [
        ("decode", best(lambda: decode([], body)), best(lambda: decode_by_hand(body))),
        ("encode", best(lambda: encode([], hub)), best(lambda: encode_by_hand(hub))),
    ]


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=2.0, help="the largest quotient that is good")
    limit = parser.parse_args().limit
    print(f"request of {len(json.dumps(request()))} bytes")
    worst = 0.0
    for name, compiled, by_hand in measure():
        print(f"{name:<8} compiled {compiled:6.1f} us   by hand {by_hand:6.1f} us   quotient {compiled / by_hand:.2f}")
        worst = max(worst, compiled / by_hand)
    return 0 if worst <= limit else 1


if __name__ == "__main__":
    sys.exit(main())
