"""What a call holds and pays when requests and upstreams say less, or more, than they do."""

from __future__ import annotations

import base64
import json
import sqlite3
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import requests

from engine.accounts import keys
from engine.settings import Settings
from engine.storage.database import open_database
from tests.relay.conftest import provider
from tests.relay.scripted import Upstream
from tests.relay.test_metering import Row, chat, chat_answer, sse
from tests.support import PATIENCE, Gateway, until

pytestmark = pytest.mark.xdist_group("holding")
PRICES = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: own}
spec:
  tools: {web_search: 10, x_search: 5, google_search: 14}
  models:
    - names: [chat-m, claude-m, resp-m, gemini-2.5-m, gemini-3-m, grok-m]
      tokens: {input: 2, output: 10, cache_read: 0.2}
      adjust: [{name: flex, when: "(usage.raw.service_tier | default(body.service_tier)) == 'flex'", factor: 0.5}]
    - {names: [draws-m], pictures: [{price: 0.04}]}
"""
XAI = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: p-xai}
extends: xai
spec: {baseUrl: BASE, auth: {scheme: none}, models: [grok-m]}
"""


@pytest.fixture(scope="module")
def one():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory, one):
    documents = [
        provider("p-chat", one.base, "openai.chat", "chat-m", "draws-m"),
        provider("p-claude", one.base, "anthropic.messages", "claude-m"),
        provider("p-responses", one.base, "openai.responses", "resp-m"),
        provider("p-gemini", one.base, "gemini.generateContent", "gemini-2.5-m", "gemini-3-m"),
        XAI.replace("BASE", one.base),
        PRICES,
    ]
    gateway = Gateway(
        tmp_path_factory.mktemp("holding"),
        specs={"test.yaml": "\n---".join(documents)},
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{one.port}", "ERROR_LOG_ENABLED": "true"},
        priced=True,
    )
    try:
        gateway.ready()
        with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db, db:
            db.execute("UPDATE users SET quota=?", (10**15,))
        yield gateway
    finally:
        gateway.stop()
        assert "Traceback" not in gateway.output, gateway.output


@pytest.fixture
def call(running, one):
    def make(path: str, body: Any, answer: Any) -> tuple[requests.Response, Row]:
        one.got.clear()
        one.script = answer if callable(answer) else lambda say: say.whole(answer)
        got = running.post(path, body)
        return got, Row(running, got.headers["x-request-id"])

    return make


@pytest.fixture
def poor(running):
    """Make keys that have so many units left."""

    def make(units: int) -> str:
        db = open_database(Settings(data=running.data), migrate=False)
        try:
            made = keys.create_key(db, "root", f"poor-{time.monotonic_ns()}")
        finally:
            db.close()
        with closing(sqlite3.connect(running.data / "gatewright.db")) as raw, raw:
            raw.execute("UPDATE tokens SET unlimited_quota=0, remain_quota=? WHERE id=?", (units, made.token_id))
        return made.key

    return make


