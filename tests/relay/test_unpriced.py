"""A model without a price is refused in the caller's dialect, unless a Policy allows it; one with a price is not."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
import requests

from tests.relay.conftest import provider
from tests.relay.scripted import Upstream
from tests.support import PATIENCE, Gateway, until

TIER = b',"service_tier":"default"}'
ANSWER = (
    b'{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
)
PRICE = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: own}
spec:
  models:
    - {names: [priced], tokens: {input: 2, output: 8}}
    - {names: [broken], ratio: {expression: 'p * param("factor")'}}
    - {names: [by-header], ratio: {expression: 'has(header("X-Beta"), "long") ? p * 200 : p * 2'}}
    - names: [by-tier]
      tokens: {input: 2, output: 8}
      adjust: [{name: fast, when: "(usage.raw.service_tier | default(body.service_tier)) == 'priority'", factor: 10}]
"""
ALLOW = "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: allow}\nspec: {unpriced: allow}\n"


@pytest.fixture(scope="module")
def upstream():
    made = Upstream()
    made.script = lambda say: say.whole(ANSWER)
    yield made
    made.close()


@pytest.fixture(scope="module")
def strict(tmp_path_factory, upstream):
    documents = provider("p", upstream.base, "openai.chat", "priced", "unheard-of", "broken", "by-header", "by-tier")
    documents += "\n---" + PRICE
    gateway = Gateway(
        tmp_path_factory.mktemp("strict"),
        specs={"all.yaml": documents},
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"},
        priced=True,
    )
    try:
        yield gateway.ready()
    finally:
        gateway.stop()


def call(gateway, model, path="/v1/chat/completions", headers=None, **more):
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **more}
    headers = {"authorization": f"Bearer {gateway.key}", **(headers or {})}
    return requests.post(gateway.base + path, json=body, headers=headers, timeout=PATIENCE)


def test_a_model_with_a_price_is_served(strict):
    assert call(strict, "priced").status_code == 200


def test_the_log_row_says_what_was_charged_and_by_which_rule(strict):
    assert call(strict, "priced").status_code == 200
    quota, other = _row(strict, "priced", 1)
    assert quota == 3 * 1 + 1 * 4
    assert (other["model_ratio"], other["completion_ratio"], other["group_ratio"]) == (1, 4, 1)
    price = other["price"]
    assert price["rule"] == "Price/own"
    assert price["place"] == "specs/all.yaml:17"
    assert [(line["bucket"], line["units"], line["price"]) for line in price["lines"]] == [
        ("input", 3, "2"),
        ("output", 1, "8"),
    ]


def test_a_price_by_a_header_is_charged_by_the_header_that_was_sent(strict):
    assert call(strict, "by-header", headers={"X-Beta": "long-context"}).status_code == 200
    assert _row(strict, "by-header", 1)[0] == 3 * 100


def test_the_tier_that_served_goes_before_the_one_that_was_asked_for(strict, upstream):
    assert call(strict, "by-tier", service_tier="priority").status_code == 200
    assert _row(strict, "by-tier", 1)[0] == 70
    upstream.script = lambda say: say.whole(ANSWER.removesuffix(b"}") + TIER)
    try:
        assert call(strict, "by-tier", service_tier="priority").status_code == 200
    finally:
        upstream.script = lambda say: say.whole(ANSWER)
    assert _row(strict, "by-tier", 2)[0] == 7


def _row(gateway, model, number):
    """Quota and ``other`` of the last row of so many."""
    until(lambda: len(_rows(gateway, model)) >= number)
    quota, other = _rows(gateway, model)[number - 1]
    return quota, json.loads(other)


def _rows(gateway, model):
    with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
        return db.execute("SELECT quota, other FROM logs WHERE model_name = ? AND type = 2", (model,)).fetchall()


def test_a_model_without_one_is_refused_before_anything_is_sent(strict, upstream):
    upstream.got.clear()
    answer = call(strict, "unheard-of")
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("model_price_error", "model")
    assert "'unheard-of' has no price" in error["message"]
    for words in ("Price document", "ModelRatio", "unpriced: allow"):  # what the operator can do, the log says
        assert words not in error["message"]
        strict.wait_for(words)
    assert not upstream.got


def test_the_refusal_is_told_in_the_callers_dialect(strict):
    answer = call(strict, "unheard-of", "/v1/messages")
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "permission_error"


def test_a_price_that_cannot_be_told_refuses_the_call(strict):
    answer = call(strict, "broken")
    assert answer.status_code == 403
    assert "all.yaml" not in answer.text
    strict.wait_for(r"price of 'broken'.*all\.yaml")
    assert call(strict, "broken", factor=2).status_code == 200


def test_a_policy_that_allows_it_holds_without_a_restart(strict):
    strict.write_spec("allow.yaml", ALLOW)
    until(lambda: call(strict, "unheard-of").status_code == 200, words=lambda: strict.output)
    (strict.data / "specs" / "allow.yaml").unlink()
    until(lambda: call(strict, "unheard-of").status_code == 403, words=lambda: strict.output)
