"""Two gateways behind a balancer on one database, replaced one after the other under load, the old version by this one:
no call fails, no stream is cut, and the books agree.

The old version is checked out beside (``older.py``).
"""

from __future__ import annotations

import http.server
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from engine.accounts.keys import create_key
from engine.accounts.users import create_user
from engine.ledger import proof
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.migrations import HEAD
from tests.databases import server_database
from tests.deploy.balancer import Balancer, lives
from tests.deploy.older import older
from tests.support import PATIENCE, ROOT, Running, compiled, free_port, until

PROVIDER = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: acme}
extends: openai-compatible
spec: {baseUrl: "BASE", models: [acme-1], auth: {scheme: none}}
"""
PRICE = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: acme}
spec: {models: [{names: [acme-1], tokens: {input: 1, output: 2}}]}
"""
EVENTS = 60


class Upstream(http.server.BaseHTTPRequestHandler):
    """A model: a short answer, or a stream of some seconds."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        if not body.get("stream"):
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
            data = json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for number in range(EVENTS):
            end = "stop" if number == EVENTS - 1 else None
            choice = {"index": 0, "delta": {"content": f"{number} "}, "finish_reason": end}
            self._event({"id": "1", "object": "chat.completion.chunk", "choices": [choice]})
            time.sleep(0.1)
        self._event({"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, value: object) -> None:
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def upstream() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What was landed last, or what ``GATEWRIGHT_OLD`` names; this one, where there is no history."""
    place = tmp_path_factory.mktemp("old") / "tree"
    with older(place, os.environ.get("GATEWRIGHT_OLD") or "HEAD^1") as tree:
        yield tree


class Member(Running):
    """One of the gateways: a version on a port with a data directory."""

    def __init__(self, tree: Path, data: Path, port: int, dsn: str, env: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "engine.cli", "serve", "--port", str(port), "--data", str(data)]
        shared = {"SESSION_SECRET": "the same for both of them", "GATEWRIGHT_EGRESS_ALLOW": "127.0.0.0/8"}
        env = {"SQL_DSN": dsn, **shared, **(env or {})}
        super().__init__([*command, "--bind", "127.0.0.1", "--workers", "1"], env, tree)
        self.port = port

    def ready(self) -> Member:
        def serves() -> bool:
            assert self.process.poll() is None, self.output
            return lives(self.port)

        until(serves, words=lambda: self.output)
        return self


class Load:
    """Callers who never stop; what went wrong, how many calls and streams there were."""

    def __init__(self, port: int, key: str) -> None:
        self.url = f"http://127.0.0.1:{port}/v1/chat/completions"
        self.headers = {"authorization": f"Bearer {key}"}
        self.over = threading.Event()
        self.failed: list[str] = []
        self.calls = self.streams = 0
        self.threads = [threading.Thread(target=one) for one in (self._short, self._short, self._long, self._long)]

    def _ask(self, stream: bool) -> str:
        body = {"model": "acme-1", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
        try:
            with requests.post(self.url, json=body, headers=self.headers, timeout=PATIENCE, stream=stream) as answer:
                text = answer.text
            if answer.status_code != 200:
                return f"{answer.status_code}: {text[:200]}"
            whole = text.rstrip().endswith("[DONE]") and f"{EVENTS - 1} " in text if stream else '"hi"' in text
            return "" if whole else f"cut: {text[-200:]}"
        except requests.RequestException as error:
            return repr(error)

    def _short(self) -> None:
        while not self.over.is_set():
            if wrong := self._ask(False):
                self.failed.append(wrong)
            self.calls += 1
            self.over.wait(0.05)

    def _long(self) -> None:
        while not self.over.is_set():
            if wrong := self._ask(True):
                self.failed.append(wrong)
            self.streams += 1

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def goes_back(old: Path) -> bool:
    """Whether the version of before knows this schema, or runs on a newer one (what came after 2026-11-29 does)."""
    text = (old / "engine" / "storage" / "migrations" / "__init__.py").read_text()
    return f'HEAD = "{HEAD}"' in text or "def newer" in text


@pytest.mark.parametrize(
    "kind", ["postgresql"] if not os.environ.get("GATEWRIGHT_NIGHTLY") else ["postgresql", "mysql"]
)
@pytest.mark.xdist_group("rolling")
def test_gateways_are_replaced_under_load_by_a_new_version_and_back(kind: str, old: Path, tmp_path: Path) -> None:
    with upstream() as base, server_database(kind, tmp_path) as settings, ExitStack() as stack:
        db = open_database(Settings(data=tmp_path / "none", sql_dsn=settings.sql_dsn)) if old == ROOT else None
        places = [tmp_path / "first", tmp_path / "second"]
        for data in places:
            (data / "specs").mkdir(parents=True)
            (data / "specs" / "acme.yaml").write_text(PROVIDER.replace("BASE", base) + "---" + PRICE)
            compiled(data)
        members = [Member(old, data, free_port(), settings.sql_dsn) for data in places[:1]]
        stack.callback(lambda: [member.stop(timeout=PATIENCE) for member in members])
        members[0].ready()
        members.append(Member(old, places[1], free_port(), settings.sql_dsn))
        members[1].ready()
        db = db or open_database(Settings(data=tmp_path / "none", sql_dsn=settings.sql_dsn), migrate=False)
        stack.callback(db.close)
        key = create_key(db, create_user(db, "payer", "a long password", quota=10**9), "k", quota=10**9)
        with Balancer([member.port for member in members]) as balancer, Load(balancer.port, key.key) as load:
            until(lambda: load.calls >= 5)
            for number, tree in ((0, ROOT), (1, ROOT), *([(0, old)] if goes_back(old) else [])):
                member = members[number]
                balancer.drain(member.port)
                time.sleep(0.2)
                assert member.stop(timeout=PATIENCE) == 0, member.output
                members[number] = Member(tree, places[number], member.port, settings.sql_dsn).ready()
                balancer.back(member.port)
        for member in members:
            assert member.stop(timeout=PATIENCE) == 0, member.output
        assert load.failed == []
        assert load.streams >= 4
        for data in places:
            result = proof.verify(db, db, data / "journal")
            assert (result.agrees, result.open) == (True, 0), result
        assert result.calls == load.calls + load.streams
        assert result.charged == 10 * (load.calls + load.streams)
