"""Which events pass unread: those that differ from a sound one in nothing but one whole text."""

from __future__ import annotations

import orjson
import pytest

from engine.kinds.conversation.alike import Alike

MARKS = (b'"finish_reason":"stop"',)


def read(event: bytes) -> object:
    return orjson.loads(event.removeprefix(b"data: "))


def learned(*events: bytes) -> Alike:
    alike = Alike(MARKS, read)
    for event in events:
        alike.learn(event)
    return alike


def event(text: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    return b'data: {"id":"a%b","delta":{"content":"%b"},"n":1%b}\n\n' % (before, text, after)


@pytest.mark.parametrize("text", [b"", b"three", b'a \\"quoted\\" word', b"\\u00e9", "é".encode(), b"\\\\"])
def test_another_text_in_the_same_place_passes(text: bytes) -> None:
    assert learned(event(b"one"), event(b"two")).of(event(text))


@pytest.mark.parametrize(
    "other",
    [
        event(b'three","x":"'),
        event(b"three\\"),
        event(b'thr"ee'),
        event(b"thr\nee"),
        event(b"\xff"),
        event(b"three", before=b"b"),
        event(b"three", after=b',"usage":{}'),
        event(b"three")[:-1],
        b"",
    ],
)
def test_whatever_else_differs_is_read(other: bytes) -> None:
    assert not learned(event(b"one"), event(b"two")).of(other)


@pytest.mark.parametrize(
    "pair",
    [
        (b'data: {"one":1}\n\n', b'data: {"two":1}\n\n'),
        (b'data: {"a":"x \\"one"}\n\n', b'data: {"a":"x \\"two"}\n\n'),
        (b'data: {"finish_reason":"one"}\n\n', b'data: {"finish_reason":"two"}\n\n'),
        (b"data: [1]\n\n", b"data: [2]\n\n"),
    ],
    ids=["name of a member", "end of a text", "value with a meaning", "no text"],
)
def test_what_is_no_whole_text_is_never_passed_unread(pair: tuple[bytes, bytes]) -> None:
    alike = learned(*pair)
    assert not alike.of(pair[1].replace(b"two", b"six").replace(b"2", b"6"))


def test_a_stream_of_which_no_two_are_alike_is_given_up() -> None:
    alike = learned(*(event(b"x", after=b',"number":%d' % number) for number in range(40)))
    alike.learn(event(b"one"))
    alike.learn(event(b"two"))
    assert not alike.of(event(b"three"))
