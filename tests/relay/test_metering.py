"""What a call is charged for, through the gateway: usage that no upstream tells, pictures, tools, errors that cost."""

from __future__ import annotations

import base64
import json
import sqlite3
import struct
from contextlib import closing
from typing import Any

import pytest
import requests

from engine import paths
from engine.ledger.counting import vocabularies
from tests.relay.conftest import provider
from tests.relay.scripted import Upstream
from tests.support import PATIENCE, Gateway, missing, serving, until

pytestmark = pytest.mark.xdist_group("metering")
PRICES = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: own}
spec:
  tools:
    {web_search_preview: 10, web_search: 10, file_search: 2.5, google_search: 14, image_generation: 150, look_up: 4}
  models:
    - names: [gpt-4o-told, chat-plain, claude-plain, responses-plain, gemini-plain, grok-plain, both]
      tokens: {input: 2, output: 8}
    - {names: [draws, gemini-draws], call: 0, pictures: [{price: 0.04}], tools: {image_generation: 0}}
    - {names: [searches], tokens: {input: 2, output: 8}, uses: {web_search_preview: 1}}
"""
XAI = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: p-xai}
extends: xai
spec: {baseUrl: BASE, auth: {scheme: none}, models: [grok-plain]}
"""
SECOND = """
apiVersion: gatewright/v1
kind: Route
metadata: {name: r-second}
spec:
  channels:
    - {name: second, provider: p-second, models: [grok-plain, both], priority: -1}
"""


@pytest.fixture(scope="module")
def one():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def two():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory, one, two):
    documents = [
        provider("p-chat", one.base, "openai.chat", "gpt-4o-told", "chat-plain", "searches", "both"),
        provider("p-claude", one.base, "anthropic.messages", "claude-plain"),
        provider("p-responses", one.base, "openai.responses", "responses-plain", "draws"),
        provider("p-gemini", one.base, "gemini.generateContent", "gemini-plain", "gemini-draws"),
        provider("p-second", two.base, "openai.chat"),
        XAI.replace("BASE", one.base),
        SECOND,
        PRICES,
    ]
    allow = f"127.0.0.1:{one.port},127.0.0.1:{two.port}"
    gateway = Gateway(
        tmp_path_factory.mktemp("metering"),
        specs={"test.yaml": "\n---".join(documents)},
        env={"GATEWRIGHT_EGRESS_ALLOW": allow, "ERROR_LOG_ENABLED": "true", "SYNC_FREQUENCY": "1"},
        priced=True,
    )
    with serving(gateway):
        yield gateway


class Row:
    """The log row of a call."""

    def __init__(self, gateway: Gateway, request_id: str) -> None:
        columns = "type, content, quota, prompt_tokens, completion_tokens, ip, other"
        query = f"SELECT {columns} FROM logs WHERE request_id = ?"

        def logged() -> Any:
            with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
                return db.execute(query, (request_id,)).fetchone()

        found = until(logged)
        self.type, self.content, self.quota, self.input, self.output, self.ip = found[:6]
        self.other = json.loads(found[6])

    @property
    def source(self) -> str:
        return self.other["usage_source"]

    def units(self, bucket: str) -> Any:
        lines = self.other["price"]["lines"]
        return next((line["units"] for line in lines if line["bucket"] == bucket), None)


@pytest.fixture
def call(running, one, two):
    """Call a model with what its upstream is to answer; gives the answer and its log row."""

    def make(path: str, body: dict[str, Any], answer: Any) -> tuple[Any, Row]:
        one.got.clear()
        two.got.clear()
        one.script = answer if callable(answer) else lambda say: say.whole(answer)
        got = running.post(path, body)
        return got, Row(running, got.headers["x-request-id"])

    return make


def chat(model: str, content: Any = "hello world", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": content}], **more}


def chat_answer(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **more}


def sse(*events: Any, named: bool = False, done: bool = False, pause: float = 0.0) -> Any:
    def script(say: Any) -> None:
        lines = [(f"event: {e['type']}\n" if named else "") + f"data: {json.dumps(e)}\n\n" for e in events]
        say.events(*[line.encode() for line in lines], *([b"data: [DONE]\n\n"] if done else []), pause=pause)

    return script


def chat_stream(*deltas: dict[str, Any], **more: Any) -> Any:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    end = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **more}
    return sse(*chunks, end, done=True)


# -- usage that no upstream told


