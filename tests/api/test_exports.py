"""What scripts read of a running gateway: the health of its channels, and log and ledger as files in three forms."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pyarrow import parquet
from sqlalchemy import insert

from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.tables import core
from tests.relay import plain
from tests.relay.scripted import Say, Upstream
from tests.support import PATIENCE, Gateway, until

ON, OFF, BY_ITSELF = 1, 2, 3
BREAKER = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: tests-breaker}
spec: {breaker: {failures: 1, coolDown: 600}}
"""
DOCUMENT = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: declared}
extends: openai-compatible
spec: {baseUrl: BASE, models: [declared], auth: {scheme: none}}
"""
WHY = json.dumps({"status_reason": "no such key"})
CHANNELS: dict[str, dict[str, Any]] = {
    "well": {"models": "m"},
    "dead": {"models": "dead"},
    "by-hand": {"models": "m", "status": OFF},
    "by-itself": {"models": "m", "status": BY_ITSELF, "other_info": WHY},
    "unknown": {"models": "m", "type": 9999},
    "several": {
        "models": "several",
        "key": "k-dead\nk-well",
        "channel_info": {"is_multi_key": True, "multi_key_size": 2, "multi_key_mode": "polling"},
    },
}


class Asking:
    """Root at a gateway with these channels."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.headers = gateway.root()

    def __call__(self, path: str) -> requests.Response:
        return requests.get(f"{self.gateway.base}/api/v2{path}", headers=self.headers, timeout=PATIENCE)

    def call(self, model: str) -> int:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        return self.gateway.post("/v1/chat/completions", body).status_code


def answered(say: Say) -> None:
    if "dead" in say.arrived.headers.get("authorization", ""):
        say.whole(plain.error("openai.chat", status=401), 401)
    else:
        say.whole(plain.whole("openai.chat", "ok"))


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    upstream, data = Upstream(), tmp_path_factory.mktemp("exports")
    upstream.script = answered
    db = open_database(Settings(data=data))
    for number, (name, row) in enumerate(CHANNELS.items(), 1):
        usual = {"type": 1, "status": ON, "key": f"k-{name}", "group": "default", "base_url": upstream.base}
        values = {**usual, "id": number, "name": name, **row}
        db.write(lambda c, values=values: c.execute(insert(core.channels).values(**values)).rowcount)
    db.close()
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"}
    gateway = Gateway(data, specs={"declared.yaml": DOCUMENT.replace("BASE", f"{upstream.base}/v1")}, env=env)
    gateway.write_spec("breaker.yaml", BREAKER)
    try:
        yield Asking(gateway.ready())
    finally:
        gateway.stop()
        upstream.close()
    assert "Traceback" not in gateway.output, gateway.output


def test_each_channel_says_whether_it_is_asked_and_why_not(ask: Asking) -> None:
    assert [ask.call(model) for model in ("m", "declared")] == [200, 200]
    assert ask.call("dead") >= 400
    assert [ask.call("several") for _ in range(3)][1:] == [200, 200]  # a key that failed is not asked again
    before, later = int(time.time()), int(time.time()) + 900
    requests.post(
        f"{ask.gateway.base}/api/v2/channels/1/aside", json={"until": later}, headers=ask.headers, timeout=PATIENCE
    )

    def health() -> dict[str, Any]:
        return {row["name"]: row for row in ask("/channels/health").json()["items"]}

    until(lambda: health()["well"]["state"] == "aside")
    rows = health()
    states = {name: row["state"] for name, row in rows.items()}
    assert states == {
        "declared": "serving",
        "well": "aside",
        "dead": "aside",
        "by-hand": "disabled",
        "by-itself": "auto_disabled",
        "unknown": "left_out",
        "several": "serving",
    }
    assert (rows["declared"]["id"], rows["well"]["until"], rows["several"]["until"]) == (0, later, 0)
    assert before + 500 < rows["dead"]["until"] < before + 1000
    assert "breaker" in rows["dead"]["reason"]
    assert "operator" in rows["well"]["reason"]
    assert (rows["by-itself"]["reason"], "readyz" in rows["unknown"]["reason"]) == ("no such key", True)
    assert (rows["several"]["keys"], rows["several"]["keys_aside"]) == (2, 1)
    assert requests.get(f"{ask.gateway.base}/api/v2/channels/health", timeout=PATIENCE).status_code == 401


@pytest.mark.parametrize("what", ["ledger", "logs"])
def test_the_three_forms_of_a_file_say_the_same(ask: Asking, what: str) -> None:
    assert ask.call("declared") == 200
    until(lambda: ask("/ledger/export?format=jsonl").text)
    rows = [json.loads(line) for line in ask(f"/{what}/export?format=jsonl").text.splitlines()]
    assert rows
    table = parquet.read_table(io.BytesIO(ask(f"/{what}/export?format=parquet").content))
    read = table.to_pylist()
    for row in rows:
        for name, value in row.items():
            row[name] = json.dumps(value, separators=(",", ":")) if isinstance(value, dict | list) else value
    ids = [row["request_id"] for row in rows]
    newest = read[-len(rows) :]  # what was logged since stands before them
    assert newest == rows
    assert {"int64", "string", "bool"} == {str(field.type) for field in table.schema}
    lines = list(csv.DictReader(io.StringIO(ask(f"/{what}/export").text)))
    assert [line["request_id"] for line in lines][-len(ids) :] == ids
    refused = ask(f"/{what}/export?format=xlsx")
    assert (refused.status_code, refused.json()["field"]) == (400, "format")
