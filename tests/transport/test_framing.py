"""Framings: the same events whatever the cuts, bounded buffers, bytes passed on untouched."""

from __future__ import annotations

import itertools
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compiler.documents.schema import schema_of
from engine.transport.faults import TransportError
from engine.transport.framing import FRAMINGS, decoder, encode_message, encoder, of_media_type, splitter
from tests.support import missing

SSE = {"type": "sse", "done": "[DONE]"}
PRETTY = b"""[{
  "text": "a ] } [ { \\" b",
  "list": [1, [2, {"x": "\\\\"}]]
}
,
{"empty": {}},\r
{"last": "\xe2\x98\x83 \\u005d"}
]
"""
BINARY = b"".join(
    (
        encode_message({":message-type": "event", ":event-type": "messageStart"}, b'{"role":"a"}'),
        encode_message({":message-type": "event", ":event-type": "empty"}, b""),
        encode_message({":message-type": "exception", ":exception-type": "throttling"}, b'{"message":"slow"}'),
        encode_message({":message-type": "error", ":error-code": "500", ":error-message": "no"}, b""),
    )
)

# name -> (framing, stream, events)
STREAMS: dict[str, tuple[Any, bytes, list[tuple[str | None, bytes]]]] = {
    "plain": (SSE, b'data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n', [(None, b'{"a":1}'), (None, b'{"b":2}')]),
    "named": ("sse", b"event: one\ndata: 1\n\nevent:two\ndata:2\n\n", [("one", b"1"), ("two", b"2")]),
    "name after data": ("sse", b"data: 1\nevent: x\n\ndata: 2\n\n", [("x", b"1"), (None, b"2")]),
    "several lines": ("sse", b"data: {\ndata:  1\ndata: }\n\n", [(None, b"{\n 1\n}")]),
    "comments": ("sse", b": hello\n\n:\n\n: x\ndata: 1\n: y\n\n: bye\n\n", [(None, b"1")]),
    "other fields": ("sse", b"id: 7\nretry: 100\nnonsense\ndata: 1\n\nid: 8\n\n", [(None, b"1")]),
    "crlf": (SSE, b"event: e\r\ndata: 1\r\n\r\ndata: 2\r\n\r\ndata: [DONE]\r\n\r\n", [("e", b"1"), (None, b"2")]),
    "cr": ("sse", b"event: e\rdata: 1\r\rdata: 2\r\rdata: 3\r\r", [("e", b"1"), (None, b"2"), (None, b"3")]),
    "mixed ends": (
        "sse",
        b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\rdata: 4\n\n",
        [(None, b"%d" % n) for n in (1, 2, 3, 4)],
    ),
    "bom": ("sse", b"\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\ndata: 3\n\n", [(None, b"1"), (None, b"3")]),
    "blank lines": ("sse", b"\n\n\n\ndata: 1\n\n\n\n\ndata: 2\n\n\n", [(None, b"1"), (None, b"2")]),
    "no data": ("sse", b"event: ping\n\ndata:\n\ndata\n\ndata: 1\n\n", [(None, b"1")]),
    "one space only": ("sse", b"data:  x \n\n", [(None, b" x ")]),
    "no last blank line": (SSE, b"data: 1\n\ndata: 2", [(None, b"1"), (None, b"2")]),
    "done without end": (SSE, b"data: 1\n\ndata: [DONE]", [(None, b"1")]),
    "lines": (
        "ndjson",
        b'{"a":1}\n\n{"b":2}\r\n {"c":3}',
        [(None, b'{"a":1}'), (None, b'{"b":2}'), (None, b'{"c":3}')],
    ),
    "pretty array": (
        "json-array",
        PRETTY,
        [
            (None, b'{\n  "text": "a ] } [ { \\" b",\n  "list": [1, [2, {"x": "\\\\"}]]\n}'),
            (None, b'{"empty": {}}'),
            (None, b'{"last": "\xe2\x98\x83 \\u005d"}'),
        ],
    ),
    "empty array": ("json-array", b" [ ]\n", []),
    "lone object": ("json-array", b'{"error": {"code": 1}}\n', [(None, b'{"error": {"code": 1}}')]),
    "binary": (
        "aws-eventstream",
        BINARY,
        [
            ("messageStart", b'{"role":"a"}'),
            ("empty", b""),
            ("throttling", b'{"message":"slow"}'),
            ("500", b'{"message":"no"}'),
        ],
    ),
}


def events(framing: Any, pieces: list[bytes]) -> tuple[list[tuple[str | None, bytes]], bool]:
    made = decoder(framing)
    out = [event for piece in pieces for event in made.feed(piece)]
    return out + made.finish(), made.done


