"""Same-format traffic passes byte for byte but for declared patches, and every dialect gets its own errors."""

import gzip
import json
import re
import zlib
from contextlib import closing

import brotli
import pytest
import requests
import zstandard

from tests.support import PATIENCE, until

CHAT_ANSWER = (
    b'{ "id":"c1", "object":"chat.completion","created":1,"model":"chat-model-2026", "x_vendor": {"a": 1.50},\n'
    b'  "choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}'
)
CHAT = {"model": "chat-model", "messages": [{"role": "user", "content": "hi"}]}


def body_of(dialect, model="chat-model", **more):
    """A minimal request of each dialect: path and body."""
    return {
        "chat": ("/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}),
        "responses": ("/v1/responses", {"model": model, "input": "hi", **more}),
        "claude": (
            "/v1/messages",
            {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **more},
        ),
        "gemini": (
            f"/v1beta/models/{model}:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], **more},
        ),
    }[dialect]


def message_of(dialect, answer):
    """The error's message where the dialect's SDK looks for it; asserts the dialect's shape."""
    body = answer.json()
    if dialect == "claude":
        assert body["type"] == "error"
        assert set(body["error"]) >= {"type", "message"}
    elif dialect == "gemini":
        assert body["error"]["code"] == answer.status_code
        assert isinstance(body["error"]["status"], str)
    else:
        assert set(body["error"]) >= {"message", "type", "code", "param"}
    return body["error"]["message"]


DIALECTS = ("chat", "responses", "claude", "gemini")


def test_request_and_answer_of_one_format_keep_every_byte(gateway, one):
    one.script = lambda say: say.whole(CHAT_ANSWER, x_ratelimit_remaining_requests="7", set_cookie="a=b")
    raw = b'{"messages" : [ {"role":"user","content":"h\\u00e9"} ],\n '
    raw += b'"model":"chat-model", "future_field":{"deep":[1.0]} }'
    headers = {"authorization": f"Bearer {gateway.key}", "cookie": "c=1", "openai-beta": "b=1"}
    answer = requests.post(gateway.base + "/v1/chat/completions", data=raw, headers=headers, timeout=PATIENCE)
    assert answer.content == CHAT_ANSWER
    assert one.got[0].body == raw
    assert answer.headers["x-ratelimit-remaining-requests"] == "7"
    assert "set-cookie" not in answer.headers
    sent = one.got[0].headers
    assert sent["openai-beta"] == "b=1"
    assert "cookie" not in sent
    assert "authorization" not in sent
    assert gateway.key not in str(sent)


SELECTORS = ("openai-organization", "openai-project", "x-goog-user-project", "idempotency-key")
CALLS = {
    "chat-model": "/v1/chat/completions",
    "responses-model": "/v1/responses",
    "claude-model": "/v1/messages",
    "gemini-model": "/v1beta/models/gemini-model:generateContent",
}


@pytest.mark.parametrize("model", CALLS)
def test_callers_do_not_choose_the_account_or_its_project(gateway, one, model) -> None:
    one.script = lambda say: say.whole(CHAT_ANSWER)
    headers = {"authorization": f"Bearer {gateway.key}", **dict.fromkeys(SELECTORS, "of-the-caller")}
    said = [{"role": "user", "content": "hi"}]
    body = {"model": model, "messages": said, "max_tokens": 5}
    body |= {"input": "hi"} if model.startswith("resp") else {}
    if model.startswith("gemini"):
        body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    requests.post(gateway.base + CALLS[model], json=body, headers=headers, timeout=PATIENCE)
    assert "of-the-caller" not in str(one.got[0].headers)


def test_a_provider_may_let_callers_choose_a_project_on_purpose(gateway, one) -> None:
    one.script = lambda say: say.whole(CHAT_ANSWER)
    headers = {"authorization": f"Bearer {gateway.key}", **dict.fromkeys(SELECTORS, "of-the-caller")}
    body = {"model": "project-model", "messages": [{"role": "user", "content": "hi"}]}
    requests.post(gateway.base + CALLS["chat-model"], json=body, headers=headers, timeout=PATIENCE)
    sent = one.got[0].headers
    assert sent["openai-project"] == "of-the-caller"
    assert {name for name in SELECTORS if name in sent} == {"openai-project"}


def test_the_operators_account_is_not_told_back(gateway, one) -> None:
    one.script = lambda say: say.whole(CHAT_ANSWER, openai_organization="org-of-the-operator")
    headers = {"authorization": f"Bearer {gateway.key}"}
    body = {"model": "chat-model", "messages": [{"role": "user", "content": "hi"}]}
    answer = requests.post(gateway.base + CALLS["chat-model"], json=body, headers=headers, timeout=PATIENCE)
    assert "org-of-the-operator" not in str(answer.headers)


def test_a_mapped_model_is_patched_in_place_and_the_answer_shows_the_asked_name(gateway, two):
    two.script = lambda say: say.whole(CHAT_ANSWER)
    raw = b'{"messages":[{"role":"user","content":"\\"model\\":\\"asked-model\\""}], "model" : "asked-model","n":1.0}'
    headers = {"authorization": f"Bearer {gateway.key}"}
    answer = requests.post(gateway.base + "/v1/chat/completions", data=raw, headers=headers, timeout=PATIENCE)
    assert two.got[0].body == raw.replace(b'"model" : "asked-model"', b'"model" : "sent-model"')
    assert answer.content == CHAT_ANSWER.replace(b"chat-model-2026", b"asked-model")


@pytest.mark.parametrize(
    "place",
    [
        {"headers": {"authorization": "Bearer {}"}},
        {"headers": {"authorization": "bearer {}"}},
        {"headers": {"x-api-key": "{}"}},
        {"headers": {"x-goog-api-key": "{}"}},
        {"params": {"key": "{}"}},
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_the_key_is_found_in_each_place(gateway, one, place, path):
    one.script = lambda say: say.whole(CHAT_ANSWER)
    filled = {kind: {k: v.format(gateway.key) for k, v in found.items()} for kind, found in place.items()}
    body = {**CHAT, "max_tokens": 5}
    assert requests.post(gateway.base + path, json=body, timeout=PATIENCE, **filled).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "squeeze"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
    ],
)
def test_compressed_bodies_are_read_and_the_limit_holds_after_decompression(gateway, one, encoding, squeeze):
    one.script = lambda say: say.whole(CHAT_ANSWER)
    headers = {"authorization": f"Bearer {gateway.key}", "content-encoding": encoding}
    url = gateway.base + "/v1/chat/completions"
    answer = requests.post(url, data=squeeze(json.dumps(CHAT).encode()), headers=headers, timeout=PATIENCE)
    assert answer.status_code == 200
    assert one.got[0].json == CHAT
    assert "content-encoding" not in one.got[0].headers
    bomb = squeeze(json.dumps({**CHAT, "pad": "x" * 1_100_000}).encode())
    answer = requests.post(url, data=bomb, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 413
    assert "send less" in message_of("chat", answer)
    assert "MAX_REQUEST" not in answer.text


@pytest.mark.parametrize("dialect", DIALECTS)
class TestRefusals:
    """What a caller can get wrong is told in its own dialect."""

    def call(self, gateway, dialect, *, key=None, raw=None, **more):
        path, body = body_of(dialect, **more)
        headers = {"authorization": f"Bearer {key or gateway.key}"} if key != "" else {}
        data = raw if raw is not None else json.dumps(body)
        return requests.post(gateway.base + path, data=data, headers=headers, timeout=PATIENCE)

    def test_no_key_and_a_wrong_key(self, gateway, dialect):
        for key in ("", "sk-wrong", "sk-" + "a" * 48, "é"):
            path, body = body_of(dialect)
            headers = {"authorization": f"Bearer {key}".encode()} if key else {}
            answer = requests.post(gateway.base + path, json=body, headers=headers, timeout=PATIENCE)
            assert answer.status_code == 401
            assert "API key" in message_of(dialect, answer)

    @pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b'"x"', b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000])
    def test_malformed_bodies(self, gateway, dialect, raw):
        answer = self.call(gateway, dialect, raw=raw)
        assert answer.status_code == 400
        assert "body" in message_of(dialect, answer)

    def test_an_unknown_model_names_the_nearest(self, gateway, dialect):
        answer = self.call(gateway, dialect, model="chat-modle")
        assert answer.status_code == 404
        assert "'chat-model'" in message_of(dialect, answer)

    def test_wrong_types_name_the_field(self, gateway, dialect):
        other = "gemini-model" if dialect != "gemini" else "chat-model"
        field = {"chat": "messages", "responses": "input", "claude": "messages", "gemini": "contents"}[dialect]
        answer = self.call(gateway, dialect, model=other, **{field: 7})
        assert answer.status_code == 400
        assert field in message_of(dialect, answer)

    def test_an_unknown_field_is_left_out_and_told_by_name_where_it_can_not_be_carried(self, gateway, dialect):
        other = "gemini-model" if dialect != "gemini" else "chat-model"
        answer = self.call(gateway, dialect, model=other, frobnicate=True)
        assert answer.status_code == 200
        assert "frobnicate" in answer.headers["x-gatewright-loss"]

    def test_every_answer_has_a_request_id_and_cors(self, gateway, dialect):
        answer = self.call(gateway, dialect, key="sk-wrong")
        assert len(answer.headers["x-request-id"]) >= 16
        assert answer.headers["access-control-allow-origin"] == "*"


