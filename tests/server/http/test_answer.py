"""Bodies that are read piece by piece, and the heads of answers."""

from __future__ import annotations

import io
import random

import pytest

from engine.server.http.answer import HttpAnswer
from engine.server.http.body import ClientGoneError, LengthBody


def pieces_of(data: bytes, seed: int):
    chance = random.Random(seed)
    source = io.BytesIO(data)
    return lambda size: source.read(min(size, chance.randint(1, 40)))


@pytest.mark.parametrize("seed", range(20))
def test_body_reads_like_a_file(seed):
    chance = random.Random(seed)
    data = bytes(chance.choice(b"ab\n") for _ in range(500))
    body, twin = LengthBody(pieces_of(data[30:] + b"next", seed), data[:30], len(data)), io.BytesIO(data)
    while body.unread:
        size = chance.choice([-1, 0, 1, 7, 100]) if chance.random() > 0.05 else None
        name = chance.choice(["read", "readline"])
        assert getattr(body, name)(size) == getattr(twin, name)(size)
    assert body.read() == b""
    assert body.readline() == b""


def test_bytes_of_the_next_request_are_not_part_of_the_body():
    body = LengthBody(pieces_of(b"", 1), b"bodyGET / HTTP/1.1", 4)
    assert (body.unread, body.left) == (4, 0)
    assert body.readlines() == [b"body"]


def test_client_that_leaves_in_its_body_is_an_error():
    with pytest.raises(ClientGoneError):
        LengthBody(pieces_of(b"ab", 1), b"", 3).read()


def answer(head_only: bool = False) -> tuple[HttpAnswer, list[bytes]]:
    sent: list[bytes] = []
    return HttpAnswer(sent.append, b"date: now\r\n", head_only, False), sent


def test_empty_item_sends_the_head_alone():
    made, sent = answer()
    made.start("200 OK", [])
    made.items(iter([b"", b"x"]))
    assert sent == [b"HTTP/1.1 200 OK\r\ndate: now\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n", b"0\r\n\r\n"]


def test_nothing_at_all_has_length_zero():
    made, sent = answer()
    made.start("200 OK", [])
    made.finish([])
    assert sent == [b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 0\r\n\r\n"]


@pytest.mark.parametrize("name", ["Connection", "transfer-encoding", "Keep-Alive", "Upgrade", "Date"])
def test_headers_that_are_ours_are_not_taken_from_the_app(name):
    made, sent = answer()
    made.start("200 OK", [(name, "x")])
    made.finish([b"y"])
    assert sent[0].lower().count(name.lower().encode() + b": x") == 0


BAD = [("X y", "z"), ("X\r\ny", "z"), ("", "z"), ("X", "a\nb"), ("X", "a\rb"), ("X", "a\0b"), ("X", "a\r\nB: c")]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_headers_that_would_split_an_answer_are_refused(name, value):
    with pytest.raises(ValueError, match="header"):
        answer()[0].start("200 OK", [(name, value)])


@pytest.mark.parametrize("status", ["200 OK\r\nX: y", "99 No", "OK", "2000"])
def test_status_that_is_none_is_refused(status):
    with pytest.raises(ValueError, match="status"):
        answer()[0].start(status, [])


def test_error_after_the_head_is_raised_on():
    made, _ = answer()
    made.start("200 OK", [])
    made.write(b"x")
    with pytest.raises(KeyError):
        made.start("500 No", [], (KeyError, KeyError("late"), None))


def test_error_before_the_head_may_change_the_answer():
    made, sent = answer()
    made.start("200 OK", [("X", "1")])
    made.start("500 No", [("Y", "2")], (KeyError, KeyError("early"), None))
    made.finish([b""])
    assert b"500 No" in sent[0]
    assert b"X: 1" not in sent[0]
