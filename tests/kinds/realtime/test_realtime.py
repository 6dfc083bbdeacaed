"""Live connections through a real gateway: the official SDK and a plain client, a strict upstream, and the money."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import openai
import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from engine.accounts.keys import create_key
from engine.ledger import proof
from engine.settings import Settings
from engine.storage.database import Database, open_database
from tests.support import PATIENCE, Gateway, serving, until

pytestmark = pytest.mark.filterwarnings("ignore:connect.. must be used:DeprecationWarning")
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: live}
extends: openai
spec:
  baseUrl: BASE
  credential: {secretRef: {file: live}}
  models: [live-1]
  price: [{names: [live-1], tokens: {input: 4, output: 16, input_audio: 32, output_audio: 64, cache_read: 0.4}}]
---
apiVersion: gatewright/v1
kind: Route
metadata: {name: live}
spec:
  channels:
    - {name: mapped, provider: live-azure, models: [talk], modelMapping: {talk: deployed},
       credential: {secretRef: {file: live}}}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: live-azure}
extends: azure
spec: {baseUrl: BASE}
---
apiVersion: gatewright/v1
kind: Policy
metadata: {name: pages}
spec: {realtime: {origins: ["https://app.example"]}}
---
apiVersion: gatewright/v1
kind: Price
metadata: {name: talk}
spec: {models: [{names: [talk], tokens: {input: 4, output: 16}}]}
"""
USAGE = {
    "total_tokens": 300, "input_tokens": 200, "output_tokens": 100,
    "input_token_details": {"text_tokens": 120, "audio_tokens": 80, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 40, "audio_tokens": 60},
}  # fmt: skip
COST = (120 * 4 + 80 * 32 + 40 * 16 + 60 * 64) * 0.5
"""Quota units: dollars per million tokens times half a million units a dollar."""


