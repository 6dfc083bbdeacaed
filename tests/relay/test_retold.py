"""Kept answers got as streams, by the official SDK from a running gateway."""

from dataclasses import replace
from types import SimpleNamespace

import openai
import pytest
import requests

from engine.kinds.conversation.stored.replay import _events
from tests.formats import reasons, recorded
from tests.relay import test_stored as stored
from tests.relay.test_stored import create, speaking
from tests.relay.test_streaming import events
from tests.support import PATIENCE

client, other_key = stored.client, stored.other_key
MODELS = ["claude-model", "chat-model", "gemini-model", "responses-model"]


def retold(client, answer_id, **more):
    return list(client.responses.retrieve(answer_id, stream=True, **more))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_kept_answer_is_told_as_a_stream(client, one, model, stream):
    one.script = speaking("Hello")
    made = create(client, stream, model=model, input="Hi", temperature=0.5)
    told = retold(client, made.id)
    assert [event.type for event in told[:2]] == ["response.created", "response.in_progress"]
    assert [event.sequence_number for event in told] == list(range(len(told)))
    assert told[0].response.id == made.id
    assert told[0].response.status == "in_progress"
    assert told[0].response.output == []
    assert "".join(event.delta for event in told if event.type == "response.output_text.delta") == "Hello"
    assert told[-1].type == "response.completed"
    assert told[-1].response.to_dict() == client.responses.retrieve(made.id).to_dict()
    done = [event.item.id for event in told if event.type == "response.output_item.done"]
    assert done == [item.id for item in made.output]
    assert len(one.got) == 1, "the provider is not asked again"


@pytest.mark.parametrize("model", ["claude-model", "responses-model"])
def test_stream_goes_on_after_the_event_that_was_seen_last(client, one, model):
    one.script = speaking("Hello")
    made = create(client, True, model=model, input="Hi")
    told = retold(client, made.id)
    for after in range(len(told)):
        again = retold(client, made.id, starting_after=after)
        assert [event.to_dict() for event in again] == [event.to_dict() for event in told[after + 1 :]]
    assert retold(client, made.id, starting_after=10**9) == []


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "", "9" * 40, "\u0663"])
def test_what_is_no_number_is_refused_by_name(gateway, client, one, value):
    one.script = speaking("Hello")
    made = create(client, False, model="claude-model", input="Hi")
    answer = requests.get(
        f"{gateway.base}/v1/responses/{made.id}",
        params={"stream": "true", "starting_after": value},
        headers={"authorization": f"Bearer {gateway.key}"},
        timeout=PATIENCE,
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "starting_after"


def test_unknown_and_others_answers_are_not_found(gateway, client, one, other_key):
    one.script = speaking("Hello")
    made = create(client, True, model="claude-model", input="Hi")
    other = openai.OpenAI(api_key=other_key, base_url=gateway.base + "/v1", max_retries=0)
    for asked, name in ((client, "resp_unknown"), (other, made.id)):
        with pytest.raises(openai.NotFoundError, match=name) as found:
            retold(asked, name, starting_after=1)
        assert found.value.code == "response_not_found"
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        retold(client, made.id)


def test_answer_that_is_still_being_made_is_not_told_as_a_stream(client, one):
    whole = {"id": "resp_bg", "object": "response", "created_at": 1, "model": "responses-model", "output": []}
    pending = {**whole, "status": "in_progress", "background": True}
    one.script = lambda say: say.whole(pending)
    made = client.responses.create(model="responses-model", input="Hi", background=True)
    with pytest.raises(openai.BadRequestError, match="still being made") as found:
        retold(client, made.id)
    assert found.value.param == "stream"
    one.script = lambda say: say.whole({**pending, "status": "completed"})
    assert retold(client, made.id)[-1].type == "response.completed"
    one.script = lambda say: say.whole({**pending, "id": "resp_cancelled", "status": "cancelled"})
    made = client.responses.create(model="responses-model", input="Hi", background=True)
    with pytest.raises(openai.BadRequestError, match="was cancelled"):
        retold(client, made.id)


def test_failed_answer_ends_in_its_error(client, one):
    error = {"code": "server_error", "message": "It broke."}
    failed = {"id": "resp_f", "object": "response", "created_at": 1, "model": "responses-model", "output": []}
    pending = {**failed, "status": "queued", "background": True}
    one.script = lambda say: say.whole(pending)
    made = client.responses.create(model="responses-model", input="Hi", background=True)
    one.script = lambda say: say.whole({**pending, "status": "failed", "error": error})
    assert client.responses.retrieve(made.id).status == "failed"
    told = retold(client, made.id)
    assert told[-1].type == "response.failed"
    assert told[-1].response.error.message == "It broke."


def test_answer_that_makes_no_sense_is_given_whole_only(client, one):
    odd = {"id": "resp_odd", "object": "response", "created_at": 1, "model": "m", "status": "completed"}
    one.script = lambda say: say.whole({**odd, "output": [{"type": "message", "content": 7}]})
    client.responses.create(model="responses-model", input="Hi")
    assert client.responses.with_raw_response.retrieve("resp_odd").http_response.json()["output"][0]["content"] == 7
    with pytest.raises(openai.BadRequestError, match="resp_odd is not as answers are"):
        retold(client, "resp_odd")


def test_more_than_was_kept_is_told_as_lost(client, one):
    one.script = speaking("Hello")
    made = create(client, False, model="claude-model", input="Hi")
    got = client.responses.with_raw_response.retrieve(made.id, include=["reasoning.encrypted_content"])
    assert got.headers["x-gatewright-loss"] == "include=the answer is given as it was kept"
    assert "x-gatewright-loss" not in client.responses.with_raw_response.retrieve(made.id).headers


def test_stream_has_the_framing_of_its_format(gateway, client, one):
    one.script = speaking("Hello")
    made = create(client, False, model="claude-model", input="Hi")
    address = f"{gateway.base}/v1/responses/{made.id}?stream=true"
    answer = requests.get(address, headers={"authorization": f"Bearer {gateway.key}"}, timeout=PATIENCE)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.startswith("event: response.created\ndata: {")
    whole = requests.get(
        address.partition("?")[0], headers={"authorization": f"Bearer {gateway.key}"}, timeout=PATIENCE
    )
    assert events(answer)[-1]["response"] == whole.json()


def said(message):
    """What a message says; the phase stands on items in streams."""
    told = reasons.parts(message)
    return {**told, "parts": [{key: one for key, one in part.items() if key != "phase"} for part in told["parts"]]}


WHOLE = [
    exchange
    for exchange in recorded.exchanges()
    if exchange.format == "openai.responses" and exchange.status == 200 and exchange.response
]


@pytest.mark.parametrize("exchange", WHOLE, ids=lambda exchange: exchange.id)
def test_recorded_answer_is_told_again_to_its_last_word(exchange):
    answer = exchange.response
    if answer.get("status") not in ("completed", "incomplete"):
        pytest.skip(f"it is {answer.get('status')}")
    speaker = recorded.program().formats["openai.responses"]
    call = SimpleNamespace(
        format=speaker, asked="", ctx=lambda: {"now": 1, "request_id": "r", "asked": "", "model": ""}
    )
    told = _events(call, speaker.stored, SimpleNamespace(answer=answer, id=answer["id"]))
    assert told[-1]["response"] == answer
    exchange_of_stream = replace(exchange, stream="")
    heard = dict(recorded.convey(exchange_of_stream, "stream", told, exchange.format).steps)["hub message"]
    assert said(heard) == said(recorded.answer_parts(exchange))