def left(gateway: Gateway, key: str) -> int:
    with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
        return int(db.execute("SELECT remain_quota FROM tokens WHERE key=?", (key.removeprefix("sk-"),)).fetchone()[0])


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def plain(usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    return chat_answer({"content": "River stone."}, usage=usage, **more)


def responses(usage: dict[str, Any] | None, output: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": "ok", "annotations": []}
    said = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}
    items = [*(output or []), said]
    head = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m"}
    return {**head, "output": items, "usage": usage, **more}


# -- what upstreams tell


@pytest.mark.parametrize("told", [0, None, "12", 3.5])
def test_an_input_that_is_nothing_is_counted_and_marked(call, told):
    _, row = call("/v1/chat/completions", chat("chat-m"), plain({"prompt_tokens": told, "completion_tokens": 60}))
    assert row.input > 0
    assert (row.output, row.source) == (60, "estimated")


def test_output_that_was_told_is_not_replaced_by_a_count_of_the_words(call):
    _, row = call("/v1/chat/completions", chat("chat-m"), plain({"prompt_tokens": 0, "completion_tokens": 1}))
    assert row.output == 1


@pytest.mark.parametrize(
    ("more", "quota"),
    [
        ({"prompt_cache_hit_tokens": 4500}, 500 + 450 + 250),
        ({"cached_tokens": 4500}, 500 + 450 + 250),
        ({"prompt_tokens_details": {"cached_tokens": 0}, "prompt_cache_hit_tokens": 4500}, 500 + 450 + 250),
        ({"prompt_tokens_details": {"cached_tokens": 4500}}, 500 + 450 + 250),
        ({"prompt_tokens_details": {"cached_tokens": 6500}, "total_tokens": 5000 + 6500 + 50}, 5000 + 650 + 250),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_cached_input_is_read_wherever_it_is_told(call, more, quota, streamed):
    usage = {"prompt_tokens": 5000, "completion_tokens": 50, **more}
    end = {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
    answer = sse({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **end}, done=True)
    _, row = call("/v1/chat/completions", chat("chat-m", stream=streamed), answer if streamed else plain(usage))
    assert row.quota == quota


def test_usage_inside_a_choice_is_read(call):
    answer = plain({})
    answer["choices"][0]["usage"] = {"prompt_tokens": 5000, "completion_tokens": 50, "cached_tokens": 4500}
    del answer["usage"]
    _, row = call("/v1/chat/completions", chat("chat-m"), answer)
    assert (row.quota, row.source) == (1200, "upstream")


SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "a"}}
PAGE = {"type": "web_search_call", "id": "ws_2", "status": "completed", "action": {"type": "open_page", "url": "u"}}
FIND = {"type": "web_search_call", "id": "ws_3", "status": "completed", "action": {"type": "find_in_page"}}
USED = {"input_tokens": 800, "output_tokens": 40, "total_tokens": 840}


@pytest.mark.parametrize(
    ("model", "items", "more", "calls"),
    [
        ("resp-m", [SEARCH, PAGE, FIND], {}, {"web_search": 1}),
        ("resp-m", [SEARCH, PAGE, SEARCH], {}, {"web_search": 2}),
        ("resp-m", [SEARCH, PAGE], {"tool_usage": {"web_search": {"num_requests": 3}}}, {"web_search": 3}),
        ("resp-m", [{**SEARCH, "action": None}], {}, {"web_search": 1}),
        (
            "grok-m",
            [SEARCH, PAGE],
            {"usage": {**USED, "server_side_tool_usage_details": {"web_search_calls": 3, "x_search_calls": 1}}},
            {"web_search": 3, "x_search": 1},
        ),
        ("grok-m", [SEARCH], {}, {"web_search": 1}),
    ],
)
def test_tools_are_charged_by_what_the_provider_bills(call, model, items, more, calls):
    answer = {**responses(USED, items, tools=[{"type": "web_search"}]), **more}
    _, row = call("/v1/responses", {"model": model, "input": "x", "tools": [{"type": "web_search"}]}, answer)
    assert row.other["usage"]["calls"] == calls
    assert row.quota == 800 + 40 * 5 + calls["web_search"] * 5000 + calls.get("x_search", 0) * 2500


@pytest.mark.parametrize(
    ("model", "queries", "searches"),
    [("gemini-2.5-m", ["a", "b"], 1), ("gemini-3-m", ["a", "b", "a"], 2), ("gemini-3-m", ["a"], 1)],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_grounding_is_billed_by_answer_or_by_query(call, model, queries, searches, streamed):
    candidate = {"index": 0, "content": {"role": "model", "parts": [{"text": "x"}]}, "finishReason": "STOP"}
    counts = {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110}
    answer = {
        "candidates": [{**candidate, "groundingMetadata": {"webSearchQueries": queries}}],
        "usageMetadata": counts,
    }
    verb = "streamGenerateContent?alt=sse" if streamed else "generateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    _, row = call(f"/v1beta/models/{model}:{verb}", body, sse(answer) if streamed else answer)
    assert row.quota == 100 + 50 + searches * 7000


@pytest.mark.parametrize("number", [2**40, 2**63, 10**22, 1e30])
def test_what_can_not_have_been_used_is_cut_and_the_books_stay_right(call, running, poor, number):
    key = poor(10**12)
    usage = {"prompt_tokens": number, "completion_tokens": number}
    one_script = plain(usage)
    call("/v1/chat/completions", chat("chat-m"), one_script)  # the script of the upstream
    got = running.post("/v1/chat/completions", chat("chat-m"), headers=bearer(key))
    assert got.status_code == 200, got.text
    row = Row(running, got.headers["x-request-id"])
    assert 20_000_000 <= row.input < 21_000_000
    assert {"input_above_ceiling", "output_above_ceiling"} <= set(row.other["usage"]["flags"])
    assert left(running, key) == 10**12 - row.quota
    assert running.post("/v1/chat/completions", chat("chat-m"), headers=bearer(key)).status_code == 200  # nothing stuck


@pytest.mark.parametrize("number", [-(10**9), -1])
def test_nobody_is_paid_for_a_call(call, number):
    usage = {"input_tokens": 10, "output_tokens": 5, "server_tool_use": {"web_search_requests": number}}
    answer = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
    answer |= {"stop_sequence": None, "content": [{"type": "text", "text": "x"}], "usage": usage}
    _, row = call("/v1/messages", chat("claude-m"), answer)
    assert row.quota == 10 + 25
    assert row.other["usage"]["flags"] == ["web_search_negative"]


def test_flex_needs_the_upstreams_word(call):
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000}
    _, row = call("/v1/chat/completions", chat("chat-m", service_tier="flex"), plain(usage))
    assert row.quota == 6000
    _, row = call("/v1/chat/completions", chat("chat-m", service_tier="flex"), plain(usage, service_tier="flex"))
    assert row.quota == 3000


def test_of_a_stream_that_is_left_the_running_count_is_charged(running, one):
    """Gemini tells with each event what was made until then: no count of the words goes before it."""

    def answers(say: Any) -> None:
        say.head(200, "text/event-stream")
        for number in (5, 12):
            part = {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "word " * 40}]}}]}
            counts = {"promptTokenCount": 100, "candidatesTokenCount": number, "totalTokenCount": 100 + number}
            say.chunk(f"data: {json.dumps({**part, 'usageMetadata': counts})}\n\n".encode())
            time.sleep(0.2)
        say.wait_until_left(PATIENCE)

    one.script = answers
    path = f"{running.base}/v1beta/models/gemini-3-m:streamGenerateContent?alt=sse"
    body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    with requests.post(path, json=body, headers=bearer(running.key), stream=True, timeout=PATIENCE) as got:
        for piece in got.iter_content(None):
            if b'"candidatesTokenCount": 12' in piece or b'"candidatesTokenCount":12' in piece:
                break
    row = Row(running, got.headers["x-request-id"])
    assert (row.input, row.output, row.source) == (100, 12, "upstream")


