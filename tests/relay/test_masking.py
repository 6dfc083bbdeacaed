"""A channel's secret, and where it goes, stay inside, whatever the upstream repeats, whoever would be told."""

from __future__ import annotations

import base64
import json
import socket
import threading
from urllib.parse import quote

import pytest
import requests

from engine.compiler import compile_set, read_set
from engine.paths import SPECS
from tests.relay import inprocess
from tests.relay.conftest import FORMATS
from tests.relay.scripted import Upstream
from tests.support import PATIENCE, Gateway, deaf_port, serving, until

SECRET = "sk-up/stream+0123456789abcdefghij"
MODELS = {"openai.chat": "chat", "openai.responses": "responses", "anthropic.messages": "claude"}
MODELS["gemini.generateContent"] = "gemini"
WORDS = f"cannot process request with Authorization: Bearer {SECRET}"
SPELLED = (
    WORDS,
    f"GET /v1/x?key={quote(SECRET, safe='')}",
    "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode(),
)


def document(name: str, base: str, fmt: str, model: str, auth: str) -> str:
    return f"""
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: {name}}}
spec:
  baseUrl: {base}
  formats: {{{fmt}: {FORMATS[fmt]}}}
  auth: {auth}
  credential: {{secretRef: {{file: upstream.key}}}}
  models: [{model}]
"""


@pytest.fixture(scope="module")
def upstream():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def closed():
    with deaf_port() as port:
        yield port


@pytest.fixture(scope="module")
def toneless():
    """The port of a peer that speaks no TLS."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            with sock:
                sock.recv(100)
                sock.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, upstream, closed, toneless):
    data = tmp_path_factory.mktemp("masking")
    (data / "secrets").mkdir()
    (data / "secrets" / "upstream.key").write_text(SECRET)
    documents = [
        document(f"p-{model}", upstream.base, fmt, f"m-{model}", "{scheme: bearer}") for fmt, model in MODELS.items()
    ]
    documents.append(document("inner-query", upstream.base, "openai.chat", "m-query", "{scheme: query, name: key}"))
    down = document("inner-down", f"http://127.0.0.1:{closed}", "openai.chat", "m-down", "{scheme: bearer}")
    plain = document("inner-tls", f"https://127.0.0.1:{toneless}", "openai.chat", "m-tls", "{scheme: bearer}")
    # A secret belongs to one host, so these have none.
    without = "  credential: {secretRef: {file: upstream.key}}\n"
    documents += [each.replace(without, "").replace("{scheme: bearer}", "{scheme: none}") for each in (down, plain)]
    documents.append(
        document("inner-private", "http://127.0.0.1:1", "openai.chat", "m-private", "{scheme: none}").replace(
            without, ""
        )
    )
    allow = f"127.0.0.1:{upstream.port},127.0.0.1:{closed},127.0.0.1:{toneless}"
    running = Gateway(
        data,
        specs={"all.yaml": "---".join(documents)},
        env={"GATEWRIGHT_EGRESS_ALLOW": allow, "ERROR_LOG_ENABLED": "true", "GATEWRIGHT_ACCESS_LOG": "true"},
    )
    with serving(running):
        yield running


def ask(gateway, model, *, path="/v1/chat/completions", stream=False):
    body = {"model": model, "stream": stream, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    return gateway.post(path, body)


def rows(gateway, request_id):
    """The row of a call as its key's holder sees it."""

    def mine():
        told = requests.get(f"{gateway.base}/api/log/token?key={gateway.key}", timeout=PATIENCE).json()["data"]
        return [row for row in told if row["request_id"] == request_id]

    return json.dumps(until(mine))


def clean(text: str) -> bool:
    """Whether a text holds nothing of the secret."""
    forms = (SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1].replace("/", "\\/"))
    coded = base64.b64encode(f"user:{SECRET}".encode()).decode()[8:40]
    return not any(form in text for form in (*forms, coded))


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429, 500, 503, 418])
@pytest.mark.parametrize("model", [*MODELS.values(), "query"])
def test_an_error_that_repeats_the_secret_is_told_without_it(gateway, upstream, model, status) -> None:
    for words in SPELLED:
        error = {"type": "error", "error": {"message": words, "type": "x", "code": "y", "status": "z"}}
        upstream.script = lambda say, error=error: say.whole(error, status=status)
        answer = ask(gateway, f"m-{model}")
        assert answer.status_code >= 400
        assert clean(answer.text + str(answer.headers)), words
    assert "cannot process" in ask_words(gateway, upstream, model, status) or status == 401
    assert clean(rows(gateway, answer.headers["x-request-id"]))
    assert clean(gateway.output)


def ask_words(gateway, upstream, model, status):
    """What is told of the words around the secret: they are the upstream's, and stay."""
    error = {"type": "error", "error": {"message": WORDS, "type": "x"}}
    upstream.script = lambda say: say.whole(error, status=status)
    return ask(gateway, f"m-{model}").text


@pytest.mark.parametrize("kind", ["application/json", "text/html", "text/plain"])
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("before", [0, 180, 1990])
def test_what_is_no_json_is_told_without_it_wherever_it_is_cut(gateway, upstream, kind, status, before) -> None:
    upstream.script = lambda say: say.whole(f"{'x' * before} {WORDS}".encode(), status=status, kind=kind)
    answer = ask(gateway, "m-chat")
    assert answer.status_code >= 400
    assert SECRET[:12] not in answer.text
    assert SECRET[:12] not in rows(gateway, answer.headers["x-request-id"])


