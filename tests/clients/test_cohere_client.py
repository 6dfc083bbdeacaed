"""Callers of Cohere's chat before a provider of another dialect: prices by hand, losses, refusals.

A million tokens in cost two dollars (a token is a unit of quota), eight out (four units).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kinds.task.site import Site
from tests.upstreams.tasks import Answered, Asked, Vendor

DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: here}
extends: openai
spec: {baseUrl: "{base}", auth: {scheme: none}, models: [m], price: [{names: [m], tokens: {input: 2, output: 8}}]}
"""
HELLO = [{"role": "user", "content": "Hello."}]


class Chats:
    """The vendor of Chat Completions: what it is asked, and what it answers."""

    def __init__(self) -> None:
        self.used = (0, 0)

    def answer(self, asked: Asked) -> Answered:
        assert asked.path == "/v1/chat/completions"
        assert "p" not in asked.json
        sent, told = self.used
        usage = {"prompt_tokens": sent, "completion_tokens": told, "total_tokens": sent + told}
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
        return Answered({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("cohere"), DOCUMENTS, vendor)
    yield made
    made.close()


@pytest.mark.parametrize(("used", "quota"), [((1, 1), 5), ((200_000, 30_000), 320_000), ((7, 3), 19)])
def test_a_call_costs_what_it_used_and_says_what_is_lost(
    site: Site, vendor: Vendor, used: tuple[int, int], quota: int
) -> None:
    made = Chats()
    made.used, vendor.answer = used, made.answer
    before = site.spent()[0]
    body = {"model": "m", "messages": HELLO, "p": 0.5, "safety_mode": "STRICT"}
    answer = site.call("POST", "/v2/chat", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["message"] == {"role": "assistant", "content": [{"type": "text", "text": "Hi."}]}
    assert told["finish_reason"] == "COMPLETE"
    assert told["usage"]["billed_units"] == {"input_tokens": used[0], "output_tokens": used[1]}
    lost = answer.headers["x-gatewright-loss"]
    assert "safety_mode" in lost
    assert vendor.got[-1].json["top_p"] == 0.5
    assert vendor.faults == []
    assert site.spent()[0] - before == quota


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"messages": HELLO}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": "x"}, "messages"),
        ({"model": "m", "messages": [{"content": "x"}]}, "role"),
        ({"model": "m", "messages": HELLO, "stream": "yes"}, "stream"),
        ({"model": "m", "messages": HELLO, "max_tokens": "x"}, "max_tokens"),
        ({"model": "m", "messages": HELLO, "documents": ["a text"]}, "documents"),
        ({"model": "nobodys", "messages": HELLO}, "nobodys"),
    ],
)
def test_a_wrong_request_is_refused_in_its_dialect_by_the_field(
    site: Site, vendor: Vendor, body: Any, field: str
) -> None:
    vendor.got.clear()
    answer = site.call("POST", "/v2/chat", json=body)
    assert answer.status_code in (400, 404), answer.text
    assert set(answer.json()) == {"id", "message"}
    assert field in answer.json()["message"]
    assert vendor.got == []
