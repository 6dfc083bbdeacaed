"""Generated conversations survive their own format unchanged, and every other one up to what it can say.

What a format can't say is declared below, pair by pair, each with its reason; anything else that is lost on the way
there and back must stand in the loss report.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.compiler.translation import Translation, WireMessage, translate
from engine.errors import CallError
from engine.hub.stream import replay
from engine.hub.stream.assembler import Assembler
from tests.formats import reasons, recorded, talks, vendor_schemas
from tests.formats.recorded import FORMATS

EVERYTHING = bool(os.environ.get("GATEWRIGHT_NIGHTLY"))
MANY = settings(
    max_examples=2000 if EVERYTHING else 100,
    derandomize=not EVERYTHING,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
FEW = settings(MANY, max_examples=500 if EVERYTHING else 40)
MODEL = "m"
CTX = {"asked": MODEL, "model": MODEL, "now": 1_750_000_000, "request_id": "req-1"}
ACROSS = [(source, target) for source in FORMATS for target in FORMATS if source != target]

Facts = dict[str, Any]

LOST: dict[str, dict[str, str]] = {
    "openai.chat": {
        "thoughts": "takes no thought back",
        "signatures": "takes no thought back",
        "errors": "a result is text: nothing says that it is an error",
    },
    "openai.responses": {
        "errors": "a result is text: nothing says that it is an error",
        "signatures": "another vendor's signature on a call has no place in a request",
    },
    "anthropic.messages": {},
    "gemini.generateContent": {
        "files": "a file has no name here",
        "output_name": "a schema of the answer has no name here",
    },
}
"""What a format can't say of a conversation on its way through, and why."""

_REPORTED = {
    "cache": "cache",
    "errors": "error",
    "parallel": "parallel_tools",
    "seed": "sampling.seed",
    "stop": "stop",
    "user": "user",
    "top_p": "top_p",
    "temperature": "temperature",
    "thoughts": "thinking|reasoning|parts",
    "signatures": "signature|reasoning|parts|thinking",
    "choice": "tool_choice",
    "max_tokens": "max_tokens",
    "output_name": "output",
    "strict": "strict",
    "detail": "detail",
}
"""Fact: what of the report's paths tells its loss."""


def asked(name: str, body: Any) -> WireMessage:
    """A request with what the relay knows beside it."""
    return WireMessage(body, path={"model": MODEL}, ctx=CTX)


def hub_of(done: Translation) -> dict[str, Any]:
    """The request as the hub understood it."""
    found: dict[str, Any] = dict(done.steps)["hub request"]
    return found


def facts(hub: dict[str, Any]) -> Facts:
    """What a conversation says, whatever format says it."""
    parts = [(message["role"], part) for message in hub["messages"] for part in message["parts"]]
    calls = [part for _, part in parts if part["type"] == "tool_call"]
    order = {call.get("id"): number for number, call in enumerate(calls)}
    results = [part for _, part in parts if part["type"] == "tool_result"]
    sampling, output = hub.get("sampling") or {}, hub.get("output") or {}
    choice = hub.get("tool_choice") or {}
    return {
        "system": "\n\n".join(part["text"] for role, part in parts if role == "system"),
        "said": [
            (role, part["text"]) for role, part in parts if part["type"] == "text" and role in ("user", "assistant")
        ],
        "images": [
            part["source"].get("data") or part["source"].get("url") for _, part in parts if part["type"] == "image"
        ],
        "files": [(part.get("name"), part["source"].get("data")) for _, part in parts if part["type"] == "file"],
        "calls": [(call["name"], json.loads(call["arguments"] or "{}")) for call in calls],
        "results": [(order.get(result.get("id")), _text(result)) for result in results if result.get("id")],
        "errors": [bool(result.get("error")) for result in results],
        "thoughts": [part["text"] for _, part in parts if part["type"] == "thinking" and part.get("text")],
        "signatures": [part.get("signature") or part.get("encrypted") for _, part in parts if _secret(part)],
        "cache": sum(bool(part.get("cache")) for _, part in parts),
        "tools": [(tool["name"], tool.get("description"), tool.get("schema")) for tool in hub.get("tools") or ()],
        "choice": (choice.get("mode"), choice.get("names") or []) if choice.get("mode") else None,
        "parallel": hub.get("parallel_tools") if hub.get("tools") and choice.get("mode") != "none" else None,
        "stop": hub.get("stop"),
        "max_tokens": hub.get("max_tokens"),
        "user": hub.get("user"),
        "output": (output.get("type"), output.get("schema")),
        "output_name": (output.get("name"), output.get("strict")),
        **{name: sampling.get(name) for name in ("temperature", "top_p", "seed")},
    }


def _secret(part: dict[str, Any]) -> bool:
    return bool(part.get("signature") or part.get("encrypted"))


