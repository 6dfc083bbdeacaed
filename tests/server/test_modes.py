"""Whatever the product writes below its data directory is for its owner alone."""

from __future__ import annotations

import os

import pytest

from tests.relay.conftest import provider
from tests.relay.scripted import Upstream
from tests.support import Gateway, until


@pytest.fixture(params=[0o022, 0o000])
def loose(request):
    """A umask under which files would be open to others."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_after_traffic_no_file_is_open_to_others(tmp_path, loose) -> None:
    upstream, data = Upstream(), tmp_path / "data"
    secret = data / "secrets" / "upstream.key"
    secret.parent.mkdir(parents=True, mode=0o700)
    secret.write_text("sk-upstream-0123456789")
    data.chmod(0o700)
    secret.chmod(0o600)
    more = "  credential: {secretRef: {file: upstream.key}}\n"
    text = provider("p", upstream.base, "openai.chat", "m", more=more).replace("scheme: none", "scheme: bearer")
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}", "ERROR_LOG_ENABLED": "true"}
    gateway = Gateway(data, env=env).ready()
    try:
        (data / "specs").chmod(0o700)
        gateway.write_spec("p.yaml", text)
        body = {"id": "c", "object": "chat.completion", "model": "m", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        ], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}  # fmt: skip
        upstream.script = lambda say: say.whole(body)
        asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        until(lambda: gateway.post("/v1/chat/completions", asked).ok, words=lambda: gateway.output)
        assert (data / "secret-hosts.json").is_file()
    finally:
        gateway.stop()
        upstream.close()
    ours = [
        path for path in data.rglob("*") if path.name not in ("p.yaml", "unpriced.yaml", "breaker.yaml")
    ]  # the test wrote these
    assert len(ours) > 8
    assert not [f"{path}: {path.stat().st_mode:o}" for path in ours if path.stat().st_mode & 0o077]


def test_a_data_directory_that_is_made_is_closed_and_so_is_the_way_to_it(tmp_path, loose) -> None:
    data = tmp_path / "a" / "data"
    running = Gateway(data)
    try:
        running.ready()
        assert (data / "first.key").stat().st_mode & 0o077 == 0
        assert (data / "first.login").stat().st_mode & 0o077 == 0
        password = (data / "first.login").read_text().split()[1]
        assert password not in running.output
        assert running.key not in running.output
    finally:
        running.stop()
