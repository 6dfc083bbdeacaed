"""Kept exchanges: whose are, what of them stays readable, who may see them, and what a plan makes of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result

from engine import paths
from engine.cli import main
from engine.compiler import compile_set, read_set
from engine.ledger.pricing.book import Book
from engine.releases.captured import replay
from engine.settings import Settings
from engine.storage import rotation
from engine.storage.database import Database, open_database
from engine.storage.releases import captures
from engine.storage.vault import Vault
from tests.relay.scripted import Say, Upstream
from tests.releases.conftest import ROUTE
from tests.support import PATIENCE, Gateway, until

pytestmark = [pytest.mark.xdist_group("captures"), pytest.mark.timeout(600)]

SECRET = "of the captures"
SAID = "Zanzibar is where my sister Wilhelmina lives"
ANSWERED = "Then greet Wilhelmina of 42 Harbour Road"
HOUSE_KEY = "sk-house-0123456789abcdef"
HOUSE = """apiVersion: gatewright/v1
kind: Provider
metadata: {{name: house}}
spec:
  baseUrl: {base}
  formats: {{openai.chat: {{path: /v1/chat/completions}}}}
  credential: {{secretRef: {{db: house-key}}}}
"""
RULES = """apiVersion: gatewright/v1
kind: Policy
metadata: {name: kept}
spec:
  captures:
    crossed: {when: {keys: [crossed]}, most: 3}
    never: {when: {keys: [never]}, share: 0.000001, redacted: false}
"""
PRICE = """apiVersion: gatewright/v1
kind: Price
metadata: {{name: ours}}
spec:
  models:
    - {{match: ".*-model", tokens: {{input: {usd}, output: {usd}}}}}