class Talker:
    """The upstream: it greets, answers each ``response.create``, and does what its model's name asks."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.events: list[dict[str, Any]] = []
        self.binary: list[bytes] = []
        self.refuse = 0
        self.server = serve(self.talk, "127.0.0.1", 0, process_request=self.look, max_size=None)
        self.port = self.server.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def look(self, connection: ServerConnection, request: Any) -> Any:
        self.requests.append(request)
        if self.refuse:
            return connection.respond(self.refuse, json.dumps({"error": {"message": "not now", "code": "x"}}))
        return None

    def talk(self, ws: ServerConnection) -> None:
        assert ws.request is not None
        query = parse_qs(urlsplit(ws.request.path).query)
        model = (query.get("model") or query["deployment"])[0]
        ws.send(json.dumps({"type": "session.created", "event_id": "e1", "session": {"id": "s", "model": model}}))
        for data in ws:
            if isinstance(data, bytes):
                self.binary.append(data)
                continue
            event = json.loads(data)
            self.events.append(event)
            if event["type"] == "session.update":
                ws.send(json.dumps({"type": "session.updated", "event_id": "e2", "session": event["session"]}))
            elif event["type"] == "response.create":
                self.answer(ws)
            elif event["type"] == "x.break":
                ws.send(json.dumps({"event_id": "d", "response_id": "r", "delta": "x" * 6400, "type": event["in"]}))
                ws.socket.shutdown(socket.SHUT_RDWR)
                return
            elif event["type"] == "x.close":
                ws.close(4321, "enough")
                return

    @staticmethod
    def answer(ws: ServerConnection) -> None:
        audio = base64.b64encode(bytes(4800)).decode()
        for event in (
            {
                "type": "response.created",
                "response": {"id": "r", "object": "realtime.response", "status": "in_progress"},
            },
            {"type": "response.output_audio.delta", "delta": audio, "response_id": "r"},
            {
                "type": "response.done",
                "response": {"id": "r", "object": "realtime.response", "status": "completed", "usage": USAGE},
            },
        ):
            ws.send(json.dumps({"event_id": "e", **event}))

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()


@pytest.fixture(scope="module")
def talker() -> Iterator[Talker]:
    made = Talker()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, talker: Talker) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("live")
    (data / "secrets").mkdir()
    (data / "secrets" / "live").write_text("up-key")
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{talker.port}", "SHUTDOWN_TIMEOUT_SECONDS": "5"}
    specs = {"own.yaml": DOCUMENTS.replace("BASE", f"http://127.0.0.1:{talker.port}")}
    made = Gateway(data, specs=specs, env=env, priced=True)
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def db(gateway: Gateway) -> Iterator[Database]:
    opened = open_database(Settings(data=gateway.data), migrate=False)
    yield opened
    opened.close()


def rows(db: Database) -> list[tuple[Any, ...]]:
    with db.read() as connection:
        found = connection.exec_driver_sql(
            "SELECT quota, prompt_tokens, completion_tokens, other FROM logs WHERE type = 2 ORDER BY id"
        )
        return [tuple(row) for row in found]


def one_more(db: Database, before: int) -> tuple[Any, ...]:
    until(lambda: len(rows(db)) > before)
    found = rows(db)
    assert len(found) == before + 1
    return found[-1]


def address(gateway: Gateway, model: str = "live-1") -> str:
    return f"ws{gateway.base[4:]}/v1/realtime?model={model}"


def bearer(gateway: Gateway) -> dict[str, str]:
    return {"authorization": f"Bearer {gateway.key}"}


def until_type(ws: Any, kind: str) -> dict[str, Any]:
    while True:
        event: dict[str, Any] = json.loads(ws.recv(timeout=PATIENCE))
        if event["type"] == kind:
            return event


def ended(ws: Any) -> tuple[int, str]:
    """The code and the words with which a connection is closed; what comes before is passed over."""
    try:
        while True:
            ws.recv(timeout=40)
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else (1006, "")


def test_the_sdk_talks_and_a_session_is_one_row_to_the_unit(gateway: Gateway, talker: Talker, db: Database) -> None:
    before = len(rows(db))
    sdk = openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0)
    with sdk as client, client.realtime.connect(model="live-1") as talk:
        assert talk.recv().type == "session.created"
        talk.session.update(session={"type": "realtime", "model": "live-1", "instructions": "be short"})
        assert talk.recv().type == "session.updated"
        for _ in range(3):
            talk.response.create()
            while talk.recv().type != "response.done":
                pass
    assert talker.requests[-1].headers["authorization"] == "Bearer up-key"
    row = one_more(db, before)
    assert row[:3] == (3 * COST, 600, 300)
    assert json.loads(row[3])["usage_source"] == "upstream"


def test_who_talks_now_is_shown_to_operators_and_to_oneself(gateway: Gateway) -> None:
    def listed(path: str) -> list[dict[str, Any]]:
        answer = requests.get(f"{gateway.base}/api/v2/{path}", headers=root, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    root = gateway.root()
    with connect(address(gateway), additional_headers=bearer(gateway)) as ws:
        ws.send(json.dumps({"type": "response.create"}))
        until_type(ws, "response.done")
        until(lambda: any(each["held"] for each in listed("sessions/live")))
        (one,) = listed("sessions/live")
        assert {"model": "live-1", "input": 200, "output": 100, "held": COST, "format": "openai.realtime"}.items() <= (
            one.items()
        )
        (mine,) = listed("me/sessions/live")
        assert (mine["id"], mine["channel"], one["channel"]) == (one["id"], "", "live")
    until(lambda: not listed("sessions/live"))
    assert requests.get(f"{gateway.base}/api/v2/sessions/live", headers=bearer(gateway), timeout=9).status_code == 401


def test_a_browser_sends_its_key_as_a_subprotocol_and_names_are_mapped_both_ways(
    gateway: Gateway, talker: Talker, db: Database
) -> None:
    before = len(rows(db))
    offered: Any = ["realtime", f"openai-insecure-api-key.{gateway.key}", "openai-beta.realtime-v1"]
    with connect(address(gateway, "talk"), subprotocols=offered) as ws:
        assert ws.subprotocol == "realtime"
        assert until_type(ws, "session.created")["session"]["model"] == "talk"
        ws.send(json.dumps({"type": "session.update", "session": {"model": "talk", "voice": "x"}}))
        assert until_type(ws, "session.updated")["session"]["model"] == "talk"
        assert talker.events[-1]["session"]["model"] == "deployed"
        ws.send(b"\x00\x01")
        ws.send("no json")
        assert until_type(ws, "error")["error"]["code"] == "invalid_event"
        ws.send(json.dumps({"type": "response.create"}))
        until_type(ws, "response.done")
    request = talker.requests[-1]
    assert request.path.startswith("/openai/realtime?deployment=deployed&api-version=")
    assert request.headers["api-key"] == "up-key"
    assert gateway.key not in str(request.headers)
    assert talker.binary == [b"\x00\x01"]
    one_more(db, before)


def test_faults_before_the_upgrade_are_http_statuses(gateway: Gateway, talker: Talker, db: Database) -> None:
    for url, headers, status in (
        (address(gateway), {}, 401),
        (address(gateway), {"authorization": "Bearer sk-no"}, 401),
        (address(gateway, "nobody"), bearer(gateway), 404),
        (f"ws{gateway.base[4:]}/v1/realtime", bearer(gateway), 400),
    ):
        with pytest.raises(InvalidStatus) as refused:
            connect(url, additional_headers=headers)
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body)["error"]["message"]
    pages = {**bearer(gateway), "origin": "https://evil.example"}
    with pytest.raises(InvalidStatus) as refused:
        connect(address(gateway), additional_headers=pages)
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["error"]["code"] == "origin_not_allowed"
    with connect(address(gateway), additional_headers={**pages, "origin": "https://App.example"}) as ws:
        until_type(ws, "session.created")
    talker.refuse = 429
    with pytest.raises(InvalidStatus) as refused:
        connect(address(gateway), additional_headers=bearer(gateway))
    talker.refuse = 0
    assert refused.value.response.status_code == 429
    plain = requests.get(f"{gateway.base}/v1/realtime?model=live-1", headers=bearer(gateway), timeout=PATIENCE)
    assert (plain.status_code, plain.json()["error"]["code"]) == (400, "upgrade_required")


@pytest.mark.parametrize("model", ["live-1", "talk"])
@pytest.mark.parametrize(
    ("cut", "counted", "price"),
    [
        ("response.output_text.delta", 1600, 16),
        ("response.function_call_arguments.delta", 1600, 16),
        ("response.output_audio.delta", 2, 64),
    ],
)
def test_an_upstream_that_is_killed_is_told_and_its_client_connects_again(
    gateway: Gateway, db: Database, model: str, cut: str, counted: int, price: int
) -> None:
    """In the middle of a text, a call, a sound: what was told is charged, and the rest by its count."""
    before = len(rows(db))
    sdk = openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0)
    with sdk as client:
        with client.realtime.connect(model=model) as talk:
            talk.response.create()
            while talk.recv().type != "response.done":
                pass
            talk.send({"type": "x.break", "in": cut})  # type: ignore[arg-type]
            assert talk.recv().type == cut
            told: Any = talk.recv()
            assert (told.type, told.error.code) == ("error", "upstream_closed")
            with pytest.raises(ConnectionClosed) as closed:
                talk.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1011
        row = one_more(db, before)
        with client.realtime.connect(model=model) as talk:
            talk.response.create()
            while talk.recv().type != "response.done":
                pass
    again = one_more(db, before + 1)
    plain = model == "talk"  # its price knows no sound
    cost = (200 * 4 + 100 * 16) * 0.5 if plain else COST
    assert row[:3] == (cost + counted * (16 if plain else price) * 0.5, 200, 100 + counted)
    assert json.loads(row[3])["stream_status"]["end_reason"] == "cut"
    assert (again[0], json.loads(again[3])["usage_source"]) == (cost, "upstream")


def test_a_session_ends_when_nothing_is_left_and_says_so(gateway: Gateway, db: Database) -> None:
    """A key that may pay the next answer's hold and two answers more: after some it can't."""
    hold = 4096 * (4 + 16) * 0.5
    key = create_key(db, 1, "poor", quota=int(hold + 2.5 * COST)).key
    before = len(rows(db))
    with connect(address(gateway), additional_headers={"authorization": f"Bearer {key}"}) as ws:
        told: dict[str, Any] = {}
        while told.get("type") != "error":
            ws.send(json.dumps({"type": "response.create"}))
            while told.get("type") not in ("response.done", "error"):
                told = json.loads(ws.recv(timeout=PATIENCE))
            told = told if told["type"] == "error" else {}
        assert "quota" in told["error"]["message"]
        assert ended(ws)[0] == 1008
    row = one_more(db, before)
    assert 0 < row[0] <= hold + 2.5 * COST
    assert row[0] % COST == 0


def test_close_codes_pass_and_a_message_that_is_too_large_ends_it(gateway: Gateway, db: Database) -> None:
    with connect(address(gateway), additional_headers=bearer(gateway)) as ws:
        ws.send(json.dumps({"type": "x.close"}))
        assert ended(ws) == (4321, "enough")
    with connect(address(gateway), additional_headers=bearer(gateway), max_size=None) as ws:
        with suppress(ConnectionClosed):
            ws.send(b"x" * (17 * 1024 * 1024))
        assert ended(ws)[0] == 1009


def test_a_short_lived_key_opens_one_model_and_stands_in_no_log(gateway: Gateway, talker: Talker, db: Database) -> None:
    url = f"{gateway.base}/v1/realtime/client_secrets"
    body = {
        "session": {"type": "realtime", "model": "live-1"},
        "expires_after": {"anchor": "created_at", "seconds": 60},
    }
    told = requests.post(url, json=body, headers=bearer(gateway), timeout=PATIENCE).json()
    assert told["value"].startswith("ek_")
    assert told["session"] == body["session"]
    offered: Any = ["realtime", f"openai-insecure-api-key.{told['value']}"]
    with connect(address(gateway), subprotocols=offered) as ws:
        until_type(ws, "session.created")
    for model, key, status in (("talk", told["value"], 403), ("live-1", "ek_none", 401)):
        with pytest.raises(InvalidStatus) as refused:
            connect(address(gateway, model), additional_headers={"authorization": f"Bearer {key}"})
        assert refused.value.response.status_code == status
    assert requests.post(url, json={"session": {}}, headers=bearer(gateway), timeout=PATIENCE).status_code == 400
    assert requests.post(url, json=body, timeout=PATIENCE).status_code == 401
    beta = requests.post(
        f"{gateway.base}/v1/realtime/sessions", json={"model": "live-1"}, headers=bearer(gateway), timeout=10
    ).json()
    assert beta["client_secret"]["value"].startswith("ek_")
    assert told["value"] not in gateway.output


def test_what_a_session_has_used_is_charged_though_its_worker_is_killed(gateway: Gateway, db: Database) -> None:
    before = len(rows(db))
    with connect(address(gateway), additional_headers=bearer(gateway)) as ws:
        for _ in range(2):
            ws.send(json.dumps({"type": "response.create"}))
            until_type(ws, "response.done")
        os.kill(int(re.findall(r"Booting worker with pid: (\d+)", gateway.output)[-1]), signal.SIGKILL)
        assert ended(ws)[0] == 1006
    row = one_more(db, before)
    assert row[:3] == (2 * COST, 400, 200)
    assert json.loads(row[3])["stream_status"]["end_reason"] == "worker_died"
    gateway.ready()


def test_a_stopping_gateway_says_so_and_the_books_agree(gateway: Gateway, db: Database) -> None:
    before = len(rows(db))
    with connect(address(gateway), additional_headers=bearer(gateway)) as ws:
        until_type(ws, "session.created")
        ws.send(json.dumps({"type": "response.create"}))
        until_type(ws, "response.done")
        gateway.process.terminate()
        assert ended(ws)[0] == 1001
    gateway.process.wait(PATIENCE)
    assert one_more(db, before)[0] == COST
    assert proof.verify(db, db, gateway.data / "journal").differences == []
