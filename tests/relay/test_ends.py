"""A format that does not say what ends its streams: one that just stops is told as cut, on every way to the caller."""

from __future__ import annotations

import pytest

from engine.compiler import compile_set, read_set
from engine.compiler.documents.load import Source
from engine.paths import SPECS
from tests.relay.inprocess import stream

FORMAT = """apiVersion: gatewright/v1
kind: Format
metadata: {name: plain.talk}
spec:
  dialect: openai
  endpoints: [{operation: generate, method: POST, path: /talk, model: body.model, stream: body.stream}]
  request: {decode: {model: "{{ body.model }}", messages: []}, encode: {said: "{{ request.messages }}"}}
  response: {decode: {parts: []}, encode: {id: "{{ response.id }}"}}
  stream:
    framing: {type: ndjson}
    decode:
      - $if: data.say is present
        $then: {type: part_delta, kind: text, text: "{{ data.say }}"}
      - $if: data.why is present
        $then: {type: finish, reason: stop}
      - $if: data.over
        $then: {type: end}
    encode:
      part_delta: [{say: "{{ event.text }}"}]
      finish: [{why: "{{ event.reason }}", over: true}]
      error: [{oops: "{{ event.message }}"}]
  error: {encode: {oops: "{{ error.message }}"}}
"""
SAID = b'{"say":"Hello"}\n'


@pytest.fixture(scope="module")
def program():
    sources, shared, _ = read_set([SPECS])
    result = compile_set([*sources, Source("plain.yaml", FORMAT, 1)], shared)
    assert not result.faults
    return result.program()


@pytest.mark.parametrize("caller", ["plain.talk", "openai.chat", "anthropic.messages", "gemini.generateContent"])
@pytest.mark.parametrize(("last", "whole"), [(b"", False), (b'{"why":"x"}\n', True), (b'{"over":true}\n', True)])
def test_a_stream_that_stops_before_it_says_its_end_is_cut(program, caller: str, last: bytes, whole: bool) -> None:
    began = stream(program, caller, "plain.talk", [SAID, *([last] if last else [])])
    told = b"".join(began.run())
    assert b"Hello" in told
    assert (began._answered.outcome.ended == "cut") is not whole
    assert began._answered.complete is whole
    if whole and caller == "plain.talk":
        assert told == SAID + last
    assert (b"broke off" in told or b"its last event" in told) is not whole