"""
ALIAS = """apiVersion: gatewright/v1
kind: Alias
metadata: {name: renamed}
spec: {match: "(a)-model", model: "b-model"}
"""


def answered(say: Say) -> None:
    """An answer that repeats what no answer should: the credential that came."""
    echo = f"{ANSWERED} {say.arrived.headers.get('authorization', '')}"
    usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    if say.arrived.json.get("stream"):
        pieces = [{"delta": {"role": "assistant", "content": word}} for word in (ANSWERED, " and", " more")]
        pieces.append({"delta": {}, "finish_reason": "stop"})
        head = {"id": "x", "object": "chat.completion.chunk", "model": "m", "created": 1}
        events = [{**head, "choices": [{"index": 0, **piece}]} for piece in pieces]
        events.append({**head, "choices": [], "usage": usage})
        say.events(*(f"data: {json.dumps(event)}\n\n".encode() for event in events), b"data: [DONE]\n\n")
        return
    message = {"role": "assistant", "content": echo}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    say.whole({"id": "x", "object": "chat.completion", "model": "m", "choices": choices, "usage": usage})


@dataclass
class Watching:
    """A gateway with a secret, its database, and keys by label."""

    gateway: Gateway
    db: Database
    keys: dict[str, str]
    ids: dict[str, int]

    def run(self, *words: object) -> Result:
        env = {"GATEWRIGHT_DATA": str(self.gateway.data), "GATEWRIGHT_SERVER": "", "CRYPTO_SECRET": SECRET}
        return CliRunner(env=env).invoke(main, [str(word) for word in words])

    def call(self, key: str, path: str = "/v1/chat/completions", **more: Any) -> str:
        """A call that is answered; its id."""
        headers = {"authorization": f"Bearer {self.keys[key]}", "cookie": "session=secret-cookie"}
        body = {"model": "a-model", "messages": [{"role": "user", "content": SAID}], **more}
        answer = requests.post(self.gateway.base + path, json=body, headers=headers, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        assert answer.text  # to its last byte
        return answer.headers["x-request-id"]

    def kept(self, request_id: str) -> dict[str, Any]:
        rows = until(lambda: [row for row in captures.listed(self.db, limit=200) if row["id"] == request_id])
        assert rows, f"{request_id} is not kept"
        shown = self.run("captures", "show", request_id)
        assert shown.exit_code == 0, shown.output
        return dict(json.loads(shown.output))

    def token(self, username: str, password: str) -> dict[str, str]:
        body = {"username": username, "password": password}
        told = requests.post(self.gateway.base + "/api/user/login", json=body, timeout=PATIENCE).json()
        return {"authorization": f"Bearer {told['data']['access_token']}"}

    @property
    def root(self) -> dict[str, str]:
        return self.token(*(self.gateway.data / "first.login").read_text().split())


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    upstream = Upstream()
    upstream.script = answered
    data = tmp_path_factory.mktemp("captures")
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}", "CRYPTO_SECRET": SECRET}
    specs = {"house.yaml": HOUSE.format(base=upstream.base), "rules.yaml": RULES}
    gateway = Gateway(data, specs=specs, env=env, workers=1, priced=True)
    db = None
    try:
        gateway.ready()
        db = open_database(Settings(data=data, crypto_secret=SECRET))
        site = Watching(gateway, db, {}, {})
        for name in ("watched", "crossed", "never", "other"):
            created = json.loads(site.run("key", "create", name, "--json").output)
            site.keys[name] = created["key"]
        with db.read() as connection:
            site.ids.update({row[1]: row[0] for row in connection.exec_driver_sql("SELECT id, name FROM tokens")})
        assert (
            CliRunner(env={"GATEWRIGHT_DATA": str(data), "CRYPTO_SECRET": SECRET})
            .invoke(main, ["secret", "set", "house-key"], input=HOUSE_KEY)
            .exit_code
            == 0
        )
        (data / "tree").mkdir()
        (data / "tree" / "a.yaml").write_text(ROUTE.format(models="a-model, b-model"))
        (data / "tree" / "b.yaml").write_text(PRICE.format(usd=1))
        applied = site.run("apply", data / "tree", "--owner", "console", "--wait", 90)
        assert applied.exit_code == 0, applied.output
        headers = {"authorization": f"Bearer {site.keys['other']}"}
        body = {"model": "a-model", "messages": [{"role": "user", "content": "x"}]}
        address = gateway.base + "/v1/chat/completions"
        until(lambda: requests.post(address, json=body, headers=headers, timeout=PATIENCE).status_code == 200)
        yield site
    finally:
        if db is not None:
            db.close()
        gateway.stop()
        upstream.close()
    assert "Traceback" not in gateway.output, gateway.output


def watch(watching: Watching, **rules: object) -> None:
    words = [word for name, value in rules.items() for word in (f"--{name}", value)]
    begun = watching.run("captures", "watch", watching.ids["watched"], *words)
    assert begun.exit_code == 0, begun.output


def taken(watching: Watching) -> bool:
    """Whether a call with the watched key is kept by now."""
    request_id = watching.call("watched")
    time.sleep(1)
    return request_id in {row["id"] for row in captures.listed(watching.db, limit=200)}


def test_a_watched_key_is_kept_whole_and_without_a_credential(watching: Watching) -> None:
    watching.call("watched")
    watch(watching)
    until(lambda: taken(watching))  # each worker looks once a second
    captures.drop(watching.db)
    watching.call("other")
    whole, streamed = watching.call("watched"), watching.call("watched", stream=True)
    foreign = watching.call("watched", "/v1/messages", max_tokens=50)
    for request_id in (whole, streamed, foreign):
        kept = watching.kept(request_id)
        assert SAID in kept["request"]["body"]
        assert SAID in kept["upstream"]["request"]["body"]
        assert (kept["rule"], kept["status"], kept["token_name"]) == (f"key:{watching.ids['watched']}", 200, "watched")
        assert kept["upstream"]["format"] == "openai.chat"
        text = json.dumps(kept)
        for secret in (watching.keys["watched"].removeprefix("sk-"), HOUSE_KEY, "secret-cookie"):
            assert secret not in text
    kept = watching.kept(streamed)
    assert ANSWERED in kept["response"]["body"]
    assert kept["response"]["body"].rstrip().endswith("[DONE]")
    assert watching.kept(foreign)["format"] == "anthropic.messages"
    listed = watching.run("captures", "list", "--json")
    assert {row["id"] for row in json.loads(listed.output)} == {whole, streamed, foreign}
    assert SAID not in listed.output


def test_what_lies_in_the_database_can_be_read_by_nobody_without_the_secret(watching: Watching) -> None:
    assert captures.listed(watching.db)
    raw = b"".join(path.read_bytes() for path in watching.gateway.data.glob("*.db*"))
    assert b"Wilhelmina" not in raw
    which = captures.listed(watching.db)[0]["id"]
    try:
        assert rotation.rotate(watching.db, "a newer one", [SECRET]) > 0
        watching.db.vault = Vault("a newer one")
        assert SAID in captures.one(watching.db, which).exchange["request"]["body"]
    finally:
        rotation.rotate(watching.db, SECRET, ["a newer one"])
        watching.db.vault = Vault(SECRET)


def test_a_rule_crosses_texts_out_and_keeps_so_many(watching: Watching) -> None:
    calls = [watching.call("crossed") for _ in range(5)]
    kept = watching.kept(calls[-1])
    body = json.loads(kept["request"]["body"])
    assert (body["model"], body["messages"][0]["role"]) == ("a-model", "user")
    content = body["messages"][0]["content"]
    assert len(content) == len(SAID)
    assert content == "Xxxxxxxx xx xxxxx xx xxxxxx Xxxxxxxxxx xxxxx"
    assert not any(word in json.dumps(kept) for word in ("Wilhelmina", "Zanzibar", "Harbour"))
    assert json.loads(kept["response"]["body"])["usage"]["total_tokens"] == 20
    until(lambda: len(captures.listed(watching.db, rule="crossed")) == 3)
    watching.call("never")
    assert not captures.listed(watching.db, rule="never")


def test_its_holder_sees_that_a_key_is_watched_and_others_may_not_look(watching: Watching) -> None:
    base = watching.gateway.base + "/api/v2"
    items = requests.get(f"{base}/keys?limit=100", headers=watching.root, timeout=PATIENCE).json()["items"]
    until_ = {row["name"]: row["captured_until"] for row in items}
    assert until_["watched"] > time.time()
    assert until_["other"] == 0
    assert watching.run("user", "create", "adam", "--password", "a-long-password", "--role", "admin").exit_code == 0
    adam = watching.token("adam", "a-long-password")
    which = captures.listed(watching.db, rule="crossed")[0]["id"]
    for method, path in (
        ("GET", "/captures"),
        ("GET", f"/captures/{which}"),
        ("DELETE", f"/captures/{which}"),
        ("GET", "/captures/keys"),
        ("PUT", f"/captures/keys/{watching.ids['other']}"),
        ("DELETE", f"/captures/keys/{watching.ids['watched']}"),
    ):
        assert requests.request(method, base + path, json={}, headers=adam, timeout=PATIENCE).status_code == 403, path
    plan = {"files": {"b.yaml": PRICE.format(usd=5)}, "owner": "console"}
    assert not requests.post(f"{base}/releases/plan", json=plan, headers=adam, timeout=PATIENCE).json()["replays"]
    assert requests.post(f"{base}/releases/plan", json=plan, headers=watching.root, timeout=PATIENCE).json()["replays"]
    looked = requests.get(f"{base}/captures/{which}", headers=watching.root, timeout=PATIENCE)
    assert (looked.status_code, looked.json()["id"]) == (200, which)
    trail = requests.get(f"{base}/audit?limit=20", headers=watching.root, timeout=PATIENCE).text
    assert "GET /api/v2/captures/:id" in trail
    for path, body in (("0", {}), (watching.ids["other"], {"hours": 9999}), (watching.ids["other"], {"share": 2})):
        answer = requests.put(f"{base}/captures/keys/{path}", json=body, headers=watching.root, timeout=PATIENCE)
        assert answer.status_code in (400, 404), answer.text
    assert requests.delete(f"{base}/captures/{which}", headers=watching.root, timeout=PATIENCE).status_code == 204
    assert requests.get(f"{base}/captures/{which}", headers=watching.root, timeout=PATIENCE).status_code == 404


def test_a_plan_replays_kept_exchanges_under_both_releases(watching: Watching) -> None:
    tree = watching.gateway.data / "tree"
    before = json.loads(watching.run("plan", tree, "--owner", "console", "--json").output)
    assert (before["empty"], before["replays"]) == (True, {})
    (tree / "b.yaml").write_text(PRICE.format(usd=4))
    (tree / "c.yaml").write_text(ALIAS)
    planned = watching.run("plan", tree, "--owner", "console", "--json")
    replays = json.loads(planned.output)["replays"]
    assert (replays["exchanges"] >= 5, replays["left_out"]) == (True, 0), replays
    assert {row["format"] for row in replays["differing"]} == {"openai.chat", "anthropic.messages"}
    for row in replays["differing"]:
        assert row["means"] == ["a-model", "b-model"]
        assert row["cost"] == ["0.00002", "0.00008"]
        assert (row["request"], row["response"]) == ("", "")
    assert "means model a-model -> b-model" in watching.run("plan", tree, "--owner", "console").output


def test_what_can_t_be_replayed_is_left_out_and_counted(watching: Watching) -> None:
    rows = captures.newest(watching.db, 1)
    cut = captures.Captured(rows[0].facts, {**rows[0].exchange, "request": {"body": '{"mod', "cut": True}})
    sources, shared, _ = read_set([paths.SPECS])
    program = compile_set(sources, shared).program()
    book = Book(program, {})
    assert replay.replayed([cut], program, program, (book, book)) == {"exchanges": 0, "left_out": 1, "differing": []}


def test_time_ends_it(watching: Watching) -> None:
    watch(watching, hours=0.001)
    time.sleep(6.5)
    request_id = watching.call("watched")
    time.sleep(2)
    assert not [row for row in captures.listed(watching.db, limit=200) if row["id"] == request_id]
    assert captures.listed(watching.db)

    def over() -> bool:
        """Whether nothing stays; what an earlier call left in a worker's buffer may come a little later."""
        watching.db.write(lambda connection: connection.exec_driver_sql("UPDATE gatewright_captures SET until = 1"))
        unseen = not captures.listed(watching.db)
        captures.forget(watching.db)
        with watching.db.read() as connection:
            return unseen and connection.exec_driver_sql("SELECT COUNT(*) FROM gatewright_capture_data").scalar() == 0

    until(over)


def test_without_a_secret_nothing_is_kept(watching: Watching) -> None:
    watching.db.vault = Vault("")
    try:
        with pytest.raises(Exception, match="CRYPTO_SECRET"):
            captures.watch(watching.db, captures.CaptureKey(watching.ids["other"], 2**40))
    finally:
        watching.db.vault = Vault(SECRET)
