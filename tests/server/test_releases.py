"""Compiled programs on disk, what the log hides, and bodies that are read piece by piece."""

from __future__ import annotations

import io
import random

import pytest

from engine.server.answer import Answer
from engine.server.body import ClientGoneError, LengthBody
from engine.server.logs import access_line, masked
from engine.server.releases import KEPT, Releases


@pytest.fixture
def releases(tmp_path):
    made = Releases(tmp_path / "programs")
    made.prepare()
    return made


def test_published_release_is_current_and_moves_the_mark(releases):
    assert releases.current() is None
    marks = [releases.mark()]
    for name in ("one", "two"):
        releases.publish(name, name.encode())
        marks.append(releases.mark())
        assert releases.current() == name
        assert releases.artefact(name) == name.encode()
    assert len(set(marks)) == 3


def test_same_release_again_moves_nothing(releases):
    releases.publish("one", b"1")
    mark = releases.mark()
    releases.publish("one", b"1")
    assert releases.mark() == mark


def test_old_artefacts_go_but_never_the_running_one(releases):
    for number in range(KEPT + 4):
        releases.publish(f"r{number}", b"x")
    assert len(list(releases.directory.glob("*.gwp"))) == KEPT
    assert (releases.directory / f"r{KEPT + 3}.gwp").exists()
    assert not [path for path in releases.directory.iterdir() if path.name.startswith(".new-")]


def test_status_is_read_again_when_it_changed(releases):
    assert releases.status() == {}
    releases.write_status({"ok": True})
    assert releases.status() == {"ok": True}
    releases.write_status({"ok": False})
    assert releases.status() == {"ok": False}
    (releases.directory / "status.json").write_text("{")
    assert releases.status() == {"ok": False}


def test_programs_are_for_our_own_eyes(releases):
    assert releases.directory.stat().st_mode & 0o077 == 0


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


def answer(head_only: bool = False) -> tuple[Answer, list[bytes]]:
    sent: list[bytes] = []
    return Answer(sent.append, b"date: now\r\n", head_only, False), sent


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
