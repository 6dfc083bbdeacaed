"""From where relay, management API and console may be called: allowed and denied networks, with an end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import requests

from engine.catalogue import options
from engine.errors import Invalid
from engine.net import network_rules
from tests.support import PATIENCE, Gateway, until

PASSWORD = "rootroot1"
HERE, ELSEWHERE = "127.0.0.1", "203.0.113.7"
NOW = 1_000.0


def entry(verdict: str, network: str, until: int = 0, area: str = "relay") -> dict[str, Any]:
    return {"area": area, "verdict": verdict, "network": network, "until": until}


@pytest.mark.parametrize(
    ("entries", "admitted", "refused"),
    [
        ([entry("deny", "10.0.0.0/8")], ["11.0.0.1", "::1"], ["10.1.2.3", "::ffff:10.1.2.3"]),
        ([entry("allow", "10.0.0.0/8")], ["10.1.2.3"], ["11.0.0.1", "::1", "no address"]),
        ([entry("allow", "10.0.0.0/8"), entry("deny", "10.0.0.1")], ["10.0.0.2"], ["10.0.0.1"]),
        ([entry("deny", "10.0.0.1", until=999)], ["10.0.0.1"], []),
        ([entry("deny", "10.0.0.1", until=1001)], [], ["10.0.0.1"]),
        ([entry("allow", "10.0.0.1", until=999)], [], ["10.0.0.1", "10.0.0.2"]),
        ([entry("allow", "2001:db8::/32")], ["2001:db8::5"], ["10.0.0.1"]),
    ],
)
def test_who_is_let_in(entries: list[Any], admitted: list[str], refused: list[str]) -> None:
    rules = network_rules(entries)["relay"]
    assert [ip for ip in admitted if not rules.admit(ip, NOW)] == []
    assert [ip for ip in refused if rules.admit(ip, NOW)] == []


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "list"),
        ([1], "entry 1"),
        ([entry("deny", "10.0.0.0/8"), entry("deny", "10.0.0.300")], r"network such as .*entry 2"),
        ([entry("perhaps", "10.0.0.0/8")], "verdict allow or deny"),
        ([entry("deny", "10.0.0.0/8", area="kitchen")], "area relay or management or console"),
        ([entry("deny", "10.0.0.0/8", until=-1)], "Unix seconds"),
        ([{**entry("deny", "10.0.0.0/8"), "ends": 1}], "objects of area"),
        ([{**entry("deny", "10.0.0.0/8"), "note": "x" * 201}], "note"),
        ([entry("deny", "10.0.0.0/8")] * 1001, "1000 entries"),
    ],
)
def test_what_makes_no_sense_is_refused_and_not_kept(entries: Any, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        options._check(options.known()["NetworkRules"], orjson.dumps(entries).decode(), {})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("networks")
    (data / "first.key").write_text("none")
    env = {"GATEWRIGHT_FIRST_START": "open", "TRUSTED_PROXIES": "127.0.0.1/32"}
    one = Gateway(data, demo=True, env=env)
    try:
        one.ready()
        body = {"username": "root", "password": PASSWORD, "confirmPassword": PASSWORD}
        assert requests.post(f"http://{HERE}:{one.port}/api/setup", json=body, timeout=PATIENCE).json()["success"]
        yield one
    finally:
        one.stop()


def test_each_area_has_its_own_networks_and_nobody_shuts_itself_out(gateway: Gateway) -> None:
    url = f"http://{HERE}:{gateway.port}"
    login = requests.post(
        f"{url}/api/user/login", json={"username": "root", "password": PASSWORD}, timeout=PATIENCE
    ).json()
    root = {"authorization": f"Bearer {login['data']['access_token']}"}
    made = requests.post(
        f"{url}/api/v2/keys", json={"name": "k", "unlimited": True}, headers=root, timeout=PATIENCE
    ).json()
    key = {"authorization": f"Bearer {made['key']}"}

    def put(entries: list[Any]) -> requests.Response:
        body = {"value": orjson.dumps(entries).decode()}
        place = f"{url}/api/v2/options/NetworkRules"
        return requests.put(place, json=body, headers={**root, "if-match": "*"}, timeout=PATIENCE)

    def seen(ip: str) -> list[int]:
        via = {"x-forwarded-for": ip}
        calls = (
            ("/v1/models", {**key, **via}),
            ("/api/v2/me", {**root, **via}),
            ("/api/usage/token/", {**key, **via}),
            ("/console/login", via),
        )
        return [requests.get(url + path, headers=headers, timeout=PATIENCE).status_code for path, headers in calls]

    def settled(ip: str, expected: list[int]) -> None:
        until(lambda: [seen(ip) for _ in range(4)] == [expected] * 4, words=lambda: seen(ip))  # read every second

    assert seen(ELSEWHERE) == seen("198.51.100.1") == [200, 200, 200, 200]
    assert put([entry("deny", ELSEWHERE)]).status_code == 200
    settled(ELSEWHERE, [403, 200, 200, 200])
    assert seen("198.51.100.1") == [200, 200, 200, 200]
    assert put([entry("allow", HERE, area="management"), entry("deny", "203.0.113.0/24", area="console")]).ok
    settled(ELSEWHERE, [200, 403, 403, 403])
    assert seen("198.51.100.1") == [200, 403, 403, 200]
    assert seen(HERE) == [200, 200, 200, 200]
    told = requests.get(f"{url}/api/v2/me", headers={**root, "x-forwarded-for": ELSEWHERE}, timeout=PATIENCE).json()
    assert ELSEWHERE in told["detail"]
    for area in ("management", "console"):
        refused = put([entry("allow", "10.0.0.0/8", area=area)])
        assert refused.status_code == 400, refused.text
        assert "shut you out" in refused.json()["detail"]
    older = {"key": "NetworkRules", "value": [entry("deny", HERE, area="management")]}
    answer = requests.put(f"{url}/api/option/", json=older, headers=root, timeout=PATIENCE).json()
    assert answer["success"] is False
    assert put([]).ok
    settled(ELSEWHERE, [200, 200, 200, 200])
