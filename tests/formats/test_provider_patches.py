"""What the shipped providers change in a request, on the compiled program."""

from __future__ import annotations

import pytest

from engine import compiler, paths


@pytest.fixture(scope="module")
def program():
    sources, shared, faults = compiler.read_set([paths.SPECS])
    assert not faults
    return compiler.compile_set(sources, shared).program()


def patched(program, provider, model, body, fmt="openai.chat"):
    traits = program.models.traits(model)
    for patch in program.providers[provider].patches:
        if patch.format in (None, fmt) and patch.applies(model, body, fmt, traits, {}, {}):
            body = patch.apply([], model, body, fmt, traits, {}, {})
    return body


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_openai_gets_no_thoughts_of_other_vendors_models(program):
    messages = [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}],
            "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "x"}}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]
    sent = patched(program, "openai", "gpt-4o", {"model": "gpt-4o", "messages": messages})["messages"]
    assert sent == [messages[0], {"role": "assistant", "content": None, "tool_calls": [CALL]}, messages[2]]


def test_messages_without_them_stay_the_same_object(program):
    body = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [CALL]}],
    }
    assert patched(program, "openai", "gpt-4o", body)["messages"] is body["messages"]


@pytest.mark.parametrize(
    ("model", "refused", "limit"),
    [
        ("o3-mini", {"sampling.temperature", "sampling.top_p"}, "max_completion_tokens"),
        ("gpt-5-mini", {"sampling.temperature", "sampling.top_p"}, "max_completion_tokens"),
        ("gpt-5-chat-latest", set(), "max_completion_tokens"),
        ("gpt-4o", set(), "max_tokens"),
    ],
)
def test_openai_reasoning_models_get_what_they_take(program, model, refused, limit):
    body = {"model": model, "messages": [], "temperature": 0.5, "top_p": 0.9, "max_tokens": 5}
    sent = patched(program, "openai", model, body)
    known = {"sampling.temperature", "sampling.top_p"}
    assert known & {*program.models.traits(model).get("refuses", ())} == refused
    assert sent[limit] == 5


def test_mistral_gets_its_own_words(program):
    sent = patched(program, "mistral", "mistral-large", {"seed": 1, "tool_choice": "required"}, "mistral.chat")
    assert sent == {"random_seed": 1, "tool_choice": "any"}
