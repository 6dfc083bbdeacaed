"""The table of faults of upstreams: what each does, and what a caller may have of it.

``FAULTS`` are 48, by name. ``play`` answers as the fault does; ``whole`` and ``stream`` are what is right with one
channel, ``elsewhere`` whether a second channel's answer is due. Outcomes: ANSWER (all words, no error), ERROR (no word,
an error of the SDK's own class with one of the statuses), PART (words, then such an error).
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.relay import plain
from tests.relay.scripted import Say
from tests.support import PATIENCE

WORDS = tuple(f"a{number} " for number in range(20))
USED = (100, 40)
SECRET = "up-secret-of-the-channel"
ANSWER, ERROR, PART = "answer", "error", "part"
SERVER = frozenset(range(500, 600))
Play = Callable[[Say, str, bool], None]


@dataclass(frozen=True)
class Fault:
    """See the module. ``place`` is where a connection goes that never becomes one: refused, silent, self-signed."""

    name: str
    play: Play | None = None
    whole: frozenset[str] = frozenset({ERROR})
    stream: frozenset[str] = frozenset({ERROR})
    statuses: frozenset[int] = SERVER
    elsewhere: bool = True
    place: str = ""
    hollow: bool = False
    """Its answer says nothing, and is right only where there is no other channel."""


def _events(fmt: str) -> list[bytes]:
    return [plain.wire(event) for event in plain.events(fmt, WORDS, USED)]


def _begin(fmt: str) -> list[bytes]:
    """The events until the tenth word."""
    return [plain.wire(event) for event in [*plain.opening(fmt, USED), *plain.speech(fmt, WORDS[:10])]]


def _body(fmt: str) -> bytes:
    return json.dumps(plain.whole(fmt, "".join(WORDS), USED)).encode()


def _head(say: Say, stream: bool, length: int, **more: Any) -> None:
    say.head(200, "text/event-stream" if stream else "application/json", None if stream else length, **more)


def good(say: Say, fmt: str, stream: bool, words: tuple[str, ...] = WORDS, pause: float = 0.0) -> None:
    """A whole answer."""
    if stream:
        say.events(*map(plain.wire, plain.events(fmt, words, USED)), pause=pause)
    else:
        say.whole(plain.whole(fmt, "".join(words), USED))


def _gone(say: Say) -> None:
    raise OSError("closed")


def _reset(say: Say) -> None:
    say.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    say.sock.close()
    raise OSError("reset")


def _silent(say: Say) -> None:
    say.wait_until_left(PATIENCE)
    raise OSError("left")


def _status(status: int, message: str = "no", kind: str = "application/json", **headers: str) -> Play:
    def play(say: Say, fmt: str, stream: bool) -> None:
        body: Any = plain.error(fmt, message, status)
        say.whole(f"<html><b>{message}</b></html>".encode() if kind == "text/html" else body, status, kind, **headers)

    return play


def _midway(end: Callable[[Say], None]) -> Play:
    """Ten words, or half of the body, and then something else."""

    def play(say: Say, fmt: str, stream: bool) -> None:
        body = _body(fmt)
        _head(say, stream, len(body))
        for event in _begin(fmt) if stream else ():
            say.chunk(event)
        if not stream:
            say.sock.sendall(body[: len(body) // 2])
        time.sleep(1.0)  # the words are the caller's by now
        end(say)

    return play


def _head_then(end: Callable[[Say], None]) -> Play:
    def play(say: Say, fmt: str, stream: bool) -> None:
        _head(say, stream, 500)
        end(say)

    return play


def _before(end: Callable[[Say], None]) -> Play:
    return lambda say, fmt, stream: end(say)


def _ends_early(say: Say, fmt: str, stream: bool) -> None:
    if stream:
        say.events(*_begin(fmt), pause=0.03)
    else:
        say.whole(_body(fmt)[:-40])


def _garbage(say: Say, fmt: str, stream: bool) -> None:
    if not stream:
        say.whole(b"{" + _body(fmt))
        return
    say.head(200, "text/event-stream")
    begun = _begin(fmt)
    for event in begun:
        say.chunk(event)
    time.sleep(1.0)
    for event in (b'data: {"id": "c1", "choices": [{"delta": {"con\n\n', *_events(fmt)[len(begun) :]):
        say.chunk(event)
    say.end()


def _no_terminator(say: Say, fmt: str, stream: bool) -> None:
    if not stream or fmt != "openai.chat":
        good(say, fmt, stream)
        return
    told = [*plain.opening(fmt, USED), *plain.speech(fmt, WORDS), *plain.closing(fmt, WORDS, USED, mark=False)]
    say.events(*map(plain.wire, told))


def _error_inside(begun: bool, joined: bool = False) -> Play:
    """An error as an event; before it nothing or ten words, in one packet with it or not."""

    def play(say: Say, fmt: str, stream: bool) -> None:
        if not stream:
            say.whole(plain.error(fmt, "All servers are busy", 503))
            return
        say.head(200, "text/event-stream")
        told = _begin(fmt) if begun else []
        if joined:
            say.chunk(b"".join([*told, plain.wire(plain.error_event(fmt))]))
        else:
            for event in told:
                say.chunk(event)
            time.sleep(1.0 if begun else 0)  # until the words are the caller's, also on a busy machine
            say.chunk(plain.wire(plain.error_event(fmt)))
        say.end()

    return play


def _twice(say: Say, fmt: str, stream: bool) -> None:
    if not stream:
        good(say, fmt, stream)
        return
    last = [plain.wire(event) for event in plain.closing(fmt, WORDS, USED)]
    ends = [event for event in last if b'"finish' in event or b"message_delta" in event] or last[-1:]
    say.events(*_events(fmt)[: -len(last)], *ends[:1], *last)


def _negative(say: Say, fmt: str, stream: bool) -> None:
    used = (-100, -40)
    if stream:
        say.events(*map(plain.wire, plain.events(fmt, WORDS, used)))
    else:
        say.whole(plain.whole(fmt, "".join(WORDS), used))


def _type(say: Say, fmt: str, stream: bool) -> None:
    if stream:
        say.head(200, "text/plain")
        for event in _events(fmt):
            say.chunk(event)
        say.end()
    else:
        say.whole(_body(fmt), kind="text/plain")


def _nothing(say: Say, fmt: str, stream: bool) -> None:
    _head(say, stream, 0)
    if stream:
        say.end()


def _empty(say: Say, fmt: str, stream: bool) -> None:
    if stream:
        say.events(*map(plain.wire, [*plain.opening(fmt, (100, 0)), *plain.closing(fmt, (), (100, 0))]))
    else:
        say.whole(plain.whole(fmt, "", (100, 0)))


def _endless(say: Say, fmt: str, stream: bool) -> None:
    _head(say, stream, 1 << 30)
    for event in _begin(fmt) if stream else ():
        say.chunk(event)
    word = plain.wire(plain.speech(fmt, ("more ",))[0])
    end = time.monotonic() + 15
    while time.monotonic() < end:
        say.chunk(word) if stream else say.sock.sendall(b" ")
        time.sleep(0.02)


def _gzip(say: Say, fmt: str, stream: bool) -> None:
    _head(say, stream, 40, content_encoding="gzip")
    junk = b"\x1f\x8b\x08\x00" + b"\xff" * 36
    if stream:
        say.chunk(junk)
        say.end()
    else:
        say.sock.sendall(junk)


def _half(say: Say, fmt: str, stream: bool) -> None:
    """Half of the first event or of the body's first piece, then closed."""
    _head(say, stream, 500)
    data = _events(fmt)[0][:30]
    say.chunk(data) if stream else say.sock.sendall(data)
    _gone(say)


