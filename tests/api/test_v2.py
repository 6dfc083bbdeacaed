"""``/api/v2``: problem details, entity tags, idempotency keys, cursors, filters, and the document of all that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.accounts import first_start, keys, users
from engine.api.openapi import document
from engine.api.resources import v2
from engine.routing.group_options import GroupOptions
from engine.settings import Settings
from engine.storage.rows import channels, tokens, trail
from tests.api.test_management import PASSWORD, Site


class Asking:
    """A caller with a token of its own."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self.token = site.login(name).json["data"]["access_token"]

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.site.ask(method, f"/api/v2{path}", body, authorization=f"Bearer {self.token}", **sent)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    one = Site(Settings(data=Path(tmp_path_factory.mktemp("v2"))))
    first_start.make_root(one.worker.db, "root", PASSWORD)
    users.create_user(one.worker.db, "ann", PASSWORD)
    users.create_user(one.worker.db, "adam", PASSWORD, role=10)
    yield one
    one.worker.db.close()


@pytest.fixture(scope="module")
def root(site: Site) -> Asking:
    return Asking(site, "root")


def _plain(root: Asking) -> Any:
    headers = {"authorization": f"Bearer {root.token}", "content-type": "text/plain"}
    return root.site.client.simulate_post("/api/v2/users", body="{}", headers=headers)


def test_refusals_are_problem_details_with_real_statuses(site: Site, root: Asking) -> None:
    ann = Asking(site, "ann")
    cases = (
        (site.ask("GET", "/api/v2/users"), 401, "auth_unauthorized"),
        (ann("GET", "/users"), 403, "auth_insufficient_privilege"),
        (root("GET", "/users/99999"), 404, "not_found"),
        (root("GET", "/users/x"), 400, "invalid"),
        (root("GET", "/nothing"), 404, "no_route"),
        (root("PUT", "/users"), 405, "method_not_allowed"),
        (root("POST", "/users", {"nmae": "x"}), 400, "invalid"),
        (root("POST", "/users", {"username": "x"}), 400, "invalid"),
        (root("PATCH", "/users/2", {"remark": "x"}), 428, "precondition_required"),
        (root("GET", "/users?nam=x"), 400, "invalid"),
        (root("GET", "/users?username.gt=x"), 400, "invalid"),
        (root("GET", "/users?limit=0"), 400, "invalid"),
        (root("GET", "/users?cursor=abc"), 400, "invalid"),
        (root("GET", "/me?x=1"), 400, "invalid"),
        (root("POST", "/users", [1]), 400, "invalid"),
        (_plain(root), 415, "unsupported_media_type"),
    )
    for answer, status, code in cases:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json
        assert (problem["status"], problem["code"]) == (status, code), problem
        assert problem["detail"]
    assert root("PUT", "/users").headers["allow"] == "GET, POST"
    assert "(username?)" in root("POST", "/users", {"usernam": "x"}).json["detail"]


def test_a_change_needs_the_tag_of_what_was_read_and_no_change_is_lost(root: Asking) -> None:
    read = root("GET", "/users/2")
    tag = read.headers["etag"]
    first = root("PATCH", "/users/2", {"remark": "one"}, if_match=tag)
    assert (first.status_code, first.json["remark"]) == (200, "one")
    late = root("PATCH", "/users/2", {"remark": "two"}, if_match=tag)
    assert (late.status_code, late.json["code"]) == (412, "precondition_failed")
    assert root("GET", "/users/2").json["remark"] == "one"
    again = root("PATCH", "/users/2", {"remark": "two"}, if_match=f'"other", {first.headers["etag"]}')
    assert again.json["remark"] == "two"
    assert root("PATCH", "/users/2", {"remark": ""}, if_match="*").status_code == 200