def split(framing: Any, pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    made = splitter(framing)
    out: list[bytes] = []
    for piece in pieces:
        complete, parts = made.feed(piece)
        assert complete == b"".join(parts)
        out += parts
    return out, made.tail()


def cuts(stream: bytes) -> Iterator[list[bytes]]:
    """Whole, in two at every position, in single bytes, and in pieces of a few small sizes."""
    yield [stream]
    for at in range(1, len(stream)):
        yield [stream[:at], stream[at:]]
    for size in (1, 2, 3, 5, 11):
        yield [stream[at : at + size] for at in range(0, len(stream), size)]


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_gives_its_events_whatever_the_cuts(name: str) -> None:
    framing, stream, expected = STREAMS[name]
    done = b"[DONE]" in stream or name in ("pretty array", "empty array")
    for pieces in cuts(stream):
        assert events(framing, pieces) == (expected, done), pieces


@pytest.mark.parametrize("name", STREAMS)
def test_the_splitter_gives_the_same_bytes_and_events_whatever_the_cuts(name: str) -> None:
    framing, stream, _ = STREAMS[name]
    whole = split(framing, [stream])
    assert b"".join(whole[0]) + whole[1] == stream
    for pieces in cuts(stream):
        out, tail = split(framing, pieces)
        assert b"".join(out) + tail == stream
        if name not in ("pretty array", "empty array", "lone object"):
            assert (out, tail) == whole, pieces


@pytest.mark.parametrize("name", STREAMS)
def test_each_complete_event_is_whole_for_a_decoder(name: str) -> None:
    framing, stream, expected = STREAMS[name]
    out, tail = split(framing, [stream])
    assert events(framing, [*out, tail])[0] == expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"data: 1", b"data:x", b"event: e", b": c", b"", b"", b"\n", b"\r", b"\r\n", b"\n\n", b"id: 1"]
        ),
        max_size=25,
    ),
    st.lists(st.integers(0, 80), max_size=6),
)
def test_odd_sse_is_read_the_same_whatever_the_cuts(parts: list[bytes], places: list[int]) -> None:
    stream = b"".join(parts)
    bounds = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(bounds)]
    assert events(SSE, pieces) == events(SSE, [stream])
    assert split(SSE, pieces) == split(SSE, [stream])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=3), max_size=4),
    st.sampled_from([None, 1, 4]),
    st.booleans(),
    st.integers(1, 9),
)
def test_any_array_of_objects_is_read_element_by_element(
    items: list[Any], indent: Any, ascii_only: bool, size: int
) -> None:
    stream = json.dumps(items, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    got, done = events("json-array", [stream[at : at + size] for at in range(0, len(stream), size)])
    assert [json.loads(data.decode("utf-8", "surrogatepass")) for _, data in got] == items
    assert done


def test_an_event_is_given_with_the_byte_that_ends_it() -> None:
    made = decoder("sse")
    assert made.feed(b"data: 1\n") == []
    assert made.feed(b"\n") == [(None, b"1")]
    assert made.feed(b"data: 2\r") == []
    assert made.feed(b"\r") == [(None, b"2")]


@pytest.mark.parametrize(
    ("framing", "stream"),
    [
        ("json-array", b'[{"a": 1}'),
        ("json-array", b'[{"a": 1},'),
        ("json-array", b'[{"a": 1}, {"b'),
        ("json-array", b'{"a'),
        ("json-array", b"["),
        ("aws-eventstream", BINARY[:-1]),
        ("aws-eventstream", BINARY[:3]),
    ],
)
def test_a_cut_is_told_where_the_framing_shows_it(framing: str, stream: bytes) -> None:
    made = decoder(framing)
    made.feed(stream)
    with pytest.raises(TransportError) as caught:
        made.finish()
    assert caught.value.kind == "cut"


@pytest.mark.parametrize(
    ("framing", "stream"),
    [
        ("json-array", b"[1, 2]"),
        ("json-array", b"]"),
        ("json-array", b'[{"a":1}] ]'),
        ("json-array", b'[x{"a":1}]'),
        ("aws-eventstream", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("aws-eventstream", BINARY[:20] + b"\0" + BINARY[21:]),
        ("aws-eventstream", b"\0\0\0\x05\0\0\0\0" + zlib.crc32(b"\0\0\0\x05\0\0\0\0").to_bytes(4, "big")),
    ],
)
def test_what_is_not_the_framing_is_a_protocol_fault(framing: str, stream: bytes) -> None:
    with pytest.raises(TransportError) as caught:
        decoder(framing).feed(stream)
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize(
    ("framing", "start"),
    [("sse", b"data: "), ("ndjson", b'"'), ("json-array", b'[{"a": "'), ("json-array", b"  ")],
)
@pytest.mark.parametrize("make", [decoder, splitter])
def test_what_waits_for_its_end_is_bounded(framing: str, start: bytes, make: Any) -> None:
    made = make(framing, 100_000)
    made.feed(start)
    piece = b"x" * 1000 if start.strip() else b" " * 1000
    with pytest.raises(TransportError) as caught:
        list(map(made.feed, [piece] * 200))
    assert caught.value.kind == "too_large"


def test_a_binary_message_that_announces_too_much_is_refused_at_once() -> None:
    start = (0x7FFFFFFF).to_bytes(4, "big") + (0).to_bytes(4, "big")
    with pytest.raises(TransportError) as caught:
        decoder("aws-eventstream").feed(start + zlib.crc32(start).to_bytes(4, "big"))
    assert caught.value.kind == "too_large"


@pytest.mark.parametrize("framing", ["sse", "ndjson", "json-array"])
def test_a_huge_event_in_small_pieces_takes_time_in_proportion(framing: str) -> None:
    head, end = {"sse": (b"data: ", b"\n\n"), "ndjson": (b"", b"\n"), "json-array": (b"[", b"]")}[framing]
    body = b'{"a":"' + b"x" * 8_000_000 + b'"}'
    made = decoder(framing)
    got = made.feed(head)
    # 2,000 pieces: were each to search or copy all that waits, this would take minutes.
    for at in range(0, len(body), 4000):
        got += made.feed(body[at : at + 4000])
    got += made.feed(end)
    assert [data for _, data in got] == [body]


def test_sse_is_written_with_names_numbers_and_marker() -> None:
    made = encoder({"type": "sse", "event": "type", "done": "[DONE]", "number": "seq"})
    first = {"type": "start"}
    assert made.start() == b""
    assert made.event(first) == b'event: start\ndata: {"type":"start","seq":0}\n\n'
    assert made.ping({"type": "ping"}) == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert made.ping(comment="still\nhere") == b": still here\n\n"
    assert made.ping() == b""
    assert made.event({"x": 1}) == b'data: {"x":1,"seq":1}\n\n'
    assert made.done() == b"data: [DONE]\n\n"
    assert first == {"type": "start"}


def test_an_event_name_cannot_break_the_framing() -> None:
    made = encoder({"type": "sse", "event": "type"})
    assert made.event({"type": "a\ndata: b"}) == b'data: {"type":"a\\ndata: b"}\n\n'


def test_arrays_and_lines_are_written() -> None:
    array = encoder("json-array")
    text = array.ping() + array.event({"a": 1}) + array.ping() + array.event({"b": 2}) + array.done()
    assert json.loads(text) == [{"a": 1}, {"b": 2}]
    assert encoder("json-array").done() == b"[]"
    lines = encoder("ndjson")
    assert lines.event({"a": "\u2603"}) + lines.ping() + lines.done() == '{"a":"\u2603"}\n'.encode()


def test_what_orjson_refuses_is_written_all_the_same() -> None:
    data = {"lone": "\ud83d", "big": 1 << 70}
    got = encoder("ndjson").event(data)
    assert json.loads(got) == data


@pytest.mark.parametrize("framing", ["sse", "ndjson", "json-array"])
def test_what_is_written_is_read_back(framing: str) -> None:
    made = encoder(framing)
    items = [{"n": n, "t": '[{"\n\r\\'} for n in range(5)]
    stream = made.start() + b"".join(made.event(item) for item in items) + made.done()
    assert [json.loads(data) for _, data in events(framing, [stream])[0]] == items


def test_an_unknown_framing_names_the_known_ones() -> None:
    for make in (decoder, splitter, encoder):
        with pytest.raises(ValueError, match="sse, ndjson, json-array"):
            make("grpc")


def recorded() -> list[Path]:
    place = Path(os.environ.get("GATEWRIGHT_RECORDED", Path(__file__).parents[3] / "shared/fixtures/recorded"))
    return sorted(place.glob("*/*.json"))


def test_recorded_streams_are_read_the_same_in_any_cut() -> None:
    files = recorded()
    if not files:
        missing("no recordings: set GATEWRIGHT_RECORDED")
    streams = 0
    for file in files:
        text = json.loads(file.read_bytes()).get("response_stream")
        if not text or "data:" not in text:
            continue
        streams += 1
        stream = text.encode()
        whole = events(SSE, [stream])
        assert whole[0]
        assert all(json.loads(data) is not None for _, data in whole[0])
        for size in (7, 4096):
            pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
            assert events(SSE, pieces) == whole
            out, tail = split(SSE, pieces)
            assert b"".join(out) + tail == stream
    assert streams > 50


def test_documents_may_name_the_framings_that_there_are():
    declared = schema_of("Format")["properties"]["spec"]["properties"]["stream"]["properties"]["framing"]
    assert declared["properties"]["type"]["enum"] == list(FRAMINGS)


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=lambda item: item.name)
def test_an_answer_of_its_media_type_is_a_stream_unless_whole_answers_have_it_too(framing):
    told = of_media_type(f" {framing.media_type.upper()} ; charset=utf-8")
    assert told == (framing.name if framing.streams_only else None)
    if framing.encoder is not None:
        assert encoder(framing.name).content_type == framing.media_type
