"""Tags of calls over HTTP: from where a Policy says into log, sums, budgets and ledger; what is no tag is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from engine.compiler import compile_set, read_set
from engine.relay.current import tag_rules
from engine.reports import rollups
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.rows import budgets
from engine.storage.rows.api import call_tags
from tests.databases import empty_database
from tests.relay.conftest import provider
from tests.relay.scripted import Upstream
from tests.support import Gateway, serving

pytestmark = pytest.mark.timeout(600)  # each gateway's documents are compiled, and a database made
PASSWORD = "rootroot1"
POLICY = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: tagged}
spec:
  tags:
    from:
      - {header: X-Gatewright-Tags}
      - {body: metadata.tags}
      - {header: x-team, prefix: "team:"}
    allow: ["a*", "b*", "c", "team:*", one, two, three, four, five, six]
    counted: 4
  affinity: {rules: {all: {keys: [{header: x-session}], pass: ["x-*"]}}}
"""
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}


class Site:
    """A gateway whose Policy declares tags, a root who manages it, and a key."""

    def __init__(self, gateway: Gateway, upstream: Upstream, settings: Settings) -> None:
        self.gateway, self.upstream, self.settings = gateway, upstream, settings
        body = {"username": "root", "password": PASSWORD, "confirmPassword": PASSWORD}
        assert requests.post(f"{gateway.base}/api/setup", json=body, timeout=30).json()["success"]
        login = requests.post(f"{gateway.base}/api/user/login", json=body, timeout=30).json()
        self.token = login["data"]["access_token"]
        self.key = self.manage("POST", "/keys", {"name": "k", "unlimited": True})

    def manage(self, method: str, path: str, body: Any = None, status: int = 0) -> Any:
        headers = {"authorization": f"Bearer {self.token}", "if-match": "*"}
        answer = requests.request(method, f"{self.gateway.base}/api/v2{path}", json=body, headers=headers, timeout=60)
        assert answer.status_code == status or (not status and answer.ok), answer.text
        return answer.json() if answer.content else None

    def older(self, path: str) -> Any:
        """The rows of a list of New API's routes."""
        headers = {"authorization": f"Bearer {self.token}"}
        return requests.get(f"{self.gateway.base}{path}", headers=headers, timeout=60).json()["data"]["items"]

    def call(self, tags: Any = None, *, key: str = "", body: Any = None, **headers: str) -> requests.Response:
        sent = {"authorization": f"Bearer {key or self.key['key']}"} | {
            n.replace("_", "-"): v for n, v in headers.items()
        }
        if tags is not None:
            sent["x-gatewright-tags"] = tags
        whole = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "x"}], **(body or {})}
        return requests.post(f"{self.gateway.base}/v1/chat/completions", json=whole, headers=sent, timeout=60)

    def logged(self, tag: str, count: int) -> list[dict[str, Any]]:
        """The log rows of a tag, once there are so many: the ledger writes behind."""
        end = time.monotonic() + 30
        while len(rows := self.manage("GET", f"/logs?tag={tag}")["items"]) < count and time.monotonic() < end:
            time.sleep(0.1)
        return rows


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("tags")
    upstream = Upstream()
    upstream.script = lambda say: say.whole(ANSWER)
    documents = "---".join([provider("p", upstream.base, "openai.chat", "m"), POLICY])
    with ExitStack() as stack:
        stack.callback(upstream.close)
        settings = stack.enter_context(empty_database(request.param, data))
        (data / "first.key").write_text("none")
        env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}", "GATEWRIGHT_FIRST_START": "open"}
        env |= {"SQL_DSN": settings.sql_dsn} if settings.sql_dsn else {}
        gateway = Gateway(data, specs={"tags.yaml": documents}, env=env)
        with serving(gateway):
            yield Site(gateway, upstream, settings)


