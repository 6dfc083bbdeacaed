"""What the log hides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from engine.server.logs import access_line, masked
from tests.relay import plain
from tests.relay.failing import Site
from tests.support import PATIENCE, until


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/v1/x?key=secret", "/v1/x?key=***"),
        ("/v1/x?alt=sse&key=secret&x=1", "/v1/x?alt=sse&key=***&x=1"),
        ("GET /x?KEY=secret HTTP/1.1", "GET /x?KEY=*** HTTP/1.1"),
        ("/x?api_key=secret", "/x?api_key=***"),
        ("/x?monkey=business", "/x?monkey=business"),
        ("/x", "/x"),
    ],
)
def test_keys_in_addresses_are_masked(text, shown):
    assert masked(text) == shown


KEY = "0123456789abcdefghijSECRET"


@pytest.mark.parametrize(
    "query",
    [
        f"?%6Bey={KEY}",
        f"?K%45Y={KEY}",
        f"?key[]={KEY}",
        f"?key%5B%5D={KEY}",
        f"?alt=sse;key={KEY}",
        f"?alt=sse&api-key={KEY}",
        f"?access_token={KEY}",
        f"?x-goog-api-key={KEY}",
        f"?%61pi%5Fkey={KEY}",
        f"?key={KEY}==&alt=sse",
        f"?key=a;{KEY}",
        f"?next=https%3A%2F%2Fhost%2Fx%3Fkey%3D{KEY}",
        f"?next=https://host/x?key={KEY}",
        f"%3Fkey={KEY}",
        f"/sk-{KEY}",
        f"?alt=sk-{KEY}",
        f"#token={KEY}",
    ],
)
def test_keys_are_masked_under_decoded_names(query):
    line = access_line({"REQUEST_METHOD": "POST", "RAW_URI": f"/v1/chat/completions{query}"}, "200 OK", 7, 0.0012)
    assert "SECRET" not in line
    assert "/v1/chat/completions" in line


@pytest.mark.parametrize(
    "query", ["?alt=sse&pageToken=", "?monkey=1&keys=2&tokens=3&limit=20", "?after=resp_1;order=asc"]
)
def test_what_is_no_key_stays(query):
    assert masked(f"/v1/models{query}") == f"/v1/models{query}"


def test_access_line_masks_too():
    line = access_line({"REMOTE_ADDR": "1.2.3.4", "REQUEST_METHOD": "GET", "RAW_URI": "/x?key=s"}, "200 OK", 7, 0.0012)
    assert line == "1.2.3.4 GET /x?key=*** 200 7 1.2ms"


def test_the_log_is_json_with_a_line_for_each_call_and_its_request_id(tmp_path: Path) -> None:
    site = Site(tmp_path, env={"GATEWRIGHT_LOG_JSON": "true"})
    try:
        site.play(lambda say: say.whole(plain.error("openai.chat", status=401), 401))
        replies = {reply.headers["x-request-id"]: reply.status_code for reply in (site.ask(), site.ask(model="none"))}
        requests.get(f"{site.gateway.base}/healthz?key=secret", timeout=PATIENCE)

        def lines() -> list[dict[str, object]]:
            return [json.loads(line) for line in site.gateway.output.splitlines() if line.startswith("{")]

        until(lambda: any(line.get("path") == "/healthz?key=***" for line in lines()), words=lines)
        told = {line["request_id"]: line for line in lines() if "request_id" in line}
        assert {name: line["status"] for name, line in told.items()} == replies
        assert set(replies.values()) == {200, 404}
        for line in lines():
            assert line["time"]
            assert line["level"] in ("debug", "info", "warning", "error")
        assert any("channel first" in str(line["message"]) and line["level"] == "warning" for line in lines())
        other = [line for line in site.gateway.output.splitlines() if "WARNING" in line or "INFO" in line]
        assert not other, "nothing is said in another form"
    finally:
        site.close()
