"""Streams leave chunk by chunk, end properly or with an error event, and cost nothing once the caller has gone."""

import json
import socket
import threading
import time
from contextlib import closing

import pytest
import requests

from tests.relay.test_passing import body_of, message_of
from tests.support import PATIENCE, until


def sse(data, event=None):
    return (f"event: {event}\n" if event else "").encode() + b"data: " + json.dumps(data).encode() + b"\n\n"


def chunk(**delta):
    finish = delta.pop("finish", None)
    return sse(
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "up",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
    )


TEXT = [chunk(role="assistant", content=""), chunk(content="Hel"), chunk(content="lo"), chunk(finish="stop")]
USAGE = sse(
    {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "up",
        "choices": [],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }
)
DONE = b"data: [DONE]\n\n"
CLAUDE = [
    sse(
        {
            "type": "message_start",
            "message": {
                "id": "m",
                "type": "message",
                "role": "assistant",
                "model": "up",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 5, "output_tokens": 1},
            },
        },
        "message_start",
    ),
    sse(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        "content_block_start",
    ),
    sse(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        "content_block_delta",
    ),
    sse({"type": "content_block_stop", "index": 0}, "content_block_stop"),
    sse(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 2},
        },
        "message_delta",
    ),
    sse({"type": "message_stop"}, "message_stop"),
]
DIALECTS = ("chat", "responses", "claude", "gemini")


def ask(gateway, dialect, model="chat-model", **more):
    path, body = body_of(dialect, model, **({} if dialect == "gemini" else {"stream": True}), **more)
    path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    return gateway.post(path, body, stream=True)


def events(answer):
    """The data of each event, JSON parsed where it is JSON."""
    found = []
    for block in answer.content.decode("utf-8", "replace").replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].strip() for line in block.split("\n") if line.startswith("data:"))
        if data:
            found.append(json.loads(data) if data[0] in "{[" and data[-1] in "}]" and data != "[DONE]" else data)
    return found


def error_in(dialect, told):
    """The error event of each dialect, in the shape on which its SDK raises."""
    last = told[-1]
    if dialect == "responses":
        assert last["type"] == "response.failed"
        return last["response"]["error"]["message"]
    if dialect == "claude":
        assert last["type"] == "error"
    else:
        assert "choices" not in last
    return last["error"]["message"]


def rows(gateway, request_id):
    import sqlite3

    def logged():
        with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
            db.row_factory = sqlite3.Row
            return db.execute("SELECT * FROM logs WHERE request_id = ?", (request_id,)).fetchall()

    return until(logged)


def test_a_stream_of_the_same_format_passes_byte_for_byte(gateway, one):
    sent = [b": hello\n\n", *TEXT, USAGE, DONE]
    one.script = lambda say: say.events(*sent)
    answer = ask(gateway, "chat", stream_options={"include_usage": True})
    assert answer.content == b"".join(sent)
    assert answer.headers["content-type"].startswith("text/event-stream")
    row = rows(gateway, answer.headers["x-request-id"])[0]
    assert (row["prompt_tokens"], row["completion_tokens"], row["is_stream"]) == (5, 2, 1)


def test_usage_is_asked_for_where_the_caller_did_not_and_kept_from_it(gateway, one):
    one.script = lambda say: say.events(*TEXT, USAGE, DONE)
    answer = ask(gateway, "chat")
    assert answer.content == b"".join([*TEXT, DONE])
    assert one.got[0].json["stream_options"] == {"include_usage": True}
    assert rows(gateway, answer.headers["x-request-id"])[0]["completion_tokens"] == 2


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunk_boundaries_change_nothing(gateway, one, dialect, size):
    raw = b"".join([*TEXT, USAGE, DONE])
    one.script = lambda say: say.events(*[raw[i : i + size] for i in range(0, len(raw), size)])
    first = events(ask(gateway, dialect))
    one.script = lambda say: say.events(raw)
    assert strip(events(ask(gateway, dialect))) == strip(first)


def strip(told):
    """Made-up ids and times differ from call to call."""
    text = json.dumps(told)
    import re

    return re.sub(r'"(resp|msg)_[0-9a-f]+"|"(created_at|completed_at)": \d+', '"x"', text)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_without_its_end_becomes_an_error_event(gateway, one, dialect):
    def cut(say):
        say.events(*TEXT[:3], end=False)
        say.sock.shutdown(socket.SHUT_RDWR)

    for script in (cut, lambda say: say.events(*TEXT[:3])):
        one.script = script
        answer = ask(gateway, dialect)
        assert answer.status_code == 200
        assert "broke off" in error_in(dialect, events(answer))
        row = rows(gateway, answer.headers["x-request-id"])[0]
        assert json.loads(row["other"])["stream_status"]["end_reason"] == "cut"


