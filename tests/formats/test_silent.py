"""What a Format's encode never takes of a request is told or refused, though its document says nothing about it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.compiler import compile_set, read_set
from engine.compiler.documents.load import Source
from engine.compiler.translation import Translation, WireMessage, translate
from engine.errors import Refusal
from engine.paths import SPECS

CLAUDE = "anthropic.messages"
HEAD = """apiVersion: gatewright/v1
kind: Format
metadata: {name: mute.say}
spec:
  response: {decode: {parts: []}}
  request:
    encode:
"""
LAST = 'say: "{{ (request.messages | last).parts | text }}"'
ALL = 'say: [{$for: "m in request.messages", $do: {$for: "p in m.parts", $do: WHAT}}]'
TAKEN = '{call: "{{ p.arguments }}", got: "{{ p.parts | HOW }}", see: "{{ p.source }}"}'
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
SEE = {"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, PNG]}]}
CALLED = {
    "max_tokens": 5,
    "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "look", "input": {}}]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [
                        {"type": "text", "text": "pic:"},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
                        },
                    ],
                }
            ],
        },
    ],
}


def done(encode: str, request: dict[str, Any], source: str = "openai.chat") -> Translation:
    sources, shared, _ = read_set([SPECS])
    text = HEAD + "".join(f"      {line}\n" for line in encode.split("\n"))
    result = compile_set([*sources, Source("mute.yaml", text, 1)], shared)
    assert not result.faults, result.faults[0].as_text()
    return translate(result.program(), source, "mute.say", "request", WireMessage({"model": "m", **request}))


def every(what: str) -> str:
    return ALL.replace("WHAT", what)


def test_turns_that_are_never_taken_are_told() -> None:
    said = [{"role": "system", "content": "Be"}, {"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    lost = dict(done(LAST, {"messages": said}).report)
    assert "one of 3" in lost["messages"]
    assert "messages" not in dict(done(LAST, {"messages": said[1:2]}).report)
    assert "messages" not in dict(done(every('{text: "{{ p.text }}"}'), {"messages": said}).report)


def test_words_or_tools_that_are_never_taken_are_told() -> None:
    tools = [{"type": "function", "function": {"name": "look"}}]
    lost = dict(done(LAST, {"messages": [{"role": "user", "content": "a"}], "tools": tools}).report)
    assert "tools" in lost
    assert "messages" in dict(
        done('model: "{{ request.model }}"', {"messages": [{"role": "user", "content": "a"}]}).report
    )


@pytest.mark.parametrize("encode", [LAST, every('{text: "{{ p.text }}"}'), 'm: "{{ request.model }}"'])
def test_a_picture_of_which_nothing_is_taken_is_refused(encode: str) -> None:
    with pytest.raises(Refusal, match=r"messages\[0\]\.content\[1\].* takes no image"):
        done(encode, SEE)


@pytest.mark.parametrize(
    "encode",
    [
        every('{text: "{{ p.text }}", see: "{{ p.source.data }}"}'),
        every('"{{ p }}"'),
        'all: "{{ request.messages }}"',
        'parts: [{$for: "m in request.messages", $do: "{{ m.parts | tojson }}"}]',
    ],
)
def test_a_picture_that_is_taken_somehow_is_not(encode: str) -> None:
    assert not [path for path, _ in done(encode, SEE).report if path.startswith("messages")]


def test_a_picture_in_a_tools_result_of_which_the_words_alone_are_taken_is_told() -> None:
    lost = dict(done(every(TAKEN.replace("HOW", "text")), CALLED, CLAUDE).report)
    assert "a image in a tool's result" in lost["messages.parts.source"]
    assert "messages[2].content[0]" in lost["messages.parts.source"]
    assert "messages.parts.source" not in dict(done(every(TAKEN.replace("HOW", "tojson")), CALLED, CLAUDE).report)


def test_calls_of_which_nothing_is_taken_are_told() -> None:
    lost = [why for _, why in done(every('{text: "{{ p.text }}"}'), CALLED, CLAUDE).report]
    assert any("tool_call" in why for why in lost)
    assert any("tool_result" in why for why in lost)
