"""The way back: names restored, whole answers prepared, what clients can't hold remembered, losses told."""

from __future__ import annotations

from typing import Any

from engine.hub import loss, memory
from engine.hub.shape import Memo, Restorer, restore, shape
from engine.hub.stream.assembler import Assembler
from engine.hub.stream.replay import events, prepare

START = {"type": "start", "id": "m"}


def streamed(memo: Memo, *told: dict[str, Any]) -> Assembler:
    """Events through a restorer into an assembler."""
    restorer, assembler = Restorer(memo), Assembler()
    for event in told:
        assembler.feed(restorer.events([event]))
    assembler.close()
    return assembler


def call(**fields: Any) -> dict[str, Any]:
    return {"type": "part_start", "key": 0, "kind": "tool_call", "fields": fields}


def args(text: str) -> dict[str, Any]:
    return {"type": "part_delta", "key": 0, "kind": "tool_call", "arguments": text}


def test_names_are_the_clients_again() -> None:
    assembler = streamed(Memo(names={"a_1": "a.b"}), START, call(id="c", name="a_1"), args("{}"))
    assert assembler.message["parts"][0]["name"] == "a.b"


def test_the_answers_tool_becomes_text_again() -> None:
    told = [START, call(id="c", name="give"), args('{"a":'), args("1}"), {"type": "finish", "reason": "tool_calls"}]
    assembler = streamed(Memo(output_tool="give"), *told)
    assert [(part["type"], part["text"]) for part in assembler.message["parts"]] == [("text", '{"a":1}')]
    assert assembler.message["finish"]["reason"] == "stop"


def test_a_dressed_up_custom_tool_is_one_again() -> None:
    told = [START, call(id="c", name="patch"), args('{"input": "*** b'), args('egin\\n"}')]
    assembler = streamed(Memo(custom={"patch": "input"}), *told)
    part = assembler.message["parts"][0]
    assert (part["arguments"], part["custom"]) == ("*** begin\n", True)
    assert "unwrap" not in part


def test_whole_answers_are_restored_alike() -> None:
    response = {
        "id": "m",
        "parts": [{"type": "tool_call", "id": "c", "name": "give", "arguments": '{"a":1}'}],
        "finish": {"reason": "tool_calls"},
    }
    made = prepare(restore(response, Memo(output_tool="give")), None)
    assert made["parts"][0]["text"] == '{"a":1}'
    assert made["finish"]["reason"] == "stop"


def test_a_prepared_answer_is_numbered_and_grouped() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "tool_call", "name": "f"}]
    report: list[tuple[str, str]] = []
    response = {"id": "m", "parts": [{"type": "thinking", "text": "t"}, *parts], "finish": {"reason": "stop"}}
    target = {"accepts": ["text", "tool_call"], "items": {"message": ["text"], "call": ["tool_call"]}}
    made = prepare(response, target, report=report)
    assert [(item["kind"], len(item["parts"])) for item in made["items"]] == [("message", 2), ("call", 1)]
    assert [part["index"] for part in made["parts"]] == [0, 1, 2]
    assert made["parts"][2]["arguments"] == "{}"
    assert made["parts"][2]["id"].startswith("call_")
    assert made["finish"]["reason"] == "tool_calls"
    assert report


def test_a_replayed_answer_is_the_same_answer() -> None:
    response = {
        "id": "m",
        "model": "x",
        "parts": [{"type": "thinking", "text": "t", "signature": "s"}, {"type": "text", "text": "a"}],
        "finish": {"reason": "length", "raw": "max"},
        "usage": {"input_fresh": 3, "input_total": 3, "total": 3},
    }
    once = prepare(response, None)
    assert prepare(once, None) == once
    assert [event["type"] for event in events(response)] == ["start", "usage", "part", "part", "finish", "end"]


SIGNED = {"type": "thinking", "text": "t", "signature": "s", "signature_of": "beta/m"}


def test_signed_thinking_is_remembered_by_call_and_put_back() -> None:
    call_part = {"type": "tool_call", "id": "c1", "name": "f", "arguments": "{}", "signature": "z"}
    records = memory.remember(
        [SIGNED, {"type": "text", "text": "hm"}, call_part, {**call_part, "id": "c2", "signature": ""}]
    )
    assert set(records) == {"c1"}
    bare = {"type": "tool_call", "id": "c1", "name": "f", "arguments": "{}"}
    request = {"messages": [{"role": "assistant", "parts": [{"type": "thinking", "text": "t"}, bare]}]}
    made = memory.recall(request, records.get)
    assert [part.get("signature") for part in made["messages"][0]["parts"]] == ["s", "z"]
    assert request["messages"][0]["parts"][1] == bare


