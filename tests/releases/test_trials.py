"""Drafts on trial and as canaries, on a gateway with two workers: who gets which release, and what is counted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result
from sqlalchemy import Connection, insert

from engine.cli import main
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.releases import canaries, documents, drafts, secrets
from engine.storage.releases.documents import StoredDocument
from engine.storage.rows import trail
from engine.storage.tables import core
from tests.relay.scripted import Say, Upstream
from tests.releases.conftest import ANN, ROUTE, provider
from tests.support import PATIENCE, Gateway, until

pytestmark = [pytest.mark.xdist_group("trials"), pytest.mark.timeout(600)]

MAY = """apiVersion: gatewright/v1
kind: Policy
metadata: {name: who-may-try}
spec:
  trial: {keys: [tester]}
"""
KEYED = """apiVersion: gatewright/v1
kind: Provider
metadata: {{name: keyed}}
spec:
  baseUrl: {base}
  formats: {{openai.chat: {{path: /v1/chat/completions}}}}
  credential: {{secretRef: {{db: house-key}}}}
  models: [keyed-model]
"""
ROWED = """apiVersion: gatewright/v1
kind: Provider
metadata: {{name: rowed}}
spec:
  baseUrl: {base}
  formats: {{openai.chat: {{path: /v1/chat/completions}}}}
  channelTypes: {{newApi: [9001]}}
"""
PRICE = """apiVersion: gatewright/v1
kind: Price
metadata: {{name: ours}}
spec:
  models:
    - {{match: ".*-model", tokens: {{input: {usd}, output: {usd}}}}}