def _text(result: dict[str, Any]) -> str:
    """What a result says; a format without a mark for what failed tells it in words, and reports that."""
    said = "".join(part.get("text") or json.dumps(part.get("value")) for part in result["parts"])
    return said.removeprefix("Error: ")


# --- requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@MANY
@given(talk=talks.TALKS)
def test_a_conversation_survives_its_own_format_unchanged(name: str, talk: talks.Talk) -> None:
    body = talks.WRITERS[name](talk)
    home = recorded.program().formats[name]
    assert home.request_schema is None or home.request_schema.is_valid(body)
    assert home.decode_request is not None
    assert home.encode_request is not None
    report: list[tuple[str, str]] = []
    hub = home.decode_request(report, body, {"model": MODEL}, {}, {}, CTX)
    sent = home.encode_request(report, hub, CTX)
    assert not reasons.unexplained(name, "request", body, sent)
    assert not report


@pytest.mark.parametrize(("source", "target"), ACROSS)
@FEW
@given(talk=talks.TALKS)
def test_a_conversation_comes_back_up_to_what_the_other_format_can_say(
    source: str, target: str, talk: talks.Talk
) -> None:
    body = talks.WRITERS[source](talk)
    if target == "gemini.generateContent":  # addresses are fetched for it, which is not tried here
        body = json.loads(
            json.dumps(body).replace("https://pictures.example/a.png", f"data:image/png;base64,{talks.PNG}")
        )
        if source == "anthropic.messages":
            body = _inline(body)
    there = translate(recorded.program(), source, target, "request", asked(source, body))
    back = translate(recorded.program(), target, source, "request", asked(target, there.result))
    again = translate(recorded.program(), source, source, "request", asked(source, back.result))
    old, new = facts(hub_of(there)), facts(hub_of(again))
    told = " ".join(f"{path}" for path, _ in [*there.report, *back.report])
    for name, value in old.items():
        if (
            value == new[name]
            or value in (None, 0, [], "", (None, None))
            or name in LOST[target]
            or name in LOST[source]
        ):
            continue
        assert _told(name, told), f"{name}: {value!r} became {new[name]!r}, and nothing tells of it; report: {told}"


def _inline(body: dict[str, Any]) -> dict[str, Any]:
    for message in body["messages"]:
        for block in message["content"]:
            if block.get("source", {}).get("type") == "url":
                block["source"] = {"type": "base64", "media_type": "image/png", "data": talks.PNG}
    return body


def _told(name: str, report: str) -> bool:
    return any(word in report for word in _REPORTED.get(name, name).split("|"))


PROVIDERS = ("ollama.chat", "cohere.chat", "bedrock.converse")
"""Formats that are spoken to providers only."""


@pytest.mark.parametrize("target", PROVIDERS)
@pytest.mark.parametrize("source", FORMATS)
@FEW
@given(talk=talks.TALKS)
def test_a_conversation_reaches_a_provider_as_its_vendor_takes_it(source: str, target: str, talk: talks.Talk) -> None:
    """Strictly valid, in order, with the same words, calls and results in it."""
    body = json.loads(
        json.dumps(talks.WRITERS[source](talk))
        .replace('"url": "https://pictures.example/a.png"', f'"url": "data:image/png;base64,{talks.PNG}"')
        .replace('"image_url": "https://pictures.example/a.png"', f'"image_url": "data:image/png;base64,{talks.PNG}"')
    )
    if source == "anthropic.messages":
        body = _inline(body)
    try:
        there = translate(recorded.program(), source, target, "request", asked(source, body))
    except CallError as refusal:
        assert refusal.param, refusal  # noqa: PT017
        assert any(part["kind"] == "file" for turn, _ in talk["numbered"] for part in turn["said"])
        return
    vendor_schemas.refuse(target, there.result)
    back = translate(recorded.program(), target, target, "request", asked(target, there.result))
    old, new = facts(hub_of(there)), facts(hub_of(back))
    told = " ".join(path for path, _ in there.report)
    for found in (old, new):  # texts of one turn may have become one text
        said = {who: "".join(text for role, text in found["said"] if role == who) for who in ("user", "assistant")}
        found["said"] = {who: "".join(text.split()) for who, text in said.items()}
        if talk.get("choice") in ("none", "weather"):  # told by sending no tool, or that one alone
            del found["tools"]
    for name in ("system", "said", "images", "calls", "results", "tools", "max_tokens", "stop", "temperature", "top_p"):
        if old.get(name) not in (None, [], "") and old[name] != new[name]:
            assert _told(name, told), f"{name}: {old[name]!r} became {new[name]!r}; report: {told}"


# --- answers -------------------------------------------------------------------------------------------------

