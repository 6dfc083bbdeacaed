"""The assembler: orderly answers from disorderly events."""

from __future__ import annotations

from typing import Any

import pytest

from engine.hub.response import response
from engine.hub.stream.assembler import Assembler
from engine.hub.usage import Plan

Events = list[dict[str, Any]]


def run(events: Events, *, at_once: bool = False, close: bool = True, **how: Any) -> tuple[Assembler, list[Any]]:
    """Feed events one by one and close."""
    assembler = Assembler(how.pop("source", {"ends": {"marker": True}}), how.pop("target", None), **how)
    out: list[Any] = []
    for batch in [events] if at_once else [[event] for event in events]:
        out += assembler.feed(batch)
    return assembler, out + (assembler.close() if close else [])


def names(out: list[Any]) -> list[str]:
    return [name for name, *_ in out]


def start(id_: str = "m1") -> dict[str, Any]:
    return {"type": "start", "id": id_, "model": "m"}


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"type": "part_delta", "kind": "text", "text": value, **more}


def call(key: int, **fields: Any) -> dict[str, Any]:
    return {"type": "part_start", "key": key, "kind": "tool_call", "fields": fields}


def args(key: int | None, value: str) -> dict[str, Any]:
    delta = {"type": "part_delta", "kind": "tool_call", "arguments": value}
    return delta if key is None else {**delta, "key": key}


FINISH = {"type": "finish", "reason": "stop", "raw": "stop"}
END = {"type": "end"}


def test_start_on_every_chunk_is_told_once() -> None:
    _, out = run([start(), text("a"), start(), text("b"), FINISH, END])
    assert names(out) == ["start", "part_start", "part_delta", "part_delta", "part_end", "finish"]


def test_text_is_summed_at_its_end() -> None:
    assembler, out = run([start(), text("a"), text("b"), END])
    assert next(part for name, _, part, _ in out if name == "part_end")["text"] == "ab"
    assert response(assembler.message)["parts"][0]["text"] == "ab"


def test_needs_sum_shows_the_sum_at_each_delta() -> None:
    assembler = Assembler(None, {"needsSum": True})
    seen = [
        part["text"] for event in "abc" for name, _, part, _ in assembler.feed([text(event)]) if name == "part_delta"
    ]
    assert seen == ["a", "ab", "abc"]


def test_an_id_that_changes_with_every_event_means_nothing() -> None:
    _, out = run([])
    assembler = Assembler({"ends": {"marker": True}})
    out = [tuple_ for i in range(5) for tuple_ in assembler.feed([start(f"id{i}"), text("x")])]
    assert names(out) == ["start", "part_start"] + ["part_delta"] * 5


def test_a_second_answer_in_the_stream_drops_half_a_call() -> None:
    events = [start("one"), call(1, id="a", name="f"), args(1, '{"v": "Sp'), start("two"), call(1, id="b", name="f")]
    assembler, out = run([*events, args(1, '{"v":1}'), {"type": "part_end", "key": 1}, FINISH, END])
    ends = [(event, part) for name, event, part, _ in out if name == "part_end"]
    assert ends[0][0]["dropped"]
    assert [part["id"] for part in response(assembler.message)["parts"]] == ["b"]
    assert assembler.message["finish"]["reason"] == "tool_calls"


def test_empty_ids_are_made_up_once() -> None:
    assembler, _ = run([{"type": "start", "id": ""}, text("a"), {"type": "start", "id": ""}, END])
    assert assembler.message["id"].startswith("gen-")


def test_usage_after_an_error_still_counts() -> None:
    rules = {"input": {"path": "in"}, "output": {"path": "out"}}
    assembler, out = run(
        [start(), {"type": "error", "meaning": "overloaded"}, {"type": "usage", "counts": {"in": 5, "out": 1}}],
        plan=Plan(rules),
    )
    assert names(out) == ["start", "error"]
    assert assembler.usage["total"] == 6


def test_usage_of_the_first_event_is_known_at_start() -> None:
    assembler = Assembler(None, plan=Plan({"input": {"path": "in"}}))
    out = assembler.feed([start(), {"type": "usage", "counts": {"in": 7}}])
    assert out[0][1]["usage"]["input_total"] == 7


def test_finish_is_told_once_and_last() -> None:
    events = [start(), FINISH, text("late"), {"type": "finish", "reason": "stop"}, END, FINISH, END]
    _, out = run(events)
    assert names(out).count("finish") == 1
    assert names(out)[-1] == "finish"


def test_stop_with_a_call_is_tool_calls() -> None:
    assembler, _ = run([start(), call(0, id="c", name="f"), FINISH, END])
    assert assembler.message["finish"]["reason"] == "tool_calls"


def test_length_with_a_call_stays_length() -> None:
    assembler, _ = run([start(), call(0, id="c", name="f"), {"type": "finish", "reason": "length"}, FINISH, END])
    assert assembler.message["finish"]["reason"] == "length"


