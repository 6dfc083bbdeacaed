"""A gateway before the demo upstream, in a process of its own that writes down what arrives."""

from __future__ import annotations

import sys

import pytest

from tests.support import ROOT, Gateway, Running, free_port

MODELS = ("demo-openai", "demo-responses", "demo-claude", "demo-gemini")


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """Each call that reached the demo and its answer, as they went over the line: a file of JSON lines."""
    return tmp_path_factory.mktemp("demo") / "calls.jsonl"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, line):
    port = free_port()
    command = [sys.executable, str(ROOT / "deploy/demo"), "--port", str(port), "--pace", "1", "--log", str(line)]
    upstream = Running(command)
    shipped = (ROOT / "deploy/demo/specs").glob("*.yaml")
    running = Gateway(
        tmp_path_factory.mktemp("pairs"),
        specs={spec.name: spec.read_text().replace(":3999", f":{port}") for spec in shipped},
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{port}"},
    )
    try:
        upstream.wait_for("demo upstream on")
        yield running.ready()
    finally:
        running.stop()
        upstream.stop()
        assert "Traceback" not in running.output, running.output
