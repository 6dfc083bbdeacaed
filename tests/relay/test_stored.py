"""Answers are kept by the gateway: the vendor's own SDK goes on from them whichever provider made them."""

import itertools
import json
import time

import openai
import pytest
import requests

from engine.accounts import keys
from engine.cluster.store import EmbeddedStore
from engine.kinds.conversation.stored.store import Record, ResponseStore, store_terms
from engine.settings import Settings
from engine.storage.database import open_database
from tests.relay.test_streaming import sse
from tests.support import PATIENCE

MODELS = ("chat-model", "claude-model", "gemini-model", "responses-model")
FOREIGN = MODELS[:3]
_numbers = itertools.count(1)


def answer_of(path, text, number):
    """A whole answer of the format that the path belongs to."""
    if path.startswith("/v1/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [number]}]
        return {"object": "list", "data": data, "model": "up", "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    if not path.startswith(("/v1/chat", "/v1/messages", "/v1/responses")) and "generatecontent" not in path.lower():
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        return {"data": [], "results": [], "choices": [], "text": text, "usage": usage}
    if path.startswith("/v1/chat"):
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        return {
            "id": "same-id",
            "object": "chat.completion",
            "created": 1,
            "model": "up",
            "choices": [choice],
            "usage": usage,
        }
    if path.startswith("/v1/messages"):
        return {
            "id": "same-id",
            "type": "message",
            "role": "assistant",
            "model": "up",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 1},
        }
    if "generatecontent" in path.lower():
        content = {"role": "model", "parts": [{"text": text}]}
        candidate = {"content": content, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "up", "responseId": "same-id"}
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "id": f"resp_{number:04d}",
        "object": "response",
        "created_at": 1,
        "model": "responses-model",
        "status": "completed",
        "background": False,
        "output": [
            {"type": "reasoning", "id": f"rs_{number:04d}", "summary": [], "encrypted_content": "SECRET"},
            {
                "type": "message",
                "id": f"msg_{number:04d}",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            },
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 3,
            "output_tokens": 1,
            "total_tokens": 4,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }


def stream_of(path, whole):
    """The same answer as a stream of its format."""
    if path.startswith("/v1/chat"):
        text = whole["choices"][0]["message"]["content"]
        head = {"id": "same-id", "object": "chat.completion.chunk", "created": 1, "model": "up"}
        deltas = [({"role": "assistant", "content": text[:2]}, None), ({"content": text[2:]}, None), ({}, "stop")]
        chunks = [{**head, "choices": [{"index": 0, "delta": d, "finish_reason": f}]} for d, f in deltas]
        return [*(sse(c) for c in chunks), sse({**head, "choices": [], "usage": whole["usage"]}), b"data: [DONE]\n\n"]
    if path.startswith("/v1/messages"):
        text = whole["content"][0]["text"]
        told = [
            {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 1},
            },
            {"type": "message_stop"},
        ]
        return [sse(data, data["type"]) for data in told]
    if "generatecontent" in path.lower():
        return [sse(whole)]
    opening = {**whole, "status": "in_progress", "output": []}
    told = [{"type": "response.created", "response": opening}, {"type": "response.in_progress", "response": opening}]
    for index, item in enumerate(whole["output"]):
        told.append({"type": "response.output_item.added", "output_index": index, "item": item})
        told.append({"type": "response.output_item.done", "output_index": index, "item": item})
    told.append({"type": "response.completed", "response": whole})
    return [sse({**data, "sequence_number": n}, data["type"]) for n, data in enumerate(told)]


def speaking(*texts):
    """An upstream of all formats that says these texts in turn, streamed where it is asked to."""
    rest = iter(texts)

    def script(say):
        arrived = say.arrived
        whole = answer_of(arrived.path, next(rest), next(_numbers))
        body = arrived.json if arrived.body else {}
        if body.get("stream") or "streamGenerateContent" in arrived.path:
            say.events(*stream_of(arrived.path, whole))
        else:
            say.whole(whole)

    return script