@pytest.mark.parametrize(
    ("ends", "events", "complete"),
    [
        ({"marker": True}, [start(), text("a"), FINISH], False),
        ({"marker": True, "finish": True}, [start(), text("a"), FINISH], True),
        ({"marker": True, "finish": True}, [start(), text("a"), END], True),
        ({"finish": True}, [start(), text("a")], False),
        ({"marker": True}, [], False),
    ],
)
def test_a_stream_is_complete_by_what_the_source_declares(
    ends: dict[str, bool], events: Events, complete: bool
) -> None:
    assembler, out = run(events, source={"ends": ends})
    assert assembler.complete is complete
    assert names(out)[-1] == ("finish" if complete else "error")
    if not complete:
        assert out[-1][1]["meaning"] == "cut"
        assert "finish" not in names(out)


def test_a_broken_connection_before_the_marker_is_a_cut() -> None:
    assembler = Assembler({"ends": {"marker": True, "finish": True}})
    assembler.feed([start(), text("a"), FINISH])
    assert names(assembler.close(cut=True)) == ["error"]


def test_an_empty_stream_is_start_and_finish() -> None:
    _, out = run([start(), FINISH, END])
    assert names(out) == ["start", "finish"]


def test_empty_text_opens_nothing_but_a_signature_does() -> None:
    _, out = run([start(), text(""), text("", signature="s"), END])
    assert names(out) == ["start", "part_start", "part_delta", "part_end", "finish"]
    assert out[2][1]["signature"] == "s"


def test_a_delta_for_an_ended_text_opens_a_new_part() -> None:
    end = {"type": "part_end", "key": 0}
    _, out = run([start(), text("a", key=0), end, text("b", key=0), END])
    assert [part["index"] for name, _, part, _ in out if name == "part_start"] == [0, 1]


def test_a_delta_for_an_ended_call_is_a_fault() -> None:
    _, out = run([start(), call(0, id="c", name="f"), {"type": "part_end", "key": 0}, args(0, "x")])
    assert names(out)[-1] == "error"


def test_a_delta_takes_its_kind_from_the_key() -> None:
    assembler, _ = run([start(), call(3, id="c", name="f"), {"type": "part_delta", "key": 3, "arguments": "{}"}, END])
    assert assembler.message["parts"][0]["arguments"] == "{}"


def test_keyless_deltas_continue_and_keyless_starts_open() -> None:
    begin = {"type": "part_start", "kind": "tool_call"}
    events = [start(), {**begin, "fields": {"name": "a"}}, args(None, '{"x"'), args(None, ":1}"), {"type": "part_end"}]
    assembler, _ = run([*events, {**begin, "fields": {"name": "b"}}, END])
    assert [(part["name"], part["arguments"]) for part in assembler.message["parts"]] == [("a", '{"x":1}'), ("b", "{}")]
    assert len({part["id"] for part in assembler.message["parts"]}) == 2


def test_placeholder_arguments_at_start_are_not_text() -> None:
    assembler, out = run([start(), call(0, id="c", name="f", arguments="{}"), args(0, '{"a":1}'), END])
    assert assembler.message["parts"][0]["arguments"] == '{"a":1}'
    assert [event["arguments"] for name, event, *_ in out if name == "part_delta"] == ['{"a":1}']


def test_arguments_given_whole_at_start_are_told() -> None:
    assembler, _ = run([start(), call(0, id="c", name="f", arguments={"player": 1}), END])
    assert assembler.message["parts"][0]["arguments"] == '{"player":1}'


def test_a_call_without_arguments_ends_as_an_empty_object() -> None:
    _, out = run([start(), call(0, id="c", name="f"), {"type": "part_end", "key": 0}, END])
    assert [event["arguments"] for name, event, *_ in out if name == "part_delta"] == ["{}"]


def test_arguments_by_path_are_built_and_told_at_the_end() -> None:
    patches = [
        [{"path": "$.operations[0].action", "value": "ad", "more": True}],
        [{"path": "$.operations[0].action", "value": "d"}],
        [{"path": "$.operations[0].price", "value": 0.3}],
    ]
    deltas = [{"type": "part_delta", "kind": "tool_call", "patch": patch} for patch in patches]
    begin = {"type": "part_start", "kind": "tool_call", "fields": {"name": "f"}}
    assembler, _ = run([start(), begin, *deltas, END])
    assert assembler.message["parts"][0]["arguments"] == '{"operations":[{"action":"add","price":0.3}]}'


def test_a_hostile_path_is_an_error() -> None:
    patch = {"type": "part_delta", "kind": "tool_call", "patch": [{"path": "$.a[999999999]", "value": 1}]}
    _, out = run([start(), patch])
    assert out[-1][0] == "error"


def test_encrypted_thinking_opens_without_text() -> None:
    assembler, out = run([start(), {"type": "part", "kind": "thinking", "fields": {"encrypted": "xyz"}}, END])
    assert names(out) == ["start", "part_start", "part_end", "finish"]
    assert "text" not in assembler.message["parts"][0]


