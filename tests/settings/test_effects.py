"""Every setting has its effect with the shipped documents: the list of effects.py is whole, and here are the rest."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from sqlalchemy import select

from engine import paths, program
from engine.compiler import compile_set, read_set
from engine.compiler.documents.load import read
from engine.routing.channels import build
from engine.routing.upstream_profile import time_limits
from engine.server.building import WorkerParts
from engine.server.config import gunicorn_settings
from engine.settings import Settings, load, rows
from engine.storage.database import open_database
from engine.storage.tables import core
from engine.transport.faults import TransportError
from tests.relay.scripted import Say, Upstream
from tests.settings.effects import EFFECTS
from tests.support import PATIENCE, ROOT, Gateway, until
from tests.transport.conftest import OK, Peer
from tests.transport.conftest import Upstream as Raw
from tests.transport.test_tls import Authority, secured

TESTS = Path(__file__).resolve().parent.parent
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
ANSWER = {
    **CHUNK,
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "River stone."}, "finish_reason": "stop"}],
}


def test_each_setting_names_the_test_of_its_effect() -> None:
    assert sorted(EFFECTS) == sorted(row.name for row in rows())


@pytest.mark.parametrize("name", EFFECTS)
def test_the_test_of_an_effect_is_there(name: str) -> None:
    file, _, function = EFFECTS[name].partition("::")
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_shipped_policy_says_nothing_that_a_setting_says() -> None:
    (source,) = read(paths.SPECS / "policies" / "default.yaml")[0]
    policy = yaml.safe_load(source.text)["spec"]
    assert "limits" not in policy
    assert set(policy["timeouts"]) <= {"streamFirstByte"}  # no setting says that
    for folder in (paths.SPECS / "providers").glob("*.yaml"):
        assert "\n  timeouts:" not in folder.read_text("utf-8"), folder


def test_the_server_is_told_its_settings() -> None:
    chosen = Settings(bind="127.0.0.9", workers=3, debug=True, max_connections=7, max_requests=5, worker_timeout=9)
    told = gunicorn_settings(chosen)
    wanted = {"workers": 3, "loglevel": "debug", "worker_connections": 7, "max_requests": 5, "timeout": 9}
    assert told["bind"] == "127.0.0.9:3000"
    assert {name: told[name] for name in wanted} == wanted


# -- in process: a worker's parts


def compiled(*own: str) -> program.Program:
    sources, shared, _ = read_set([paths.SPECS])
    more = [dataclasses.replace(sources[0], name=f"own{i}.yaml", text=text, layer=1) for i, text in enumerate(own)]
    result = compile_set([*sources, *more], shared)
    assert result.artefact is not None, result.faults
    return program.load(result.artefact)


@pytest.fixture(scope="module")
def shipped() -> program.Program:
    return compiled()


@contextlib.contextmanager
def parts_of(data: Path, made: program.Program, **settings: Any) -> Iterator[WorkerParts]:
    chosen = Settings(data=data, egress_allow=("127.0.0.1",), fetch_allow=("127.0.0.1",), **settings)
    open_database(chosen).close()
    parts = WorkerParts(chosen, open_database(chosen, migrate=False), made, dict)
    try:
        yield parts
    finally:
        parts.close()


LIMITS: dict[str, Any] = {
    "connect_timeout": 3,
    "first_byte_timeout": 4,
    "streaming_timeout": 5,
    "relay_timeout": 6,
    "stream_scanner_max_buffer_mb": 7,
    "max_file_download_mb": 8,
}


def in_force(parts: WorkerParts, own: dict[str, float]) -> tuple[float, ...]:
    limits = time_limits(parts.current.snapshot.time_limits, own)
    snapshot = parts.current.snapshot
    sizes = (snapshot.stream_bytes / 1048576, snapshot.fetch.keywords["limit"] / 1048576)
    return (limits.connect, limits.first_byte, limits.idle, limits.total, *sizes)


def test_a_setting_holds_unless_the_operators_own_policy_or_a_provider_says_otherwise(
    tmp_path: Path, shipped: program.Program
) -> None:
    policy = "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: mine}\nspec:\n  timeouts: {firstByte: 40}\n"
    policy += "  limits: {mediaBytes: 1048576}\n"
    with parts_of(tmp_path, shipped, **LIMITS) as parts:
        assert in_force(parts, {}) == (3, 4, 5, 6, 7, 8)
        parts.swap(compiled(policy))
        assert in_force(parts, {}) == (3, 40, 5, 6, 7, 1)
        assert in_force(parts, {"firstByte": 400, "total": 60}) == (3, 400, 5, 60, 7, 1)


def test_defaults_are_those_of_the_table(tmp_path: Path, shipped: program.Program) -> None:
    with parts_of(tmp_path, shipped) as parts:
        assert in_force(parts, {}) == (10, 300, 300, 0, 64, 20)


def test_upstream_connections_are_kept_as_set(tmp_path: Path, shipped: program.Program) -> None:
    def say(peer: Peer) -> None:
        while peer.request() is not None:
            peer.say(OK)

    servers = [Raw(say) for _ in range(3)]
    try:
        kept = {"relay_max_idle_conns": 2, "relay_max_idle_conns_per_host": 1, "relay_idle_conn_timeout": 1}
        with parts_of(tmp_path, shipped, **kept) as parts:
            first, second = (parts.services.pool.send("GET", servers[0].url, []) for _ in range(2))
            first.read()
            second.read()
            assert parts.services.pool.idle() == 1
            for server in servers:
                parts.services.pool.send("GET", server.url, []).read()
            assert parts.services.pool.idle() == 2
            before = servers[2].connections
            time.sleep(1.2)
            parts.services.pool.send("GET", servers[2].url, []).read()
            assert servers[2].connections == before + 1
    finally:
        for server in servers:
            server.close()


def test_a_file_that_is_too_large_is_not_fetched(tmp_path: Path, shipped: program.Program) -> None:
    upstream = Upstream()
    upstream.script = lambda say: say.whole(b"x" * 1_100_000, kind="image/png")
    try:
        for megabytes, fetched in ((2, True), (1, False)):
            with parts_of(tmp_path / str(megabytes), shipped, max_file_download_mb=megabytes) as parts:
                said = parts.current.snapshot.fetch([f"{upstream.base}/a.png"]).popitem()[1]
                assert isinstance(said, tuple) is fetched
    finally:
        upstream.close()


def test_certificates_are_not_checked_only_where_that_is_asked_for_and_told(
    tmp_path: Path, shipped: program.Program
) -> None:
    (tmp_path / "a").mkdir()
    context: ssl.SSLContext = Authority(tmp_path / "a").server("good.test")

    def say(peer: Peer) -> None:
        peer.request()
        peer.say(OK)

    server = Raw(say, wrap=secured(context))
    try:
        url = f"https://127.0.0.1:{server.port}/"
        with parts_of(tmp_path / "1", shipped, tls_insecure_skip_verify=True) as parts:
            assert parts.services.pool.send("GET", url, []).read() == b"ok"
        with parts_of(tmp_path / "2", shipped) as parts, pytest.raises(TransportError) as caught:
            parts.services.pool.send("GET", url, [])
        assert caught.value.kind == "tls"
    finally:
        server.close()
    warnings = load({"TLS_INSECURE_SKIP_VERIFY": "true"}, directory=tmp_path).warnings
    assert len(warnings) == 1
    assert "NOT checked" in warnings[0]
    assert load({"TLS_INSECURE_SKIP_VERIFY": "false"}, directory=tmp_path).warnings == ()


@pytest.mark.parametrize("streamed", [True, False])
def test_pictures_are_measured_as_set(tmp_path: Path, shipped: program.Program, streamed: bool) -> None:
    for on, whole in ((True, False), (True, True), (False, True)):
        place = tmp_path / f"{on}{whole}"
        with parts_of(place, shipped, get_media_token=on, get_media_token_not_stream=whole) as parts:
            assert (streamed in parts.current.snapshot.counter._media) is (on and (streamed or whole))


def test_a_journal_waits_for_the_disk_where_that_is_asked_for(
    tmp_path: Path, shipped: program.Program, monkeypatch: Any
) -> None:
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda number: (synced.append(number), real(number))[1])
    for sync in (True, False):
        with parts_of(tmp_path / str(sync), shipped, journal_sync=sync) as parts:
            synced.clear()
            parts.services.ledger.journal.probe()
            assert bool(synced) is sync


def test_statements_that_take_long_are_told_without_their_values(tmp_path: Path, caplog: Any) -> None:
    for milliseconds in (1, 0):
        caplog.clear()
        db = open_database(Settings(data=tmp_path, sql_slow_threshold_ms=milliseconds))
        with caplog.at_level("WARNING"):
            db.run(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT max(i) FROM n",
                (),
            )
        db.close()
        assert ("RECURSIVE" in caplog.text) is (milliseconds == 1)


def test_streams_are_asked_for_usage_as_set(shipped: program.Program) -> None:
    own = compiled(PROVIDERS.replace("UPSTREAM", "http://127.0.0.1:9").replace("SECURE", "https://127.0.0.1:9"))
    for asks in (True, False):
        table = build(own, [], lambda reference, base_url: "k", asks_usage=asks).table
        assert {channel.asks_usage for channel in table.channels} == {asks}
    assert not shipped.channels


# -- through a gateway

PROVIDERS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: alder}
extends: openai-compatible
spec: {baseUrl: UPSTREAM, auth: {scheme: none}, models: [m]}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: mute}
extends: openai-compatible
spec: {baseUrl: SECURE, auth: {scheme: none}, models: [mute]}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: by-env}
extends: openai-compatible
spec: {baseUrl: UPSTREAM, models: [by-env], credential: {secretRef: {env: ACME_TOKEN}}}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: by-file}
extends: openai-compatible
spec: {baseUrl: UPSTREAM, models: [by-file], credential: {secretRef: {file: acme.key}}}
"""


