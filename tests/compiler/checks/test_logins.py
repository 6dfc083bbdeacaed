"""Logins: what they need is named, there is a way in, no two share a column, and paths have room for their names."""

from __future__ import annotations

import pytest

from engine.compiler import Source, compile_set

HEAD = "apiVersion: gatewright/v1\nkind: Login\nmetadata: {name: %s}\nspec:\n"
WHOLE = (
    "title: Mine",
    'options: {mine.id: "", mine.secret: ""}',
    "needs: [mine.id]",
    "column: oidc_id",
    "client: {id: \"{{ options['mine.id'] }}\"}",
    "authorize: {url: https://a.example/auth}",
    "token: {url: https://a.example/token}",
    'person: {id: "{{ answers.user.id }}"}',
)


def login(*lines: str, name: str = "mine") -> Source:
    text = HEAD % name + "".join(f"  {line}\n" for line in lines)
    return Source(f"{name}.yaml", text)


def changed(key: str, line: str = "") -> list[str]:
    """The whole one with another line for a key, or without it."""
    return [line if one.startswith(f"{key}:") else one for one in WHOLE if line or not one.startswith(f"{key}:")]


def test_a_whole_one_becomes_data_and_functions() -> None:
    result = compile_set([login(*WHOLE)], [])
    assert not result.faults
    (made,) = result.program().logins
    assert (made.name, made.title, made.column, made.number) == ("mine", "Mine", "oidc_id", 0)
    assert made.authorize is not None
    assert made.authorize.pkce
    assert made.client.id is not None
    assert made.client.id([], made.read({"mine.id": "x", "other": "y"})) == "x"
    assert made.person.id([], {"user": {"id": 7}}, None, {}) == 7


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (changed("needs", "needs: [mine.idd]"), "mine.idd is needed, but `options` does not name it"),
        (changed("client"), "whoever sends people to a service has an id there"),
        (changed("token"), "`token` has no address"),
        (changed("authorize", "authorize: {}"), "`authorize` has no address"),
        ([*changed("authorize", "proof: {genuine: true, once: query.h}"), "authorize: {url: a}"], "not both"),
        ([*WHOLE, "idToken: {}"], "nobody says whose keys count"),
        ([one for one in WHOLE if not one.startswith(("authorize", "token"))], "nothing proves who came"),
        (changed("column", "column: inviter_id"), "column"),
    ],
)
def test_what_can_not_work_is_told(lines: list[str], words: str) -> None:
    faults = compile_set([login(*lines)], []).faults
    assert any(words in fault.message for fault in faults), faults


def test_a_column_has_one_login() -> None:
    faults = compile_set([login(*WHOLE), login(*WHOLE, name="other")], []).faults
    assert [fault.message for fault in faults] == ["the column oidc_id already belongs to Login/mine"]


@pytest.mark.parametrize("name", ["state", "email", "a/b"])
def test_a_name_that_no_path_has_room_for(name: str) -> None:
    faults = compile_set([Source("x.yaml", HEAD % name + "".join(f"  {one}\n" for one in WHOLE))], []).faults
    assert any("its name is a piece of a path" in fault.message for fault in faults)