def test_other_methods_paths_and_preflight(gateway):
    assert requests.head(gateway.base + "/", timeout=PATIENCE).status_code == 200
    answer = requests.get(gateway.base + "/v1/chat/completions", timeout=PATIENCE)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "OPTIONS, POST"
    assert requests.options(gateway.base + "/v1/messages", timeout=PATIENCE).status_code == 204
    answer = requests.get(gateway.base + "/v1/nothing", timeout=PATIENCE)
    assert answer.status_code == 404
    assert "/v1/nothing" in answer.json()["error"]["message"]


def test_every_response_has_a_request_id(gateway):
    seen = set()
    for method, path in (
        ("HEAD", "/"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("OPTIONS", "/v1/messages"),
        ("GET", "/x"),
    ):
        seen.add(requests.request(method, gateway.base + path, timeout=PATIENCE).headers["x-request-id"])
    assert len(seen) == 5


def test_the_same_is_served_without_a_version_in_the_path(gateway, one):
    for dialect, model in (("chat", "chat-model"), ("claude", "claude-model"), ("gemini", "gemini-model")):
        path, body = body_of(dialect, model)
        bare = re.sub("^/v1(beta)?", "", path)
        assert gateway.post(bare, body).status_code == gateway.post(path, body).status_code == 200, bare


def test_model_lists_speak_the_callers_dialect(gateway):
    bearer = {"authorization": f"Bearer {gateway.key}"}
    listed = requests.get(gateway.base + "/v1/models", headers=bearer, timeout=PATIENCE).json()
    assert listed["object"] == "list"
    assert "chat-model" in [model["id"] for model in listed["data"]]
    claude = {"x-api-key": gateway.key, "anthropic-version": "2023-06-01"}
    listed = requests.get(gateway.base + "/v1/models", headers=claude, timeout=PATIENCE).json()
    assert listed["has_more"] is False
    assert {model["type"] for model in listed["data"]} == {"model"}
    for path, headers in (("/v1beta/models", bearer), ("/v1/models", {"x-goog-api-key": gateway.key})):
        listed = requests.get(gateway.base + path, headers=headers, timeout=PATIENCE).json()
        assert "models/chat-model" in [model["name"] for model in listed["models"]]
    one = requests.get(gateway.base + "/v1/models/org/slashed", headers=bearer, timeout=PATIENCE).json()
    assert one["id"] == "org/slashed"
    assert requests.get(gateway.base + "/v1/models/nope", headers=bearer, timeout=PATIENCE).status_code == 404
    suffixed = requests.get(gateway.base + "/v1/models/gpt-5-base-high", headers=bearer, timeout=PATIENCE)
    assert suffixed.status_code == 200


def test_a_gemini_path_takes_a_model_with_slashes(gateway, one):
    one.script = lambda say: say.whole(CHAT_ANSWER)
    for model in ("org/slashed", "org%2Fslashed"):
        path, body = body_of("gemini", model)
        assert gateway.post(path, body).status_code == 200
        assert one.got[-1].json["model"] == "org/slashed"


def test_token_counts_say_that_they_are_estimates(gateway):
    claude = gateway.post(
        "/v1/messages/count_tokens", {"model": "claude-model", "messages": [{"role": "user", "content": "word " * 100}]}
    )
    assert 100 < claude.json()["input_tokens"] < 170
    assert claude.headers["x-gatewright-count"] == "estimate"
    gemini = gateway.post(
        "/v1beta/models/gemini-model:countTokens", {"contents": [{"role": "user", "parts": [{"text": "word " * 100}]}]}
    )
    assert 100 < gemini.json()["totalTokens"] < 170


def test_private_addresses_are_refused_unless_opened(gateway):
    answer = gateway.post("/v1/chat/completions", {**CHAT, "model": "private-model"})
    assert answer.status_code in (403, 502, 503)
    assert "127.0.0.1:1" not in answer.text or "private" in answer.text


def test_health_is_words_and_tells_operators_the_release(gateway):
    assert requests.get(gateway.base + "/healthz", timeout=PATIENCE).json() == {"status": "ok"}
    ready = requests.get(gateway.base + "/readyz", timeout=PATIENCE).json()
    assert set(ready) == {"status", "database", "waiting", "documents"}
    assert (ready["status"], ready["documents"]) == ("ready", "ok")
    for sent in ("Bearer sk-nobodys", "Basic x", "Bearer"):
        assert (
            requests.get(gateway.base + "/readyz", headers={"authorization": sent}, timeout=PATIENCE).json().keys()
            == ready.keys()
        )
    headers = {"authorization": f"Bearer {gateway.key}"}
    told = requests.get(gateway.base + "/readyz", headers=headers, timeout=PATIENCE).json()
    assert len(told["release"]) == 64
    assert "version" not in requests.get(gateway.base + "/", timeout=PATIENCE).text


def test_each_call_leaves_one_log_row(gateway, one):
    import sqlite3

    one.script = lambda say: say.whole(CHAT_ANSWER, x_request_id="up-1")
    answer = gateway.post("/v1/messages", body_of("claude", "chat-model")[1])
    assert answer.status_code == 200
    request_id = answer.headers["x-request-id"]

    def logged():
        with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
            db.row_factory = sqlite3.Row
            return db.execute("SELECT * FROM logs WHERE request_id = ?", (request_id,)).fetchone()

    row = until(logged)
    assert (row["type"], row["model_name"], row["prompt_tokens"], row["completion_tokens"]) == (2, "chat-model", 3, 1)
    assert row["upstream_request_id"] == "up-1"
    other = json.loads(row["other"])
    assert other["request_conversion"] == ["anthropic.messages", "openai.chat"]
    assert other["channel"] == "p-chat"
    assert other["frt"] >= 0
    assert other["release"]


FOREIGN_THOUGHT = {
    "claude": (
        "claude-model",
        "messages",
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "gw1s|other/m|x"}]},
    ),
    "responses": (
        "responses-model",
        "input",
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gw1s|other/m|x"},
    ),
    "gemini": (
        "gemini-model",
        "contents",
        {"role": "model", "parts": [{"text": "", "thoughtSignature": "Z3cxc3xvdGhlci9tfHg="}]},
    ),
}


@pytest.mark.parametrize("dialect", FOREIGN_THOUGHT)
def test_what_another_providers_model_signed_does_not_go_to_a_provider_of_the_callers_format(gateway, one, dialect):
    one.script = lambda say: say.whole({})
    model, field, thought = FOREIGN_THOUGHT[dialect]
    path, body = body_of(dialect, model, future_field={"deep": 1.0})
    said = body[field] if isinstance(body[field], list) else [{"role": "user", "content": "hi"}]
    gateway.post(path, {**body, field: [*said, thought, *said]})
    assert one.got[-1].json == {**body, field: [*said, *said]}