def script(say: Say) -> None:
    """What the model's first message asks for: a late head, silence in a stream, a long event, or a plain answer."""
    body = say.arrived.json
    wish = body["messages"][0]["content"]
    if wish == "late head":
        time.sleep(20)
    if not body.get("stream"):
        say.whole(ANSWER)
        return
    say.head(200, "text/event-stream")
    for number, text in enumerate(("River ", "stone.")):
        if wish == "long event":
            text *= 300_000
        event = {**CHUNK, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        say.chunk(f"data: {json.dumps(event)}\n\n".encode())
        if number == 0 and wish == "silence":
            time.sleep(20)
    event = {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    say.chunk(f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode())
    say.end()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    made.script = script
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("effects")
    mute = Raw(lambda peer: peer.gone_within(30))
    (data / "keys").mkdir()
    (data / "keys" / "acme.key").write_text("file-key\n")
    (data / ".env").write_text("TZ=Asia/Kathmandu\nSTREAMING_TIMEOUT=4\n")
    env = {
        "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port},127.0.0.1:{mute.port}",
        "GATEWRIGHT_FIRST_BYTE_TIMEOUT": "4",
        "GATEWRIGHT_CONNECT_TIMEOUT": "4",
        "STREAM_SCANNER_MAX_BUFFER_MB": "1",
        "FORCE_STREAM_OPTION": "false",
        "CountToken": "false",
        "ERROR_LOG_ENABLED": "true",
        "GATEWRIGHT_ACCESS_LOG": "true",
        "TRUSTED_PROXIES": "none",
        "GATEWRIGHT_SECRET_ENV": "ACME_TOKEN",
        "ACME_TOKEN": "env-key",
        "GATEWRIGHT_SECRET_DIR": str(data / "keys"),
        "GATEWRIGHT_MAX_REQUESTS": "60",
        "PATH": os.environ["PATH"],
    }
    specs = PROVIDERS.replace("UPSTREAM", upstream.base).replace("SECURE", f"https://127.0.0.1:{mute.port}")
    made = Gateway(data, specs={"own.yaml": specs}, env=env, cwd=data)
    try:
        yield made.ready()
    finally:
        made.stop()
        mute.close()
        assert "Traceback" not in made.output, made.output


def ask(gateway: Gateway, wish: str = "hi", model: str = "m", **more: Any) -> requests.Response:
    body = {"model": model, "messages": [{"role": "user", "content": wish}], **more}
    return gateway.post("/v1/chat/completions", body)


@pytest.mark.parametrize(
    ("wish", "model", "stream", "status"),
    [("late head", "m", False, 504), ("silence", "m", True, 200), ("hi", "mute", False, 503)],
)
def test_time_limits_hold_with_the_shipped_documents(
    gateway: Gateway, wish: str, model: str, stream: bool, status: int
) -> None:
    answer = ask(gateway, wish, model, stream=stream)
    assert answer.status_code == status
    assert "error" in answer.text
    assert "stone" not in answer.text


def test_the_whole_calls_limit_holds(tmp_path: Path, upstream: Upstream) -> None:
    specs = PROVIDERS.replace("UPSTREAM", upstream.base).replace("SECURE", "https://127.0.0.1:9")
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}", "RELAY_TIMEOUT": "4"}
    gateway = Gateway(tmp_path, specs={"own.yaml": specs}, env=env)
    try:
        assert ask(gateway.ready(), "late head").status_code == 504
        assert "stone" not in ask(gateway, "silence", stream=True).text
    finally:
        gateway.stop()


def test_an_event_that_is_too_long_ends_the_stream(gateway: Gateway) -> None:
    answer = ask(gateway, "long event", stream=True)
    assert answer.status_code != 200 or "error" in answer.text[-2000:]
    assert "[DONE]" not in answer.text


def logged(gateway: Gateway, **wanted: Any) -> list[Any]:
    db = open_database(Settings(data=gateway.data), migrate=False)
    try:
        row = core.logs.c
        with db.read() as connection:
            chosen = select(core.logs).where(*(row[name] == value for name, value in wanted.items()))
            return list(connection.execute(chosen.order_by(row.id)).mappings())
    finally:
        db.close()


def test_usage_is_asked_for_and_counted_only_where_that_is_wished(gateway: Gateway, upstream: Upstream) -> None:
    answer = ask(gateway, stream=True)
    assert "stone" in answer.text
    assert "stream_options" not in upstream.got[-1].json
    ask(gateway, stream=True, stream_options={"include_usage": True})
    assert upstream.got[-1].json["stream_options"] == {"include_usage": True}
    request_id = answer.headers["x-request-id"]
    found = until(lambda: logged(gateway, request_id=request_id))
    assert [row["prompt_tokens"] for row in found] == [0]


def test_secrets_are_read_where_the_operator_opened_them(gateway: Gateway, upstream: Upstream) -> None:
    for model in ("by-env", "by-file"):
        assert ask(gateway, model=model).status_code == 200
        assert upstream.got[-1].headers["authorization"] == f"Bearer {model[3:]}-key"


def test_who_is_no_trusted_proxy_can_not_name_an_address(gateway: Gateway) -> None:
    url, body = gateway.base + "/v1/chat/completions", {"model": "m", "messages": []}
    answer = requests.post(url, json=body, headers={"x-forwarded-for": "203.0.113.9"}, timeout=PATIENCE)
    assert answer.status_code == 401
    found = until(lambda: logged(gateway, request_id=answer.headers["x-request-id"]))
    assert [row["ip"] for row in found] == ["127.0.0.1"]


def test_answers_are_logged_where_that_is_asked_for(gateway: Gateway) -> None:
    ask(gateway)
    gateway.wait_for(r"POST /v1/chat/completions")


def test_days_begin_in_the_zone_of_the_env_file(gateway: Gateway) -> None:
    command = [sys.executable, "-m", "engine.cli", "budget"]
    env = {**os.environ, "GATEWRIGHT_DATA": str(gateway.data), "PYTHONPATH": str(ROOT)}
    run = {"cwd": gateway.data, "env": env, "check": True, "capture_output": True, "text": True}
    subprocess.run([*command, "set", "--user", "root", "--period", "day", "--tokens", "1"], **run)  # type: ignore[call-overload]
    listed = subprocess.run([*command, "list", "--json"], **run)  # type: ignore[call-overload]
    (one,) = json.loads(listed.stdout)
    assert one["resets"] % 86400 == 86400 - (5 * 3600 + 45 * 60)
    ask(gateway)
    (answer,) = until(lambda: [answer] if (answer := ask(gateway)).status_code != 200 else [])
    left = (one["resets"] - time.time()) % 86400
    assert abs(int(answer.headers["retry-after"]) - left) < 30


def test_a_worker_is_replaced_after_its_requests(gateway: Gateway) -> None:
    for _ in range(70):
        requests.get(gateway.base + "/healthz", timeout=PATIENCE)
    gateway.wait_for(r"has served its \d+ requests and is replaced")
