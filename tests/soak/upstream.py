"""An upstream that counts what it produced, by the number that each request carries; in threads of this process.

A request's last message says what shall happen: ``n=17 whole``, ``stream``, ``leave`` (a stream that is slow enough to
be left), ``retry`` (the first channel fails), ``fail`` (every channel fails). Output is ``n`` tokens, input 10.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

from tests.relay.scripted import Say, Upstream

INPUT = 10
HOLD = threading.Event()
HOLD.set()
WORDS = 12


class CountingUpstream(Upstream):
    """``produced[n]`` counts the answers that were told to their end."""

    def __init__(self) -> None:
        super().__init__()
        self.produced: Counter[int] = Counter()
        self.hold = threading.Event()
        self.hold.set()
        self.waiting = 0
        self._lock = threading.Lock()
        self.script = self._answer

    def _answer(self, say: Say) -> None:
        body = say.arrived.json
        self.got.clear()
        word, mode = body["messages"][-1]["content"].split()[:2]
        number = int(word.removeprefix("n="))
        with self._lock:
            self.waiting += 1
        self.hold.wait(60)
        if mode == "fail" or (mode == "retry" and say.arrived.path.startswith("/a")):
            say.whole({"error": {"message": "no room", "type": "server_error"}}, 503)
            return
        name = {"x_request_id": f"n{number}"}
        if body.get("stream"):
            self._stream(say, number, mode, name)
        else:
            message = {"role": "assistant", "content": "word " * WORDS}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            say.whole(
                {"id": f"c{number}", "object": "chat.completion", "created": 1, "model": body["model"],
                 "choices": [choice], "usage": usage(number)}, **name
            )  # fmt: skip
        with self._lock:
            self.produced[number] += 1

    def _stream(self, say: Say, number: int, mode: str, name: dict[str, str]) -> None:
        say.head(200, "text/event-stream", **name)
        base = {"id": f"c{number}", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        for _ in range(WORDS):
            choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
            say.chunk(event({**base, "choices": [choice]}))
            if mode == "leave":
                time.sleep(0.05)
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        last = event({**base, "choices": [choice]}) + event({**base, "choices": [], "usage": usage(number)})
        say.chunk(last + b"data: [DONE]\n\n")
        say.end()


def usage(number: int) -> dict[str, int]:
    """What the upstream says that an answer cost."""
    return {"prompt_tokens": INPUT, "completion_tokens": number, "total_tokens": INPUT + number}


def event(data: dict[str, object]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(data).encode() + b"\n\n"
