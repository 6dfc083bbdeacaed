"""A vendor's compaction of a conversation, told to callers of four formats, and met again in the next turn.

Carried whole where the same vendor is met again; words for another; told as lost where there is no place for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
import requests

from tests.relay.conftest import provider
from tests.relay.scripted import Say, Upstream
from tests.support import PATIENCE, Gateway, serving

BLOCK = {"type": "compaction", "content": "They spoke of tides \u00e9."}
ITEM = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA-opaque"}
_CLAUDE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
    "stop_sequence": None, "content": [BLOCK, {"type": "text", "text": "Hi!"}],
    "usage": {"input_tokens": 5, "output_tokens": 2},
}  # fmt: skip
_MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
    "content": [{"type": "output_text", "text": "Hi!", "annotations": []}],
}  # fmt: skip
_RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed",
    "output": [ITEM, _MESSAGE],
    "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}, "parallel_tool_calls": True, "tools": [],
}  # fmt: skip
_CHAT = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi!"}, "finish_reason": "stop"}],
}  # fmt: skip


def _claude_events() -> list[dict[str, Any]]:
    usage = {"input_tokens": 5, "output_tokens": 1}
    return [
        {"type": "message_start", "message": {**_CLAUDE, "content": [], "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "compaction", "content": None}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", "content": BLOCK["content"]}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hi!"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]


def _responses_events() -> list[dict[str, Any]]:
    begun = {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}
    return [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": ITEM},
        {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
        {"type": "response.output_item.added", "output_index": 1, "item": {**_MESSAGE, "content": []}},
        {"type": "response.output_item.done", "output_index": 1, "item": _MESSAGE},
        {"type": "response.completed", "response": _RESPONSE},
    ]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    def script(say: Say) -> None:
        path, body = say.arrived.path, say.arrived.json
        whole, events = {
            "/v1/messages": (_CLAUDE, _claude_events), "/v1/responses": (_RESPONSE, _responses_events),
        }.get(path, (_CHAT, list))  # fmt: skip
        if not body.get("stream"):
            say.whole(whole)
            return
        say.events(*(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events()))

    made = Upstream()
    made.script = script
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    documents = [
        provider("p-claude", upstream.base, "anthropic.messages", "claude"),
        provider("p-responses", upstream.base, "openai.responses", "gpt"),
        provider("p-chat", upstream.base, "openai.chat", "other"),
    ]
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"}
    made = Gateway(tmp_path_factory.mktemp("compactions"), specs={"own.yaml": "\n---\n".join(documents)}, env=env)
    with serving(made):
        yield made


@pytest.fixture
def gateway(running: Gateway, upstream: Upstream) -> Gateway:
    upstream.got.clear()
    return running


def responses(gateway: Gateway, model: str, items: list[Any], *, stream: bool) -> list[dict[str, Any]]:
    """The items of an answer, as the SDK reads them."""
    with openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0) as client:
        if not stream:
            return [one.to_dict() for one in client.responses.create(model=model, input=items, store=False).output]
        with client.responses.stream(model=model, input=items, store=False) as events:
            return [one.to_dict() for one in events.get_final_response().output]


def claude(gateway: Gateway, model: str, messages: list[Any], *, stream: bool) -> list[dict[str, Any]]:
    """The blocks of an answer."""
    with anthropic.Anthropic(api_key=gateway.key, base_url=gateway.base, max_retries=0) as client:
        if not stream:
            return [
                one.to_dict() for one in client.messages.create(model=model, max_tokens=99, messages=messages).content
            ]
        with client.messages.stream(model=model, max_tokens=99, messages=messages) as events:
            return [one.to_dict() for one in events.get_final_message().content]


USER: dict[str, Any] = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize("stream", [False, True])
def test_claude_s_comes_back_to_claude_through_responses(gateway: Gateway, upstream: Upstream, stream: bool) -> None:
    first, second = responses(gateway, "claude", [USER], stream=stream)
    assert first["type"] == "compaction"
    assert first["encrypted_content"].startswith("gw1k|")
    assert second["content"][0]["text"] == "Hi!"
    responses(gateway, "claude", [USER, first, second, USER], stream=stream)
    assert upstream.got[-1].json["messages"][1]["content"][0] == BLOCK


@pytest.mark.parametrize("stream", [False, True])
def test_openai_s_comes_back_to_openai_through_claude_s_format(
    gateway: Gateway, upstream: Upstream, stream: bool
) -> None:
    blocks = claude(gateway, "gpt", [USER], stream=stream)
    assert [one["type"] for one in blocks] == ["compaction", "text"]
    claude(gateway, "gpt", [USER, {"role": "assistant", "content": blocks}, USER], stream=stream)
    assert ITEM in upstream.got[-1].json["input"]


def test_another_vendor_gets_its_words_or_is_told_nothing_it_can_not_read(gateway: Gateway, upstream: Upstream) -> None:
    mine = responses(gateway, "claude", [USER], stream=False)
    responses(gateway, "other", [USER, *mine, USER], stream=False)
    assert BLOCK["content"] in json.dumps(upstream.got[-1].json["messages"], ensure_ascii=False)
    responses(gateway, "gpt", [USER, *mine, USER], stream=False)
    sent = json.dumps(upstream.got[-1].json["input"], ensure_ascii=False)
    assert BLOCK["content"] in sent
    assert "gw1k|" not in sent
    blocks = claude(gateway, "gpt", [USER], stream=False)
    claude(gateway, "claude", [USER, {"role": "assistant", "content": blocks}, USER], stream=False)
    assert "gw1k|" not in json.dumps(upstream.got[-1].json)


@pytest.mark.parametrize("model", ["claude", "gpt"])
def test_chat_and_gemini_have_no_place_for_it_and_are_told(gateway: Gateway, model: str) -> None:
    chat = gateway.post("/v1/chat/completions", {"model": model, "messages": [USER], "max_tokens": 9})
    assert chat.json()["choices"][0]["message"]["content"] == "Hi!"
    body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    url = f"{gateway.base}/v1beta/models/{model}:generateContent"
    told = requests.post(url, json=body, headers={"x-goog-api-key": gateway.key}, timeout=PATIENCE)
    assert told.json()["candidates"][0]["content"]["parts"] == [{"text": "Hi!"}]
    assert all("unknown" in one.headers["x-gatewright-loss"] for one in (chat, told))


def test_when_to_compact_is_said_in_the_vendors_own_words(gateway: Gateway, upstream: Upstream) -> None:
    asked = {"input": "Hello", "context_management": [{"type": "compaction", "compact_threshold": 60_000}]}
    answer = gateway.post("/v1/responses", {"model": "claude", **asked})
    assert answer.status_code == 200, answer.text
    trigger = {"type": "input_tokens", "value": 60_000}
    edits = {"edits": [{"type": "compact_20260112", "trigger": trigger}]}
    assert upstream.got[-1].json["context_management"] == edits
    assert upstream.got[-1].headers["anthropic-beta"] == "compact-2026-01-12"
    other = {"edits": [*edits["edits"], {"type": "clear_tool_uses_20250919"}]}
    body = {"model": "gpt", "max_tokens": 9, "messages": [USER], "context_management": other}
    told = gateway.post("/v1/messages", body)
    assert told.status_code == 200, told.text
    assert upstream.got[-1].json["context_management"] == asked["context_management"]
    assert "context_management" in told.headers["x-gatewright-loss"]
    assert "anthropic-beta" not in upstream.got[-1].headers


@pytest.mark.parametrize("entries", [[{"type": "compaction"}], [{"type": "other"}], [{"type": "compaction"}] * 2])
def test_where_a_vendor_has_none_it_is_refused_by_name(gateway: Gateway, upstream: Upstream, entries: Any) -> None:
    answer = gateway.post("/v1/responses", {"model": "other", "input": "Hello", "context_management": entries})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"].startswith("context_management"), answer.text
    assert upstream.got == []
    dropped = {"model": "other", "max_tokens": 9, "messages": [USER]}
    edits = {"edits": [{"type": "compact_20260112"}]}
    told = gateway.post("/v1/messages", {**dropped, "context_management": edits})
    assert told.status_code == 200, told.text
    assert "context_management" in told.headers["x-gatewright-loss"]
