"""What an answer says that its caller is not told: in the header of a whole answer, on the log row in any case."""

import json

import pytest

from tests.relay.test_passing import body_of
from tests.relay.test_streaming import DONE, ask, chunk, events, rows, sse
from tests.relay.test_thinking import CLAUDE, chat

WHY = "the caller's format has no word for it"


def losses_of(gateway, answer):
    """The losses on the call's log row."""
    return json.loads(rows(gateway, answer.headers["x-request-id"])[0]["other"]).get("losses")


@pytest.mark.parametrize("dialect", ["claude", "responses", "gemini"])
def test_whole_answer_tells_what_was_lost_of_it(gateway, one, dialect):
    one.script = lambda say: say.whole({**chat(content="hi", foo={"deep": 1}), "system_fingerprint": "fp_1"})
    path, body = body_of(dialect, "chat-model")
    answer = gateway.post(path, body)
    told = answer.headers["x-gatewright-loss"]
    assert f"choices.message.foo={WHY}" in told
    assert f"system_fingerprint={WHY}" in told
    assert "fp_1" not in told
    assert losses_of(gateway, answer) == [["choices.message.foo", WHY], ["system_fingerprint", WHY]]


def test_answer_that_says_nothing_else_has_no_header(gateway, one):
    one.script = lambda say: say.whole(chat(content="hi"))
    path, body = body_of("claude", "chat-model")
    answer = gateway.post(path, body)
    assert "x-gatewright-loss" not in answer.headers
    assert losses_of(gateway, answer) is None


def test_same_format_passes_on_what_nobody_knows(gateway, one):
    one.script = lambda say: say.whole({**chat(content="hi"), "foo": 1})
    path, body = body_of("chat", "chat-model")
    answer = gateway.post(path, body)
    assert answer.json()["foo"] == 1
    assert "x-gatewright-loss" not in answer.headers


def test_text_that_stopped_the_model_is_told_where_there_is_no_place_for_it(gateway, one):
    one.script = lambda say: say.whole({**CLAUDE, "stop_reason": "stop_sequence", "stop_sequence": "END"})
    path, body = body_of("chat", "claude-model")
    assert "stop_sequence=" in gateway.post(path, body).headers["x-gatewright-loss"]


def test_stream_tells_each_field_once_on_the_log_row(gateway, one):
    more = {"system_fingerprint": "fp_1", "foo": [1]}
    told = [json.loads(chunk(content=letter)[6:]) | more for letter in "abcdef"]
    one.script = lambda say: say.events(*map(sse, told), chunk(finish="stop"), DONE)
    answer = ask(gateway, "claude")
    assert events(answer)
    assert losses_of(gateway, answer) == [["system_fingerprint", WHY], ["foo", WHY]]


def test_stream_that_was_wanted_whole_tells_it_in_the_header(gateway, one):
    told = [json.loads(chunk(content=letter)[6:]) | {"foo": 1} for letter in "ab"]
    one.script = lambda say: say.events(*map(sse, told), chunk(finish="stop"), DONE)
    path, body = body_of("claude", "chat-model")
    assert f"foo={WHY}" in gateway.post(path, body).headers["x-gatewright-loss"]


def test_answer_with_ever_new_fields_cannot_make_the_report_grow(gateway, one):
    one.script = lambda say: say.whole({**chat(content="hi"), **{f"field{n}\r\nx: {'y' * 500}": 1 for n in range(500)}})
    path, body = body_of("claude", "chat-model")
    answer = gateway.post(path, body)
    assert answer.status_code == 200
    assert len(answer.headers["x-gatewright-loss"]) <= 2000
    assert len(losses_of(gateway, answer)) == 50


def test_field_of_any_name_makes_a_header(gateway, one):
    odd = "a\x00b\x1b[31m\r\nx-evil: 1\u20ac\x7f"
    one.script = lambda say: say.whole({**chat(content="hi"), odd: 1})
    path, body = body_of("claude", "chat-model")
    answer = gateway.post(path, body)
    assert answer.status_code == 200
    assert answer.headers["x-gatewright-loss"].startswith("a?b?[31m??x-evil: 1??=")
    assert "x-evil" not in answer.headers


def test_loss_of_a_request_names_its_place_in_the_callers_own_body(gateway, one):
    one.script = lambda say: say.whole(chat(content="hi"))
    mark = {"cache_control": {"type": "ephemeral"}}
    turns = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", **mark}]}]
    path, body = body_of("claude", "chat-model", messages=turns, top_k=3)
    answer = gateway.post(path, body)
    told = answer.headers["x-gatewright-loss"]
    assert "cache=" in told
    assert "(in your request: messages[0].content[1].cache_control)" in told
    assert "sampling.top_k=" in told
    assert "(in your request: top_k)" in told
    assert any("content[1].cache_control" in why for _, why in losses_of(gateway, answer))


def test_signatures_of_another_vendor_are_one_line_with_their_places(gateway, one):
    one.script = lambda say: say.whole({**CLAUDE, "content": [{"type": "text", "text": "hi"}]})
    signed = [{"text": "a", "thoughtSignature": "c2ln"}]
    turns = [{"role": role, "parts": signed if role == "model" else [{"text": "b"}]} for role in ["user", "model"] * 5]
    path, body = body_of("gemini", "claude-model", contents=[*turns, turns[0]])
    told = gateway.post(path, body).headers["x-gatewright-loss"]
    assert told.count("messages.parts.signature") == 1
    places = ", ".join(f"contents[{number}].parts[0].thoughtSignature" for number in (1, 3, 5))
    assert f"(in your request: {places} and others)" in told


def test_place_is_spelled_as_the_caller_spelled_it(gateway, one):
    one.script = lambda say: say.whole(chat(content="hi"))
    path, body = body_of("gemini", "chat-model", generation_config={"top_k": 3})
    assert "(in your request: generation_config.top_k)" in gateway.post(path, body).headers["x-gatewright-loss"]