def test_a_passed_claude_stream_that_is_cut_ends_in_claudes_error_event(gateway, one):
    one.script = lambda say: say.events(*CLAUDE[:3])
    answer = ask(gateway, "claude", "claude-model")
    assert answer.content.startswith(b"".join(CLAUDE[:3]))
    assert "broke off" in error_in("claude", events(answer))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_before_the_first_event_is_an_http_error(gateway, one, dialect):
    one.script = lambda say: say.events(sse({"error": {"message": "too busy", "type": "server_error", "code": 503}}))
    answer = ask(gateway, dialect)
    assert answer.status_code >= 400
    assert "too busy" in message_of(dialect, answer)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_in_the_middle_is_an_error_event(gateway, one, dialect):
    one.script = lambda say: say.events(
        *TEXT[:3], sse({"error": {"message": "too busy", "type": "server_error"}}), pause=0.05
    )
    answer = ask(gateway, dialect)
    assert answer.status_code == 200
    assert "too busy" in json.dumps(events(answer)[-1])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_garbage_in_the_middle_is_an_error_event_not_a_crash(gateway, one, dialect):
    one.script = lambda say: say.events(*TEXT[:3], b"data: {\xff\xfe not json\n\n", pause=0.05)
    answer = ask(gateway, dialect)
    assert answer.status_code == 200
    error_in(dialect, events(answer))


def test_events_leave_as_they_come(gateway, one):
    for dialect in DIALECTS:
        gate, opened = threading.Event(), []

        def script(say, gate=gate, opened=opened):
            say.events(*TEXT[:2], end=False)
            opened.append(gate.wait(PATIENCE))
            for event in [*TEXT[2:], DONE]:
                say.chunk(event)
            say.end()

        one.script = script
        answer = ask(gateway, dialect)
        pieces = answer.iter_content(None)
        seen = b""
        while b"Hel" not in seen:
            seen += next(pieces)
        gate.set()  # the first words were here while the upstream still held the rest
        rest = b"".join(pieces)
        assert b"lo" in rest
        assert opened  # each attempt, where a slow machine makes several
        assert all(opened)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("when", ["silence", "stream"])
def test_a_caller_who_goes_away_ends_the_upstream_request_within_a_second(gateway, one, dialect, when):
    started, gone_at = threading.Event(), []

    def script(say):
        if when == "stream":
            say.events(*TEXT[:2], end=False)
        started.set()
        if say.wait_until_left(PATIENCE):
            gone_at.append(time.monotonic())

    one.script = script
    path, body = body_of(dialect, **({} if dialect == "gemini" else {"stream": True}))
    path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    data = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        head += f"content-length: {len(data)}\r\n\r\n"
        sock.sendall(head.encode() + data)
        assert started.wait(PATIENCE)
        if when == "stream":
            sock.recv(100)
        left_at = time.monotonic()
    until(lambda: gone_at)
    assert gone_at[0] - left_at < 30, "as soon as it is seen, not by a timeout"


@pytest.mark.parametrize(
    ("dialect", "last"),
    [
        ("chat", "[DONE]"),
        ("responses", '"response.completed"'),
        ("claude", '"message_stop"'),
        ("gemini", "finishReason"),
    ],
)
def test_a_caller_who_leaves_at_the_last_event_had_the_whole_answer(gateway, one, dialect, last):
    def script(say):
        say.events(*TEXT, USAGE, DONE, end=False)
        say.wait_until_left(PATIENCE)

    one.script = script
    path, body = body_of(dialect, **({} if dialect == "gemini" else {"stream": True}))
    path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    headers = {"authorization": f"Bearer {gateway.key}"}
    with requests.post(gateway.base + path, json=body, headers=headers, stream=True, timeout=PATIENCE) as answer:
        assert any(last in line for line in answer.iter_lines(chunk_size=1, decode_unicode=True))
    (row,) = rows(gateway, answer.headers["x-request-id"])
    assert "stream_status" not in json.loads(row["other"])
    assert (row["prompt_tokens"], row["completion_tokens"]) == (5, 2)


def test_silence_in_a_stream_ends_it_after_the_idle_time(gateway, one):
    def script(say):
        say.events(*TEXT[:2], end=False)
        say.wait_until_left(PATIENCE)

    one.script = script
    began = time.monotonic()
    answer = ask(gateway, "claude", "both-model")
    assert "nothing" in error_in("claude", events(answer)) or "silent" in error_in("claude", events(answer))
    assert 1.5 < time.monotonic() - began < 30


def test_a_whole_answer_to_a_stream_request_is_told_as_a_stream(gateway, one):
    whole = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "up",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
    one.script = lambda say: say.whole(whole)
    for dialect in DIALECTS:
        answer = ask(gateway, dialect)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "Hello" in json.dumps(events(answer))


