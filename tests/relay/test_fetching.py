"""Files that a request names by address, for a provider that takes only content."""

from __future__ import annotations

import base64
import threading

import pytest
import requests

from tests.relay.rich import PNG
from tests.support import PATIENCE

ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "seen"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
}


def test_files_are_fetched_together_and_go_up_as_content(gateway, one, two):
    together = threading.Barrier(3)

    def picture(say):
        together.wait(PATIENCE)  # none is answered before all were asked for
        say.whole(base64.b64decode(PNG), kind="image/png")

    one.script, two.script = (lambda say: say.whole(ANSWER)), picture
    content = [{"type": "image_url", "image_url": {"url": f"{two.base}/{number}.png"}} for number in range(3)]
    body = {"model": "gemini-model", "messages": [{"role": "user", "content": content}]}
    headers = {"authorization": f"Bearer {gateway.key}"}
    answer = requests.post(f"{gateway.base}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE)
    assert answer.json()["choices"][0]["message"]["content"] == "seen"
    parts = one.got[-1].json["contents"][0]["parts"]
    assert [part["inlineData"] for part in parts] == [{"mimeType": "image/png", "data": PNG}] * 3


def _asked(gateway, path, body):
    headers = {"authorization": f"Bearer {gateway.key}"}
    return requests.post(f"{gateway.base}{path}", json=body, headers=headers, timeout=PATIENCE)


def _document(url):
    part = {"type": "document", "source": {"type": "url", "url": url}}
    return "/v1/messages", {"max_tokens": 5, "messages": [{"role": "user", "content": [part]}]}


def _video(url):
    part = {"type": "video_url", "video_url": {"url": url}}
    return "/v1/chat/completions", {"messages": [{"role": "user", "content": [part]}]}


def _picture(url):
    part = {"type": "image_url", "image_url": {"url": url}}
    return "/v1/chat/completions", {"messages": [{"role": "user", "content": [part]}]}


def _file(url):
    part = {"type": "input_file", "file_url": url, "filename": "a.txt"}
    return "/v1/responses", {"input": [{"type": "message", "role": "user", "content": [part]}]}


def _counted(url):
    part = {"type": "image", "source": {"type": "url", "url": url}}
    return "/v1/messages/count_tokens", {"messages": [{"role": "user", "content": [part]}]}


WAYS = (_document, _video, _picture, _file)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["text/plain", "image/png", "application/x-inner"])
def test_what_is_open_to_upstreams_is_not_open_to_callers(gateway, one, way, kind) -> None:
    one.script = lambda say: say.whole(b"INNER-WORDS", kind=kind)
    path, body = way(f"{one.base}/inner")
    answer = _asked(gateway, path, {"model": "gemini-model", **body})
    assert answer.status_code == 400
    assert not one.got
    assert kind not in answer.text
    assert "ALLOW" not in answer.text


@pytest.mark.parametrize("way", WAYS)
def test_a_redirect_does_not_lead_in(gateway, one, two, way) -> None:
    two.script = lambda say: say.whole(b"", status=302, location=f"{one.base}/inner")
    path, body = way(f"{two.base}/outer")
    answer = _asked(gateway, path, {"model": "gemini-model", **body})
    assert answer.status_code == 400
    assert len(two.got) == 1
    assert not one.got
    assert str(one.port) not in answer.text


def test_counting_does_not_fetch_from_inside(gateway, one) -> None:
    path, body = _counted(f"{one.base}/inner.png")
    _asked(gateway, path, {"model": "gpt-4o", **body})
    _asked(gateway, path, {"model": "gemini-model", **body})
    assert not [each for each in one.got if each.path == "/inner.png"]


def test_names_of_inner_places_are_not_told_apart_from_unknown_ones(gateway) -> None:
    """A name that leads inside and one that nobody knows: the same words, so that nobody can try out names."""
    told = []
    for host in ("localhost", "no-such-name.invalid", "127.0.0.1:1", "169.254.169.254"):
        path, body = _picture(f"http://{host}/x")
        answer = _asked(gateway, path, {"model": "gemini-model", **body})
        told.append((answer.status_code, answer.json()["error"]["message"].replace(host, "HOST")))
    assert set(told) == {told[0]}
    assert told[0][0] == 400