def test_kinds_not_accepted_are_dropped_before_numbering() -> None:
    thought = {"type": "part_delta", "kind": "thinking", "text": "hm"}
    assembler, out = run([start(), thought, text("a"), END], target={"accepts": ["text"]})
    assert [part["index"] for name, _, part, _ in out if name == "part_start"] == [0]
    assert assembler.report
    assert [part["text"] for part in assembler.dropped] == ["hm"]


def test_opaque_parts_of_another_format_never_reach_encode() -> None:
    part = {"type": "part", "kind": "unknown", "fields": {"format": "x", "value": {}}}
    assert "part_start" not in names(run([start(), part, END])[1])
    assert "part_start" in names(run([start(), part, END], native={"x"})[1])


def test_interleaved_calls_wait_for_a_target_with_one_open_part() -> None:
    events = [start(), call(0, id="a", name="f"), call(2, id="b", name="g"), args(0, '{"x":'), args(2, '{"y"')]
    events += [args(0, "1}"), args(2, ":2}"), END]
    source = {"parts": {"tool_call": "interleaved"}, "ends": {"marker": True}}
    assembler, out = run(events, source=source, target={"oneOpen": True})
    assert names(out).index("part_end") < [i for i, n in enumerate(names(out)) if n == "part_start"][1]
    assert [(part["index"], part["arguments"]) for part in assembler.message["parts"]] == [
        (0, '{"x":1}'),
        (1, '{"y":2}'),
    ]


def test_a_part_of_another_kind_ends_the_open_sequential_one() -> None:
    _, out = run([start(), {"type": "part_delta", "kind": "thinking", "text": "t"}, text("a"), END])
    assert names(out)[1:6] == ["part_start", "part_delta", "part_end", "part_start", "part_delta"]


def test_a_call_waits_for_its_name() -> None:
    _, out = run([start(), args(0, "{}"), call(0, id="c", name="late"), END])
    begun = [part for name, _, part, _ in out if name == "part_start"]
    assert begun[0]["name"] == "late"
    assert names(out).index("part_start") == 1


def test_a_call_that_never_gets_a_name_is_dropped() -> None:
    assembler, out = run([start(), args(0, "{}"), FINISH, END])
    assert names(out) == ["start", "finish"]
    assert assembler.report


ITEMS = {"items": {"message": ["text", "refusal"], "reasoning": ["thinking"], "function_call": ["tool_call"]}}


def test_neighbours_share_an_item_and_calls_do_not() -> None:
    parts = [
        {"type": "part", "kind": kind, "fields": {"name": "f"}}
        for kind in ("text", "refusal", "tool_call", "tool_call")
    ]
    assembler, out = run([start(), *parts, END], target=ITEMS)
    assert [(item["kind"], len(item["parts"])) for item in assembler.message["items"]] == [
        ("message", 2),
        ("function_call", 1),
        ("function_call", 1),
    ]
    assert names(out).count("item_start") == names(out).count("item_end") == 3


def test_borders_of_source_items_win() -> None:
    events: Events = [start()]
    for key in (0, 1):
        events += [
            {"type": "item", "key": key, "id": f"i{key}"},
            text("a", key=f"{key}/0"),
            {"type": "item", "key": key, "end": True},
        ]
    assembler, out = run([*events, END], target=ITEMS)
    assert [item["id"] for item in assembler.message["items"]] == ["i0", "i1"]
    assert names(out).count("item_end") == 2


def test_citations_said_again_are_not_doubled() -> None:
    cites = {"type": "part_delta", "kind": "text", "citations": [{"url": "u"}]}
    assembler, _ = run([start(), text("a"), cites, cites, END])
    assert assembler.message["parts"][0]["citations"] == [{"url": "u"}]


def test_a_stream_over_its_limit_ends_in_too_large() -> None:
    _, out = run([start(), *[text("x" * 100) for _ in range(100)]], limit_bytes=5000)
    assert out[-1][1]["meaning"] == "too_large"


def test_many_empty_parts_are_bounded_too() -> None:
    part = {"type": "part", "kind": "text", "fields": {}}
    _, out = run([start(), *[part] * 1000], limit_bytes=100_000)
    assert out[-1][1]["meaning"] == "too_large"


def test_arguments_that_are_no_json_are_flagged_and_reported() -> None:
    assembler, _ = run([start(), call(0, id="c", name="f"), args(0, '{"a":'), END])
    assert assembler.message["parts"][0]["invalid"]
    assert assembler.report


def test_text_that_is_no_text_is_an_error_not_a_crash() -> None:
    _, out = run([start(), {"type": "part_delta", "kind": "text", "text": {"a": 1}}])
    assert names(out)[-1] == "error"


def test_a_kind_that_is_no_word_is_the_upstreams_fault() -> None:
    assembler, out = run([start(), {"type": "part_start", "key": 0, "kind": ["text"], "fields": {}}], close=False)
    assert names(out) == ["start", "error"]
    assert assembler.error is not None
    assert "makes no sense" in assembler.error["message"]