CHUNK = {"index": 0, "delta": {"content": "Hi"}}
START = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1}}
EVENTS = {
    "openai.chat": [{"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [CHUNK]}],
    "anthropic.messages": [
        {"type": "message_start", "message": START},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    ],
}


def written(fmt, event):
    """An event as its provider writes it."""
    name = f"event: {event['type']}\n" if fmt == "anthropic.messages" else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


@pytest.fixture(scope="module")
def program():
    return compile_set(*read_set([SPECS])[:2]).program()


@pytest.mark.parametrize("provider", EVENTS)
@pytest.mark.parametrize("caller", FORMATS)
@pytest.mark.parametrize("words", SPELLED)
@pytest.mark.parametrize("cut", [7, 10_000])
def test_an_error_after_words_is_told_without_it(program, provider, caller, words, cut) -> None:
    error = written(provider, {"type": "error", "error": {"type": "overloaded_error", "message": words, "code": 503}})
    said = [written(provider, event) for event in EVENTS[provider]]
    began = inprocess.stream(
        program, caller, provider, [*said, *(error[i : i + cut] for i in range(0, len(error), cut))]
    )
    began._answered.attempt.channel.keys = (SECRET,)
    told = b"".join(began.run()).decode()
    assert "Hi" in told
    assert clean(told)
    assert "***" in told
    assert clean(json.dumps(began._answered.outcome.error))


@pytest.mark.parametrize("provider", EVENTS)
@pytest.mark.parametrize("caller", FORMATS)
def test_a_refused_credential_inside_a_stream_is_told_in_our_words(program, provider, caller) -> None:
    masked = "Incorrect API key provided: sk-up********ghij"
    sort = {"type": "authentication_error", "message": masked, "code": 401}
    said = [written(provider, event) for event in [*EVENTS[provider], {"type": "error", "error": sort}]]
    told = b"".join(inprocess.stream(program, caller, provider, said).run()).decode()
    assert "Hi" in told
    assert "ghij" not in told
    assert "operator" in told


@pytest.mark.parametrize("provider", EVENTS)
def test_an_error_without_a_secret_passes_byte_for_byte(program, provider) -> None:
    error = written(provider, {"type": "error", "error": {"type": "overloaded_error", "message": "busy", "code": 503}})
    began = inprocess.stream(program, provider, provider, [*(written(provider, e) for e in EVENTS[provider]), error])
    began._answered.attempt.channel.keys = (SECRET,)
    assert b"".join(began.run()).endswith(error)


@pytest.mark.parametrize("provider", EVENTS)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("said", [True, False])
def test_an_error_inside_a_stream_is_told_without_it(gateway, upstream, provider, path, said) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": WORDS, "code": 503}}
    data = b"".join(written(provider, event) for event in [*(EVENTS[provider] if said else ()), error])

    def script(say):
        say.head(200, "text/event-stream")
        for begin in range(0, len(data), 37):  # a secret is cut by the pieces
            say.chunk(data[begin : begin + 37])
        say.end()

    upstream.script = script
    answer = ask(gateway, f"m-{MODELS[provider]}", path=path, stream=True)
    assert clean(answer.text)
    assert clean(rows(gateway, answer.headers["x-request-id"]))
    assert clean(gateway.output)


@pytest.mark.parametrize("status", [401, 402])
def test_known_meanings_stay_in_our_words(gateway, upstream, status) -> None:
    upstream.script = lambda say: say.whole({"error": {"message": WORDS}}, status=status)
    answer = ask(gateway, "m-chat")
    assert answer.status_code == 502
    assert "operator" in answer.text
    assert clean(rows(gateway, answer.headers["x-request-id"]))


def test_a_header_that_goes_back_is_clean(gateway, upstream) -> None:
    body = {"id": "c", "object": "chat.completion", "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    ], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}  # fmt: skip
    upstream.script = lambda say: say.whole(body, openai_version=f"of {SECRET}", openai_processing_ms="12")
    answer = ask(gateway, "m-chat")
    assert answer.status_code == 200
    assert answer.headers["openai-processing-ms"] == "12"
    assert clean(str(answer.headers))


def test_the_callers_own_key_is_not_written_down(gateway, upstream) -> None:
    upstream.script = lambda say: say.whole({"error": {"message": f"you are {gateway.key}"}}, status=400)
    answer = ask(gateway, "m-chat")
    assert gateway.key not in answer.text
    assert gateway.key not in rows(gateway, answer.headers["x-request-id"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["m-down", "m-tls", "m-private"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_where_an_upstream_is_stands_in_the_log_alone(gateway, closed, toneless, model, path, stream) -> None:
    before = len(gateway.output)
    answer = ask(gateway, model, path=path, stream=stream)
    assert answer.status_code in (502, 503)
    row = rows(gateway, answer.headers["x-request-id"])
    for text in (answer.text, row):
        assert "127.0.0.1" not in text.replace('"ip": "127.0.0.1"', "")
        assert str(closed) not in text
        assert str(toneless) not in text
        assert "inner-" not in text
        assert "ALLOW" not in text
    assert "127.0.0.1" in gateway.output[before:]


def test_an_upstream_that_names_itself_is_told_without_its_address(gateway, upstream) -> None:
    words = f"no route in http://127.0.0.1:{upstream.port}/v1 (127.0.0.1)"
    upstream.script = lambda say: say.whole({"error": {"message": words}}, status=404)
    answer = ask(gateway, "m-chat")
    assert "127.0.0.1" not in answer.text
    assert "no route in" in answer.text
