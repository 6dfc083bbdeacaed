"""A provider that did not exist is added by one file while traffic runs; nothing stops, a broken file is refused."""

import json
import threading
import time

import pytest
import requests

from tests.relay.conftest import provider
from tests.relay.scripted import Upstream
from tests.relay.test_passing import CHAT_ANSWER
from tests.relay.test_streaming import DONE, chunk
from tests.support import PATIENCE, Gateway, serving, until

NEWCOMER = """\
apiVersion: gatewright/v1
kind: Provider
metadata: {name: newcomer, description: A vendor with habits of its own}
spec:
  baseUrl: BASE/llm/v7
  formats:
    openai.chat: {path: /talk}
  auth: {scheme: header, name: x-newcomer-token, prefix: "Token "}
  requestPatches:
    - rename: {max_tokens: max_new_tokens, stop: halt_at}
  errorBody:
    message: "{{ body.fault.says }}"
    code: "{{ body.fault.kind }}"
  errors:
    - {when: "body.fault.kind == 'too_keen'", meaning: rate_limit_account}
    - {when: "body.fault is present", meaning: bad_request}
  models: [newcomer-1]
  credential: {secretRef: {file: newcomer}}
"""

# Compiling anew takes some two seconds on a quiet machine.

pytestmark = pytest.mark.xdist_group("new_provider")


