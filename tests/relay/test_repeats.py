"""Events that repeat one before but for their text: told as if each had been decoded, and only where that is sure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kinds.conversation import repeats
from engine.kinds.conversation.repeats import Repeats
from tests.formats import recorded, streams
from tests.formats.recorded import FORMATS
from tests.relay import inprocess

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The events that were not decoded."""
    seen: list[bytes] = []
    plainly = Repeats.of

    def of(self: Repeats, name: str | None, raw: bytes) -> Any:
        events = plainly(self, name, raw)
        seen.extend([raw] if events is not None else [])
        return events

    monkeypatch.setattr(Repeats, "of", of)
    return seen


def told(caller: str, provider: str, pieces: Iterable[bytes], made: Any = None) -> tuple[bytes, list[Any], Any, str]:
    """Everything that comes of a stream."""
    line = inprocess.stream(made or recorded.program(), caller, provider, pieces)
    out = b"".join(line.run())
    outcome = line._answered.outcome
    return streams.unnamed(out), outcome.report, outcome.usage, outcome.ended


def same_either_way(caller: str, provider: str, pieces: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "_TRIES", 0)
        decoded = told(caller, provider, pieces)
    assert told(caller, provider, pieces) == decoded


# --- what is told ------------------------------------------------------------------------------------------------

ALL = [item for item in streams.everything() if "error" not in item.features]


@pytest.mark.parametrize("sample", ALL, ids=[item.id for item in ALL])
def test_a_stream_is_told_as_if_every_event_had_been_decoded(sample: streams.Sample) -> None:
    family = recorded.program().formats[sample.format].passthrough_as
    for caller in FORMATS:
        if recorded.program().formats[caller].passthrough_as != family:
            same_either_way(caller, sample.format, sample.events())


def test_most_events_of_recorded_chats_are_not_decoded(known: list[bytes]) -> None:
    chats = [item for item in ALL if item.format in ("openai.chat", "deepseek.chat", "anthropic.messages")]
    if not any(":" in item.id and "spoken" not in item.id for item in chats):
        pytest.skip("no recordings here")
    count = 0
    for sample in chats:
        caller = "gemini.generateContent"
        count += len(sample.events())
        told(caller, sample.format, sample.events())
    assert len(known) > count / 2, (len(known), count)


def chunk(text: str, ascii_only: bool = False, **more: Any) -> bytes:
    data = {**CHUNK, "choices": [{"index": 0, "delta": {"content": text}}], **more}
    return b"data: " + json.dumps(data, ensure_ascii=ascii_only, separators=(",", ":")).encode() + b"\n\n"


END = [
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ['"', "\\", '\\"', '","x":"y', "\n", "\x00", "\u2028", "é", "😀", "null", "</think>", "c", "m", "content"]
)


@given(st.lists(st.tuples(TEXTS, st.booleans()), min_size=4, max_size=12))
def test_whatever_the_texts_are_they_arrive(texts: list[tuple[str, bool]]) -> None:
    pieces = [*(chunk(text, ascii_only) for text, ascii_only in texts), *END]
    same_either_way("anthropic.messages", "openai.chat", pieces)
    out, *_ = told("anthropic.messages", "openai.chat", pieces)
    said = [json.loads(line[6:]) for line in out.decode().split("\n") if line.startswith("data: ")]
    assert "".join(one["delta"]["text"] for one in said if one["type"] == "content_block_delta") == "".join(
        text for text, _ in texts
    )


FRAME = chunk("WORD")[6:-2]
INSIDE = [
    b'x","y":"z',  # a member more
    b'x"}}],"usage":{"prompt_tokens":9,"completion_tokens":9},"choices":[{"index":0,"delta":{"content":"y',
    b"",
    b"\xff",  # no UTF-8
    b"a\x01b",  # a control character, which JSON does not have
    b"\\ud800",  # half a pair
    b"\\",  # what escapes the quote
]


@pytest.mark.parametrize("inside", INSIDE)
def test_what_is_no_text_between_the_quotes_is_decoded(inside: bytes, known: list[bytes]) -> None:
    other = FRAME.replace(b"WORD", inside)
    pieces = [chunk("one"), chunk("two"), chunk("three"), b"data: " + other + b"\n\n", *END]
    same_either_way("openai.responses", "openai.chat", pieces)
    assert other not in known
    assert FRAME.replace(b"WORD", b"three") in known