@pytest.fixture(scope="module")
def exact():
    if vocabularies.missing((paths.VOCABULARIES,)):
        missing("no vocabularies here: make vocabularies")


TOLD = {"usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_what_the_upstream_tells_is_charged(call, streamed):
    said = {"content": "one two three four five"}
    answer = chat_stream(said, **TOLD) if streamed else chat_answer(said, **TOLD)
    _, row = call("/v1/chat/completions", chat("gpt-4o-told", stream=streamed), answer)
    assert (row.source, row.input, row.output) == ("upstream", 3, 1)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_what_it_does_not_tell_is_counted(call, exact, streamed, path):
    said = {"content": "hello world"}
    answer = chat_stream(said) if streamed else chat_answer(said)
    _, row = call(path, chat("gpt-4o-told", stream=streamed), answer)
    # 3 for the request, 3 for the message, "user", a line break and the two words
    assert (row.source, row.input, row.output) == ("counted", 3 + 3 + 4, 2)
    assert row.quota == 10 + 2 * 4


def test_the_endpoint_that_counts_uses_the_same_counter_and_says_what_is_an_estimate(running, exact):
    counted = running.post("/v1/messages/count_tokens", chat("gpt-4o-told"))
    assert (counted.json()["input_tokens"], counted.headers["x-gatewright-count"]) == (10, "counted")
    estimated = running.post("/v1/messages/count_tokens", chat("chat-plain"))
    assert (estimated.json()["input_tokens"], estimated.headers["x-gatewright-count"]) == (10, "estimate")


def test_without_a_vocabulary_it_is_estimated(call):
    _, row = call("/v1/chat/completions", chat("chat-plain"), chat_answer({"content": "hello world"}))
    # by weights: "user", a line break, two words and a blank; two words and a blank
    assert (row.source, row.input, row.output) == ("estimated", 3 + 3 + 4, 3)


def test_a_call_of_a_tool_in_a_stream_costs_seven_more(call, exact):
    started = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    told = {"index": 0, "function": {"arguments": "{}"}}
    answer = chat_stream({"tool_calls": [started]}, {"tool_calls": [told]})
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    _, row = call("/v1/chat/completions", chat("gpt-4o-told", stream=True, tools=tools), answer)
    assert (row.source, row.output) == ("counted", 7 + 3)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_who_leaves_pays_for_the_words_until_then(running, one, exact, path):
    def answers(say: Any) -> None:
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        chunk = {**head, "choices": [{"index": 0, "delta": {"content": "hello world"}, "finish_reason": None}]}
        say.head(200, "text/event-stream")
        say.chunk(f"data: {json.dumps(chunk)}\n\n".encode())
        say.wait_until_left(PATIENCE)

    one.script = answers
    headers = {"authorization": f"Bearer {running.key}"}
    with requests.post(running.base + path, json=chat("gpt-4o-told", stream=True), headers=headers, stream=True) as got:
        for piece in got.iter_content(None):
            if b"hello world" in piece:
                break
    row = Row(running, got.headers["x-request-id"])
    assert (row.source, row.input, row.output) == ("counted", 10, 2)


def test_a_picture_counts_by_its_size_in_a_stream_and_three_times_its_base_otherwise(call, exact):
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", 1024, 1024) + bytes(99)
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    content = [{"type": "text", "text": "hello world"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = chat_stream({"content": "hi"})
    _, row = call("/v1/chat/completions", chat("gpt-4o-told", content, stream=True), answer)
    assert (row.source, row.input) == ("counted", 10 + 85 + 4 * 170)
    assert row.other["usage"]["input_image"] == 85 + 4 * 170
    _, row = call("/v1/chat/completions", chat("gpt-4o-told", content), chat_answer({"content": "hi"}))
    assert (row.source, row.input) == ("estimated", 10 + 3 * 85)


# -- pictures and other meters


def responses(*output: dict[str, Any], streamed: bool = False, **more: Any) -> Any:
    head = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "tools": []}
    usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
    whole = {**head, "output": list(output), "usage": usage, **more}
    if not streamed:
        return whole
    opened = {**head, "status": "in_progress", "output": []}
    events = [{"type": "response.created", "sequence_number": 0, "response": opened}]
    for index, item in enumerate(output):
        events.append({"type": "response.output_item.added", "output_index": index, "item": item})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": "response.completed", "sequence_number": 9, "response": whole})
    return sse(*events, named=True)


def drawn(name: str, status: str = "completed") -> dict[str, Any]:
    return {"type": "image_generation_call", "id": name, "status": status, "result": "iVBORw0KGgo="}


DRAWN = (drawn("ig_1"), drawn("ig_2"), drawn("ig_2"), drawn("ig_3", "failed"))


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
def test_a_price_for_a_picture_is_charged_for_each_that_was_finished(call, streamed, path):
    body = {"model": "draws", "input": "x", "stream": streamed} if path == "/v1/responses" else chat("draws")
    _, row = call(path, {**body, "stream": streamed}, responses(*DRAWN, streamed=streamed))
    assert row.units("pictures") == "2"
    assert row.quota == 2 * 20_000


def test_an_answer_without_a_picture_costs_none(call):
    text = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": []}
    _, row = call("/v1/responses", {"model": "draws", "input": "x"}, responses(text))
    assert (row.units("pictures"), row.quota) == ("0", 0)


def gemini(*parts: list[dict[str, Any]], streamed: bool = False, usage: bool = True, **more: Any) -> Any:
    chunks: list[dict[str, Any]] = [
        {"candidates": [{"content": {"role": "model", "parts": one}, "index": 0}], "responseId": "r"} for one in parts
    ]
    chunks[-1]["candidates"][0] |= {"finishReason": "STOP", **more}
    if usage:
        chunks[-1]["usageMetadata"] = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    return sse(*chunks) if streamed else chunks[-1]


PICTURE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
ASKED = {"contents": [{"role": "user", "parts": [{"text": "draw"}]}]}
GENERATE = "/v1beta/models/{}:generateContent"
STREAM = "/v1beta/models/{}:streamGenerateContent?alt=sse"


def test_pictures_of_a_stream_are_counted_chunk_by_chunk(call):
    answer = gemini([PICTURE], [{"text": "and"}, PICTURE], [{"text": "done"}], streamed=True)
    _, row = call(STREAM.format("gemini-draws"), ASKED, answer)
    assert (row.units("pictures"), row.quota) == ("2", 2 * 20_000)
    _, row = call("/v1/chat/completions", chat("gemini-draws", stream=True), answer)
    assert row.units("pictures") == "2"
    _, row = call(GENERATE.format("gemini-draws"), ASKED, gemini([PICTURE, PICTURE, PICTURE]))
    assert row.units("pictures") == "3"


def test_a_picture_of_which_no_usage_is_told_counts_as_its_model_says(call):
    _, row = call(GENERATE.format("gemini-plain"), ASKED, gemini([PICTURE], usage=False))
    assert (row.source, row.output) == ("estimated", 1400)
    _, row = call(STREAM.format("gemini-plain"), ASKED, gemini([PICTURE], [PICTURE], usage=False, streamed=True))
    assert (row.source, row.output) == ("estimated", 2800)


# -- tools


def searched(name: str) -> dict[str, Any]:
    return {"type": name, "id": f"{name}_1", "status": "completed"}


def called(name: str, number: int) -> dict[str, Any]:
    return {"type": "function_call", "id": f"fc_{number}", "call_id": f"c{number}", "name": name, "arguments": "{}"}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("output", "more", "tool", "times"),
    [
        ([searched("web_search_call")], {"tools": [{"type": "web_search_preview"}]}, "web_search_preview", 1),
        ([searched("web_search_call"), searched("web_search_call")], {}, "web_search_preview", 2),
        ([searched("web_search_call")], {"tools": [{"type": "web_search"}]}, "web_search", 1),
        ([searched("web_search_call")], {"tools": [{"type": "web_search_2025_08_26"}]}, "web_search", 1),
        ([searched("file_search_call")], {}, "file_search", 1),
        (DRAWN, {}, "image_generation", 2),
        ([called("look_up", 1), called("other", 2), called("look_up", 3)], {}, "look_up", 2),
    ],
    ids=["preview", "preview-unnamed", "search", "search-dated", "file", "image", "function"],
)
def test_calls_of_tools_in_responses_are_charged(call, streamed, output, more, tool, times):
    body = {"model": "responses-plain", "input": "x", "stream": streamed}
    _, row = call("/v1/responses", body, responses(*output, streamed=streamed, **more))
    assert {line["bucket"]: line["units"] for line in row.other["price"]["lines"] if "tool" in line["bucket"]} == {
        f"tool {tool}": times
    }


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_searches_of_claude_are_charged(call, streamed):
    usage = {"input_tokens": 5, "output_tokens": 2, "server_tool_use": {"web_search_requests": 3}}
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
    whole = {**head, "content": [{"type": "text", "text": "hi"}], "usage": usage}
    events = [
        {
            "type": "message_start",
            "message": {**head, "stop_reason": None, "content": [], "usage": {"input_tokens": 5}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]
    answer = sse(*events, named=True) if streamed else whole
    _, row = call("/v1/messages", chat("claude-plain", stream=streamed), answer)
    assert row.units("tool web_search") == 3
    assert row.quota == 5 + 2 * 4 + 3 * 5000


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_grounding_is_charged_once_for_an_answer(call, streamed):
    found = {"groundingMetadata": {"webSearchQueries": ["a", "b"]}}
    path = (STREAM if streamed else GENERATE).format("gemini-plain")
    _, row = call(path, ASKED, gemini([{"text": "x"}], streamed=streamed, **found))
    assert row.units("tool google_search") == 1


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_function_with_a_price_is_charged_for_each_call(call, path):
    def asks(index: int, name: str) -> dict[str, Any]:
        return {"index": index, "id": f"c{index}", "type": "function", "function": {"name": name, "arguments": "{}"}}

    calls = {"tool_calls": [asks(0, "look_up"), asks(1, "other"), asks(2, "look_up")]}
    _, row = call(path, chat("chat-plain"), chat_answer({"content": None, **calls}, **TOLD))
    assert row.units("tool look_up") == 2
    assert row.units("tool other") is None
    _, row = call(path, chat("chat-plain", stream=True), chat_stream(calls, **TOLD))
    assert row.units("tool look_up") == 2
    assert row.quota == 3 + 4 + 2 * 2000


def test_a_model_that_always_searches_pays_for_one_search(call):
    _, row = call("/v1/chat/completions", chat("searches"), chat_answer({"content": "hi"}, **TOLD))
    assert row.units("tool web_search_preview") == 1


# -- errors that cost, and those that are tried again


def set_options(gateway: Gateway, **options: str) -> None:
    with closing(sqlite3.connect(gateway.data / "gatewright.db", timeout=PATIENCE)) as db, db:
        for name, value in options.items():
            db.execute("DELETE FROM options WHERE key = ?", (name,))
            db.execute("INSERT INTO options (key, value) VALUES (?, ?)", (name, value))


REFUSED = {"code": "forbidden", "error": "Content violates usage guidelines. Team: x"}


def called_until(call: Any, path: str, body: dict[str, Any], answer: Any, holds: Any) -> Row:
    """Options are read again each second."""

    def once() -> Row | None:
        got, row = call(path, body, answer)
        return row if holds(got, row) else None

    return until(once, every=0.2)


SAID = {"error": {"message": REFUSED["error"], "code": "forbidden"}}
CHUNK = {
    "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
    "choices": [{"index": 0, "delta": {"content": "hello world"}, "finish_reason": None}],
}  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_an_error_that_costs_and_begins_a_stream_is_final_and_charged_its_fee(call, one, two, path, streamed):
    two.script = lambda say: say.whole(chat_answer({"content": "hi"}, **TOLD))
    got, row = call(path, chat("grok-plain", stream=streamed), sse(SAID))
    assert got.status_code >= 400
    assert "violation_fee.grok.csam" in got.text or path == "/v1/messages"
    assert (len(one.got), len(two.got)) == (1, 0)
    assert (row.type, row.content, row.quota) == (2, "Violation fee charged", 25_000)
    assert row.other["error_type"] == "content_policy"
    assert row.units("output") is None


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_an_error_that_costs_in_the_midst_of_a_stream_costs_its_fee_beside_what_was_produced(call, exact, path):
    got, row = call(path, chat("grok-plain", stream=True), sse(CHUNK, SAID, pause=0.2))
    assert (got.status_code, "hello world" in got.text) == (200, True)
    assert row.quota == 25_000 + row.input + row.output * 4
    assert row.output > 0
    assert (row.type, row.content, row.units("fee")) == (2, "Violation fee charged", 1)
    assert (row.other["violation_fee"], row.other["fee_quota"]) == (True, 25_000)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_an_error_of_another_kind_in_a_stream_costs_what_was_produced(call, path):
    other = {"error": {"message": "overloaded", "code": "busy"}}
    got, row = call(path, chat("grok-plain", stream=True), sse(CHUNK, other, pause=0.2))
    assert "hello world" in got.text
    assert row.quota == row.input + row.output * 4
    assert (row.units("fee"), row.content) == (None, "")


BEGUN = {
    "type": "message_start",
    "message": {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": None, "content": [],
        "usage": {"input_tokens": 700, "output_tokens": 1},
    },
}  # fmt: skip
OPENED = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}
FAILED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_a_stream_that_fails_before_any_output_is_free_though_its_input_was_told(call, path):
    _, row = call(path, chat("claude-plain", stream=True), sse(BEGUN, OPENED, FAILED, named=True, pause=0.1))
    assert (row.type, row.quota) == (5, 0)
    _, row = call(path, chat("claude-plain", stream=True), sse(BEGUN, OPENED, TEXT, FAILED, named=True, pause=0.1))
    assert (row.type, row.quota) == (2, 700 + row.output * 4)


def test_an_error_that_costs_is_charged_once_and_not_tried_again(running, call, one, two):
    two.script = lambda say: say.whole(chat_answer({"content": "hi"}, **TOLD))

    def refuses(say: Any) -> None:
        say.whole(REFUSED, 403)

    got, row = call("/v1/chat/completions", chat("grok-plain"), refuses)
    assert got.json()["error"]["code"] == "violation_fee.grok.csam"
    assert (len(one.got), len(two.got)) == (1, 0)
    assert (row.type, row.content, row.quota) == (2, "Violation fee charged", 25_000)
    wanted = {
        "violation_fee": True,
        "violation_fee_code": "violation_fee.grok.csam",
        "violation_fee_marker": "Content violates usage guidelines",
        "fee_quota": 25_000,
        "base_amount": 0.05,
        "group_ratio": 1,
        "status_code": 403,
        "upstream_error_code": "forbidden",
    }
    assert {name: row.other.get(name) for name in wanted} == wanted

    names = {"enabled": "grok.violation_deduction_enabled", "amount": "grok.violation_deduction_amount"}
    set_options(running, **{names["amount"]: "0.2", "GroupRatio": '{"default": 0.5, "vip": 1}'})
    row = called_until(call, "/v1/chat/completions", chat("grok-plain"), refuses, lambda _, row: row.quota != 25_000)
    assert (row.quota, row.other["group_ratio"], row.other["base_amount"]) == (50_000, 0.5, 0.2)
    set_options(running, **{names["enabled"]: "false", "GroupRatio": '{"default": 1, "vip": 1}'})
    row = called_until(call, "/v1/chat/completions", chat("grok-plain"), refuses, lambda _, row: row.quota == 0)
    assert (row.type, row.quota) == (5, 0)
    assert not two.got


def test_an_address_is_in_the_log_where_the_user_asked_for_it(running, call):
    path, body, answer = "/v1/chat/completions", chat("gpt-4o-told"), chat_answer({"content": "hi"}, **TOLD)
    refused = {"model": "no-such-model", "messages": body["messages"]}
    assert call(path, body, answer)[1].ip == ""
    assert (call(path, refused, answer)[1].type, call(path, refused, answer)[1].ip) == (5, "")
    with closing(sqlite3.connect(running.data / "gatewright.db", timeout=PATIENCE)) as db, db:
        db.execute("UPDATE users SET setting = ?", ('{"record_ip_log": true, "more": 1}',))
    assert called_until(call, path, body, answer, lambda _, row: row.ip).ip == "127.0.0.1"
    assert call(path, refused, answer)[1].ip == "127.0.0.1"


def test_the_option_says_which_statuses_are_tried_again(running, call, two):
    two.script = lambda say: say.whole(chat_answer({"content": "hi"}, **TOLD))

    def failing(status: int) -> Any:
        return lambda say: say.whole({"error": {"message": "no", "type": "x"}}, status)

    path, body = "/v1/chat/completions", chat("both")
    assert call(path, body, failing(503))[0].status_code == 200
    assert call(path, body, failing(400))[0].status_code == 400
    set_options(running, AutomaticRetryStatusCodes="400, 401-407,504")
    called_until(call, path, body, failing(400), lambda got, _: got.status_code == 200)
    assert call(path, body, failing(400))[0].status_code == 200
    assert call(path, body, failing(503))[0].status_code == 503
    assert call(path, body, failing(504))[0].status_code != 200, "the first provider may still be working"
