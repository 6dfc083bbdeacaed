"""The official SDKs and Cohere's dialect through the gateway to a strict upstream: each pair of client and provider."""

from __future__ import annotations

import json
import re

import pytest

from tests.clients.cohere_driver import Cohere
from tests.clients.conftest import MODELS
from tests.clients.drivers import DRIVERS, PICTURE
from tests.support import until

QUESTION = "What is the weather in Paris for 3 days?"


CLIENTS = {**DRIVERS, "cohere": Cohere}


@pytest.fixture(params=CLIENTS)
def talk(request, gateway):
    driver = CLIENTS[request.param](gateway.base, gateway.key)
    yield driver
    driver.client.close()


pytestmark = pytest.mark.parametrize("model", MODELS)


@pytest.mark.parametrize("stream", [False, True])
def test_text_and_usage(talk, model, stream):
    talk.say("Hello there !length 40")
    turn = talk.ask(model, stream=stream)
    assert turn.text.startswith("The demo goes on and on")
    assert turn.finish == "stop"
    assert turn.model == model
    assert turn.used[0] > 0
    assert turn.used[1] > 20
    if stream:
        assert turn.pieces > 3


@pytest.mark.parametrize("stream", [False, True])
def test_one_tool_call_there_and_back(talk, model, stream):
    talk.say(QUESTION)
    first = talk.ask(model, tools=True, stream=stream)
    assert [(name, arguments) for _, name, arguments in first.calls] == [("get_weather", {"city": "Paris", "days": 3})]
    assert first.finish == "tools"
    call_id, name, _ = first.calls[0]
    talk.results([(call_id, name, "sunny")])
    second = talk.ask(model, tools=True, stream=stream)
    assert second.text == "The tool get_weather answered: sunny"
    assert second.finish == "stop"


def told(line, begin, count):
    """The calls since the log had ``begin`` bytes, each (request, answer) as it went over the line."""

    def noted():
        with line.open("rb") as log:
            log.seek(begin)
            records = [json.loads(record) for record in log if record.endswith(b"}\n")]
        return len(records) >= count and records

    found = until(noted)  # the demo notes a call once it is answered
    assert [record["status"] for record in found] == [200] * count
    return [(record["body"], record["answer"]) for record in found]


def calls_in(value):
    """The names of the calls in a request, whatever its format."""
    if isinstance(value, list):
        return [name for one in value for name in calls_in(one)]
    if not isinstance(value, dict):
        return []
    called = value.get("functionCall") or (value.get("function") if "id" in value else None)
    if called or value.get("type") in ("function_call", "tool_use"):
        return [(called or value)["name"]]
    return [name for one in value.values() for name in calls_in(one)]


def seals_in(wire):
    """The signatures and sealed thoughts in a request or an answer; Google's SDK writes base64 otherwise."""
    found = re.findall(r'"(?:signature|thought_?[sS]ignature|encrypted_content)":"([^"]+)"', wire)
    return {seal.replace("-", "+").replace("_", "/") for seal in found}


def shows_thinking(talk, model):
    """A chat upstream tells no thought, only its count; a chat client has no way to ask a Responses upstream for it."""
    return model != "demo-openai" and (talk.name, model) != ("chat", "demo-responses")


@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_of_three_turns_with_parallel_calls_a_picture_and_thinking(talk, model, stream, line):
    """What the SDK got, and what stood on the line to the provider in each of the four requests."""
    begin = line.stat().st_size if line.exists() else 0
    asked = {"model": f"{model}-thinking", "tools": True, "stream": stream, "thinking": True}
    talk.say("!parallel weather in Paris, time in Rome", picture=True)
    first = talk.ask(**asked)
    assert [(name, arguments["city"]) for _, name, arguments in first.calls] == [
        ("get_weather", "Paris"),
        ("get_time", "Rome"),
    ]
    assert len({call_id for call_id, _, _ in first.calls}) == 2
    talk.results([(call_id, name, f"{name} is fine") for call_id, name, _ in first.calls])
    second = talk.ask(**asked)
    assert "get_weather answered: get_weather is fine" in second.text
    assert "get_time answered: get_time is fine" in second.text
    talk.say("And the weather in Oslo?")
    third = talk.ask(**asked)
    assert [arguments["city"] for _, _, arguments in third.calls] == ["Oslo"]
    talk.results([(call_id, name, "rain") for call_id, name, _ in third.calls])
    last = talk.ask(**asked)
    assert last.text == "The tool get_weather answered: rain"

    thoughts = [turn.thinking for turn in (first, second, third, last)]
    if shows_thinking(talk, model):
        assert all(thoughts)
        assert "weather in Paris, time in Rome" in thoughts[0]
    sent = told(line, begin, 4)
    both = ["get_weather", "get_time"]
    assert [calls_in(body) for body, _ in sent] == [[], both, both, [*both, "get_weather"]]
    assert [json.dumps(body).count(PICTURE) for body, _ in sent] == [1] * 4
    # The signature of a Gemini text, which that vendor doesn't insist on, has no place in a Claude or Responses answer.
    # A Cohere message has none at all: what calls must bring back is remembered, other thought goes without.
    bare = talk.name == "cohere" or model == "demo-gemini"
    signed = [number for number, turn in enumerate((first, second, third)) if turn.calls or not bare]
    for number in signed:
        seals = seals_in(sent[number][1])
        assert bool(seals) == (model != "demo-openai")
        for body, _ in sent[number + 1 :]:
            assert seals <= seals_in(json.dumps(body, separators=(",", ":")))


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_shown_where_the_provider_shows_it(talk, model, stream):
    talk.say("Hello there")
    turn = talk.ask(f"{model}-thinking", thinking=True, stream=stream)
    assert "Hello there" in turn.text
    if shows_thinking(talk, model):
        assert "Let me think" in turn.thinking


def test_a_picture_arrives(talk, model):
    talk.say("look", picture=True)
    assert "I see 1 image" in talk.ask(model).text


@pytest.mark.parametrize("stream", [False, True])
def test_a_limit_ends_the_answer_with_length(talk, model, stream):
    talk.say("!length 300")
    assert talk.ask(model, stream=stream, limit=20).finish == "length"


@pytest.mark.parametrize(
    ("status", "stream"), [(400, False), (404, False), (429, False), (429, True), (500, True), (503, False)]
)
def test_an_error_keeps_its_meaning(talk, model, status, stream):
    talk.say(f"!error {status}")
    with pytest.raises(talk.error) as caught:
        talk.ask(model, stream=stream)
    seen = caught.value.code if talk.name == "gemini" else caught.value.status_code
    if status < 500:
        assert seen == status
    else:
        assert seen >= 500
    if status == 429:
        headers = caught.value.response.headers
        assert int(headers["retry-after"]) > 0


def test_an_error_in_the_middle_of_a_stream_raises(talk, model):
    talk.say("one two three four five !length 60 !fail")
    with pytest.raises(talk.stream_error):
        talk.ask(model, stream=True)


def test_a_stream_that_is_cut_raises(talk, model):
    talk.say("one two three four five !length 60 !cut 8")
    with pytest.raises(talk.stream_error):
        talk.ask(model, stream=True)
