"""No value of a caller or an upstream makes a 500, whatever its type and wherever it stands.

All cases are sent through the relay's own code in process; of each place a few values in turn, and all of them nightly.
"""

from __future__ import annotations

import itertools
import json
import os

import pytest

from engine.compiler import compile_set, read_set
from engine.paths import SPECS
from tests.relay import rich, swaps

EVERYTHING = bool(os.environ.get("GATEWRIGHT_NIGHTLY"))
FORMATS = tuple(rich.RICH)
REFUSED = {
    "type": "error",
    "error": {
        "message": "m",
        "type": "t",
        "code": "c",
        "param": "p",
        "status": "INVALID_ARGUMENT",
        "details": [{"reason": "r", "retryDelay": "3s"}],
    },
    "message": "m",
    "code": "x",
    "detail": "d",
}


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    return swaps.Relay(compile_set(*read_set([SPECS])[:2]).program(), tmp_path_factory.mktemp("swaps"))


def most(few: int) -> int | None:
    """How many values are tried at each place."""
    return None if EVERYTHING else few


@pytest.mark.parametrize("caller", FORMATS)
def test_any_value_in_a_request_is_taken_or_refused(relay, caller) -> None:
    formats = relay.program.formats
    body, turn = rich.RICH[caller], itertools.cycle(formats)
    wrong, count = [], 0
    cases = itertools.chain(
        swaps.swapped(body, most(3)), swaps.unusual(body, formats[caller].request_reads, most(len(swaps.VALUES)))
    )
    for what, spoilt in cases:
        for provider in formats if EVERYTHING else (next(turn), next(turn)):
            count += 1
            if fault := relay.request(caller, provider, spoilt):
                wrong.append(f"to {provider}: {what}: {fault}")
    assert count > 500
    assert not wrong, "\n".join(wrong[:5])


@pytest.mark.parametrize("provider", [*FORMATS, "bedrock.converse", "cohere.chat", "ollama.chat"])
def test_any_value_in_an_answer_is_told_or_is_the_upstreams_fault(relay, provider) -> None:
    sample, wrong, count = relay.sample(provider), [], 0
    turn = itertools.cycle(itertools.product(FORMATS, (False, True)))
    for what, spoilt in swaps.swapped(sample, most(3)):
        for caller, stream in itertools.product(FORMATS, (False, True)) if EVERYTHING else (next(turn), next(turn)):
            count += 1
            if fault := relay.answer(caller, provider, spoilt, stream=stream):
                wrong.append(f"to {caller}: {what}: {fault}")
    assert count > 100
    assert not wrong, "\n".join(wrong[:5])


@pytest.mark.parametrize("provider", FORMATS)
def test_any_value_in_an_event_is_told_or_ends_the_stream_with_an_error(relay, provider) -> None:
    events, wrong, turn = relay.sample_stream(provider), [], itertools.cycle(FORMATS)
    raws = [head + json.dumps(data).encode() + b"\n\n" for head, data in events]
    assert len(raws) > 3 or provider == "gemini.generateContent"
    for index, (head, data) in enumerate(events):
        for what, spoilt in swaps.swapped(data, most(2)):
            for caller in FORMATS if EVERYTHING else (next(turn),):
                event = head + json.dumps(spoilt).encode() + b"\n\n"
                if fault := relay.events(caller, provider, [*raws[:index], event, *raws[index + 1 :]]):
                    wrong.append(f"to {caller}, event {index}: {what}: {fault}")
    assert not wrong, "\n".join(wrong[:5])


@pytest.mark.parametrize("caller", FORMATS)
def test_any_value_in_a_refusal_is_told_in_words(relay, caller) -> None:
    turn, wrong = itertools.cycle((400, 401, 403, 429, 500)), []
    for provider in relay.program.formats:
        for what, spoilt in swaps.swapped(REFUSED, most(4)):
            if fault := relay.refusal(caller, provider, spoilt, next(turn)):
                wrong.append(f"from {provider}: {what}: {fault}")
    assert not wrong, "\n".join(wrong[:5])


@pytest.mark.parametrize("value", [["a"], {"a": 1}, 7, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("caller", FORMATS)
def test_an_id_of_a_call_may_be_anything(relay, caller, stream, value) -> None:
    spoilt = rich.replaced(swaps.ANSWER, ("content", 4, "id"), value)
    assert relay.answer(caller, "anthropic.messages", spoilt, stream=stream) is None


@pytest.mark.parametrize("name", ["1", "0", "-1", "\u00b2", "1.5", "9" * 5000, "a.b"])
@pytest.mark.parametrize("member", ["logit_bias", "metadata"])
def test_a_name_of_digits_is_a_name(relay, member, name) -> None:
    for provider in relay.program.formats:
        assert relay.request("openai.chat", provider, {**rich.CHAT, member: {name: ["b"]}}) is None


@pytest.mark.parametrize("step", ["1", "\u00b2", "\u0663", "9" * 5000])
def test_a_reference_may_lead_anywhere(relay, step) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": f"#/anyOf/{step}"}}, "anyOf": [{"type": "object"}]}
    tool = {"type": "function", "function": {"name": "t", "parameters": schema}}
    for provider in relay.program.formats:
        assert relay.request("openai.chat", provider, {**rich.CHAT, "tools": [tool], "tool_choice": "auto"}) is None