class Traffic(threading.Thread):
    """Calls of a model that was there before, one after the other, until told to stop."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway = gateway
        self.seen = []
        self.enough = threading.Event()

    def run(self):
        while not self.enough.is_set():
            try:
                self.seen.append(ask(self.gateway, "steady-model").status_code)
            except requests.RequestException as error:
                self.seen.append(repr(error))
            time.sleep(0.02)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.enough.set()
        self.join(PATIENCE)


def ready_of(gateway):
    """What ``/readyz`` tells an operator."""
    headers = {"authorization": f"Bearer {gateway.key}"}
    return requests.get(gateway.base + "/readyz", headers=headers, timeout=PATIENCE).json()


def ask(gateway, model, stream=False, **more):
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}], **more}
    return gateway.post("/v1/chat/completions", body, stream=stream)


def everywhere(true, times=12):
    """Whether it holds so often in a row that both workers must have said so."""
    return all(true() for _ in range(times))


@pytest.fixture
def upstream():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture
def gateway(tmp_path, upstream):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "newcomer").write_text("open-sesame\n")
    steady = provider("steady", upstream.base, "openai.chat", "steady-model")
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"}
    running = Gateway(tmp_path, specs={"steady.yaml": steady}, workers=2, env=env)
    with serving(running):
        yield running


def test_one_file_adds_a_provider_while_traffic_and_an_open_stream_go_on(gateway, upstream):
    finish = threading.Event()
    refuse = threading.Event()

    def script(say):
        if say.arrived.path != "/llm/v7/talk" and not say.arrived.json.get("stream"):
            say.whole(CHAT_ANSWER)
        elif say.arrived.path != "/llm/v7/talk":
            say.head(200, "text/event-stream")
            count = 0
            while not finish.wait(0.05):
                say.chunk(chunk(content=f"{count} "))
                count += 1
            say.chunk(chunk(content=f"{count} ") + chunk(finish="stop") + DONE)
            say.end()
        elif refuse.is_set():
            say.whole({"fault": {"kind": "too_keen", "says": "not so fast"}}, status=418)
        else:
            say.whole(CHAT_ANSWER)

    def release():
        return ready_of(gateway)["release"]

    upstream.script = script
    stream = []

    def read():
        try:
            with ask(gateway, "steady-model", True) as answer:
                stream.extend(line for line in answer.iter_lines() if line)
        except requests.RequestException as error:
            stream.append(error)

    text = NEWCOMER.replace("BASE", upstream.base)
    assert len(text.splitlines()) < 40
    assert ask(gateway, "newcomer-1").status_code == 404
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    until(lambda: stream)

    with Traffic(gateway) as traffic:
        # The first swap: the file is dropped, and every worker knows the provider.
        first = release()
        gateway.write_spec("newcomer.yaml", text)
        until(lambda: everywhere(lambda: ask(gateway, "newcomer-1").status_code == 200), words=lambda: gateway.output)
        upstream.got.clear()
        answer = ask(gateway, "newcomer-1", max_tokens=7, stop=["x"])
        assert answer.json()["choices"][0]["message"]["content"] == "hi"
        sent = next(arrived for arrived in upstream.got if arrived.path == "/llm/v7/talk")
        assert sent.headers["x-newcomer-token"] == "Token open-sesame"
        assert sent.json["max_new_tokens"] == 7
        assert sent.json["halt_at"] == ["x"]
        assert not {"max_tokens", "stop"} & set(sent.json)

        # Clients of another format have it too, and hear of its odd errors in their own words.
        question = {"model": "newcomer-1", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
        assert gateway.post("/v1/messages", question).json()["content"][0]["text"] == "hi"
        refuse.set()
        refused = gateway.post("/v1/messages", question)
        assert refused.status_code == 429
        assert "not so fast" in refused.json()["error"]["message"]
        assert "not so fast" in ask(gateway, "newcomer-1").json()["error"]["message"]
        refuse.clear()

        # The second: it is changed.
        second = release()
        gateway.write_spec("newcomer.yaml", text.replace("newcomer-1", "newcomer-2"))
        until(lambda: everywhere(lambda: ask(gateway, "newcomer-2").status_code == 200), words=lambda: gateway.output)

        # A broken file is refused with its line; what ran goes on.
        broken = text.replace("newcomer-1", "newcomer-3").replace("  auth:", "  outh:")
        line = 1 + broken.splitlines().index(next(line for line in broken.splitlines() if "outh" in line))
        third = release()
        gateway.write_spec("newcomer.yaml", broken)
        until(lambda: requests.get(gateway.base + "/readyz", timeout=PATIENCE).json()["status"] == "degraded")
        ready = requests.get(gateway.base + "/readyz", timeout=PATIENCE)
        assert ready.status_code == 200
        assert "newcomer" not in ready.text  # strangers are told that something is wrong, not what
        assert any(f"newcomer.yaml:{line}" in fault for fault in ready_of(gateway)["faults"])
        assert f"newcomer.yaml:{line}" in gateway.output
        assert everywhere(lambda: ask(gateway, "newcomer-2").status_code == 200)
        assert release() == third

        # The last: it goes again, and the stream is still open.
        (gateway.data / "specs" / "newcomer.yaml").unlink()
        until(lambda: everywhere(lambda: ask(gateway, "newcomer-2").status_code == 404), words=lambda: gateway.output)
        assert len({first, second, third}) == 3
        assert release() == first
        assert requests.get(gateway.base + "/readyz", timeout=PATIENCE).json()["status"] == "ready"
        assert reader.is_alive()
        finish.set()
        reader.join(PATIENCE)

    assert stream[-1] == b"data: [DONE]"
    events = [json.loads(line[6:])["choices"][0] for line in stream[:-1] if line.startswith(b"data: ")]
    told = "".join(event["delta"].get("content") or "" for event in events)
    assert told.split() == [str(number) for number in range(len(told.split()))]
    assert len(told.split()) > 20
    assert traffic.seen
    assert set(traffic.seen) == {200}


def test_a_secret_that_is_written_anew_is_used_within_seconds(gateway, upstream):
    upstream.script = lambda say: say.whole(CHAT_ANSWER)
    gateway.write_spec("newcomer.yaml", NEWCOMER.replace("BASE", upstream.base))
    until(lambda: everywhere(lambda: ask(gateway, "newcomer-1").status_code == 200), words=lambda: gateway.output)
    (gateway.data / "secrets" / "newcomer").write_text("shut-sesame\n")

    def sent():
        ask(gateway, "newcomer-1")
        return upstream.got[-1].headers["x-newcomer-token"]

    until(lambda: everywhere(lambda: sent() == "Token shut-sesame"), words=lambda: gateway.output)