def test_a_streamed_answer_to_a_whole_request_is_gathered(gateway, one):
    one.script = lambda say: say.events(*TEXT, USAGE, DONE)
    for dialect in DIALECTS:
        path, body = body_of(dialect)
        answer = gateway.post(path, body)
        assert answer.status_code == 200, answer.text
        assert "Hello" in json.dumps(answer.json())


def test_a_json_array_stream_is_what_a_gemini_client_gets_without_alt(gateway, one):
    one.script = lambda say: say.events(*TEXT, USAGE, DONE)
    path, body = body_of("gemini")
    answer = gateway.post(path.replace(":generateContent", ":streamGenerateContent"), body)
    assert answer.headers["content-type"].startswith("application/json")
    told = answer.json()
    assert "".join(part["text"] for item in told for part in item["candidates"][0]["content"]["parts"]) == "Hello"


def test_backpressure_holds_the_upstream_back(gateway, one):
    """A caller that does not read stops the upstream: the gateway holds a bounded amount."""
    sent = []

    def script(say):
        say.head(200, "text/event-stream")
        say.sock.settimeout(3)
        event = chunk(content="x" * 16_000)
        try:
            for _ in range(4000):
                say.chunk(event)
                sent.append(len(event))
        except OSError:
            pass

    one.script = script
    path, body = body_of("claude", stream=True)
    data = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        head += f"content-length: {len(data)}\r\n\r\n"
        sock.sendall(head.encode() + data)
        time.sleep(1.5)
        held = sum(sent)
    assert held < 20_000_000


class TestRetry:
    """A failed attempt goes to the next channel, while nothing has reached the caller."""

    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize("status", [401, 429, 500, 503])
    def test_a_failure_of_the_account_or_service_is_tried_elsewhere(self, gateway, one, two, dialect, status):
        one.script = lambda say: say.whole({"error": {"message": "no"}}, status)
        two.script = lambda say: say.events(*TEXT, USAGE, DONE)
        answer = ask(gateway, dialect, "both-model")
        assert answer.status_code == 200
        assert "Hel" in answer.text
        assert (len(one.got), len(two.got)) == (1, 1)
        other = json.loads(rows(gateway, answer.headers["x-request-id"])[0]["other"])
        assert other["admin_info"]["use_channel"] == ["p-first", "second"]

    def test_a_refused_request_is_not(self, gateway, one, two):
        one.script = lambda say: say.whole({"error": {"message": "bad field", "type": "invalid_request_error"}}, 400)
        answer = ask(gateway, "claude", "both-model")
        assert answer.status_code == 400
        assert "bad field" in message_of("claude", answer)
        assert (len(one.got), len(two.got)) == (1, 0)

    def test_a_broken_connection_or_first_event_is(self, gateway, one, two):
        two.script = lambda say: say.events(*TEXT, USAGE, DONE)
        for script in (
            lambda say: say.sock.shutdown(socket.SHUT_RDWR),
            lambda say: say.events(sse({"error": {"message": "busy", "code": 503}})),
            lambda say: say.whole(b"<html>no</html>", 502, "text/html"),
        ):
            one.script = script
            assert ask(gateway, "gemini", "both-model").status_code == 200

    def test_after_the_first_byte_nothing_is_tried_again(self, gateway, one, two):
        one.script = lambda say: say.events(*TEXT[:3])
        answer = ask(gateway, "chat", "both-model")
        assert "broke off" in error_in("chat", events(answer))
        assert len(two.got) == 0

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_when_all_fail_the_last_refusal_reaches_the_caller_with_its_retry_after(self, gateway, one, two, dialect):
        one.script = two.script = lambda say: say.whole(
            {"error": {"message": "slow down", "type": "x", "param": None, "code": None}}, 429, retry_after="7"
        )
        answer = ask(gateway, dialect, "both-model")
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "7"
        assert "slow down" in message_of(dialect, answer)

    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize("status", [401, 402])
    def test_a_refused_credential_is_the_gateways_and_no_word_of_it_goes_out(self, gateway, one, dialect, status):
        message = "Incorrect API key provided: sk-abc***xyz"
        one.script = lambda say: say.whole({"error": {"message": message, "type": "x"}}, status)
        answer = gateway.post(*body_of(dialect))
        assert answer.status_code == 502
        assert "gateway" in message_of(dialect, answer)
        assert "sk-abc" not in answer.text

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_an_upstream_that_is_down_is_told_without_its_address(self, gateway, dialect):
        answer = gateway.post(*body_of(dialect, "down-model"))
        assert answer.status_code in (502, 503)
        assert requests.utils.urlparse(answer.url).port is not None
        message_of(dialect, answer)
