"""Signs of life while an upstream is silent, and a word to every open stream when the gateway must stop."""

import json
import socket
import threading
import time

import pytest
import requests

from tests.relay.conftest import provider
from tests.relay.scripted import Upstream
from tests.relay.test_passing import body_of
from tests.relay.test_streaming import TEXT, ask, error_in, events
from tests.support import PATIENCE, Gateway, serving, until

POLICY = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: own}
spec: {unpriced: allow, pings: {every: 1}}
"""
DIALECTS = ("chat", "responses", "claude", "gemini")


@pytest.fixture
def upstream():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture
def gateway(tmp_path, upstream):
    documents = [provider("p", upstream.base, "openai.chat", "chat-model"), POLICY]
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}", "SHUTDOWN_TIMEOUT_SECONDS": "4"}
    running = Gateway(tmp_path, specs={"test.yaml": "---".join(documents)}, env=env)
    with serving(running):
        yield running


def test_silence_is_bridged_in_each_format_and_told_to_nobody_as_content(gateway, upstream):
    bridged = threading.Event()

    def script(say):
        say.events(*TEXT[:2], end=False)
        bridged.wait(PATIENCE)
        for event in [*TEXT[2:], b"data: [DONE]\n\n"]:
            say.chunk(event)
        say.end()

    upstream.script = script
    answers = {}

    def call(dialect):
        answers[dialect] = b""
        for piece in ask(gateway, dialect).iter_content(None):
            answers[dialect] += piece
            if all(pings(one, answers.get(one, b"")) >= 2 for one in ("chat", "claude")):
                bridged.set()

    def array():
        path, body = body_of("gemini")
        answers["array"] = gateway.post(path.replace(":generate", ":streamGenerate"), body).content

    threads = [threading.Thread(target=call, args=(dialect,)) for dialect in DIALECTS] + [
        threading.Thread(target=array)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pings("chat", answers["chat"]) >= 2
    assert pings("claude", answers["claude"]) >= 2
    assert b"ping" not in answers["gemini"]
    assert b"ping" not in answers["array"]
    assert len(json.loads(answers["array"])) >= 2
    for said in answers.values():
        assert b"lo" in said


def test_silence_of_a_connection_that_is_not_taken_is_bridged_too(tmp_path):
    # A listener whose queue is full answers nothing: neither yes nor no.
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    port = deaf.getsockname()[1]
    waiting = [socket.socket() for _ in range(3)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
    more = "  timeouts: {connect: 4}\n"
    documents = [provider("p", f"http://127.0.0.1:{port}", "openai.chat", "chat-model", more=more), POLICY]
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{port}"}
    running = Gateway(tmp_path, specs={"test.yaml": "---".join(documents)}, env=env)
    try:
        running.ready()
        answer = ask(running, "chat")
        assert answer.status_code == 200
        assert pings("chat", answer.content) >= 2
        assert error_in("chat", events(answer))
    finally:
        running.stop()
        for one in [deaf, *waiting]:
            one.close()
        assert "Traceback" not in running.output, running.output


def heard(answer, dialect, bridged, count=1):
    """Read it to its end; the upstream goes on when so many signs of life have come."""
    came = b""
    for piece in answer.iter_content(None):
        came += piece
        if pings(dialect, came) >= count:
            bridged.set()
    answer._content = came
    return came


def pings(dialect, content):
    mark = {"chat": b": ping\n\n", "responses": b": ping\n\n", "claude": b'event: ping\ndata: {"type":"ping"}\n\n'}
    return content.count(mark[dialect]) if dialect in mark else 0


@pytest.mark.parametrize("dialect", DIALECTS)
def test_silence_before_the_head_is_bridged_too(gateway, upstream, dialect):
    bridged = threading.Event()

    def script(say):
        bridged.wait(2.6 if dialect == "gemini" else PATIENCE)
        bridged.set()
        say.events(*TEXT, b"data: [DONE]\n\n")

    upstream.script = script
    answer = ask(gateway, dialect)
    # Google's SDK takes no sign of life, so its head waits for the provider's; the others' does not.
    assert bridged.is_set() == (dialect == "gemini")
    content = heard(answer, dialect, bridged, 2)
    assert b"lo" in content
    assert (pings(dialect, content) >= 2) == (dialect != "gemini")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("dialect", [one for one in DIALECTS if one != "gemini"])
@pytest.mark.parametrize("late", ["status", "event", "cut", "refusal of the request"])
def test_a_failure_after_signs_of_life_is_an_error_event(gateway, upstream, dialect, late):
    bridged = threading.Event()

    def script(say):
        if late == "event":
            say.events(end=False)
        bridged.wait(PATIENCE)
        if late == "status":
            say.whole({"error": {"message": "busy", "type": "server_error"}}, 503)
        elif late == "event":
            say.chunk(b'data: {"error": {"message": "busy", "type": "server_error"}}\n\n')
            say.end()
        elif late == "cut":
            raise OSError
        else:
            say.whole({"error": {"message": "busy", "type": "invalid_request_error"}}, 400)

    upstream.script = script
    answer = ask(gateway, dialect)
    assert pings(dialect, heard(answer, dialect, bridged)) >= 1
    told = error_in(dialect, events(answer))
    assert "busy" in told if late != "cut" else told


@pytest.mark.parametrize("dialect", [one for one in DIALECTS if one != "gemini"])
@pytest.mark.parametrize("late", ["status", "event"])
def test_after_signs_of_life_the_next_channel_answers_in_the_same_stream(tmp_path, upstream, dialect, late):
    second, bridged = Upstream(), threading.Event()

    def script(say):
        if late == "event":
            say.events(end=False)
        bridged.wait(PATIENCE)
        if late == "status":
            say.whole({"error": {"message": "busy", "type": "server_error"}}, 503)
        else:
            say.chunk(b'data: {"error": {"message": "busy", "type": "server_error"}}\n\n')
            say.end()

    upstream.script = script
    second.script = lambda say: say.events(*TEXT, b"data: [DONE]\n\n")
    route = """
