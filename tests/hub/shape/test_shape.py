"""Shaping: declared demands met, every change told, nobody else's data changed."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from engine.errors import CallError, Refusal
from engine.hub.shape import shape

Request = dict[str, Any]
CTX = {"format": "alpha", "target": "beta", "model": "m1"}


def shaped(request: Request, rules: dict[str, Any], **how: Any) -> tuple[Request, list[tuple[str, str]]]:
    """Shape and check that the request given stays as it was."""
    before = copy.deepcopy(request)
    report: list[tuple[str, str]] = []
    made, _ = shape(request, rules, how.pop("ctx", CTX), report, **how)
    assert request == before
    return made, report


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def turn(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "parts": [text(part) if isinstance(part, str) else part for part in parts]}


def call(id_: str | None, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    made = {"type": "tool_call", "name": name, "arguments": arguments}
    return {**made, "id": id_} if id_ else made


def result(id_: str | None, value: str = "ok", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "tool_result", "parts": [text(value)], **more}
    return {**made, "id": id_} if id_ else made


def roles(request: Request) -> list[str]:
    return [message["role"] for message in request["messages"]]


def test_nothing_declared_changes_nothing() -> None:
    request = {"model": "m", "messages": [turn("system", "s"), turn("user", "a"), turn("assistant", "b")]}
    made, report = shaped(request, {})
    assert made == request
    assert report == []


def test_neighbouring_assistant_turns_are_one() -> None:
    made, _ = shaped({"messages": [turn("user", "a"), turn("assistant", "b"), turn("assistant", call("1"))]}, {})
    assert roles(made) == ["user", "assistant"]


def test_alternating_turns_and_results_within_the_users() -> None:
    messages = [
        turn("user", "a"),
        turn("user", "b"),
        turn("assistant", call("1")),
        turn("tool", result("1")),
        turn("user", "c"),
    ]
    made, _ = shaped({"messages": messages}, {"turns": {"alternate": True, "results": "in_user"}})
    assert roles(made) == ["user", "assistant", "user"]
    assert [part["type"] for part in made["messages"][2]["parts"]] == ["tool_result", "text"]


def test_results_as_messages_of_their_own_stand_before_the_users_text() -> None:
    messages = [turn("assistant", call("1"), call("2")), turn("user", "c", result("1"), result("2"))]
    made, _ = shaped({"messages": messages}, {"turns": {"results": "own_message"}})
    assert roles(made) == ["assistant", "tool", "user"]


def test_results_follow_their_calls_at_once() -> None:
    messages = [
        turn("user", "q"),
        turn("assistant", call("1"), call("2")),
        turn("user", "wait"),
        turn("tool", result("2")),
    ]
    made, report = shaped({"messages": messages}, {"turns": {"results_follow_calls": True}})
    assert roles(made) == ["user", "assistant", "tool", "user"]
    assert [(part["id"], part.get("error")) for part in made["messages"][2]["parts"]] == [("1", True), ("2", None)]
    assert "call 1" in report[0][1]


def test_a_result_that_is_given_twice_goes_once_and_an_id_may_come_again_in_a_later_turn() -> None:
    first = [turn("assistant", call("1")), turn("tool", result("1", "a"), result("1", "b"))]
    later = [turn("assistant", call("1")), turn("tool", result("1", "c"))]
    made, report = shaped({"messages": [turn("user", "q"), *first, turn("user", "again"), *later]}, {})
    told = [part["parts"][0]["text"] for each in made["messages"] for part in each["parts"] if "parts" in part]
    assert told == ["a", "c"]
    assert [path for path, _ in report] == ["messages[2]"]


def test_an_orphan_result_is_refused_by_its_path() -> None:
    rules = {"turns": {"results_follow_calls": True}}
    with pytest.raises(Refusal, match=r"messages\[0\]\.parts\[0\]"):
        shaped({"messages": [turn("tool", result("nope"))]}, rules)


def test_late_system_text_moves_to_the_front_with_a_report() -> None:
    messages = [turn("system", "a"), turn("user", "b"), turn("system", "c")]
    made, report = shaped({"messages": messages}, {"turns": {"system": "first"}})
    assert roles(made) == ["system", "user"]
    assert len(made["messages"][0]["parts"]) == 2
    assert report


def test_late_system_text_may_keep_its_place_as_the_users() -> None:
    messages = [turn("user", "b"), turn("system", "c")]
    made, _ = shaped({"messages": messages}, {"turns": {"system": "field", "system_late": "user"}})
    assert roles(made) == ["user", "user"]


@pytest.mark.parametrize("blank", [True, False])
def test_text_of_nothing_but_space_counts_as_none_where_the_target_says_so(blank: bool) -> None:
    call = {"type": "tool_call", "id": "c", "name": "f", "arguments": "{}"}
    answer = {"role": "assistant", "parts": [{"type": "text", "text": "\n\n"}, call]}
    request = {"messages": [turn("user", "a"), turn("user", " "), answer]}
    out, _ = shaped(request, {"turns": {"empty": "drop", "blank": blank}})
    texts = [part.get("text") for message in out["messages"] for part in message["parts"] if part["type"] == "text"]
    assert texts == (["a"] if blank else ["a", " ", "\n\n"])


def test_empty_turns_go_and_the_user_speaks_first() -> None:
    made, report = shaped(
        {"messages": [turn("user", ""), turn("assistant", "b")]}, {"turns": {"empty": "drop", "first": "user"}}
    )
    assert roles(made) == ["user", "assistant"]
    assert len(report) == 2


def test_results_get_the_name_and_kind_of_their_call() -> None:
    custom = {**call("1", "patch", "text"), "custom": True}
    made, _ = shaped({"messages": [turn("assistant", custom), turn("tool", result("1"))]}, {})
    assert made["messages"][1]["parts"][0]["name"] == "patch"
    assert made["messages"][1]["parts"][0]["custom"] is True


def test_calls_without_ids_get_stable_ones_and_results_find_them() -> None:
    messages = [
        turn("assistant", call(None, "f"), call(None, "g")),
        turn("tool", result(None, name="g"), result(None, name="f")),
    ]
    made, _ = shaped({"messages": messages}, {})
    again, _ = shaped({"messages": messages}, {})
    assert made == again
    calls, results = (message["parts"] for message in made["messages"])
    assert [part["id"] for part in results] == [calls[1]["id"], calls[0]["id"]]


def test_ids_that_do_not_fit_are_mapped() -> None:
    rules = {"ids": {"pattern": "[a-zA-Z0-9]{9}", "max": 9, "prefix": ""}}
    report: list[tuple[str, str]] = []
    made, memo = shape(
        {"messages": [turn("assistant", call("call|1")), turn("tool", result("call|1"))]}, rules, CTX, report
    )
    wanted = made["messages"][0]["parts"][0]["id"]
    assert len(wanted) == 9
    assert made["messages"][1]["parts"][0]["id"] == wanted
    assert memo.ids == {wanted: "call|1"}


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ({"min": 0, "max": 1}, 1.7, 1),
        ({"max": 1, "from_max": 2}, 1.0, 0.5),
        ({"min": 0, "max": 2}, 1.0, 1.0),
        ({"default": 7}, None, 7),
    ],
)
def test_numbers_are_brought_into_range(rule: dict[str, Any], value: Any, expected: Any) -> None:
    sampling = {} if value is None else {"temperature": value}
    made, report = shaped({"messages": [], "sampling": sampling}, {"numbers": {"temperature": rule}})
    assert made["sampling"]["temperature"] == expected
    assert bool(report) is (expected != value)


def test_max_tokens_default_hangs_on_the_model() -> None:
    rules = {"numbers": {"max_tokens": {"default": {"^m1": 4096, "_": 1}}}}
    assert shaped({"messages": []}, rules)[0]["max_tokens"] == 4096


def test_too_many_stop_sequences_are_refused_or_cut() -> None:
    request = {"messages": [], "stop": ["a", "b"]}
    with pytest.raises(Refusal, match="stop"):
        shaped(request, {"numbers": {"stop": {"max": 1}}})
    assert shaped(request, {"numbers": {"stop": {"max": 1, "over": "cut"}}})[0]["stop"] == ["a"]


SIGNED = {"type": "thinking", "text": "t", "signature": "s"}


def test_foreign_signatures_never_reach_the_target() -> None:
    parts = [{**SIGNED, "signature_of": "alpha/x"}, {**call("1"), "signature": "z", "signature_of": "alpha"}]
    made, report = shaped({"messages": [turn("assistant", *parts)]}, {"thinking": {"signature": "required"}})
    assert [part["type"] for part in made["messages"][0]["parts"]] == ["tool_call"]
    assert "signature" not in made["messages"][0]["parts"][0]
    assert report


@pytest.mark.parametrize(("owner", "kept"), [("beta", True), ("beta/m1", True), ("beta/other", False), (None, False)])
def test_signatures_of_the_target_and_model_stay(owner: str | None, kept: bool) -> None:
    part = {**SIGNED, **({"signature_of": owner} if owner else {})}
    made, _ = shaped({"messages": [turn("assistant", part, "a")]}, {"thinking": {"signature": "required"}})
    assert ("thinking" in [part["type"] for part in made["messages"][0]["parts"]]) is kept


def test_thinking_may_go_as_text_or_not_at_all() -> None:
    request = {"messages": [turn("assistant", {"type": "thinking", "text": "t"}, "a")]}
    assert shaped(request, {"thinking": {"accepts": "text"}})[0]["messages"][0]["parts"][0] == text("t")
    assert shaped(request, {"thinking": {"accepts": "none"}})[0]["messages"][0]["parts"] == [text("a")]


def test_opaque_parts_of_others_are_dropped_with_a_report() -> None:
    part = {"type": "server_call", "format": "alpha", "value": {}}
    made, report = shaped({"messages": [turn("assistant", part, "a")]}, {})
    assert made["messages"][0]["parts"] == [text("a")]
    assert report


PNG = "iVBORw0KGgo="


def image(**source: str) -> dict[str, Any]:
    return {"type": "image", "source": source}


def test_addresses_are_fetched_where_only_content_is_taken() -> None:
    request = {"messages": [turn("user", image(url="https://x/a.png"))]}
    rules = {"media": {"image": {"url": "fetch"}}}
    made, _ = shaped(request, rules, fetch=lambda urls: dict.fromkeys(urls, ("image/png", b"abc")))
    assert made["messages"][0]["parts"][0]["source"] == {"mime": "image/png", "data": "YWJj"}


@pytest.mark.parametrize(
    ("part", "rule"),
    [
        (image(url="https://x"), {"url": "refuse"}),
        (image(url="https://x"), {"url": "fetch"}),
        (image(data="%%%"), {"data": True}),
        (image(data=PNG), {"data": False}),
        (image(data=PNG), {"max_bytes": 3}),
        (image(data=PNG), {"types": ["image/gif"]}),
        (image(id="file-1"), {"id": False}),
        (image(data=PNG), False),
    ],
)
def test_media_that_can_not_be_taken_are_refused_by_path(part: dict[str, Any], rule: Any) -> None:
    with pytest.raises(Refusal, match=r"messages\[0\]\.parts\[1\]"):
        shaped({"messages": [turn("user", "look", part)]}, {"media": {"image": rule}})


def test_media_inside_results_are_shaped_too() -> None:
    inner = result("1")
    inner["parts"] = [image(data=PNG)]
    made, _ = shaped(
        {"messages": [turn("assistant", call("1")), turn("tool", inner)]}, {"media": {"image": {"data": True}}}
    )
    assert made["messages"][1]["parts"][0]["parts"][0]["source"]["mime"] == "image/png"


def tool(name: str = "f", **schema: Any) -> dict[str, Any]:
    return {"kind": "function", "name": name, "schema": schema}


def test_tool_names_that_do_not_fit_are_renamed_everywhere() -> None:
    request = {
        "tools": [tool("my.tool")],
        "tool_choice": {"mode": "tool", "names": ["my.tool"]},
        "messages": [turn("assistant", call("1", "my.tool"))],
    }
    made, memo = shape(request, {"tools": {"name": {"pattern": "[a-zA-Z0-9_-]+", "max": 20}}}, CTX, [])
    name = made["tools"][0]["name"]
    assert made["tool_choice"]["names"] == [name] == [made["messages"][0]["parts"][0]["name"]]
    assert memo.names == {name: "my.tool"}


def test_custom_tools_are_dressed_as_functions() -> None:
    past = {**call("1", "patch", "*** text"), "custom": True}
    request = {"tools": [{"kind": "custom", "name": "patch"}], "messages": [turn("assistant", past)]}
    made, memo = shape(request, {"tools": {"kinds": ["function"]}}, CTX, [])
    assert made["tools"][0]["kind"] == "function"
    assert json.loads(made["messages"][0]["parts"][0]["arguments"]) == {"input": "*** text"}
    assert memo.custom == {"patch": "input"}


def test_tools_of_kinds_not_taken_are_dropped() -> None:
    request = {"tools": [{"kind": "server", "name": "x"}], "tool_choice": {"mode": "any"}, "messages": []}
    made, report = shaped(request, {"tools": {"kinds": ["function"]}})
    assert "tools" not in made
    assert "tool_choice" not in made
    assert len(report) == 2


def test_structured_output_by_tool() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    request = {"messages": [turn("user", "q")], "output": {"type": "schema", "schema": schema}}
    made, memo = shape(request, {"output": ["tool", "instructions"]}, CTX, [])
    assert made["tool_choice"] == {"mode": "tool", "names": [memo.output_tool]}
    assert "output" not in made


def test_structured_output_by_instructions() -> None:
    made, report = shaped(
        {"messages": [turn("user", "q")], "output": {"type": "json"}}, {"output": ["tool", "instructions"]}
    )
    assert roles(made) == ["system", "user"]
    assert report


def test_structured_output_without_means_is_refused() -> None:
    with pytest.raises(Refusal, match="output"):
        shaped({"messages": [], "output": {"type": "json"}}, {"output": []})


def test_thinking_returned_in_its_streamed_pieces_is_one_signed_part() -> None:
    pieces = [
        {"type": "thinking", "text": "Let "},
        {"type": "thinking", "text": "me see."},
        {"type": "thinking", "text": "", "signature": "s", "signature_of": "b"},
        {"type": "tool_call", "id": "1", "name": "f", "arguments": "{}"},
    ]
    request = {
        "messages": [{"role": "user", "parts": [{"type": "text", "text": "x"}]}, {"role": "assistant", "parts": pieces}]
    }
    made, _ = shape(request, {"thinking": {"accepts": "native"}}, {"target": "b", "format": "a"}, [])
    assert [part.get("text") for part in made["messages"][1]["parts"]] == ["Let me see.", None]
    assert made["messages"][1]["parts"][0]["signature"] == "s"


def test_files_that_can_not_be_fetched_or_are_too_many_are_refused_by_path() -> None:
    rules = {"media": {"image": {"url": "fetch"}}}
    two = [image(url="https://x/a"), image(url="https://x/gone")]

    def fetch(urls: list[str]) -> dict[str, Any]:
        return {
            url: CallError("bad_request", "is gone") if url.endswith("gone") else ("image/png", b"a") for url in urls
        }

    with pytest.raises(Refusal, match=r"messages\[0\]\.parts\[1\]\.source\.url: is gone"):
        shaped({"messages": [turn("user", *two)]}, rules, fetch=fetch)
    many = [image(url=f"https://x/{number}") for number in range(33)]
    with pytest.raises(Refusal, match=r"parts\[32\].*32 files"):
        shaped({"messages": [turn("user", *many)]}, rules, fetch=fetch)


FORMS = [
    "^[a-z_]+$",
    "^[a-z][a-z0-9-]*$",
    "^[a-z]+$",
    "^[A-Z_]+$",
    "^[0-9]+$",
    "^[a-zA-Z0-9]{9}$",
    "^[0-9a-f]+$",
    "^[A-Za-z][A-Za-z0-9]{0,5}$",
]


@pytest.mark.parametrize("form", [*FORMS, "^tool-[0-9a-f]+$"])
def test_a_made_up_tool_name_is_of_the_form_that_made_it_necessary(form: str) -> None:
    names = ["get Weather", "set.Weather", "été", "x" * 70, "!!"]
    rules = {"tools": {"name": {"pattern": form, "max": 64}}}
    past = turn("assistant", *(call(str(number), name) for number, name in enumerate(names)))
    request = {"messages": [past], "tools": [tool(name) for name in names]}
    made, report = shaped(request, rules)
    sent = [one["name"] for one in made["tools"]]
    assert all(re.fullmatch(form, name) for name in sent), sent
    assert len(set(sent)) == len(names)
    assert [part["name"] for part in made["messages"][0]["parts"]] == sent
    assert made == shaped(request, rules)[0]
    assert [line for line in report if "does not fit" in line[1]]


@pytest.mark.parametrize(
    ("form", "more"),
    [
        *((form, {}) for form in FORMS),
        ("^r[0-9]+$", {"prefix": "r"}),
        ("^T[0-9]{12}$", {"prefix": "T"}),
        ("^[0-9]{4}$", {"max": 4, "prefix": ""}),
    ],
)
def test_a_made_up_id_is_of_the_form_that_made_it_necessary(form: str, more: dict[str, Any]) -> None:
    ids = ["call_A.1", "call_B.1", "call_C.1"]
    request = {"messages": [turn("assistant", *map(call, ids)), turn("tool", *map(result, ids)), turn("user", "x")]}
    made, _ = shaped(request, {"ids": {"pattern": form, **more}})
    sent = [part["id"] for part in made["messages"][0]["parts"]]
    assert all(re.fullmatch(form, one) for one in sent), sent
    assert len(set(sent)) == len(ids)
    assert [part["id"] for part in made["messages"][1]["parts"]] == sent


@pytest.mark.parametrize(
    ("form", "begins"),
    [("^[a-z_]+$", "getweather_"), ("^[a-z][a-z0-9-]*$", "getweather-"), ("^[A-Z0-9]+$", "GETWEATHER")],
)
def test_a_made_up_tool_name_is_like_the_old_one(form: str, begins: str) -> None:
    request = {"messages": [turn("user", "x")], "tools": [tool("getWeather")]}
    assert shaped(request, {"tools": {"name": {"pattern": form}}})[0]["tools"][0]["name"].startswith(begins)


def test_made_up_names_of_few_characters_never_stand_for_two() -> None:
    names = [f"tool.{number}" for number in range(300)]
    request = {"messages": [turn("user", "x")], "tools": [tool(name) for name in names]}
    made, _ = shaped(request, {"tools": {"name": {"pattern": "^[0-9]+$", "max": 4}}})
    assert len({one["name"] for one in made["tools"]}) == len(names)


@pytest.mark.parametrize("rules", [{}, {"tools": {"kinds": ["function"]}}, {"tools": {"allowed": ["auto"]}}])
def test_tools_that_may_not_be_called_are_not_sent_unless_the_target_can_be_told(rules: dict[str, Any]) -> None:
    choice = {"mode": "any", "names": ["g"]}
    request = {"messages": [turn("user", "x")], "tools": [tool("f"), tool("g")], "tool_choice": choice}
    made, report = shaped(request, rules)
    assert [one["name"] for one in made["tools"]] == ["g"]
    assert made["tool_choice"] == {"mode": "any"}
    assert [path for path, _ in report] == ["tools"]


def test_a_target_that_can_name_the_tools_is_sent_them_all() -> None:
    choice = {"mode": "any", "names": ["g"]}
    request = {"messages": [turn("user", "x")], "tools": [tool("f"), tool("g")], "tool_choice": choice}
    made, report = shaped(request, {"tools": {"allowed": ["any"]}})
    assert (len(made["tools"]), made["tool_choice"], report) == (2, choice, [])
