"""Operations of a row's ``param_override``: what they do to body and headers, and what can't be compiled or done."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engine.routing.overrides.compiled import MODES, overrides_of
from engine.routing.overrides.edit import Circumstances, OverrideError, ReturnedError

SENT = {"x-client": "c1", "x-trace-a": "ta", "authorization": "Bearer mine"}
KNOWN = Circumstances({"original_model": "chat-a", "is_retry": False}, SENT, frozenset({"authorization"}))
BODY: dict[str, Any] = {
    "model": "m",
    "temperature": 0.9,
    "messages": [{"role": "system", "content": "Old."}, {"role": "user", "content": "Hi."}],
    "list": [{"type": "a"}, {"type": "b", "in": [{"type": "a"}]}],
}


def applied(*operations: dict[str, Any], **values: Any) -> tuple[dict[str, Any], dict[str, str | None]]:
    """Body and headers after operations; the body that was given must not change."""
    body = copy.deepcopy(BODY)
    result = overrides_of({"operations": list(operations), **values}).apply(body, KNOWN, {})
    assert body == BODY
    return result


def test_values_are_set_before_operations() -> None:
    body, _ = applied({"mode": "copy", "from": "top_p", "to": "seed"}, top_p=0.5)
    assert (body["top_p"], body["seed"]) == (0.5, 0.5)


def test_every_member_is_changed_by_a_star_and_nothing_else() -> None:
    body, _ = applied({"mode": "append", "path": "messages.*.content", "value": "!"})
    assert [one["content"] for one in body["messages"]] == ["Old.!", "Hi.!"]
    assert body["list"] is not None


def test_objects_are_pruned_all_the_way_down() -> None:
    body, _ = applied({"mode": "prune_objects", "path": "list", "value": "a"})
    assert body["list"] == [{"type": "b", "in": []}]


def test_headers_pass_by_their_beginning_but_never_the_callers_credential() -> None:
    _, headers = applied({"mode": "pass_headers", "value": ["x-trace-*", "authorization", "x-none"]})
    assert headers == {"x-trace-a": "ta"}
    _, headers = applied({"mode": "copy_header", "from": "Authorization", "to": "X-Copy"})
    assert headers == {}


def test_a_condition_asks_the_attempt_where_the_body_has_nothing() -> None:
    rule = {"mode": "set", "path": "hit", "value": 1}
    for path, value in (("original_model", "chat-a"), ("is_retry", False), ("request_headers.x-client", "c1")):
        body, _ = applied({**rule, "conditions": [{"path": path, "mode": "full", "value": value}]})
        assert body["hit"] == 1
    body, _ = applied({**rule, "conditions": [{"path": "nothing", "mode": "full", "value": 1, "invert": True}]})
    assert "hit" not in body


@pytest.mark.parametrize(
    "rule",
    [
        {"mode": "move", "from": "nothing", "to": "seed"},
        {"mode": "append", "path": "temperature", "value": "x"},
        {"mode": "to_upper", "path": "nothing"},
        {"mode": "set", "path": "x", "value": 1, "conditions": [{"path": "model", "mode": "gt", "value": 1}]},
    ],
    ids=lambda rule: rule["mode"],
)
def test_what_a_request_does_not_allow_names_the_operation(rule: dict[str, Any]) -> None:
    with pytest.raises(OverrideError, match=rf"operation 1 \({rule['mode']}\)"):
        applied(rule)


@pytest.mark.parametrize(
    "rule",
    [
        {"mode": "frob"},
        {"mode": "set"},
        {"mode": "set", "path": "list.1001", "value": 1},
        {"mode": "replace", "path": "model", "from": "", "to": "x"},
        {"mode": "regex_replace", "path": "model", "from": "(", "to": "x"},
        {"mode": "return_error", "value": {"status_code": 400}},
        {"mode": "return_error", "value": {"message": "m", "status_code": 200}},
        {"mode": "set_header", "path": "Host", "value": "x"},
        {"mode": "set_header", "path": "X-A", "value": "a\r\nX-B: b"},
        {"mode": "set", "path": "x", "value": 1, "conditions": [{"path": "model", "mode": "like", "value": 1}]},
        {"mode": "sync_fields", "from": "model", "to": "header:x"},
        {"mode": "prune_objects", "value": {}},
        "set",
    ],
    ids=str,
)
def test_what_can_not_be_compiled_names_the_operation(rule: Any) -> None:
    with pytest.raises(LookupError, match="operation 1"):
        overrides_of({"operations": [rule]})


def test_too_many_operations_are_refused() -> None:
    with pytest.raises(LookupError, match="100"):
        overrides_of({"operations": [{"mode": "trim_space", "path": "model"}] * 101})


def test_an_error_of_the_operators_own_ends_the_request() -> None:
    with pytest.raises(ReturnedError) as raised:
        applied({"mode": "return_error", "value": {"message": "no", "status_code": 418, "code": "tea", "type": "pot"}})
    assert raised.value.error == {"message": "no", "status": 418, "code": "tea", "type": "pot"}
    assert raised.value.final


def test_groups_of_a_pattern_stand_by_number() -> None:
    rule = {"mode": "regex_replace", "path": "messages.0.content", "from": "(O)(l)", "to": "${2}_$1\\"}
    assert applied(rule)[0]["messages"][0]["content"] == "l_O\\d."


def test_every_mode_is_known() -> None:
    assert len(MODES) == 23
