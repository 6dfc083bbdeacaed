"""Codex through the gateway: it goes on after its token ended and the account is not lost; its search, its refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import requests
from sqlalchemy import insert, select

from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.tables import core
from engine.storage.vault import CHANNEL_KEY, PREFIX
from tests.relay.test_metering import Row
from tests.support import PATIENCE, Gateway, serving
from tests.upstreams import codex

# A token in is a unit, one out four; half for what comes from a cache. A search is a cent: 5,000 units.
PRICES = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: own}
spec:
  tools: {web_search_preview: 10}
  models:
    - {names: [gpt-5-codex, gpt-busy], tokens: {input: 2, output: 8, cache_read: 1}}
"""
SECRET = "what keys are sealed by"


@pytest.fixture(scope="module")
def account() -> Iterator[codex.Subscription]:
    made = codex.Subscription()
    yield made
    made.upstream.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, account: codex.Subscription) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("codex")
    db = open_database(Settings(data=data, crypto_secret=SECRET))
    row = {
        "type": 57, "status": 1, "name": "codex", "models": "gpt-5-codex,gpt-busy", "group": "default",
        "base_url": account.upstream.base, "key": db.vault.seal(account.key(), CHANNEL_KEY),
    }  # fmt: skip
    db.write(lambda connection: connection.execute(insert(core.channels).values(**row)).rowcount)
    db.close()
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{account.upstream.port}", "CRYPTO_SECRET": SECRET}
    made = Gateway(data, specs={"p.yaml": PRICES}, env=env, workers=2, priced=True)
    with serving(made):
        yield made
        assert not any(word in made.output for word in ("rt-", "at-", "acc-1"))


def sdk(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0)


def test_answers_come_whole_and_streamed_in_either_format(gateway: Gateway, account: codex.Subscription) -> None:
    account.upstream.got.clear()
    with sdk(gateway) as client:
        raw = client.responses.with_raw_response.create(
            model="gpt-5-codex", input="Hello", max_output_tokens=99, temperature=0.5
        )
        events = [one.type for one in client.responses.create(model="gpt-5-codex", input="Hello", stream=True)]
        said: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
        told = client.chat.completions.create(model="gpt-5-codex", messages=said)
    assert raw.parse().output_text == "Hi!"
    assert (events[0], events[-1]) == ("response.created", "response.completed")
    assert told.choices[0].message.content == "Hi!"
    assert all(name in raw.headers["x-gatewright-loss"] for name in ("max_output_tokens", "temperature"))
    assert Row(gateway, raw.headers["x-request-id"]).quota == 5 + 4 // 2 + 3 * 4
    bodies = [one.json for one in account.upstream.got]
    assert [one["instructions"] for one in bodies] == [""] * 3
    assert [[item["role"] for item in one["input"]] for one in bodies] == [["user"], ["user"], ["developer", "user"]]
    assert account.uses == 0


def test_it_goes_on_after_its_token_ended_and_the_next_is_kept_sealed(
    gateway: Gateway, account: codex.Subscription
) -> None:
    for turn in (1, 2):
        account.end()
        with sdk(gateway) as client:
            for _ in range(4):  # whichever worker has it
                assert client.responses.create(model="gpt-5-codex", input="Hello").output_text == "Hi!"
        assert (account.uses, account.lost) == (turn, False)
    db = open_database(Settings(data=gateway.data, crypto_secret=SECRET))
    with db.read() as connection:
        (stored,) = connection.execute(select(core.channels.c.key)).one()
    assert stored.startswith(PREFIX)
    assert json.loads(db.vault.open(stored, CHANNEL_KEY))["refresh_token"] == account.refresh == "rt-2"
    db.close()


def test_a_search_passes_and_costs_one_call_of_its_tool(gateway: Gateway, account: codex.Subscription) -> None:
    body = {"id": "s1", "model": "gpt-5-codex", "commands": {"search_query": [{"q": "tides " * 900}]}, "settings": {}}
    answer = gateway.post("/v1/alpha/search", body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"output": "Two pages.", "encrypted_output": "gAAA", "results": [{"title": "one"}]}
    assert account.upstream.got[-1].json == body
    row = Row(gateway, answer.headers["x-request-id"])
    assert (row.quota, row.input, row.output) == (5_000, 0, 0)
    refused = gateway.post("/v1/alpha/search", {"commands": {}})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")


