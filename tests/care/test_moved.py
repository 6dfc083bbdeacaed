"""A gateway is kept while it serves, restored elsewhere, and goes on there: by the commands that operators type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.databases import empty_database
from tests.deploy.test_rolling import PRICE, Member, upstream
from tests.support import PATIENCE, ROOT, compiled, free_port, until

SECRET = "what the operator keeps elsewhere"
VENDOR = "sk-vendor-of-the-operator"
PROVIDER = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: acme}
extends: openai-compatible
spec: {baseUrl: "BASE", models: [acme-1], credential: {secretRef: {file: acme.key}}}
"""


def command(env: dict[str, str], *words: str, ok: bool = True) -> str:
    """What a command says."""
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", *words], cwd=ROOT, env={**os.environ, **env}, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@contextmanager
def serving(env: dict[str, str]) -> Iterator[Member]:
    member = Member(ROOT, Path(env["GATEWRIGHT_DATA"]), free_port(), env["SQL_DSN"], env)
    try:
        yield member.ready()
    finally:
        assert member.stop(timeout=PATIENCE) == 0, member.output
    assert "Traceback" not in member.output, member.output


def ask(member: Member, key: str) -> int:
    body = {"model": "acme-1", "messages": [{"role": "user", "content": "hi"}]}
    url = f"http://127.0.0.1:{member.port}/v1/chat/completions"
    return requests.post(url, json=body, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE).status_code


@contextmanager
def callers(member: Member, key: str) -> Iterator[list[int]]:
    """Calls without a break; their status."""
    over, statuses = threading.Event(), []

    def calls() -> None:
        while not over.is_set():
            statuses.append(ask(member, key))

    threads = [threading.Thread(target=calls) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(statuses) >= 30, every=0.01)
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    ("source", "target"), [("sqlite", "mysql"), ("mysql", "postgresql"), ("postgresql", "sqlite")]
)  # fmt: skip
def test_kept_under_load_restored_elsewhere_and_the_next_call_is_served(
    source: str, target: str, tmp_path: Path
) -> None:
    with (
        upstream() as base,
        empty_database(source, tmp_path / "old") as old,
        empty_database(target, tmp_path / "new") as new,
    ):
        env, kept = {"CRYPTO_SECRET": SECRET}, str(tmp_path / "kept")
        here = {**env, "SQL_DSN": old.sql_dsn, "GATEWRIGHT_DATA": str(old.data)}
        there = {**env, "SQL_DSN": new.sql_dsn, "GATEWRIGHT_DATA": str(new.data)}
        for name, text in (("specs/acme.yaml", PROVIDER.replace("BASE", base)), ("specs/price.yaml", PRICE),
                           ("secrets/acme.key", VENDOR)):  # fmt: skip
            (old.data / name).parent.mkdir(parents=True, exist_ok=True)
            (old.data / name).write_text(text)
        compiled(old.data)
        with serving(here) as member:
            key = json.loads(command(here, "key", "create", "laptop", "--quota", "100000000", "--json"))["key"]
            with callers(member, key) as statuses:
                began = len(statuses)
                command(here, "backup", kept)
            assert set(statuses) == {200}
        assert not any(secret in path.read_bytes() for path in Path(kept).rglob("*") if path.is_file()
                       for secret in (VENDOR.encode(), key.encode()))  # fmt: skip
        told = command({**there, "CRYPTO_SECRET": ""}, "restore", kept, ok=False)
        assert "CRYPTO_SECRET is not set" in told
        assert not new.data.exists() or not any(new.data.iterdir())

        command(there, "restore", kept)
        compiled(new.data)
        with serving(there) as member:
            assert ask(member, key) == 200
        told = json.loads(command(there, "ledger", "verify", "--json"))
        assert (told["agrees"], told["waiting"]) == (True, 0)
        assert began < told["calls"] <= len(statuses) + 1
