"""Compaction: the name with its suffix decides channel and price, the provider gets the model's.

A million tokens in cost a dollar (half a unit each) and out four for compaction by m-own, two and eight by m-plain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.kinds.task.site import Site
from tests.upstreams.tasks import Answered, Asked, Vendor

DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: here}
extends: openai
spec: {baseUrl: "{base}", auth: {scheme: none}}
---
apiVersion: gatewright/v1
kind: Route
metadata: {name: r}
spec:
  channels:
    - {name: plain, provider: here, baseUrl: "{base}/plain", models: [m-plain], modelMapping: {m-plain: sent}}
    - {name: own, provider: here, baseUrl: "{base}/own", models: [m-own-openai-compact]}
---
apiVersion: gatewright/v1
kind: Price
metadata: {name: own}
spec:
  models:
    - {names: [m-plain, m-own], tokens: {input: 2, output: 8}}
    - {names: [m-own-openai-compact], tokens: {input: 1, output: 4}}
"""


class Compacts:
    """The vendor: strict about what it takes."""

    def __init__(self) -> None:
        self.usage: dict[str, Any] = {}
        self.model = ""

    def answer(self, asked: Asked) -> Answered:
        assert asked.method == "POST"
        root, path = asked.path[1:].split("/", 1)
        assert path == "v1/responses/compact", asked.path
        assert asked.json["model"] == {"plain": "sent", "own": "m-own"}[root], asked.json
        assert set(asked.json) <= {"model", "input", "instructions", "prompt_cache_key"}, asked.json
        item = {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}
        told = {"id": "resp_1", "object": "response.compaction", "created_at": 1, "output": [item]}
        return Answered({**told, "usage": self.usage})


def used(sent: int, told: int, cached: int = 0, thought: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": sent, "output_tokens": told, "total_tokens": sent + told,
        "input_tokens_details": {"cached_tokens": cached}, "output_tokens_details": {"reasoning_tokens": thought},
    }  # fmt: skip


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("compact"), DOCUMENTS, vendor)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("model", "usage", "quota"),
    [
        ("m-plain", used(1, 1), 1 + 4),
        ("m-plain-openai-compact", used(90_000, 10_000, 50_000, 3), 90_000 + 40_000),
        ("m-own", used(3, 1), 4),  # 1.5 and 2, rounded
        ("m-own-openai-compact", used(7, 0), 4),
    ],
)
def test_a_compaction_costs_what_its_name_costs(site: Site, vendor: Vendor, model: str, usage: Any, quota: int) -> None:
    made = Compacts()
    made.usage, vendor.answer = usage, made.answer
    before = site.spent()[0]
    with openai.OpenAI(api_key=site.other, base_url=f"{site.base}/v1", max_retries=0) as client:
        told = client.responses.with_raw_response.compact(
            model=model, input=[{"role": "user", "content": "Hello."}], instructions="Be short.",
            extra_body={"temperature": 0.5},
        )  # fmt: skip
    assert told.parse().object == "response.compaction"
    assert "temperature" in told.headers["x-gatewright-loss"]
    assert site.spent()[0] - before == quota
    assert vendor.faults == []
    name = f"{model.removesuffix('-openai-compact')}-openai-compact"
    assert site.sql("SELECT model_name, quota FROM logs WHERE type = 2 ORDER BY id DESC LIMIT 1") == [(name, quota)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": "x"}, "model"),
        ({"model": 7, "input": "x"}, "model"),
        ({"model": "m-plain", "input": 7}, "input"),
        ({"model": "m-plain", "input": ["x"]}, "input"),
        ({"model": "m-plain", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"model": "unknown"}, "model"),
    ],
)
def test_a_wrong_compaction_is_refused_by_the_field(site: Site, vendor: Vendor, body: Any, field: str) -> None:
    vendor.got.clear()
    answer = site.call("POST", "/v1/responses/compact", json=body)
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error"]["param"].startswith(field)
    assert vendor.got == []
