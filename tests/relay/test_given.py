"""Mappings of answers that give something else than is due: a single event is one, all else is told in words."""

from __future__ import annotations

import pytest

from engine.compiler import compile_set, read_set
from engine.compiler.documents.load import Source
from engine.errors import MappingError
from engine.hub import validate_decoded
from engine.kinds.conversation.answers import through_hub
from engine.paths import SPECS
from engine.relay.upstream.failure import UpstreamFailure
from tests.relay.inprocess import answered, stream
from tests.relay.test_ends import FORMAT

TEXT = '{type: part_delta, kind: text, text: "{{ data.say }}"}'
END = "{type: end}"
LISTED = f"""
      - $if: data.say is present
        $then: {TEXT}
        $else: {END}
"""
SAID = b'{"say":"Hello"}\n{"over":true}\n'


def program(decode: str, whole: str = "{parts: []}"):
    head, _, rest = FORMAT.partition("    decode:\n      - $if")
    text = head + f"    decode: {decode}\n    encode:" + rest.partition("    encode:")[2]
    assert "response: {decode: {parts: []}" in text
    text = text.replace("response: {decode: {parts: []}", f"response: {{decode: {whole}")
    sources, shared, _ = read_set([SPECS])
    result = compile_set([*sources, Source("plain.yaml", text, 1)], shared)
    assert not result.faults, result.faults[0].as_text()
    return result.program()


def told(made, caller: str) -> tuple[bytes, str]:
    began = stream(made, caller, "plain.talk", [SAID])
    return b"".join(began.run()), began._answered.outcome.ended


@pytest.mark.parametrize(
    "decode",
    [
        f"{{$if: data.say is present, $then: {TEXT}, $else: {END}}}",
        f"{{$if: data.say is present, $then: [{TEXT}], $else: {END}}}",
        f"{{$switch: data.over, $case: {{'true': {END}, _: {TEXT}}}}}",
        """\"{{ {'type': 'end'} if data.over else {'type': 'part_delta', 'kind': 'text', 'text': data.say} }}\"""",
    ],
)
def test_a_single_event_stands_for_a_list_of_one(decode: str) -> None:
    out, ended = told(program(decode), "openai.chat")
    assert (b'"content":"Hello"' in out, b"[DONE]" in out, ended) == (True, True, "done")
    assert told(program(decode), "plain.talk") == (SAID, "done")


@pytest.mark.parametrize("decode", ['"{{ data.say }}"', '["{{ data }}"]', '[["{{ data.say }}"]]'])
@pytest.mark.parametrize("caller", ["openai.chat", "plain.talk"])
def test_what_is_no_event_ends_the_stream_with_words(decode: str, caller: str) -> None:
    with pytest.raises(UpstreamFailure, match=r"stream\.decode gave"):
        told(program(decode), caller)


@pytest.mark.parametrize(
    ("whole", "words"),
    [
        ('"{{ body.none }}"', "gave nothing where a map"),
        ('"{{ body.say }}"', "gave a text where a map"),
        ('{parts: "{{ body.say }}"}', "gave a text as parts"),
        ('{parts: ["{{ body.say }}"]}', r"gave a text as parts\[0\]"),
        ('{parts: ["{{ body }}"]}', r"gave a map without a type \(say\) as parts\[0\]"),
        ('{parts: [], finish: "{{ body.say }}"}', "gave a text as finish"),
    ],
)
def test_a_whole_answer_that_is_none_is_told(whole: str, words: str) -> None:
    with pytest.raises(MappingError, match=words):
        through_hub(answered(program(LISTED, whole), "openai.chat", "plain.talk"), {"say": "Hello"})


def test_a_right_answer_is_taken_as_it_is() -> None:
    right = {"id": "a", "parts": [{"type": "text", "text": "x"}], "finish": {"reason": "stop"}}
    assert validate_decoded.answer(right) is right
    assert validate_decoded.not_events([{"type": "end"}]) is None


def test_what_decode_reports_of_events_is_told_once() -> None:
    lost = f"""
      - $if: data.say is present
        $then: [{TEXT}, {{$report: response.mood, $why: no word for moods}}]
        $else: {END}
"""
    began = stream(program(lost), "openai.chat", "plain.talk", [b'{"say":"Hel"}\n', SAID])
    assert b"Hel" in b"".join(began.run())
    assert began._answered.outcome.report.count(("response.mood", "no word for moods")) == 1
