"""Files that a request names by address, for a provider that takes only content."""

from __future__ import annotations

import base64
import threading

import requests

from tests.relay.rich import PNG

ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "seen"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
}


def test_files_are_fetched_together_and_go_up_as_content(gateway, one, two):
    together = threading.Barrier(3)

    def picture(say):
        together.wait(10)  # none is answered before all were asked for
        say.whole(base64.b64decode(PNG), kind="image/png")

    one.script, two.script = (lambda say: say.whole(ANSWER)), picture
    content = [{"type": "image_url", "image_url": {"url": f"{two.base}/{number}.png"}} for number in range(3)]
    body = {"model": "gemini-model", "messages": [{"role": "user", "content": content}]}
    headers = {"authorization": f"Bearer {gateway.key}"}
    answer = requests.post(f"{gateway.base}/v1/chat/completions", json=body, headers=headers, timeout=20)
    assert answer.json()["choices"][0]["message"]["content"] == "seen"
    parts = one.got[-1].json["contents"][0]["parts"]
    assert [part["inlineData"] for part in parts] == [{"mimeType": "image/png", "data": PNG}] * 3