def test_tags_reach_log_sums_and_ledger_and_no_provider(site: Site) -> None:
    site.upstream.got.clear()
    answer = site.call("One, two", body={"metadata": {"tags": ["three", "one"]}}, x_team="Red", x_session="s")
    assert answer.status_code == 200, answer.text
    tags = ["one", "two", "three", "team:red"]
    (row,) = site.logged("ONE", 1)
    assert row["other"]["tags"] == tags
    assert site.manage("GET", "/me/logs?tag=team:red")["items"][0]["other"]["tags"] == tags
    assert site.manage("GET", "/logs?tag=on")["items"] == []
    assert site.manage("GET", "/logs?tag=t_o")["items"] == []
    listed = {tag: [one["request_id"] for one in site.older(f"/api/log/self?tag={tag}")] for tag in ("Team:red", "on")}
    assert listed == {"Team:red": [row["request_id"]], "on": []}
    (entry,) = site.manage("GET", f"/ledger/entries?request_id={row['request_id']}")["items"]
    assert entry["tags"] == tags
    (arrived,) = site.upstream.got
    assert arrived.headers["x-session"] == "s"  # all that begins so goes up, but what is said to this gateway
    assert not {"x-gatewright-tags", "x-team"} & set(arrived.headers)
    assert site.call().status_code == 200
    sums = site.manage("GET", "/reports/hours?dimension=tag")["items"]
    assert {one["value"]: (one["calls"], one["prompt_tokens"]) for one in sums} == dict.fromkeys(tags, (1, 11))


