"""An upstream that fails, and keeps its own account of what it would bill for each attempt.

A prompt says what shall happen (``n=000017 cut told``). Of the first channel: ``status``, ``close``, ``first`` (an
error as the first event), ``half`` (half of an event), and the second answers; ``fail``: both refuse. Inside a stream,
after SPOKEN words: ``error``, ``cut``, ``garbage``, ``silent``. ``early``, ``leave`` and ``last`` are calls that are
left; ``told``: each event tells the usage so far, as some servers do.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tests.relay.scripted import Say, Upstream
from tests.soak.upstream import INPUT, WORDS, event, usage

SPOKEN = 6
"""Words before a stream fails."""
PER_WORD = 3
"""Tokens of a word in the usage that is told as it goes: more than are counted here, for the larger one is charged."""
EARLY = 3.0
"""Seconds until the head of an answer whose caller leaves before, early enough that a worker out of breath sees it."""
BEFORE = ("status", "close", "first", "half")
INSIDE = ("error", "cut", "garbage", "silent")
ERROR = event({"error": {"message": "All servers are busy", "type": "server_error", "code": 503}})


@dataclass(frozen=True)
class Attempt:
    """What the upstream counts for one attempt: tokens in and out; ``whole`` if it came to its end."""

    channel: str
    input: int
    output: int
    whole: bool
    words: int = 0
    """Words that were sent; the tokens out of a whole answer are its number, whatever its words."""


class FailingUpstream(Upstream):
    """``attempts[n]`` is the account of call ``n``; ``told(n)`` whether its usage was told as it went."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts: dict[int, list[Attempt]] = defaultdict(list)
        self._lock = threading.Lock()
        self.script = self._answer

    def _answer(self, say: Say) -> None:
        body = say.arrived.json
        self.got.clear()
        word, mode, *more = body["messages"][-1]["content"].split()
        number, channel = int(word.removeprefix("n=")), say.arrived.path.split("/")[1]
        sent = Sent(say, number, bool(more))
        try:
            if mode == "fail" or (mode in BEFORE and channel == "a"):
                self._before(sent, "status" if mode == "fail" else mode)
            elif body.get("stream"):
                self._stream(sent, mode)
            else:
                sent.whole_body(body["model"])
        finally:
            output = number if sent.ended else sent.words
            with self._lock:
                self.attempts[number].append(
                    Attempt(channel, INPUT if sent.worked else 0, output, sent.ended, sent.words)
                )

    @staticmethod
    def _before(sent: Sent, mode: str) -> None:
        """An attempt that fails before it says a word."""
        say = sent.say
        if mode == "status":
            say.whole({"error": {"message": "no room", "type": "server_error"}}, 503)
        elif mode == "first":
            say.events(ERROR)
        elif mode == "half":
            say.head(200, "text/event-stream")
            say.chunk(b'data: {"id": "c1", "cho')
            raise OSError("closed")
        else:
            raise OSError("closed")

    @staticmethod
    def _stream(sent: Sent, mode: str) -> None:
        sent.worked = True
        if mode == "early":
            time.sleep(EARLY)
        sent.head()
        for number in range(WORDS):
            if mode in INSIDE and number == SPOKEN:
                time.sleep(0.1)  # the words are the caller's by now
                sent.break_off(mode)
                return
            sent.word()
            if mode in ("leave", "last"):
                time.sleep(0.05)
        sent.finish(pause=0.3 if mode == "last" else 0.0)


class Sent:
    """One answer as it goes out."""

    def __init__(self, say: Say, number: int, told: bool) -> None:
        self.say, self.number, self.told = say, number, told
        self.words, self.ended, self.worked = 0, False, False
        self._base: dict[str, Any] = {"id": f"c{number}", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def whole_body(self, model: str) -> None:
        """An answer that comes whole."""
        self.worked = True
        message = {"role": "assistant", "content": "word " * WORDS}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.say.whole(
            {"id": f"c{self.number}", "object": "chat.completion", "created": 1, "model": model, "choices": [choice],
             "usage": usage(self.number)}, x_request_id=f"n{self.number}"
        )  # fmt: skip
        self.ended = True

    def head(self) -> None:
        """A stream's head."""
        self.say.head(200, "text/event-stream", x_request_id=f"n{self.number}")

    def word(self) -> None:
        """One word, with the usage so far if that is told."""
        choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
        so_far = {"usage": usage(PER_WORD * (self.words + 1))} if self.told else {}
        self.say.chunk(event({**self._base, "choices": [choice], **so_far}))
        self.words += 1

    def break_off(self, mode: str) -> None:
        """What comes in the place of the rest."""
        if mode == "error":
            self.say.chunk(ERROR)
            self.say.end()
        elif mode == "garbage":
            self.say.chunk(b'data: {"id": "c1", "choices": [{"delta": {"con\n\n')
            raise OSError("closed")
        elif mode == "silent":
            self.say.wait_until_left(30)
            raise OSError("left")
        else:
            raise OSError("closed")

    def finish(self, pause: float) -> None:
        """The finish, and then the usage."""
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        self.say.chunk(event({**self._base, "choices": [choice]}))
        time.sleep(pause)
        self.say.chunk(event({**self._base, "choices": [], "usage": usage(self.number)}) + b"data: [DONE]\n\n")
        self.say.end()
        self.ended = True