def test_a_limit_of_the_subscription_has_its_meaning(gateway: Gateway) -> None:
    answer = gateway.post("/v1/responses", {"model": "gpt-busy", "input": "Hello"})
    assert answer.status_code in (429, 502, 503), answer.text
    assert answer.json()["error"]["code"] == "upstream_quota", answer.text


@pytest.mark.parametrize("how", ["query", "x-goog-api-key", "bearer"])
def test_the_models_stand_below_gemini_s_path_in_openai_s_words(gateway: Gateway, how: str) -> None:
    url = f"{gateway.base}/v1beta/openai/models"
    if how == "query":
        answer = requests.get(f"{url}?key={gateway.key}", timeout=PATIENCE)
    else:
        told = {"authorization": f"Bearer {gateway.key}"} if how == "bearer" else {how: gateway.key}
        answer = requests.get(url, headers=told, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    assert answer.json()["object"] == "list"
    assert {one["id"] for one in answer.json()["data"]} >= {"gpt-5-codex"}
    wrong = requests.get(f"{url}?key=sk-wrong", timeout=PATIENCE)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")


# -- the service itself

WELL = {"model": "gpt-5-codex", "instructions": "", "input": [], "store": False, "stream": True}
RESPONSES, TOKEN, SEARCH = "/backend-api/codex/responses", "/oauth/token", "/backend-api/codex/alpha/search"
GRANT = {"grant_type": "refresh_token", "client_id": codex.CLIENT}
REFUSED: dict[str, tuple[str, Any, dict[str, str], int]] = {
    "no token": (RESPONSES, WELL, {"authorization": "Bearer x"}, 401),
    "another account": (RESPONSES, WELL, {"chatgpt-account-id": "acc-9"}, 403),
    "another client": (RESPONSES, WELL, {"originator": "curl"}, 400),
    "another type": (RESPONSES, WELL, {"content-type": "text/plain"}, 400),
    "another path": ("/v1/responses", WELL, {}, 404),
    "no JSON": (RESPONSES, "{", {}, 400),
    "a whole answer": (RESPONSES, {**WELL, "stream": False}, {}, 400),
    "an answer to keep": (RESPONSES, {**WELL, "store": True}, {}, 400),
    "no instructions": (RESPONSES, {**WELL, "instructions": None}, {}, 400),
    "a limit": (RESPONSES, {**WELL, "max_output_tokens": 9}, {}, 400),
    "a text as input": (RESPONSES, {**WELL, "input": "Hi"}, {}, 400),
    "a system message": (RESPONSES, {**WELL, "input": [{"role": "system", "content": "x"}]}, {}, 400),
    "a search for nothing": (SEARCH, {"model": "gpt-5-codex"}, {}, 400),
    "another grant": (TOKEN, {"grant_type": "password"}, {}, 400),
    "an unknown client": (TOKEN, {**GRANT, "client_id": "x"}, {}, 401),
    "a token that was used": (TOKEN, {**GRANT, "refresh_token": "rt-0"}, {}, 401),
    "a token after that": (TOKEN, {**GRANT, "refresh_token": "NOW"}, {}, 401),
}


def test_the_service_refuses() -> None:
    one = codex.Subscription()
    one.renewed({**GRANT, "refresh_token": "rt-0"})
    for case, (path, body, headers, status) in REFUSED.items():
        usual = {
            "authorization": f"Bearer {one.access}",
            "chatgpt-account-id": codex.ACCOUNT,
            "originator": "codex_cli_rs",
        }
        usual["content-type"] = "application/json"
        text = body if isinstance(body, str) else json.dumps(body).replace("NOW", one.refresh)
        answer = requests.post(one.upstream.base + path, data=text, headers={**usual, **headers}, timeout=PATIENCE)
        assert answer.status_code == status, case
    assert one.lost
    one.upstream.close()
