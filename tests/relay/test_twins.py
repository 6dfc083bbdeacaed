"""One parser's reading of a request is the only one: members twice or in other letters are refused and named."""

from __future__ import annotations

import json

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from engine.relay.ingress.twins import Names, written_twice
from tests.support import PATIENCE

CHAT = "/v1/chat/completions"


def send(gateway, path, text):
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
    return requests.post(gateway.base + path, data=text.encode(), headers=headers, timeout=PATIENCE)


MESSAGES = '"messages":[{"role":"user","content":"hi"}]'
TWICE = [
    (CHAT, f'{{"model":"down-model","model":"chat-model",{MESSAGES}}}', "model: this stands twice"),
    (CHAT, f'{{"model":"down-model","mod\\u0065l":"chat-model",{MESSAGES}}}', "model: this stands twice"),
    (CHAT, f'{{"max_tokens":1,"model":"chat-model",{MESSAGES},"max_tokens":100000}}', "max_tokens: this stands twice"),
    (CHAT, f'{{"n" :1,"model":"chat-model","user":"a\\u003ab",{MESSAGES},"n" :9}}', "n: this stands twice"),
    (
        CHAT,
        '{"model":"chat-model","messages":[{"role":"user","content":"hi","content":"ho"}]}',
        "messages[0].content: this stands twice",
    ),
    (
        "/v1/responses",
        '{"model":"responses-model","input":"x","reasoning":{"effort":"low","effort":"high"}}',
        "reasoning.effort: this stands twice",
    ),
    (
        "/v1beta/models/gemini-model:generateContent",
        '{"contents":[],"generationConfig":{"candidateCount":1},"generationConfig":{"candidateCount":8}}',
        "generationConfig: this stands twice",
    ),
]
OTHERWISE = [
    (CHAT, f'{{"model":"chat-model","Model":"down-model",{MESSAGES}}}', "Model: this is 'model'"),
    (CHAT, f'{{"model":"chat-model","MAX_TOKENS":100000,{MESSAGES}}}', "MAX_TOKENS: this is 'max_tokens'"),
    (CHAT, f'{{"model":"chat-model","\\u017ftream":true,{MESSAGES}}}', "ſtream: this is 'stream'"),
    (
        CHAT,
        f'{{"model":"chat-model","stream":true,"stream_options":{{"Include_Usage":false}},{MESSAGES}}}',
        "stream_options.Include_Usage: this is 'include_usage'",
    ),
    ("/v1/messages", f'{{"model":"claude-model","Service_Tier":"auto","max_tokens":5,{MESSAGES}}}', "Service_Tier"),
    (
        "/v1/messages",
        f'{{"model":"claude-model","thinking":{{"BUDGET_tokens":5}},"max_tokens":5,{MESSAGES}}}',
        "thinking.",
    ),
    (
        "/v1beta/models/gemini-model:generateContent",
        '{"contents":[],"generationConfig":{"CandidateCount":8}}',
        "generationConfig.CandidateCount: this is 'candidateCount'",
    ),
    (
        "/v1beta/models/gemini-model:generateContent",
        '{"contents":[],"generation_config":{"candidateCount":1,"candidate_count":8}}',
        "generation_config.candidate_count",
    ),
]


@pytest.mark.parametrize(("path", "text", "said"), TWICE + OTHERWISE)
def test_what_two_parsers_read_in_two_ways_reaches_no_provider(gateway, one, path, text, said):
    answer = send(gateway, path, text)
    assert answer.status_code == 400
    assert said in json.dumps(answer.json(), ensure_ascii=False)
    assert not one.got


FINE = [
    f'{{"model":"chat-model","Custom":1,{MESSAGES},"metadata":{{"Model":"x","model":"y"}}}}',
    '{"model":"chat-model","messages":[{"role":"user","content":"a: b \\u003a \\"c\\": 1"}]}',
    f'{{"model" : "chat-model", "tools":[{{"type":"function","function":{{"name":"f","parameters":{{"properties":'
    f'{{"model":{{}},"Model":{{}}}}}}}}}}],{MESSAGES}}}',
]


@pytest.mark.parametrize("text", FINE)
def test_what_is_read_in_one_way_passes_byte_for_byte(gateway, one, text):
    one.script = lambda say: say.whole({"id": "x", "object": "chat.completion", "choices": []})
    send(gateway, CHAT, text)
    assert one.got[-1].body == text.encode()


def test_a_body_that_nests_deep_passes_or_is_refused_in_words(gateway):
    deep = "[" * 400 + "]" * 400
    for more in ("", ',"n":1,"n":2'):
        answer = send(gateway, CHAT, f'{{"model":"chat-model","user":{deep}{more},{MESSAGES}}}')
        assert answer.status_code in (200, 400)


NAME = st.text(st.sampled_from(['"', ":", "\\", "a", "é", "\n"]), max_size=3)


class Pairs(list):
    """Members of an object, of which some may have the same name."""


def values():
    leaf = st.integers() | NAME
    return st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(NAME, inner), max_size=4).map(Pairs),
        max_leaves=12,
    )


def text_of(value, escape):
    if isinstance(value, Pairs):
        return "{" + " ,".join(f"{text_of(name, escape)} : {text_of(inner, escape)}" for name, inner in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(text_of(inner, escape) for inner in value) + "]"
    if isinstance(value, str) and escape:
        return '"' + "".join(f"\\u{ord(char):04x}" for char in value) + '"'
    return json.dumps(value)


def has_twice(value):
    if isinstance(value, Pairs):
        names = [name for name, _ in value]
        return len(set(names)) < len(names) or any(has_twice(inner) for _, inner in value)
    return isinstance(value, list) and any(map(has_twice, value))


@given(st.lists(st.tuples(NAME, values()), max_size=5).map(Pairs), st.booleans())
def test_members_twice_are_found_if_and_only_if_there_are(pairs, escape):
    raw = text_of(pairs, escape).encode()
    assert (written_twice(raw, json.loads(raw)) is not None) == has_twice(pairs)


def test_names_are_compared_at_the_top_and_one_below():
    names = Names([("model",), ("options", "usage"), ("options", "?")], None)
    assert names.twin({"model": 1, "other": {"MODEL": 1}, "options": {"usage": 1, "more": 2}}) is None
    assert names.twin({"mOdel": 1}) == ("mOdel", "model")
    assert names.twin({"options": {"Usage": 1}}) == ("options.Usage", "usage")