@pytest.mark.parametrize(
    ("tags", "body", "status", "code", "words"),
    [
        ("one,two,three,four,five,six", None, 400, "too_long", "the header x-gatewright-tags: 6 tags"),
        ("one,two,three", {"metadata": {"tags": "four,five,six"}}, 400, "too_long", "tags: 6 tags"),
        ("a" * 65, None, 400, "too_long", "65 characters, but a tag may have 64"),
        ("a" * 500, None, 400, "too_long", "500 characters"),
        ("a b", None, 400, "invalid_value", "'a b' is no tag; write letters a to z"),
        ("a<script>", None, 400, "invalid_value", "is no tag"),
        (None, {"metadata": {"tags": {"a": 1}}}, 400, "invalid_type", "metadata.tags: tags are a text with commas"),
        (None, {"metadata": {"tags": ["a", ["b"]]}}, 400, "invalid_type", "metadata.tags"),
        ("zebra", None, 403, "tag_not_allowed", "the tag 'zebra' is not allowed here; use one of a*, b*, c"),
    ],
)
def test_what_is_no_tag_is_refused(site: Site, tags: Any, body: Any, status: int, code: str, words: str) -> None:
    answer = site.call(tags, body=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    assert words in error["message"]


def test_a_refusal_is_in_the_callers_dialect(site: Site) -> None:
    headers = {"x-api-key": site.key["key"], "anthropic-version": "2023-06-01", "x-gatewright-tags": "a b"}
    body = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "x"}]}
    answer = requests.post(f"{site.gateway.base}/v1/messages", json=body, headers=headers, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "'a b' is no tag" in answer.json()["error"]["message"]


def test_a_key_may_have_a_list_of_its_own(site: Site) -> None:
    key = site.manage("POST", "/keys", {"name": "bound", "unlimited": True, "call_tags": ["B*", "one"]})
    assert key["call_tags"] == ["b*", "one"]
    assert site.manage("GET", f"/keys/{key['id']}")["call_tags"] == ["b*", "one"]
    assert {row["id"]: row["call_tags"] for row in site.manage("GET", "/keys")["items"]}[key["id"]] == ["b*", "one"]
    assert site.call("bee,one", key=key["key"]).status_code == 200
    refused = site.call("two", key=key["key"])
    assert refused.status_code == 403
    assert "not allowed with this API key; use one of b*, one" in refused.json()["error"]["message"]
    assert site.call(key=key["key"]).status_code == 200
    site.manage("POST", "/keys", {"name": "x", "call_tags": ["a b"]}, 400)
    site.manage("PATCH", f"/keys/{key['id']}", {"call_tags": []})
    end = time.monotonic() + 20  # a key is believed for three seconds
    while (status := site.call("two", key=key["key"]).status_code) == 403 and time.monotonic() < end:
        time.sleep(0.2)
    assert status == 200


def test_a_tags_budget_counts_and_refuses_its_calls_alone(site: Site) -> None:
    assert site.call("budgeted").status_code == 200  # before there is one
    site.logged("budgeted", 1)
    tag = site.manage("POST", "/tags", {"name": "Budgeted"}, 201)
    assert (tag["name"], tag["user_id"]) == ("budgeted", 0)
    site.manage("POST", "/tags", {"name": "budgeted"}, 409)
    site.manage("POST", "/tags", {"name": "b", "user_id": 999_999}, 404)
    asked = {"holder": "tag", "holder_id": tag["id"], "period": "day", "unit": "tokens", "amount": 50}
    budget = site.manage("POST", "/budgets", asked, 201)
    assert budget["used"] == 18
    time.sleep(3.1)  # a worker remembers for three seconds that nobody has a budget
    statuses = [site.call("budgeted").status_code for _ in range(2)]
    assert statuses == [200, 402]
    refusal = site.call("c,budgeted").json()["error"]
    assert refusal["code"] == "budget_exceeded"
    assert "the tag's budget of 50 tokens a day" in refusal["message"]
    assert site.call("c").status_code == 200
    assert site.call().status_code == 200
    end = time.monotonic() + 20
    while (used := site.manage("GET", f"/budgets/{budget['id']}")["used"]) < 36 and time.monotonic() < end:
        time.sleep(0.1)
    assert used == 36
    db = open_database(site.settings, migrate=False)
    try:
        account = site.manage("GET", "/me")["id"]
        own = site.manage("POST", "/tags", {"name": "c", "user_id": account}, 201)
        budgets.put(db, db, budgets.Budget(0, "tag", own["id"], "day", "quota", 10**9, 0))
        uses = [budgets.Use(user, 0, 7, 0, int(time.time()), ("c",)) for user in (account, account + 1)]
        db.write(lambda connection: budgets.apply(connection, uses, db.zone))
        (kept,) = budgets.load(db)["tag", own["id"]]
        assert budgets.used(db, kept, time.time()) == 7
    finally:
        db.close()
    site.manage("DELETE", f"/tags/{tag['id']}", status=204)
    site.manage("GET", f"/budgets/{budget['id']}", status=404)


def test_an_account_is_summed_by_so_many_tags_and_no_more(site: Site) -> None:
    db = open_database(site.settings, migrate=False)
    try:
        named = {one["value"] for one in site.manage("GET", "/reports/hours?dimension=tag")["items"]}
        assert call_tags.OTHER in named
        assert len(named - {call_tags.OTHER}) == 4
        for moment in (0, rollups.SETTLED + 1):
            rollups.follow(db, db, quota_data=False, now=time.time() + 300 + moment, tags=4)
        again = {one["value"] for one in site.manage("GET", "/reports/hours?dimension=tag")["items"]}
        assert again == named
        assert call_tags.forget(db, time.time()) == 0
        assert call_tags.forget(db, time.time() + 200 * 86_400) == 4
    finally:
        db.close()


def test_without_a_policy_nothing_is_looked_for(tmp_path: Path) -> None:
    assert tag_rules({}) is None
    assert tag_rules({"tags": {"allow": ["a"], "counted": 3}}) is None
    (tmp_path / "p.yaml").write_text(POLICY.replace("{header: x-team, ", "{"))
    faults = compile_set(*read_set([tmp_path])[:2]).faults
    assert any("header" in fault.as_text() for fault in faults), faults