def said(arrived):
    """All texts of a request, in order, whatever its format."""
    found = []

    def walk(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in ("text", "content", "input") and isinstance(inner, str):
                    found.append(inner)
                else:
                    walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(arrived.json)
    return found


@pytest.fixture
def client(gateway):
    return openai.OpenAI(api_key=gateway.key, base_url=gateway.base + "/v1", max_retries=0)


@pytest.fixture(scope="module")
def other_key(running):
    db = open_database(Settings(data=running.data), migrate=False)
    made = keys.create_key(db, 1, "other")
    db.close()
    return made.key


def create(client, stream, **more):
    """Make an answer, streamed or not; gives the whole of it as the SDK has it at the end."""
    if not stream:
        return client.responses.create(**more)
    final = [event for event in client.responses.create(stream=True, **more) if event.type == "response.completed"]
    assert len(final) == 1
    return final[0].response


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", FOREIGN)
def test_a_conversation_goes_on_over_a_provider_of_another_format(client, one, model, stream):
    one.script = speaking("Hello Ann", "Your name is Ann", "Bye")
    first = create(client, stream, model=model, input="I am Ann")
    second = create(client, stream, model=model, input="Who am I?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.output_text == "Your name is Ann"
    third = create(
        client, stream, model=model, input=[{"role": "user", "content": "Bye"}], previous_response_id=second.id
    )
    assert third.output_text == "Bye"
    assert said(one.got[2]) == ["I am Ann", "Hello Ann", "Who am I?", "Your name is Ann", "Bye"]
    assert "previous_response_id" not in one.got[1].body.decode()
    assert len({first.id, second.id, third.id}) == 3, "the upstream gives each answer the same id"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_what_is_kept_is_what_the_caller_saw(client, one, model, stream):
    one.script = speaking("Hello")
    made = create(client, stream, model=model, input="Hi")
    assert getattr(made, "store", True)
    kept = client.responses.retrieve(made.id)
    assert kept.to_dict() == made.to_dict()
    assert kept.model == model


@pytest.mark.parametrize("stream", [False, True])
def test_the_provider_that_holds_an_answer_gets_its_id_untouched(client, one, stream):
    one.script = speaking("Hello", "Again")
    first = create(client, stream, model="responses-model", input="Hi")
    create(client, stream, model="responses-model", input="Go on", previous_response_id=first.id)
    sent = one.got[1].json
    assert sent["previous_response_id"] == first.id
    assert sent["input"] == "Go on"


def test_another_provider_of_the_format_gets_the_conversation_without_foreign_ids_and_reasoning(client, one, two):
    one.script = speaking("Hello")
    two.script = speaking("Again")
    first = client.responses.create(model="responses-model", input="Hi")
    answer = client.responses.create(model="responses-two", input="Go on", previous_response_id=first.id)
    sent = two.got[0].json
    assert "previous_response_id" not in sent
    assert [item.get("type") for item in sent["input"]] == ["message"] * 3
    assert all("id" not in item for item in sent["input"])
    assert said(two.got[0]) == ["Hi", "Hello", "Go on"]
    two.script = speaking("More")
    client.responses.create(model="responses-two", input="More?", previous_response_id=answer.id)
    assert two.got[1].json["previous_response_id"] == answer.id


def test_a_provider_that_says_that_it_keeps_nothing_gets_the_conversation(client, one):
    one.script = lambda say: say.whole({**answer_of("/v1/responses", "Hello", 9001), "store": False})
    first = client.responses.create(model="responses-model", input="Hi")
    one.script = speaking("Again")
    client.responses.create(model="responses-model", input="Go on", previous_response_id=first.id)
    assert said(one.got[1]) == ["Hi", "Hello", "Go on"]


def test_a_conversation_moves_between_formats(client, one):
    one.script = speaking("Un", "Deux", "Trois")
    made = None
    for model, text in (("claude-model", "1"), ("responses-model", "2"), ("chat-model", "3")):
        made = client.responses.create(model=model, input=text, previous_response_id=made and made.id)
    assert said(one.got[1]) == ["1", "Un", "2"]
    assert said(one.got[2]) == ["1", "Un", "2", "Deux", "3"]


def test_tool_calls_and_their_results_are_gone_on_from(client, one):
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    asked = answer_of("/v1/chat/completions", "", 1)
    asked["choices"][0] = {
        "index": 0,
        "message": {"role": "assistant", "content": None, "tool_calls": [call]},
        "finish_reason": "tool_calls",
    }
    one.script = lambda say: say.whole(asked)
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}]
    first = client.responses.create(model="chat-model", input="Look", tools=tools)
    wanted = next(item for item in first.output if item.type == "function_call")
    one.script = speaking("A cat")
    result = {"type": "function_call_output", "call_id": wanted.call_id, "output": "cat"}
    client.responses.create(model="chat-model", input=[result], tools=tools, previous_response_id=first.id)
    roles = [message["role"] for message in one.got[1].json["messages"]]
    assert roles == ["user", "assistant", "tool"]
    assert one.got[1].json["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"at": 1}'


def test_an_item_is_put_in_place_of_a_reference_to_it(client, one):
    one.script = speaking("Hello", "Again")
    first = client.responses.create(model="claude-model", input="Hi")
    reference = {"type": "item_reference", "id": first.output[-1].id}
    items = [{"role": "user", "content": "Hi"}, reference, {"role": "user", "content": "Go on"}]
    client.responses.create(model="claude-model", input=items)
    assert said(one.got[1]) == ["Hi", "Hello", "Go on"]
    with pytest.raises(openai.NotFoundError, match="msg_unknown"):
        client.responses.create(model="claude-model", input=[{"type": "item_reference", "id": "msg_unknown"}])


@pytest.mark.parametrize("model", FOREIGN)
def test_an_unknown_answer_is_named_where_the_provider_can_not_know_it(client, one, model):
    with pytest.raises(openai.NotFoundError, match="previous response 'resp_none' not found") as caught:
        client.responses.create(model=model, input="Hi", previous_response_id="resp_none")
    assert caught.value.param == "previous_response_id"
    assert caught.value.code == "previous_response_not_found"
    assert one.got == []


def test_an_answer_that_is_not_known_as_the_callers_own_is_refused(client, one):
    one.script = speaking("Hello")
    with pytest.raises(openai.NotFoundError, match="resp_older"):
        client.responses.create(model="responses-model", input="Hi", previous_response_id="resp_older")
    assert one.got == []


KEPT_ELSEWHERE = [
    ("/v1/responses", {"model": "responses-model", "input": "x", "conversation": "conv_1"}),
    ("/v1/responses", {"model": "responses-model", "input": "x", "conversation": {"id": "conv_1"}}),
    ("/v1/responses", {"model": "responses-model", "input": "x", "prompt": {"id": "pmpt_1"}}),
    ("/v1/responses", {"model": "responses-model", "input": [{"type": "item_reference", "id": "msg_1"}]}),
    (
        "/v1/responses",
        {
            "model": "responses-model",
            "input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}],
        },
    ),
    (
        "/v1/responses",
        {"model": "responses-model", "input": "x", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    ),
    (
        "/v1/chat/completions",
        {
            "model": "chat-model",
            "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}],
        },
    ),
    (
        "/v1/messages",
        {
            "model": "claude-model",
            "max_tokens": 5,
            "messages": [
                {"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]}
            ],
        },
    ),
    (
        "/v1beta/models/gemini-model:generateContent",
        {"contents": [{"parts": [{"text": "x"}]}], "cachedContent": "cachedContents/1"},
    ),
    (
        "/v1beta/models/gemini-model:generateContent",
        {
            "contents": [
                {"parts": [{"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}]}
            ]
        },
    ),
]


@pytest.mark.parametrize(("path", "body"), KEPT_ELSEWHERE)
@pytest.mark.parametrize("escaped", [False, True])
def test_what_the_providers_account_keeps_for_others_is_refused(gateway, one, path, body, escaped):
    text = json.dumps(body)
    if escaped:  # names of members may be written so, too
        text = text.replace('"conversation"', '"\\u0063onversation"').replace('"file_id"', '"\\u0066ile_id"')
    one.script = speaking("Hello")
    headers = {"authorization": f"Bearer {gateway.key}", "x-goog-api-key": gateway.key}
    answer = requests.post(gateway.base + path, data=text, headers=headers, timeout=PATIENCE)
    assert answer.status_code in (400, 404), answer.text
    assert "known here" in answer.text or "no kept item" in answer.text
    assert one.got == []


def test_a_public_file_is_no_secret_of_the_account(gateway, one):
    one.script = speaking("Hello")
    part = {"fileData": {"fileUri": "https://www.youtube.com/watch?v=abc"}}
    path = "/v1beta/models/gemini-model:generateContent"
    answer = gateway.post(path, {"contents": [{"parts": [part]}]}, headers={"x-goog-api-key": gateway.key})
    assert answer.status_code == 200, answer.text


def test_an_item_of_another_keys_answer_is_refused(gateway, client, one, other_key):
    one.script = speaking("Hello")
    made = client.responses.create(model="responses-model", input="Hi")
    other = openai.OpenAI(api_key=other_key, base_url=gateway.base + "/v1", max_retries=0)
    one.got.clear()
    with pytest.raises(openai.NotFoundError):
        other.responses.create(
            model="responses-model",
            input=[{"type": "item_reference", "id": made.output[-1].id}, {"role": "user", "content": "x"}],
        )
    assert one.got == []


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_kept_that_must_not_be(client, one, model):
    one.script = speaking("Hello")
    made = client.responses.create(model=model, input="Hi", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


@pytest.mark.parametrize("model", ["claude-model", "responses-model"])
def test_answers_belong_to_their_key(gateway, client, one, other_key, model):
    one.script = speaking("Hello")
    made = client.responses.create(model=model, input="Hi")
    other = openai.OpenAI(api_key=other_key, base_url=gateway.base + "/v1", max_retries=0)
    for call in (
        other.responses.retrieve,
        other.responses.delete,
        other.responses.cancel,
        other.responses.input_items.list,
    ):
        with pytest.raises(openai.NotFoundError, match=made.id):
            call(made.id)
    before = len(one.got)
    with pytest.raises(openai.NotFoundError):
        other.responses.create(model=model, input="Go on", previous_response_id=made.id)
    assert len(one.got) == before, "the provider would have known it"
    assert client.responses.retrieve(made.id).id == made.id


def test_a_deleted_answer_is_gone_here_and_at_the_provider(gateway, client, one):
    one.script = speaking("Hello", "Hello")
    made = client.responses.create(model="responses-model", input="Hi")
    one.script = lambda say: say.whole({"id": made.id, "object": "response", "deleted": True})
    assert client.responses.delete(made.id) is None
    assert (one.got[-1].method, one.got[-1].path) == ("DELETE", f"/v1/responses/{made.id}")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="responses-model", input="Go on", previous_response_id=made.id)


@pytest.mark.parametrize("model", FOREIGN)
def test_an_answer_of_another_format_is_deleted_here_alone(client, one, model):
    one.script = speaking("Hello")
    made = client.responses.create(model=model, input="Hi", include=["reasoning.encrypted_content"])
    assert client.responses.delete(made.id) is None
    assert len(one.got) == 1, "the provider never knew it"
    for gone in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError, match=made.id):
            gone(made.id)
    with pytest.raises(openai.NotFoundError, match=made.id):
        client.responses.create(model=model, input="Go on", previous_response_id=made.id)


@pytest.mark.parametrize("model", FOREIGN)
def test_only_background_answers_can_be_cancelled(client, one, model):
    one.script = speaking("Hello")
    made = client.responses.create(model=model, input="Hi")
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.cancel(made.id)


def test_a_background_answer_is_asked_for_at_the_provider_until_it_is_made(client, one):
    queued = {**answer_of("/v1/responses", "", 9100), "status": "queued", "background": True, "output": []}
    one.script = lambda say: say.whole(queued)
    made = client.responses.create(model="responses-model", input="Hi", background=True)
    assert made.status == "queued"
    one.script = lambda say: say.whole({**queued, "status": "cancelled"})
    assert client.responses.cancel(made.id).status == "cancelled"
    assert (one.got[-1].method, one.got[-1].path) == ("POST", f"/v1/responses/{made.id}/cancel")
    one.script = lambda say: say.whole({}, status=500)
    assert client.responses.retrieve(made.id).status == "cancelled"


@pytest.mark.parametrize("model", FOREIGN)
def test_background_mode_is_refused_where_the_provider_has_none(client, one, model):
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.create(model=model, input="Hi", background=True)
    one.script = speaking("Hello")
    assert client.responses.create(model=model, input="Hi", background=False).output_text == "Hello"


@pytest.mark.parametrize("model", FOREIGN)
def test_input_items_are_listed_in_pages(client, one, model):
    one.script = speaking("Hello", "Again")
    first = client.responses.create(model=model, input="Hi")
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}
    items = [{"role": "user", "content": [{"type": "input_text", "text": "Look"}, picture]}]
    second = client.responses.create(model=model, input=items, previous_response_id=first.id)
    listed = client.responses.input_items.list(second.id, order="asc")
    texts = [item.content[0].text for item in listed.data]
    assert texts == ["Hi", "Hello", "Look"]
    assert listed.data[1].id == first.output[-1].id
    page = client.responses.input_items.list(second.id, limit=2)
    assert [item.content[0].text for item in page.data] == ["Look", "Hello"]
    assert page.has_more
    assert [item.id for item in client.responses.input_items.list(second.id, limit=1)] == [i.id for i in listed.data][
        ::-1
    ]
    with pytest.raises(openai.BadRequestError, match="limit"):
        client.responses.input_items.list(second.id, limit=101)
    with pytest.raises(openai.BadRequestError, match="after"):
        client.responses.input_items.list(second.id, after="msg_none")


def test_wrong_types_are_named(gateway, one):
    for field, value in (("previous_response_id", 7), ("store", "yes")):
        answer = gateway.post("/v1/responses", {"model": "claude-model", "input": "Hi", field: value})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == field


# ------------------------------------------------------------------------------------------------ the keeping itself


class Clock:
    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


def record(number, previous=None, text="x", at=None):
    return Record(f"r{number}", at or time.time(), "0:c", False, previous, [text], {"output": []})


@pytest.fixture
def answers(tmp_path):
    """Makes kept answers by rules, with the clock that they go by."""
    stores = []

    def make(**rules):
        clock = Clock()
        stores.append(EmbeddedStore(tmp_path / "a.db", clock=clock))
        return ResponseStore(stores[-1], 1), store_terms({"stored": rules}), clock

    yield make
    for store in stores:
        store.close()


def test_answers_expire(answers):
    kept, terms, clock = answers(seconds=10)
    assert kept.keep(1, record(1), [], terms)
    assert kept.find(1, "r1") is not None
    clock.now += 11
    assert kept.find(1, "r1") is None
    assert kept.chain(1, "r1", 1000, terms).records == []


def test_what_is_gone_on_from_lives_anew_with_all_before_it(answers):
    kept, terms, clock = answers(seconds=10)
    past = time.time() - 6
    assert kept.keep(1, record(1, at=past), [], terms)
    assert kept.keep(1, record(2, previous="r1", at=past), [], terms)
    clock.now += 6
    assert len(kept.chain(1, "r2", 10_000, terms).records) == 2
    clock.now += 6
    assert len(kept.chain(1, "r2", 10_000, terms).records) == 2


def test_a_chain_is_bounded_and_says_what_is_missing(answers):
    kept, terms, _ = answers(entryBytes=3000)
    kept.keep(1, record(1, text="a" * 2000), [], terms)
    kept.keep(1, record(2, previous="r1", text="b" * 2000), [], terms)
    assert kept.chain(1, "r2", 100_000, terms).whole
    assert not kept.chain(1, "r2", 3000, terms).whole
    kept.delete(1, "r1", terms)
    assert not kept.chain(1, "r2", 100_000, terms).whole
    assert not kept.keep(1, record(3, text="c" * 4000), [], terms), "larger than an entry may be"


def test_a_chain_that_bites_its_tail_ends(answers):
    kept, terms, _ = answers()
    kept.keep(1, record(1, previous="r2"), [], terms)
    kept.keep(1, record(2, previous="r1"), [], terms)
    assert len(kept.chain(1, "r2", 100_000, terms).records) == 2


def test_lone_surrogates_are_kept(answers):
    kept, terms, _ = answers()
    assert kept.keep(1, record(1, text="\ud800"), [], terms)
    assert json.dumps(kept.find(1, "r1").input) == '["\\ud800"]'