def _bad_chunk(say: Say, fmt: str, stream: bool) -> None:
    say.head(200, "text/event-stream" if stream else "application/json")
    say.sock.sendall(b"zz\r\n" + _events(fmt)[0] + b"\r\n0\r\n\r\n")
    _gone(say)


def _two_lengths(say: Say, fmt: str, stream: bool) -> None:
    body = _body(fmt)
    lengths = b"content-length: %d\r\ncontent-length: %d\r\n" % (len(body), len(body) - 9)
    say.sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + lengths + b"\r\n" + body)
    _gone(say)


def _many_headers(say: Say, fmt: str, stream: bool) -> None:
    lines = b"".join(b"x-%d: y\r\n" % number for number in range(3000))
    say.sock.sendall(b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: 2\r\n\r\n{}")
    _gone(say)


def _redirect(say: Say, fmt: str, stream: bool) -> None:
    say.whole(b"", 302, location="http://127.0.0.1:1/elsewhere")


def _slow(say: Say, fmt: str, stream: bool) -> None:
    time.sleep(1)
    good(say, fmt, stream)


_SAID = frozenset({ANSWER})
_BROKEN = frozenset({PART})
_EITHER = frozenset({ERROR, PART})
_FAILS: tuple[tuple[str, int, frozenset[int], bool], ...] = (
    ("401", 401, SERVER, True),
    ("402", 402, SERVER, True),
    ("403", 403, frozenset({403}), True),
    ("404", 404, frozenset({404}), True),
    ("408", 408, SERVER | {408}, True),
    ("413", 413, frozenset({413}), False),
    ("429", 429, frozenset({429}), True),
    ("500", 500, SERVER, True),
    ("502", 502, SERVER, True),
    ("503", 503, SERVER, True),
    ("504", 504, SERVER, True),
    ("529", 529, SERVER, True),
)


def _all() -> Iterator[Fault]:
    yield Fault("refused connection", place="refused")
    yield Fault("TLS: peer speaks none", place="silent")
    yield Fault("TLS: self-signed", place="self-signed")
    yield Fault("closed before head", _before(_gone))
    yield Fault("reset before head", _before(_reset))
    yield Fault("no head at all", _before(_silent))
    yield Fault("head, then silence", _head_then(_silent))
    yield Fault("slow first byte", _slow, _SAID, _SAID)
    yield Fault("slow trickle", lambda say, fmt, stream: good(say, fmt, stream, pause=0.1), _SAID, _SAID)
    yield Fault("stall midway", _midway(_silent), stream=_BROKEN)
    yield Fault("reset midway", _midway(_reset), stream=_BROKEN)
    yield Fault("end of connection midway", _midway(_gone), stream=_BROKEN)
    yield Fault("ends without its end", _ends_early, stream=_BROKEN)
    yield Fault("garbage event midway", _garbage, stream=frozenset({PART, ANSWER}))
    yield Fault("no terminator, but complete", _no_terminator, _SAID, _SAID)
    yield Fault("HTML", lambda say, fmt, stream: say.whole(b"<html>hello</html>", kind="text/html"))
    yield Fault("200 with an error body", lambda say, fmt, stream: say.whole(plain.error(fmt)))
    yield Fault("error as the first event", _error_inside(False))
    yield Fault("error in the packet of words", _error_inside(True, joined=True), stream=_EITHER)
    yield Fault("error after words", _error_inside(True), stream=_BROKEN)
    yield Fault("finish twice", _twice, _SAID, _SAID)
    yield Fault("negative usage", _negative, _SAID, _SAID)
    yield Fault("wrong content type", _type, _SAID, frozenset({ERROR, ANSWER}))
    yield Fault("empty body", _nothing)
    yield Fault("empty answer", _empty, _SAID, _SAID, hollow=True)
    yield Fault("endless", _endless, stream=_BROKEN)
    yield Fault("broken gzip", _gzip)
    yield Fault("half of the first event", _half)
    yield Fault("broken chunk", _bad_chunk)
    yield Fault("two lengths", _two_lengths)
    yield Fault("3,000 headers", _many_headers)
    yield Fault("redirect", _redirect)
    for name, status, statuses, elsewhere in _FAILS:
        message = f"Incorrect API key provided: {SECRET}" if status in (401, 403) else "no"
        yield Fault(name, _status(status, message), statuses=statuses, elsewhere=elsewhere)
    yield Fault("429 with Retry-After", _status(429, retry_after="7"), statuses=frozenset({429}))
    yield Fault("503 in HTML", _status(503, kind="text/html"))
    asked = frozenset({400})
    long = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    yield Fault("400 context too long", _status(400, long), statuses=asked, elsewhere=False)
    policy = "Your request was rejected as a result of our safety system (content_policy_violation)."
    yield Fault("400 content policy", _status(400, policy), statuses=asked, elsewhere=False)


FAULTS = {fault.name: fault for fault in _all()}
