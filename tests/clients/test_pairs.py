"""The official SDKs through the gateway to a strict upstream: each of the 4 x 4 pairs of client and provider format."""

from __future__ import annotations

import pytest

from tests.clients.drivers import DRIVERS
from tests.support import Gateway

MODELS = ("demo-openai", "demo-responses", "demo-claude", "demo-gemini")
QUESTION = "What is the weather in Paris for 3 days?"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    running = Gateway(tmp_path_factory.mktemp("pairs"), demo=True)
    try:
        yield running.ready()
    finally:
        running.stop()
        assert "Traceback" not in running.output, running.output


@pytest.fixture(params=DRIVERS)
def talk(request, gateway):
    driver = DRIVERS[request.param](gateway.base, gateway.key)
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


@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_of_three_turns_with_parallel_calls_a_picture_and_thinking(talk, model, stream):
    thinking_model = f"{model}-thinking"
    asked = {"tools": True, "stream": stream, "thinking": True}
    talk.say("!parallel weather in Paris, time in Rome", picture=True)
    first = talk.ask(thinking_model, **asked)
    assert [(name, arguments["city"]) for _, name, arguments in first.calls] == [
        ("get_weather", "Paris"),
        ("get_time", "Rome"),
    ]
    assert len({call_id for call_id, _, _ in first.calls}) == 2
    talk.results([(call_id, name, f"{name} is fine") for call_id, name, _ in first.calls])
    second = talk.ask(thinking_model, **asked)
    assert "get_weather answered: get_weather is fine" in second.text
    assert "get_time answered: get_time is fine" in second.text
    talk.say("And the weather in Oslo?")
    third = talk.ask(thinking_model, **asked)
    assert [arguments["city"] for _, _, arguments in third.calls] == ["Oslo"]
    talk.results([(call_id, name, "rain") for call_id, name, _ in third.calls])
    last = talk.ask(thinking_model, **asked)
    assert last.text == "The tool get_weather answered: rain"


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_shown_where_the_provider_shows_it(talk, model, stream):
    talk.say("Hello there")
    turn = talk.ask(f"{model}-thinking", thinking=True, stream=stream)
    assert "Hello there" in turn.text
    # A chat upstream tells no thought, only its count; a chat client has no way to ask a Responses upstream for it.
    if model != "demo-openai" and (talk.name, model) != ("chat", "demo-responses"):
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
