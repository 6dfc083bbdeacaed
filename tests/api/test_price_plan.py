"""Prices of another gateway are taken up by a plan: what is dangerous waits for a person, whatever else is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import requests

from engine.catalogue.price_plan import FREE, KIND, RISE, planned
from tests.support import PATIENCE, Gateway
from tests.upstreams.prices import Shop

PASSWORD = "rootroot1"
OWN = {"ModelRatio": {"a": 1.0, "b": 2.0, "c": 3.0}, "ModelPrice": {"drawn": 0.5}, "CompletionRatio": {"a": 4.0}}
VALUES = {name: orjson.dumps(table).decode() for name, table in OWN.items()}


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ({"a": {"model_ratio": 1.0}}, {}),
        ({"a": {"model_ratio": 0.5}}, {"a": ()}),
        ({"a": {"model_ratio": 1.2}}, {"a": ()}),
        ({"a": {"model_ratio": 1.21}}, {"a": (RISE,)}),
        ({"a": {"model_ratio": 0.9, "completion_ratio": 9.0}}, {"a": (RISE,)}),
        ({"b": {"model_ratio": 0}}, {"b": (FREE,)}),
        ({"new": {"model_ratio": 7.0}}, {"new": ()}),
        ({"new": {"model_price": 0}}, {"new": (FREE,)}),
        ({"c": {"model_price": 0.1}}, {"c": (KIND,)}),
        ({"drawn": {"model_ratio": 1.0}}, {"drawn": (KIND,)}),
    ],
)
def test_what_waits_for_a_person(theirs: dict[str, Any], expected: dict[str, Any]) -> None:
    plan = planned(theirs, VALUES, 0.2)
    assert {change.model: change.held for change in plan.changes} == expected


def test_a_plan_is_named_by_what_it_changes() -> None:
    first, same, other = (planned({"a": {"model_ratio": ratio}}, VALUES, 0.2) for ratio in (0.5, 0.5, 0.6))
    assert first.digest == same.digest != other.digest
    assert (
        planned({"a": {"model_ratio": 1.5}}, VALUES, 0.2).digest
        != planned({"a": {"model_ratio": 1.5}}, VALUES, 0.6).digest
    )


@pytest.fixture
def shop() -> Iterator[Shop]:
    one = Shop()
    yield one
    one.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("prices")
    (data / "first.key").write_text("none")
    one = Gateway(data, demo=True, env={"GATEWRIGHT_FIRST_START": "open", "GATEWRIGHT_EGRESS_ALLOW": "127.0.0.1"})
    try:
        one.ready()
        yield one
    finally:
        one.stop()


def test_only_what_is_ready_or_agreed_to_is_taken_up(gateway: Gateway, shop: Shop) -> None:
    url = f"http://127.0.0.1:{gateway.port}"
    body: dict[str, Any] = {"username": "root", "password": PASSWORD, "confirmPassword": PASSWORD}
    assert requests.post(f"{url}/api/setup", json=body, timeout=PATIENCE).json()["success"]
    login = requests.post(f"{url}/api/user/login", json=body, timeout=PATIENCE).json()
    root = {"authorization": f"Bearer {login['data']['access_token']}"}

    def ask(path: str, body: Any, status: int = 200) -> Any:
        answer = requests.post(f"{url}/api/v2{path}", json=body, headers=root, timeout=PATIENCE)
        assert answer.status_code == status, answer.text
        return answer.json()

    def own(name: str) -> Any:
        value = requests.get(f"{url}/api/v2/options/{name}", headers=root, timeout=PATIENCE).json()["value"]
        return orjson.loads(value)

    for name, text in VALUES.items():
        place = f"{url}/api/v2/options/{name}"
        assert requests.put(place, json={"value": text}, headers={**root, "if-match": "*"}, timeout=PATIENCE).ok
    shop.prices = {"model_ratio": {"a": 0.5, "b": 9.0, "c": 0, "new": 1.5}, "model_price": {"drawn": 0.4}}
    asked = {"url": shop.base, "rise": 0.2}
    plan = ask("/prices/plan", asked)
    assert (plan["ready"], plan["held"]) == (3, 2)
    assert own("ModelRatio") == OWN["ModelRatio"]
    assert "rise" in ask("/prices/plan", {"url": shop.base}, 400)["detail"]
    assert ask("/prices/apply", {**asked, "plan": "0" * 32}, 409)["detail"]
    assert ask("/prices/apply", {**asked, "plan": plan["plan"], "agreed": ["a"]}, 400)["field"] == "agreed"
    done = ask("/prices/apply", {**asked, "plan": plan["plan"]})
    assert {change["model"] for change in done["changes"]} == {"a", "new", "drawn"}
    assert own("ModelRatio") == {"a": 0.5, "b": 2.0, "c": 3.0, "new": 1.5}
    assert own("ModelPrice") == {"drawn": 0.4}
    again = ask("/prices/plan", asked)
    assert (again["ready"], again["held"]) == (0, 2)
    shop.prices["model_ratio"]["b"] = 10.0
    ask("/prices/apply", {**asked, "plan": again["plan"], "agreed": ["b"]}, 409)
    assert own("ModelRatio")["b"] == 2.0
    last = ask("/prices/plan", asked)
    ask("/prices/apply", {**asked, "plan": last["plan"], "agreed": ["b"]})
    assert own("ModelRatio") == {"a": 0.5, "b": 10.0, "c": 3.0, "new": 1.5}
    assert "can't be read" in ask("/prices/plan", {"url": f"{url}/console/login", "rise": 0}, 400)["detail"]
