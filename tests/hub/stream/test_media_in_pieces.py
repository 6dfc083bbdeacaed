"""A medium that comes in pieces is one part whose content is all of them."""

from __future__ import annotations

import base64

import pytest

from engine.hub.stream.assembler import Assembler
from engine.hub.stream.parts import join_base64
from engine.hub.stream.rules import TargetRules


def piece(content: bytes, **more: object) -> dict[str, object]:
    return {"type": "part_delta", "kind": "audio", "source": {"data": base64.b64encode(content).decode(), **more}}


def told(assembler: Assembler, *events: dict[str, object]) -> list[bytes]:
    """The fragments of content that the target was told."""
    out = [*assembler.feed(list(events)), *assembler.close(False)]
    fragments = [event["source"]["data"] for name, event, *_ in out if name == "part_delta" and "source" in event]
    return [base64.b64decode(fragment, validate=True) for fragment in fragments]


def test_pieces_that_are_padded_each_make_one_content() -> None:
    assembler = Assembler()
    pieces = [b"a", b"bc", b"def", b"g"]
    assert told(assembler, *(piece(content, mime="audio/x") for content in pieces)) == pieces
    (part,) = assembler.message["parts"]
    assert part["source"] == {"mime": "audio/x", "data": base64.b64encode(b"abcdefg").decode()}


def test_what_is_told_of_it_is_kept_from_the_first_time() -> None:
    assembler = Assembler()
    told(assembler, piece(b"abc", mime="audio/x"), piece(b"def", mime="audio/y", expires=9))
    assert assembler.message["parts"][0]["source"] == {"mime": "audio/x", "expires": 9, "data": "YWJjZGVm"}


def test_pieces_that_had_to_wait_for_their_turn_are_told_together() -> None:
    assembler = Assembler({"parts": {"text": "interleaved", "audio": "interleaved"}}, TargetRules(one_open=True))
    text = {"type": "part_delta", "kind": "text", "text": "Hi"}
    end = {"type": "part_end", "kind": "text"}
    assert told(assembler, text, piece(b"a"), piece(b"b"), end, piece(b"c")) == [b"ab", b"c"]
    assert assembler.message["parts"][1]["source"]["data"] == base64.b64encode(b"abc").decode()


def test_pieces_count_towards_the_limit_of_a_stream() -> None:
    assembler = Assembler(limit_bytes=4096)
    for _ in range(10):
        assembler.feed([piece(bytes(1000))])
    assert assembler.error is not None
    assert assembler.error["meaning"] == "too_large"


@pytest.mark.parametrize("pieces", [["any"], ["YQ==", "!"], ["YQ=", "Yg=="]])
def test_what_is_no_base64_is_handed_on_as_it_came(pieces: list[str]) -> None:
    assert join_base64(pieces) == "".join(pieces)