def test_the_same_call_with_its_key_makes_one_thing(site: Site, root: Asking) -> None:
    body = {"username": "twice", "password": PASSWORD}
    first, second = (root("POST", "/users", body, idempotency_key="k1") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json == second.json
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["location"] == f"/api/v2/users/{first.json['id']}"
    other = root("POST", "/users", {**body, "username": "thrice"}, idempotency_key="k1")
    assert other.status_code == 400
    assert Asking(site, "adam")("POST", "/users", body, idempotency_key="k1").status_code == 409  # another's key
    refused = {**body, "username": "x" * 21}
    assert root("POST", "/users", refused, idempotency_key="k2").status_code == 400
    assert root("POST", "/users", {**body, "username": "then"}, idempotency_key="k2").status_code == 201


def test_lists_go_on_by_cursor_and_are_filtered_by_one_grammar(site: Site, root: Asking) -> None:
    owner = users.create_user(site.worker.db, "owner", PASSWORD)
    for number in range(7):
        keys.create_key(site.worker.db, owner, f"key {number}", quota=number % 3)
    seen, path = [], f"/keys/all?user_id={owner}&limit=3"
    cursor = ""
    while True:
        page = root("GET", path + (f"&cursor={cursor}" if cursor else "")).json
        seen += [row["name"] for row in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert seen == [f"key {number}" for number in range(6, -1, -1)]
    by_name = root("GET", f"/keys/all?user_id={owner}&name.has=ey%203").json["items"]
    assert [row["name"] for row in by_name] == ["key 3"]
    assert root("GET", f"/keys/all?user_id={owner}&name.has=%25").json["items"] == []
    several = root("GET", f"/keys/all?user_id={owner}&name.in=key%201,key%202&sort=id").json["items"]
    assert [row["name"] for row in several] == ["key 1", "key 2"]
    assert root("GET", f"/keys/all?user_id={owner}&status=disabled").json["items"] == []
    first = root("GET", f"{path}&sort=id").json["next"]
    assert root("GET", f"{path}&sort=-created_at&cursor={first}").status_code == 400


def test_others_things_are_as_if_they_were_not_there(site: Site) -> None:
    which = keys.create_key(site.worker.db, "adam", "his").token_id
    ann = Asking(site, "ann")
    for method, body in (("GET", None), ("PATCH", {"name": "mine"}), ("DELETE", None)):
        answer = ann(method, f"/keys/{which}", body, if_match="*")
        missing = ann(method, "/keys/999999", body, if_match="*")
        assert answer.status_code == missing.status_code == 404
        assert answer.json["detail"] == missing.json["detail"]


def test_a_key_gets_another_secret_and_keeps_what_it_is(site: Site) -> None:
    ann, adam = Asking(site, "ann"), Asking(site, "adam")
    made = ann("POST", "/keys", {"name": "worn", "networks": ["10.0.0.0/8"]}).json
    fresh = ann("POST", f"/keys/{made['id']}/renew").json
    assert fresh["key"].startswith("sk-")
    assert fresh["key"] != made["key"]
    assert {**fresh, "key": ""} == {**made, "key": ""}
    assert adam("POST", f"/keys/{made['id']}/renew").status_code == 404
    for key, count in ((made["key"], 0), (fresh["key"], 1)):
        assert tokens.page(site.worker.db, made["user_id"], key=key[3:], offset=0, limit=1)[1] == count


def test_options_are_set_under_their_tag_and_secrets_never_told(root: Asking) -> None:
    tag = root("GET", "/options/RetryTimes").headers["etag"]
    answer = root("PUT", "/options/RetryTimes", {"value": 3}, if_match=tag)
    assert (answer.status_code, answer.json["value"], answer.json["set"]) == (200, "3", True)
    assert root("PUT", "/options/RetryTimes", {"value": 4}, if_match=tag).status_code == 412
    assert root("PUT", "/options/SMTPToken", {"value": "mail-secret"}, if_match="*").json["value"] == ""
    for path in ("/options", "/option-history", "/audit"):
        assert "mail-secret" not in root("GET", path).text
    changes = root("GET", "/option-history?name=RetryTimes").json["items"]
    assert [row["after"] for row in changes] == ["3"]


def test_the_trail_has_before_and_after_and_is_proved(site: Site, root: Asking) -> None:
    root("PATCH", "/users/2", {"remark": "seen"}, if_match="*")
    entry = root("GET", "/audit?action=PATCH%20/api/v2/users/:id&limit=1").json["items"][0]
    assert entry["details"]["body"] == {"remark": "seen"}
    assert entry["details"]["before"]["remark"] != "seen"
    assert entry["details"]["after"]["remark"] == "seen"
    assert root("GET", "/audit/verify").json["whole"] is True
    assert trail.verified(site.worker.db).broken_at == 0


def test_budgets_are_told_with_their_next_reset_also_to_the_holder(site: Site, root: Asking) -> None:
    which = keys.create_key(site.worker.db, "ann", "bounded").token_id
    body = {"holder": "key", "holder_id": which, "period": "day", "unit": "quota", "amount": 500}
    made = root("POST", "/budgets", body)
    assert (made.status_code, made.json["used"]) == (201, 0)
    own = Asking(site, "ann")("GET", "/me/budgets").json["items"]
    assert [row["amount"] for row in own] == [500]
    assert own[0]["resets_at"] > own[0]["used"]
    assert root("POST", "/budgets", {**body, "holder_id": 999_999}).status_code == 404
    assert root("DELETE", f"/budgets/{made.json['id']}", if_match=made.headers["etag"]).status_code == 204
    assert Asking(site, "ann")("GET", "/me/budgets").json["items"] == []


def test_tokens_for_scripts_have_a_name_an_end_and_a_scope(site: Site, root: Asking) -> None:
    ann = Asking(site, "ann")
    made = ann("POST", "/me/tokens", {"name": "reader", "scope": "read"})
    assert made.status_code == 201, made.text
    headers = {"authorization": f"Bearer {made.json['token']}"}
    assert site.ask("GET", "/api/v2/me", **headers).json["username"] == "ann"
    assert site.ask("POST", "/api/v2/keys", {"name": "x"}, **headers).status_code == 403
    assert site.ask("POST", "/api/token/", {"name": "x"}, **headers).status_code in (200, 403)
    assert ann("GET", "/keys").json["items"] == [row for row in ann("GET", "/keys").json["items"] if row["name"] != "x"]
    assert made.json["token"] not in ann("GET", "/me/tokens").text
    # a token makes no other, nor ends one
    assert site.ask("GET", "/api/v2/me/tokens", **headers).status_code == 200
    everything = ann("POST", "/me/tokens", {"name": "all"}).json
    token = {"authorization": f"Bearer {everything['token']}"}
    assert site.ask("POST", "/api/v2/me/tokens", {"name": "more"}, **token).status_code == 403
    assert site.ask("POST", "/api/v2/keys", {"name": "made"}, **token).status_code == 201
    assert root("DELETE", f"/me/tokens/{everything['id']}").status_code == 404
    assert ann("DELETE", f"/me/tokens/{everything['id']}").status_code == 204
    assert site.ask("GET", "/api/v2/me", **token).status_code == 401
    assert ann("POST", "/me/tokens", {"name": "old", "expires_at": 5}).status_code == 400


def test_codes_come_in_batches_and_as_lines(root: Asking) -> None:
    made = root("POST", "/codes", {"name": "=spring", "quota": 500, "count": 300}, idempotency_key="batch")
    assert len(set(made.json["keys"])) == 300
    assert (
        root("POST", "/codes", {"name": "=spring", "quota": 500, "count": 300}, idempotency_key="batch").json
        == made.json
    )
    assert root("POST", "/codes", {"name": "s", "quota": 500, "count": 1001}).status_code == 400
    lines = root("GET", "/codes/export?quota=500&sort=id")
    assert lines.headers["content-type"].startswith("text/plain")
    assert lines.text.split() == made.json["keys"]
    rows = root("GET", "/codes/export?format=csv&limit=1").text.splitlines()
    assert len(rows) == 301
    assert "'=spring" in rows[1]
    which = root("GET", "/codes?limit=1").json["items"][0]["id"]
    assert root("PATCH", f"/codes/{which}", {"status": "used"}, if_match="*").status_code == 400
    assert root("PATCH", f"/codes/{which}", {"status": "disabled"}, if_match="*").json["status"] == "disabled"
    assert root("DELETE", f"/codes/{which}", if_match="*").status_code == 204


OTHER = {"integer": 7, "number": 7.5, "string": "another", "boolean": True, "object": {"a": "b"}, "array": []}
SPECIAL = {
    "password": "another one",
    "role": "administrator",
    "status": "disabled",
    "group": "vip",
    "networks": ["10.0.0.0/8"],
    "models": ["a", "b"],
    "groups": ["default", "vip"],
    "expires_at": 2**34,
    "auto_ban": 1,
    "auto_groups": ["vip"],
    "call_tags": ["night", "team:*"],
}


def test_every_member_that_may_be_written_is_written(site: Site, root: Asking) -> None:
    """From the records themselves: a member that is taken and does nothing would be found here."""
    site.worker.snapshot.groups = GroupOptions({"UserUsableGroups": '{"default":"d","vip":"v"}'})
    channel = {"name": "c", "type": 1, "key": "k", "auto_ban": 0}
    things = {
        "/users": {"username": "written", "password": PASSWORD},
        "/keys": {"name": "written"},
        "/channels": channel,
        "/codes": {"name": "written", "quota": 5, "count": 1},
    }
    for route in v2.ROUTES:
        path = route.path.removeprefix("/api/v2").removesuffix("/:id")
        if route.method != "PATCH" or path not in things:
            continue
        made = root("POST", path, things.pop(path))
        assert made.status_code == 201, made.text
        which = root("GET", f"{path}?limit=1").json["items"][0]["id"]
        assert route.takes is not None
        for name, field in route.takes.fields.items():
            if not field.sent:
                continue
            value = SPECIAL.get(name, OTHER[field.kind])
            before = root("GET", f"{path}/{which}").json
            answer = root("PATCH", f"{path}/{which}", {name: value}, if_match="*")
            assert answer.status_code == 200, (path, name, answer.text)
            if field.told:
                assert before[name] != value, (path, name)
                assert root("GET", f"{path}/{which}").json[name] == value, (path, name)
    assert things == {}


def test_a_channel_is_set_aside_and_asked_again_by_hand(site: Site, root: Asking) -> None:
    body = {"name": "tired", "type": 1, "key": "k", "models": ["m"]}
    which = root("POST", "/channels", body).json["id"]
    assert root("POST", f"/channels/{which}/aside", {"until": 4102444800}).json == {"until": 4102444800}
    (row,) = [row for row in channels.load(site.worker.db) if row.id == which]
    assert (row.aside_until, row.asked_again) == (4102444800.0, 0)
    assert root("POST", f"/channels/{which}/aside", {"until": 0}).status_code == 200
    (row,) = [row for row in channels.load(site.worker.db) if row.id == which]
    assert row.aside_until == 0
    assert row.asked_again > 0
    for sent in ({}, {"until": -1}, {"until": "soon"}, {"until": 2**40}, {"till": 1}):
        assert root("POST", f"/channels/{which}/aside", sent).status_code == 400
    assert root("POST", "/channels/99999/aside", {"until": 0}).status_code == 404
    assert Asking(site, "ann")("POST", f"/channels/{which}/aside", {"until": 0}).status_code == 403


def test_a_vendors_bill_is_set_beside_what_calls_cost(root: Asking) -> None:
    bill = {"channel": "7", "csv": "when,model,usd\n2026-01-01,large,1.5\n", "day": "when", "amount": "usd"}
    told = root("POST", "/ledger/reconcile", bill).json
    assert (told["ours"], told["theirs"], told["difference"], told["whole"]) == ("0", "1.5", "1.5", True)
    assert [row["model"] for row in told["rows"]] == ["large"]
    wrong = root("POST", "/ledger/reconcile", {**bill, "csv": "when,model,usd\n2026-01-01,large,much\n"})
    assert (wrong.status_code, wrong.json["field"]) == (400, "csv")
    assert "ine 2" in wrong.json["detail"]
    margins = root("GET", "/reports/margin?dimension=channel_model")
    assert margins.json == {"items": [], "next": None, "whole": True}


def test_the_books_are_proved(root: Asking) -> None:
    assert root("GET", "/ledger/verify").json["agrees"] is True
    assert root("GET", "/ledger/entries?sort=-created_at").json == {"items": [], "next": None}


def test_the_document_is_openapi_and_names_every_route(site: Site) -> None:
    told = site.ask("GET", "/api/v2/openapi.json").json
    assert told == document(v2.ROUTES)
    assert told["openapi"] == "3.1.0"
    listed = {
        (method.upper(), re.sub(r"\{(\w+)\}", r":\1", path)) for path, one in told["paths"].items() for method in one
    }
    assert listed == {(route.method, route.path) for route in v2.ROUTES}
    names = [one["operationId"] for path in told["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))
    for schema in told["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


UNGUARDED = {
    "/me/tokens/:id": "what an access token is never changes",
    "/tags/:id": "what a tag is never changes",
    "/captures/:id": "an exchange never changes",
    "/dead-letters/:id": "a letter never changes",
    "/captures/keys/:id": "to watch and to watch no more is the same whatever was there",
    "/releases/trials/:id": "a trial begins and ends as a whole, and has no state of its own",
    "/teams/:id/invitation": "to decline is the same whatever was there",
    "/secrets/:name": "nobody can read a secret: whoever sets one has seen none",
    "/users/by-name/:username": "it says what a user is to be, whatever it was",
}
"""Changes that need no ``If-Match``, and why: nothing that somebody else wrote can be lost by them."""
MAKE_NOTHING = {
    *("/users/:id/erase", "/drafts/:id/check", "/drafts/:id/plan", "/drafts/:id/rebase", "/releases/canaries/drop"),
    *("/me/notices/test", "/webhooks/:id/test", "/dead-letters/:id/again", "/teams/:id/invitation", "/releases/pull"),
}
"""POSTs that ask, try, end or repeat something, and make nothing that a second call would make again."""


def test_every_change_is_guarded_and_whatever_makes_something_takes_a_key() -> None:
    """From the records: a route that is added without one of these has to stand here with its reason."""
    unguarded, keyless = set(), set()
    for route in v2.ROUTES:
        path = route.path.removeprefix("/api/v2")
        if route.method in ("PUT", "PATCH", "DELETE") and not route.guarded:
            unguarded.add(path)
        if route.method == "POST" and not route.makes:
            keyless.add(path)
    assert unguarded == set(UNGUARDED)
    assert keyless == MAKE_NOTHING


def test_an_option_without_a_value_is_told(root: Asking) -> None:
    answer = root("PUT", "/options/About", {}, if_match="*")
    assert (answer.status_code, answer.json["field"]) == (400, "value")


def test_answers_are_as_the_document_says(site: Site, root: Asking) -> None:
    told = site.ask("GET", "/api/v2/openapi.json").json
    checked = 0
    for path, methods in told["paths"].items():
        if "get" not in methods or "{" in path:
            continue
        if "application/json" not in methods["get"]["responses"]["200"]["content"]:
            continue  # lines of text have no schema
        schema = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        answer = root("GET", path.removeprefix("/api/v2"))
        assert answer.status_code == 200, (path, answer.text)
        Draft202012Validator({**schema, "components": told["components"]}).validate(answer.json)
        checked += 1
    assert checked > 10


def test_a_channel_s_change_is_taken_back_and_options_are_root_s_alone(site: Site, root: Asking) -> None:
    adam = Asking(site, "adam")
    which = root("POST", "/channels", {"name": "rows", "type": 1, "key": "k-of-it-123456", "models": ["m"]}).json["id"]
    assert adam("PATCH", f"/channels/{which}", {"models": ["other"]}, if_match="*").status_code == 200
    found = root("GET", f"/rows/channel/{which}/history").json["items"]
    assert [(one["what"], one["username"]) for one in found] == [("changed", "adam"), ("added", "root")]
    assert adam("POST", f"/rows/{found[1]['id']}/undo").status_code == 403  # it would be gone with its key
    assert "k-of-it" not in str(found)
    undone = adam("POST", f"/rows/{found[0]['id']}/undo")
    assert (undone.status_code, undone.json["what"]) == (200, "changed"), undone.text
    assert adam("GET", f"/channels/{which}").json["models"] == ["m"]
    assert adam("POST", f"/rows/{found[0]['id']}/undo").status_code == 409
    blamed = {one["member"]: one["revision"] for one in adam("GET", f"/rows/channel/{which}/blame").json["items"]}
    assert blamed["models"] == undone.json["id"]
    assert root("PUT", "/options/RetryTimes", {"value": "4"}, if_match="*").status_code == 200
    option = root("GET", "/rows?kind=option&name=RetryTimes&sort=-id").json["items"][0]
    assert (option["username"], option["after"]) == ("root", "4")
    assert not [one for one in adam("GET", "/rows?limit=200").json["items"] if one["kind"] != "channel"]
    for path in (f"/rows/{option['id']}", "/rows/option/RetryTimes/history", "/rows/option/RetryTimes/blame"):
        assert adam("GET", path).status_code == 404, path
        assert root("GET", path).status_code == 200, path
    assert adam("POST", f"/rows/{option['id']}/undo").status_code == 404
    assert root("POST", f"/rows/{option['id']}/undo").status_code == 200
    before = found[-1]["id"]
    differing = root("GET", f"/rows/{undone.json['id']}/diff?older={before}").json["items"]
    assert not [one for one in differing if one["name"] == str(which)]
    assert root("GET", f"/rows/{undone.json['id']}/diff").status_code == 400
    ann = Asking(site, "ann")
    for method, path in (("GET", "/rows"), ("POST", f"/rows/{option['id']}/undo"), ("GET", f"/rows/{option['id']}")):
        assert ann(method, path).status_code == 403


def test_another_person_approves_a_draft_as_it_was_read(site: Site, root: Asking) -> None:
    adam = Asking(site, "adam")
    change = {"kind": "Alias", "name": "mine", "text": "kind: Alias"}
    draft = adam("POST", "/drafts", {"name": "mine", "changes": [change]}).json
    assert (draft["approved_by"], draft["waits"]) == ([], False)
    path = f"/drafts/{draft['id']}/approve"
    assert adam("POST", path, {"version": draft["version"]}).status_code == 403
    assert root("POST", path, {"version": 7}).status_code == 409
    assert root("POST", path, {}).status_code == 400
    assert root("POST", path, {"version": draft["version"]}).json["approved_by"] == ["root"]
    policy = {"kind": "Policy", "name": "p", "text": "kind: Policy"}
    other = root("POST", "/drafts", {"name": "of root", "changes": [policy]}).json
    assert adam("POST", f"/drafts/{other['id']}/approve", {"version": 1}).status_code == 403
    assert Asking(site, "ann")("POST", path, {"version": 1}).status_code == 403