# -- what requests ask for


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"max_tokens": 1_000_000.0}, 402),
        ({"max_tokens": "1000000"}, 402),
        ({"max_completion_tokens": 10**29}, 402),
        ({"max_tokens": 1000, "n": 1000, "metadata": {"n": 2}}, 402),
        ({"max_tokens": 1000, "n": "1000"}, 402),
        ({"max_tokens": 1000, "metadata": {"n": 1000}}, 200),
        ({"max_tokens": "many"}, 400),
        ({"n": [1]}, 400),
    ],
)
def test_what_is_asked_for_counts_in_any_spelling(running, one, poor, more, status):
    one.got.clear()
    one.script = lambda say: say.whole(plain({"prompt_tokens": 10, "completion_tokens": 5}))
    got = running.post("/v1/chat/completions", {**chat("chat-m"), **more}, headers=bearer(poor(20_000)))
    assert got.status_code == status, got.text
    assert len(one.got) == (status == 200)


def png(size: int) -> str:
    """A picture of so many bytes in base64; its head says 640 x 480."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 640, 480, 8, 2, 0, 0, 0)
    return base64.b64encode(head + b"\0" * size).decode()


PICTURE = png(3_000_000)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v1/chat/completions",
            chat("chat-m", [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}]),
        ),
        (
            "/v1/messages",
            chat(
                "chat-m",
                [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}],
            ),
        ),
        (
            "/v1/responses",
            {
                "model": "chat-m",
                "max_output_tokens": 50,
                "input": [
                    {
                        "role": "user",
                        "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}],
                    }
                ],
            },
        ),
    ],
    ids=["chat", "messages", "responses"],
)
def test_a_picture_is_held_as_a_picture(running, one, poor, path, body):
    one.script = lambda say: say.whole(plain({"prompt_tokens": 800, "completion_tokens": 20}))
    got = running.post(path, body, headers=bearer(poor(20_000)))
    assert got.status_code == 200, got.text[:300]


@pytest.mark.parametrize("address", ["https://a.example/v.mp4", "https:\\/\\/a.example\\/v.mp4"])
def test_media_at_addresses_are_held_as_media(running, one, poor, address):
    """A film of sixty bytes in the request costs thousands of tokens: a balance that can't pay one is told so."""
    one.got.clear()
    part = {"type": "video_url", "video_url": {"url": "ADDRESS"}}
    text = json.dumps(chat("chat-m", [part, {"type": "text", "text": "x"}])).replace("ADDRESS", address)
    got = requests.post(f"{running.base}/v1/chat/completions", data=text, headers=bearer(poor(4_000)), timeout=PATIENCE)
    assert got.status_code == 402, got.text
    assert one.got == []


def test_a_text_full_of_addresses_is_text(running, one, poor):
    one.script = lambda say: say.whole(plain({"prompt_tokens": 800, "completion_tokens": 20}))
    body = chat("chat-m", "see https://a.example/b " * 100)
    assert running.post("/v1/chat/completions", body, headers=bearer(poor(5_000))).status_code == 200


def test_a_continuation_holds_what_went_before(running, one, poor):
    key = poor(1_000_000)
    one.script = lambda say: say.whole(
        responses({"input_tokens": 200_000, "output_tokens": 1, "total_tokens": 200_001})
    )
    first = {"model": "resp-m", "input": "word " * 20_000, "max_output_tokens": 10}
    made = running.post("/v1/responses", first, headers=bearer(key)).json()
    spent = 200_005
    with closing(sqlite3.connect(running.data / "gatewright.db")) as db, db:
        until(lambda: left(running, key) == 1_000_000 - spent, words=lambda: left(running, key))
        db.execute("UPDATE tokens SET remain_quota=200500 WHERE key=?", (key.removeprefix("sk-"),))
    time.sleep(3.1)  # balances are believed for three seconds
    one.got.clear()

    def script(say):
        time.sleep(0.5)
        usage = {"input_tokens": 200_010, "output_tokens": 1, "total_tokens": 200_011}
        say.whole({**responses(usage), "id": f"resp_{id(say)}"})

    one.script = script
    body = {"model": "resp-m", "input": "x", "max_output_tokens": 10, "previous_response_id": made["id"]}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: running.post("/v1/responses", body, headers=bearer(key)), range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [402] * 19
    assert len(one.got) == 1
