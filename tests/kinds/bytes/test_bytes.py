"""A kind that only the tests know, behind real HTTP: keys, prices, retries and the ledger serve it as any other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import requests

from engine import paths
from engine.accounts.first_start import first_start
from engine.compiler.cache import load_or_compile
from engine.kinds import KINDS
from engine.program import load
from engine.server import building
from engine.settings import Settings
from engine.storage.database import open_database
from tests.kinds.bytes.kind import Bytes
from tests.relay.scripted import Upstream
from tests.support import PATIENCE

SPEC = """
apiVersion: gatewright/v1
kind: Format
metadata: {{name: test.bytes}}
extends: openai
spec:
  kind: x-bytes
  endpoints: [{{operation: generate, path: /v1/bytes, model: header.x-model, stream: false}}]
---
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: first}}
spec:
  baseUrl: {base}
  formats: {{test.bytes: {{path: /broken}}}}
  auth: {{scheme: none}}
  models: [m]
  price: [{{names: [m], tokens: {{input: 2.0, output: 2.0}}}}]
---
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: second}}
spec:
  baseUrl: {base}
  formats: {{test.bytes: {{path: /sound}}, openai.chat: {{path: /v1/chat/completions}}}}
  auth: {{scheme: none}}
  models: [m]
---
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: talks}}
spec:
  baseUrl: {base}
  formats: {{openai.chat: {{path: /v1/chat/completions}}}}
  auth: {{scheme: none}}
  models: [m]
"""
RAW = bytes(range(256)) * 4


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Site:
    """The application with one more kind, served on a port; ``entries`` are what calls put in the ledger."""

    def __init__(self, directory: Path, upstream: Upstream) -> None:
        settings = Settings(data=directory, egress_allow=(f"127.0.0.1:{upstream.port}",))
        own = directory / "specs"
        own.mkdir()
        (own / "own.yaml").write_text(SPEC.format(base=upstream.base))
        artefact, faults, _ = load_or_compile([paths.SPECS, own], directory / "cache")
        assert artefact is not None, faults
        db = open_database(settings)
        login = first_start(db)
        assert login is not None
        self.key = login.key
        db.close()
        parts, app = building.relay(settings, load(artefact), dict, (*KINDS, Bytes))
        assert isinstance(parts, building.WorkerParts)
        self.parts, self.entries = parts, list[Any]()
        put = parts.services.ledger.put
        parts.services.ledger.put = lambda entry: (self.entries.append(entry), put(entry))[1]  # type: ignore[method-assign]
        self._server = make_server("127.0.0.1", 0, app, handler_class=_Quiet)
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def post(self, body: bytes, **headers: str) -> requests.Response:
        """Send bytes with the first key."""
        sent = {"authorization": f"Bearer {self.key}", "content-type": "image/png", "x-model": "m", **headers}
        return requests.post(f"{self.base}/v1/bytes", data=body, headers=sent, timeout=PATIENCE)

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self.parts.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    server = Upstream()

    def script(say: Any) -> None:
        if say.arrived.path == "/broken":
            say.whole({"error": {"message": "not now"}}, 503)
        else:
            say.whole(say.arrived.body[::-1], kind="audio/ogg")

    server.script = script
    yield server
    server.close()


@pytest.fixture
def site(tmp_path: Path, upstream: Upstream) -> Iterator[Site]:
    made = Site(tmp_path, upstream)
    upstream.got.clear()
    yield made
    made.close()


def test_bytes_go_up_and_come_back_and_are_charged(site: Site, upstream: Upstream) -> None:
    answer = site.post(RAW)
    assert answer.content == RAW[::-1]
    assert answer.headers["content-type"] == "audio/ogg"
    assert upstream.got[-1].body == RAW
    assert upstream.got[-1].headers["content-type"] == "image/png"
    (entry,) = site.entries
    assert entry.row["prompt_tokens"] == entry.row["completion_tokens"] == entry.quota // 2 == len(RAW) // 4


def test_a_failed_attempt_is_followed_by_another_and_no_conversation_is_asked(site: Site, upstream: Upstream) -> None:
    for _ in range(10):
        assert site.post(RAW).status_code == 200
    assert {arrived.path for arrived in upstream.got} == {"/broken", "/sound"}
    assert sum(entry.quota for entry in site.entries) == 10 * 2 * (len(RAW) // 4)


def test_refusals_are_told_in_the_formats_own_dialect(site: Site) -> None:
    assert site.post(RAW, **{"x-model": ""}).json()["error"]["param"] == "x-model"
    assert site.post(RAW, authorization="Bearer sk-no").status_code == 401
    assert not [entry for entry in site.entries if entry.quota]