@pytest.mark.parametrize("escaped", [b"\\u00e9", b"\\n", b'\\"quoted\\"', b"\\/", "ü".encode()])
def test_escaped_texts_repeat_too(escaped: bytes, known: list[bytes]) -> None:
    other = FRAME.replace(b"WORD", escaped)
    pieces = [chunk("one"), chunk("two"), b"data: " + other + b"\n\n", *END]
    same_either_way("openai.responses", "openai.chat", pieces)
    assert other in known


def test_a_field_that_nobody_is_told_is_reported_all_the_same() -> None:
    pieces = [chunk(word, padding="abc") for word in ("one", "two", "three")] + [chunk("four", added={"x": 1}), *END]
    report = told("anthropic.messages", "openai.chat", pieces)[1]
    assert {path for path, _ in report} >= {"padding", "added"}


# --- what is believed to repeat ----------------------------------------------------------------------------------


def learned(texts: set[str], decode: Any, *events: bytes) -> Repeats:
    line = Repeats(frozenset(texts), decode)
    for raw in events:
        line.learn(None, raw, decode([], None, orjson.loads(raw)))
    return line


def one(report: Any, name: Any, data: Any) -> list[dict[str, Any]]:
    return [{"type": "part_delta", "kind": "text", "text": data["say"]}]


def test_an_event_repeats_what_two_have_shown() -> None:
    assert learned({"say"}, one, b'{"say":"a"}').of(None, b'{"say":"c"}') is None
    line = learned({"say"}, one, b'{"say":"a"}', b'{"say":"b"}')
    assert line.of(None, b'{"say":"c"}') == [{"type": "part_delta", "kind": "text", "text": "c"}]
    assert line.of("other", b'{"say":"c"}') is None
    assert line.of(None, b'{"say":"c","n":1}') is None
    assert line.of(None, b'{"say":""}') is None
    assert line.of(None, b'{"say":"') is None


def test_a_text_that_decode_looks_at_is_decoded() -> None:
    assert learned({"other"}, one, b'{"say":"a"}', b'{"say":"b"}').of(None, b'{"say":"c"}') is None


@pytest.mark.parametrize(
    "decode",
    [
        lambda r, n, data: [{"type": "part_delta", "text": data["say"][:1]}],
        lambda r, n, data: [{"type": "start", "id": data["say"]}, {"type": "part_delta", "text": data["say"]}],
        lambda r, n, data: r.append(("say", "x")) or [{"type": "part_delta", "text": data["say"]}],
        lambda r, n, data: [{"type": "part_delta", "text": data["say"], "length": len(data["say"])}],
        lambda r, n, data: [{"type": "finish", "reason": data["say"]}],
    ],
)
def test_a_trial_shows_what_else_hangs_on_the_text(decode: Any) -> None:
    assert learned({"say"}, decode, b'{"say":"a"}', b'{"say":"b"}').of(None, b'{"say":"c"}') is None


def test_the_same_word_elsewhere_is_not_taken_for_the_text() -> None:
    decode = lambda r, n, data: [{"type": "part_delta", "text": data["say"]}]  # noqa: E731
    events = [b'{"id":"a","say":"a"}', b'{"id":"a","say":"a"}', b'{"id":"a","say":"a"}']
    line = learned({"say"}, decode, *events)
    assert line.of(None, b'{"id":"b","say":"a"}') is None


def test_an_event_of_any_depth_is_taken_or_left() -> None:
    deep = b"[" * 1000 + b"]" * 1000
    decode = lambda r, n, data: [{"type": "part_delta", "text": data["say"], "citation": data["deep"]}]  # noqa: E731
    line = learned({"say"}, decode, b'{"say":"a","deep":%b}' % deep, b'{"say":"b","deep":%b}' % deep)
    line.of(None, b'{"say":"c","deep":%b}' % deep)


def test_a_text_that_json_does_not_have_is_left() -> None:
    Repeats(frozenset({"say"}), one).learn(None, b'{"say":"a"}', [{"type": "part_delta", "text": "\ud800"}])


def test_streams_that_number_their_events_are_soon_not_looked_at() -> None:
    line = learned({"say"}, one, *(b'{"n":%d,"say":"a"}' % number for number in range(repeats._TRIES)))
    line.learn(None, b'{"say":"a"}', [{"type": "part_delta", "text": "a"}])
    line.learn(None, b'{"say":"b"}', [{"type": "part_delta", "text": "b"}])
    assert line.of(None, b'{"say":"c"}') is None