"""
ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
}


@dataclass
class Tried:
    """A gateway, two upstreams, and keys by label."""

    gateway: Gateway
    db: Database
    house: Upstream
    other: Upstream
    keys: dict[str, str]

    def run(self, *words: object) -> Result:
        env = {"GATEWRIGHT_DATA": str(self.gateway.data), "GATEWRIGHT_SERVER": ""}
        return CliRunner(env=env).invoke(main, [str(word) for word in words])

    def draft(self, *texts: tuple[str, str, str | None]) -> str:
        changes = [StoredDocument(kind, name, "console", text) for kind, name, text in texts]
        return drafts.create(self.db, "of a test", documents.head(self.db), ANN, changes).id

    def call(self, key: str, model: str = "a-model", release: str = "", **more: Any) -> requests.Response:
        headers = {
            "authorization": f"Bearer {self.keys[key]}",
            **({"x-gatewright-release": release} if release else {}),
        }
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
        return requests.post(self.gateway.base + "/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE)

    def begun(self, draft: str) -> None:
        """The draft is on trial, and both workers know it."""
        begun = self.run("releases", "trial", "begin", draft)
        assert begun.exit_code == 0, begun.output
        until(lambda: self.call("tester", release=draft).status_code != 404)
        time.sleep(0.3)  # a worker looks ten times a second

    def rows(self) -> list[dict[str, Any]]:
        with self.db.read() as connection:
            rows = connection.exec_driver_sql("SELECT request_id, token_name, quota, other FROM logs WHERE type = 2")
            return [{**row, "other": json.loads(row["other"])} for row in rows.mappings()]

    def row(self, answer: requests.Response) -> dict[str, Any]:
        wanted = answer.headers["x-request-id"]
        rows = until(lambda: [row for row in self.rows() if row["request_id"] == wanted])
        return dict(rows[0])


def broken(say: Say) -> None:
    if say.arrived.path.startswith("/broken"):
        say.whole({"error": {"message": "no", "type": "invalid_request_error"}}, status=400)
    else:
        say.whole(ANSWER)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    first, other = Upstream(), Upstream()
    first.script = other.script = broken
    data = tmp_path_factory.mktemp("tried")
    specs = {"house.yaml": provider(first.base), "may.yaml": MAY}
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{first.port},127.0.0.1:{other.port}"}
    gateway = Gateway(data, specs=specs, env=env, workers=2, priced=True)
    db = None
    try:
        gateway.ready()
        db = open_database(Settings(data=data))
        site = Tried(gateway, db, first, other, {})
        for name in ("tester", "other", *(f"key-{number}" for number in range(12))):
            created = site.run("key", "create", name, "--json")
            assert created.exit_code == 0, created.output
            site.keys[name] = json.loads(created.output)["key"]
        secrets.put(db, "house-key", "sk-of-the-house")
        ours = ROUTE.format(models="a-model")
        for name, text in (
            ("a.yaml", ours),
            ("b.yaml", PRICE.format(usd=1)),
            ("c.yaml", KEYED.format(base=first.base)),
            ("d.yaml", ROWED.format(base=first.base)),
        ):
            (data / "tree").mkdir(exist_ok=True)
            (data / "tree" / name).write_text(text)
        applied = site.run("apply", data / "tree", "--owner", "console", "--wait", 90)
        assert applied.exit_code == 0, applied.output
        until(lambda: site.call("other").status_code == 200, words=lambda: site.call("other").text)
        yield site
    finally:
        if db is not None:
            db.close()
        gateway.stop()
        first.close()
        other.close()
    assert "Traceback" not in gateway.output, gateway.output


def test_a_draft_serves_charges_and_logs_the_calls_of_those_who_may(tried: Tried) -> None:
    draft = tried.draft(
        ("Route", "ours", ROUTE.format(models="a-model, new-model")), ("Price", "ours", PRICE.format(usd=7))
    )
    tried.begun(draft)
    as_ever, on_trial = tried.call("tester"), tried.call("tester", release=draft)
    assert (as_ever.status_code, on_trial.status_code) == (200, 200)
    before, after = tried.row(as_ever), tried.row(on_trial)
    assert after["quota"] == 7 * before["quota"] > 0
    assert after["other"]["release"] == on_trial.headers["x-gatewright-release"] != before["other"]["release"]
    assert "x-gatewright-release" not in as_ever.headers
    assert tried.call("tester", "new-model").status_code == 404
    assert tried.call("tester", release=before["other"]["release"]).ok
    refused = tried.call("other", release=draft)
    assert (refused.status_code, "may not choose a release" in refused.text) == (403, True)
    assert "x-gatewright-release" not in refused.headers
    assert (
        requests.post(tried.gateway.base + "/v1/chat/completions", headers={"x-gatewright-release": draft}).status_code
        == 401
    )
    for name in ("nothing", "../../etc", "0" * 64, "abcdef"):
        unknown = tried.call("tester", release=name)
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "release_not_found"), unknown.text
    assert draft in tried.run("releases", "trial", "list").output
    assert tried.run("releases", "trial", "end", draft).exit_code == 0
    until(lambda: tried.call("tester", release=draft).status_code == 404)
    # who keeps the program's hash goes on with it as long as this machine does
    assert tried.call("tester", release=after["other"]["release"]).ok


def test_what_a_release_held_is_tried_by_its_number(tried: Tried) -> None:
    assert tried.run("releases", "trial", "begin", documents.head(tried.db)).exit_code == 1
    (tried.gateway.data / "tree" / "b.yaml").write_text(PRICE.format(usd=3))
    assert tried.run("apply", tried.gateway.data / "tree", "--owner", "console", "--wait", 90).exit_code == 0
    number = documents.head(tried.db) - 1
    assert tried.run("releases", "trial", "begin", number).exit_code == 0
    until(lambda: tried.call("tester", release=f"release-{number}").ok)
    now, then = tried.row(tried.call("tester")), tried.row(tried.call("tester", release=f"release-{number}"))
    assert now["quota"] == 3 * then["quota"] > 0
    assert tried.run("releases", "trial", "end", f"release-{number}").exit_code == 0


def test_a_draft_with_faults_is_told_and_never_runs(tried: Tried) -> None:
    draft = tried.draft(("Route", "ours", ROUTE.format(models="x").replace("provider: house", "provider: huose")))
    refused = tried.run("releases", "trial", "begin", draft)
    assert (refused.exit_code, "did you mean: house" in refused.stderr) == (1, True)
    assert tried.run("releases", "trial", "begin", "nothing").exit_code == 1
    assert tried.run("releases", "canary", "begin", "nothing").exit_code == 1
    assert tried.call("tester", release=draft).status_code == 404


def test_a_draft_sends_no_secret_to_another_host(tried: Tried) -> None:
    """Neither the document's own channel nor one beside it, and not by a canary either: it is the same program."""
    assert tried.call("tester", "keyed-model").ok
    assert tried.house.got[-1].headers["authorization"] == "Bearer sk-of-the-house"
    elsewhere = KEYED.format(base=tried.other.base)
    beside = elsewhere.replace("name: keyed}", "name: beside}").replace("keyed-model", "beside-model")
    draft = tried.draft(("Provider", "keyed", elsewhere), ("Provider", "beside", beside))
    tried.begun(draft)
    for model in ("keyed-model", "beside-model"):
        assert tried.call("tester", model, draft).status_code in (404, 503)
    assert tried.other.got == []
    assert tried.call("tester", "keyed-model").ok
    assert tried.run("releases", "trial", "end", draft).exit_code == 0