apiVersion: gatewright/v1
kind: Route
metadata: {name: r}
spec: {channels: [{name: second, provider: q, models: [chat-model], priority: -1}]}
"""
    documents = [
        provider("p", upstream.base, "openai.chat", "chat-model"),
        provider("q", second.base, "openai.chat"),
        POLICY,
        route,
    ]
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port},127.0.0.1:{second.port}"}
    running = Gateway(tmp_path, specs={"test.yaml": "---".join(documents)}, env=env)
    try:
        running.ready()
        content = heard(ask(running, dialect), dialect, bridged)
        assert b"lo" in content
        assert b"busy" not in content
        assert pings(dialect, content) >= 1
    finally:
        running.stop()
        second.close()
        assert "Traceback" not in running.output, running.output


def test_open_streams_are_told_that_the_gateway_stops_and_it_does_in_time(gateway, upstream):
    def script(say):
        say.events(*TEXT[:2], end=False)
        say.wait_until_left(PATIENCE)

    upstream.script = script
    told, threads, begun = {}, [], []

    def call(dialect):
        answer = ask(gateway, dialect)
        begun.append(dialect)
        told[dialect] = error_in(dialect, events(answer))

    for dialect in DIALECTS:
        threads.append(threading.Thread(target=call, args=(dialect,)))
        threads[-1].start()
    until(lambda: len(begun) == len(DIALECTS))
    began = time.monotonic()
    gateway.process.terminate()
    for thread in threads:
        thread.join(PATIENCE)
    assert told == dict.fromkeys(DIALECTS, "the gateway is stopping; send the request again")
    gateway.process.wait(PATIENCE)
    assert time.monotonic() - began < 60
    with pytest.raises(requests.ConnectionError):
        requests.get(gateway.base + "/healthz", timeout=2)
