"""The table of what a gateway understands: of ours all of it; of one that answers nonsense each cell is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from engine.care.conformance import FEATURES
from tests.relay.scripted import Say, Upstream
from tests.support import ROOT, Gateway

PROVIDERS = ("openai", "responses", "claude", "gemini")


def ask(url: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine.cli", "conformance", url, "--key", *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_ours_understands_all_of_it(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, demo=True)
    try:
        gateway.ready()
        pairs = [word for name in PROVIDERS for word in ("--model", f"demo-{name}")]
        table = ask(gateway.base, gateway.key, *pairs)
        assert table.returncode == 0, table.stdout + table.stderr
        count = 4 * len(PROVIDERS) * len(FEATURES)
        assert (table.stdout.count("yes"), f"{count} of {count}" in table.stdout) == (count, True)
        refused = json.loads(ask(gateway.base, "sk-nobody", "--model", "demo", "--json").stdout)
        assert [check["wrong"][:10] for check in refused["checks"]] == ["status 401"] * 4 * len(FEATURES)
    finally:
        gateway.stop()


def test_what_differs_is_told_and_no_gateway_is_said() -> None:
    def answer(say: Say) -> None:
        if say.arrived.method == "GET":
            say.whole({"data": [{"id": "m"}]})
        else:
            say.whole(
                {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "object": "chat.completion"}
            )

    upstream = Upstream()
    upstream.script = answer
    try:
        told = ask(upstream.base, "sk-1")
        assert told.returncode == 1
        assert told.stdout.count("yes") == 3  # Chat Completions whole, with a tool's result, and with a picture
        assert "m: Chat Completions, stream: the stream does not end with [DONE]" in told.stdout
        assert "Chat Completions, usage: usage.prompt_tokens is not there, expected count" in told.stdout
        assert "Messages, errors: status 200" in told.stdout
    finally:
        upstream.close()
    away = ask("http://127.0.0.1:9", "sk-1")
    assert (away.returncode, "no answer" in away.stderr, "Traceback" in away.stderr) == (1, True, False)
    away = ask("http://127.0.0.1:9", "sk-1", "--model", "m")
    assert (away.returncode, "no answer" in away.stderr, away.stdout) == (1, True, "")
    assert "is no address" in ask("gateway.example", "sk-1").stderr