def test_a_draft_sends_no_key_of_a_channel_to_another_host(tried: Tried) -> None:
    """The key is the row's, the address the document's."""
    row = {"type": 9001, "status": 1, "key": "sk-of-the-row", "models": "row-model", "group": "default", "name": "row"}

    def add(connection: Connection) -> None:
        connection.execute(insert(core.channels).values(**row))
        trail.changed(tried.db, connection)

    tried.db.write(add)
    until(lambda: tried.call("tester", "row-model").ok)
    assert tried.house.got[-1].headers["authorization"] == "Bearer sk-of-the-row"
    draft = tried.draft(("Provider", "rowed", ROWED.format(base=tried.other.base)))
    tried.begun(draft)
    assert tried.call("tester", "row-model", draft).json()["error"]["code"] == "channel_fault"
    assert "its key goes to another host in the release in force" in tried.gateway.output
    assert tried.other.got == []
    assert tried.call("tester", "row-model").ok
    assert tried.run("releases", "trial", "end", draft).exit_code == 0


def test_a_server_does_the_same_by_its_api(tried: Tried) -> None:
    base = tried.gateway.base
    username, password = (tried.gateway.data / "first.login").read_text().split()
    body = {"username": username, "password": password}
    token = requests.post(f"{base}/api/user/login", json=body, timeout=PATIENCE).json()["data"]["access_token"]

    def remote(*words: object) -> Result:
        env = {"GATEWRIGHT_SERVER": base, "GATEWRIGHT_TOKEN": token}
        return CliRunner(env=env).invoke(main, ["releases", *[str(word) for word in words]])

    def ask(method: str, path: str, body: object = None) -> requests.Response:
        headers = {"authorization": f"Bearer {token}"}
        return requests.request(method, f"{base}/api/v2/releases/{path}", json=body, headers=headers, timeout=90)

    draft = tried.draft(("Price", "ours", PRICE.format(usd=9)))
    assert draft in remote("trial", "begin", draft, "--hours", 2).output
    assert draft in remote("trial", "list").output
    begun = remote("canary", "begin", draft, "--share", 0.25, "--group", "default")
    assert "0.25 of keys of default: running" in begun.output, begun.output
    assert remote("canary", "status").output == begun.output
    dropped = remote("canary", "drop", "-m", "a test")
    assert f"by {username}: a test" in dropped.output
    assert remote("canary", "status").exit_code == 2
    assert remote("canary", "promote").exit_code == 1
    for body in ({"trial": draft, "share": 2}, {"trial": draft, "errors": "few"}, {"trial": draft, "by": "user"}, {}):
        assert ask("POST", "canaries", body).status_code == 400, body
    for body in ({}, {"draft": draft, "number": 1}, {"draft": draft, "hours": -1}):
        assert ask("POST", "trials", body).status_code == 400, body
    assert ask("POST", "canaries", {"trial": "nothing"}).status_code == 404
    assert ask("GET", "canaries/999").status_code == 404
    assert ask("POST", "pull", {}).status_code == 404  # no remote is followed here
    assert remote("trial", "end", draft).exit_code == 0
    assert ask("DELETE", f"trials/{draft}").status_code == 404