CALLS = st.builds(
    lambda number, name, arguments: {"type": "tool_call", "id": f"call_{number}", "name": name, "arguments": arguments},
    st.integers(0, 10**6),
    st.sampled_from(["weather", "search_web"]),
    talks.ARGUMENTS.map(json.dumps) | st.just("{}"),
)
SAID = st.lists(talks.WORDS.map(lambda text: {"type": "text", "text": text}), max_size=1)
USAGE = st.fixed_dictionaries(
    {name: st.integers(0, 5000) for name in ("input_fresh", "cache_read", "cache_write_5m", "output_text", "reasoning")}
).map(
    lambda counts: {
        **counts,
        "cache_write_1h": 0,
        "cache_write": counts["cache_write_5m"],
        "input_total": counts["input_fresh"] + counts["cache_read"] + counts["cache_write_5m"],
        "output_total": counts["output_text"] + counts["reasoning"],
        "total": sum(counts.values()),
    }
)
ANSWERS = st.builds(
    lambda thought, said, calls, usage, reason: {
        "id": "answer-1",
        "model": MODEL,
        "created": 1_750_000_000,
        "parts": [*thought, *said, *calls] or [{"type": "text", "text": "-"}],
        "finish": {"reason": "tool_calls" if calls else reason},
        "usage": usage,
    },
    st.lists(talks.WORDS.map(lambda text: {"type": "thinking", "text": text, "item": "t0"}), max_size=1),
    SAID,
    st.lists(CALLS, max_size=3, unique_by=lambda call: call["id"]),
    USAGE,
    st.sampled_from(["stop", "length", "content_filter"]),
)
REQUEST = {"model": MODEL, "stream": True, "stream_usage": True, "messages": []}
BUCKETS = (
    "input_fresh",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "tool_use_input",
    "output_text",
    "reasoning",
)


def answer_message(wire: Any) -> WireMessage:
    """An answer with what the relay knows beside it."""
    return WireMessage(wire, request=REQUEST, ctx=CTX)


def written(name: str, answer: dict[str, Any], *, stream: bool) -> Any:
    """The answer as a provider of the format would send it: whole, or as the data of its events."""
    there = recorded.program().formats[name]
    assert there.stream is not None
    if not stream:
        assert there.encode_response is not None
        return there.encode_response([], replay.prepare(answer, there.stream, native={name}), REQUEST, CTX)
    line = Assembler(None, there.stream, native={name})
    wire: list[Any] = []
    for kind, event, part, item in [*line.feed(replay.events(answer)), *line.close()]:
        function = there.stream.encode.get(kind)
        wire += (function([], event, part, item, line.message, REQUEST, CTX) or []) if function else []
    return wire


def heard(name: str, wire: Any) -> Facts:
    """What an answer of the format says, as the hub settles it."""
    what = "stream" if isinstance(wire, list) else "response"
    done = translate(recorded.program(), name, name, what, answer_message(wire))
    found = dict(done.steps)["hub message" if what == "stream" else "settled hub response"]
    usage = found.get("usage") or {}
    texts = [(part["type"], part.get("text")) for part in found["parts"] if part["type"] in ("text", "thinking")]
    return {
        "texts": [item for item in texts if item[1]],
        "calls": [(p["name"], json.loads(p["arguments"])) for p in found["parts"] if p["type"] == "tool_call"],
        "finish": found["finish"]["reason"],
        "usage": (usage.get("input_total"), usage.get("output_total")),
        "buckets": {bucket: usage.get(bucket) or 0 for bucket in BUCKETS},
    }


def _class(reason: str) -> str:
    return {"refusal": "content_filter", "stop_sequence": "stop"}.get(reason, reason)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("source", "target"), [(source, target) for source in FORMATS for target in FORMATS])
@FEW
@given(answer=ANSWERS)
def test_an_answer_says_the_same_in_every_format_and_its_usage_adds_up(
    source: str, target: str, stream: bool, answer: dict[str, Any]
) -> None:
    wire = written(source, answer, stream=stream)
    done = translate(recorded.program(), source, target, "stream" if stream else "response", answer_message(wire))
    found = heard(target, done.result)
    assert found["calls"] == [
        (p["name"], json.loads(p["arguments"])) for p in answer["parts"] if p["type"] == "tool_call"
    ]
    wanted = [(p["type"], p["text"]) for p in answer["parts"] if "text" in p]
    assert [item for item in found["texts"] if item[0] == "text"] == [item for item in wanted if item[0] == "text"]
    assert [item for item in found["texts"] if item[0] == "thinking"] == [i for i in wanted if i[0] == "thinking"]
    assert _class(found["finish"]) == answer["finish"]["reason"]
    usage = answer["usage"]
    assert found["usage"] == (usage["input_total"], usage["output_total"])
    assert sum(found["buckets"].values()) == usage["total"]
    assert found["buckets"]["cache_read"] == usage["cache_read"]


@pytest.mark.parametrize("name", FORMATS)
@MANY
@given(answer=ANSWERS)
def test_a_stream_put_together_is_the_whole_answer(name: str, answer: dict[str, Any]) -> None:
    assert heard(name, written(name, answer, stream=True)) == heard(name, written(name, answer, stream=False))