def test_what_the_client_kept_is_not_replaced() -> None:
    request = {"messages": [{"role": "assistant", "parts": [SIGNED, {"type": "tool_call", "id": "c1"}]}]}
    made = memory.recall(request, {"c1": {"thinking": [{**SIGNED, "signature": "other"}]}}.get)
    assert made is request


def test_what_the_client_kept_in_a_message_of_its_own_does_not_stand_twice() -> None:
    call = {"type": "tool_call", "id": "c1", "name": "f", "arguments": "{}"}
    records = {"c1": {"thinking": [SIGNED]}}
    signed = {"messages": [{"role": "assistant", "parts": [SIGNED]}, {"role": "assistant", "parts": [call]}]}
    assert memory.recall(signed, records.get) is signed
    unsigned = {
        "messages": [{"role": "assistant", "parts": [{"type": "thinking", "text": "t"}]}, signed["messages"][1]]
    }
    assert memory.recall(unsigned, records.get)["messages"] == [{"role": "assistant", "parts": [SIGNED, call]}]


def test_unread_paths_are_told_one_by_one() -> None:
    request = {
        "model": "m",
        "messages": [],
        "sampling": {"seed": 1, "top_k": 2},
        "user": "u",
        "metadata": {},
        "store": None,
    }
    assert [path for path, _ in loss.unread(request, frozenset({"sampling.seed", "user"}))] == ["sampling.top_k"]
    assert loss.unread(request, frozenset({"sampling", "user"})) == []


def test_the_answer_tool_is_known_by_the_name_that_the_target_has_for_it() -> None:
    request = {
        "messages": [{"role": "user", "parts": [{"type": "text", "text": "x"}]}],
        "output": {"type": "schema", "schema": {"type": "object"}},
    }
    rules = {"output": ["tool"], "tools": {"name": {"pattern": "^[a-z-]+$", "max": 24}}}
    made, memo = shape(request, rules, {"format": "alpha", "target": "beta"}, [])
    name = made["tools"][0]["name"]
    assert "_" not in name
    response = {"id": "m", "parts": [{"type": "tool_call", "id": "c", "name": name, "arguments": '{"a":1}'}]}
    assert restore(response, memo)["parts"] == [{"type": "text", "text": '{"a":1}'}]
    assembler = streamed(memo, START, call(id="c", name=name), args('{"a":1}'))
    assert [(part["type"], part["text"]) for part in assembler.message["parts"]] == [("text", '{"a":1}')]


def test_what_began_a_turn_begins_it_again_whatever_the_client_put_before_the_call() -> None:
    call = {"type": "tool_call", "id": "c1", "name": "f", "arguments": {}}
    records = memory.remember([SIGNED, call])

    def recalled(*before: dict[str, Any]) -> list[dict[str, Any]]:
        request = {"messages": [{"role": "assistant", "parts": [*before, call]}]}
        return list(memory.recall(request, records.get)["messages"][0]["parts"])

    words = {"type": "text", "text": "Let me see."}
    assert recalled(words) == [SIGNED, words, call]
    tagged = {"type": "text", "text": f"<think>\n{SIGNED['text']}\n</think>"}
    other = {"type": "text", "text": "<think>\nsomething else\n</think>"}
    assert recalled(tagged) == [SIGNED, call]
    assert recalled(tagged, words) == [SIGNED, words, call]
    assert recalled(other) == [SIGNED, other, call]


def test_thoughts_between_calls_stay_between_them() -> None:
    first, second = ({"type": "tool_call", "id": name, "name": "f", "arguments": {}} for name in ("c1", "c2"))
    later = {**SIGNED, "text": "and now", "signature": "s2"}
    records = memory.remember([SIGNED, first, later, second])
    words = {"type": "text", "text": "So."}
    request = {"messages": [{"role": "assistant", "parts": [words, first, second]}]}
    assert memory.recall(request, records.get)["messages"][0]["parts"] == [SIGNED, words, first, later, second]