def calls(tried: Tried, count: int) -> None:
    names = [name for name in tried.keys if name.startswith("key-")]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: tried.call(names[number % len(names)]), range(count)))


def counted(tried: Tried, number: int) -> int:
    return int(sum(key["calls"] for keys in canaries.counts(tried.db, number).values() for key in keys))


def logged(tried: Tried, number: int) -> int:
    measured = [row["other"]["admin_info"].get("canary") for row in tried.rows()]
    return sum(measures is not None and measures[0] == number for measures in measured)


def test_a_canary_that_breaks_its_bound_is_dropped_by_itself(tried: Tried) -> None:
    """And until then each key stays on its side, and every call of both workers is counted, once."""
    text = provider(tried.house.base).replace("path: /v1", "path: /broken/v1").replace("name: house}", "name: worse}")
    route = ROUTE.format(models="a-model").replace("provider: house", "provider: worse")
    draft = tried.draft(("Provider", "worse", text), ("Route", "ours", route))
    tried.begun(draft)
    rules = ["--share", 0.5, "--least", 50, "--hours", 1]
    begun = tried.run("releases", "canary", "begin", draft, *rules, "--json")
    assert begun.exit_code == 0, begun.output
    number = json.loads(begun.output)["number"]
    assert "promote or drop it first" in tried.run("releases", "canary", "begin", draft).output
    until(lambda: (calls(tried, 12), counted(tried, number))[1])
    calls(tried, 150)
    until(lambda: tried.run("releases", "canary", "status").exit_code == 2)
    canary = json.loads(tried.run("releases", "canary", "status", number, "--json").output)
    assert canary["reason"].startswith("errors 1 against 0, bound 0.01"), canary
    assert (canary["state"], canary["verdict"]["state"], canary["looks"] in (1, 2)) == ("dropped", "worse", True)
    sides = canaries.counts(tried.db, number)
    assert {key["errors"] / key["calls"] for key in sides["new"]} == {1.0}
    assert {key["errors"] for key in sides["old"]} == {0.0}
    until(lambda: all(tried.call(name).ok for name in tried.keys))
    before = counted(tried, number)
    calls(tried, 12)
    assert counted(tried, number) == before
    assert drafts.one(tried.db, draft).id == draft  # it stays
    assert tried.run("releases", "trial", "end", draft).exit_code == 0


def test_a_canary_that_holds_is_promoted_and_a_release_ends_another(tried: Tried) -> None:
    draft = tried.draft(("Route", "ours", ROUTE.format(models="a-model, promoted-model")))
    tried.begun(draft)
    wide = ["--share", 0.5, "--by", "call", "--least", 50, "--errors", 0.5, "--latency", 9, "--losses", 9, "--cost", 9]
    begun = json.loads(tried.run("releases", "canary", "begin", draft, *wide, "--promote", "--json").output)
    number = begun["number"]
    until(lambda: (calls(tried, 12), counted(tried, number))[1])
    head = documents.head(tried.db)
    calls(tried, 150)
    until(lambda: documents.head(tried.db) == head + 1)
    canary = json.loads(tried.run("releases", "canary", "status", "--json").output)
    assert (canary["state"], canary["reason"]) == ("promoted", f"release {head + 1}")
    assert documents.release(tried.db, head + 1).source == f"canary {number}"
    assert counted(tried, number) == logged(tried, number) >= 100
    until(lambda: tried.call("other", "promoted-model").ok)
    assert draft not in tried.run("releases", "trial", "list").output
    another = tried.draft(("Price", "ours", PRICE.format(usd=2)))
    tried.begun(another)
    assert tried.run("releases", "canary", "begin", another, *wide).exit_code == 0
    back = tried.run("rollback", head)
    assert (back.exit_code, f"canary {number + 1} was dropped" in back.output) == (0, True)
    canary = json.loads(tried.run("releases", "canary", "status", "--json").output)
    assert (canary["state"], f"release {head + 2} of" in canary["reason"]) == ("dropped", True)
    assert "no canary runs" in tried.run("releases", "canary", "drop").output
