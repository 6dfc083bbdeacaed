"""A key asks about itself: the answers that existing tools read, and who gets none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import falcon
import pytest
from falcon import testing
from sqlalchemy import text

from engine import api
from engine.accounts import keys, users
from engine.settings import Settings
from engine.storage.database import Database, open_database

PATHS = ("/api/usage/token", "/api/log/token", "/v1/dashboard/billing/subscription", "/dashboard/billing/usage/")

OPERATORS = (
    "upstream_model_name",
    "channel",
    "release",
    "request_conversion",
    "audit_info",
    "po",
    "channel_ratio",
    "later",
)
"""Members of ``other`` that only the operator may know, and one that nobody has thought of yet."""


@dataclass
class State:
    """What the room needs of a worker."""

    db: Database
    settings: Settings
    options: dict[str, str] = field(default_factory=dict)

    @property
    def snapshot(self) -> Any:
        """From where it may be called."""
        return SimpleNamespace(networks={})

    @property
    def log_db(self) -> Database:
        return self.db


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    db = open_database(Settings(data=tmp_path))
    users.create_user(db, "ann", "long enough", quota=3_000_000)
    yield State(db, Settings(data=tmp_path))
    db.close()


@pytest.fixture
def client(state: State) -> testing.TestClient:
    app = falcon.App()
    app.req_options.strip_url_path_trailing_slash = False
    for path, resource in api.routes(state):
        app.add_route(path, resource)
    return testing.TestClient(app)


def run(state: State, sql: str, **values: Any) -> None:
    state.db.write(lambda connection: connection.execute(text(sql), values).rowcount)


def made(state: State, **limits: Any) -> str:
    key = keys.create_key(state.db, "ann", "prod", **limits).key
    run(state, "UPDATE tokens SET used_quota = 12345, remain_quota = remain_quota - 12345")
    return key


def get(client: testing.TestClient, path: str, key: str = "", **headers: str) -> testing.Result:
    if key:
        headers["authorization"] = f"Bearer {key}"
    return client.simulate_get(path, headers=headers)


def test_usage_of_a_key(client: testing.TestClient, state: State) -> None:
    key = made(state, quota=1_000_000, models=["m-1", "m-2"])
    answer = get(client, "/api/usage/token/", key)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.text == (
        '{"code":true,"message":"ok","data":{"object":"token_usage","name":"prod","total_granted":1000000,'
        '"total_used":12345,"total_available":987655,"unlimited_quota":false,"model_limits":{"m-1":true,"m-2":true},'
        '"model_limits_enabled":true,"expires_at":0}}'
    )


def test_the_limit_and_what_is_used_of_it(client: testing.TestClient, state: State) -> None:
    key = made(state, quota=1_000_000, expires=2_000_000_000)
    assert get(client, "/v1/dashboard/billing/subscription", key).text == (
        '{"object":"billing_subscription","has_payment_method":true,"soft_limit_usd":2,"hard_limit_usd":2,'
        '"system_hard_limit_usd":2,"access_until":2000000000}'
    )
    usage = get(client, "/v1/dashboard/billing/usage?start_date=2026-08-01&end_date=2026-08-08", key)
    assert usage.text == '{"object":"list","total_usage":2.469}'


@pytest.mark.parametrize(
    ("options", "limit", "used"),
    [
        ({}, 2, 2.469),
        ({"general_setting.quota_display_type": "TOKENS"}, 1_000_000, 1_234_500),
        ({"DisplayInCurrencyEnabled": "false"}, 1_000_000, 1_234_500),
        ({"general_setting.quota_display_type": "CNY", "USDExchangeRate": "7"}, 14, 17.283),
        ({"QuotaPerUnit": "1000000"}, 1, 1.2345),
        ({"QuotaPerUnit": "nonsense"}, 2, 2.469),
        ({"DisplayTokenStatEnabled": "false"}, 6, 0),
    ],
)
def test_amounts_are_in_what_the_console_shows(
    client: testing.TestClient, state: State, options: dict[str, str], limit: float, used: float
) -> None:
    key = made(state, quota=1_000_000)
    state.options.update(options)
    assert get(client, "/dashboard/billing/subscription", key).json["hard_limit_usd"] == pytest.approx(limit)
    assert get(client, "/dashboard/billing/usage", key).json["total_usage"] == pytest.approx(used)


@pytest.mark.parametrize(
    ("units", "per_dollar", "shown"), [(1, 500_000, "0.000002"), (3, 10**8, "3e-8"), (10**12, 7, "142857142857.14285")]
)
def test_amounts_are_written_as_the_familys_servers_write_them(
    client: testing.TestClient, state: State, units: int, per_dollar: int, shown: str
) -> None:
    key = keys.create_key(state.db, "ann", "k", quota=units).key
    state.options["QuotaPerUnit"] = str(per_dollar)
    assert f'"hard_limit_usd":{shown},' in get(client, "/v1/dashboard/billing/subscription", key).text


def test_refusals_have_the_members_that_the_familys_servers_give(client: testing.TestClient) -> None:
    told = get(client, "/v1/dashboard/billing/usage", "sk-none").json["error"]
    assert (list(told), told["type"], told["code"]) == (["message", "type", "code"], "new_api_error", "")
    assert list(get(client, "/api/usage/token", "sk-none").json) == ["success", "message"]


def test_a_key_without_a_bound_shows_the_usual_large_number(client: testing.TestClient, state: State) -> None:
    key = made(state)
    assert get(client, "/v1/dashboard/billing/subscription", key).json["hard_limit_usd"] == 100_000_000
    assert get(client, "/api/usage/token", key).json["data"]["unlimited_quota"] is True


def test_a_key_sees_its_newest_log_rows_without_the_operators_part(client: testing.TestClient, state: State) -> None:
    key = made(state)
    line = {"bucket": "input", "units": 120, "price": "2", "per": "1M", "amount": "240"}
    shown = {
        "model_ratio": 1.25,
        "frt": 5,
        "price": {"usd": "0.0016", "lines": [line]},
        "stream_status": {"status": "error", "end_reason": "cut"},
    }
    hidden = dict.fromkeys(OPERATORS, "/srv/gateway/specs/inner.yaml") | {"admin_info": {"use_channel": ["7"]}}
    other = {
        **shown,
        **hidden,
        "price": {**shown["price"], "place": "/srv/gateway/specs/inner.yaml:3", "rule": "inner", "failed": "inner"},
        "stream_status": {**shown["stream_status"], "errors": ["no connection to 10.0.0.5"]},
    }
    insert = (
        "INSERT INTO logs (user_id, created_at, type, content, username, token_name, model_name, quota, prompt_tokens,"
        " completion_tokens, use_time, is_stream, channel_id, token_id, request_id, upstream_request_id, other)"
        " VALUES (1, :at, 2, 'c', 'ann', 'prod', 'm', 812, 120, 51, 2, 1, 7, :token, 'r', 'u', :other)"
    )
    for at, token in ((1, 1), (2, 1), (3, 99)):
        run(state, insert, at=at, token=token, other=json.dumps(other))
    answer = get(client, "/api/log/token", key).json
    assert (answer["success"], answer["message"]) == (True, "")
    assert [(row["id"], row["created_at"]) for row in answer["data"]] == [(1, 2), (2, 1)]
    row = answer["data"][0]
    assert list(row)[:6] == ["id", "user_id", "created_at", "type", "content", "username"]
    assert (row["quota"], row["prompt_tokens"], row["is_stream"], row["request_id"]) == (812, 120, True, "r")
    assert (row["channel"], row["channel_name"], row["upstream_request_id"]) == (0, "", "")
    assert json.loads(row["other"]) == shown
    assert "inner" not in json.dumps(row)


def test_older_tools_send_the_key_in_the_address(client: testing.TestClient, state: State) -> None:
    key = made(state)
    assert get(client, f"/api/log/token?key={key}").json["success"] is True
    assert get(client, f"/api/usage/token?key={key}").status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_an_expired_or_used_up_key_may_ask(client: testing.TestClient, state: State, path: str) -> None:
    key = made(state, quota=1, expires=int(time.time()) - 5)
    for status in (1, 3, 4):
        run(state, "UPDATE tokens SET status = :status", status=status)
        assert get(client, path, key).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("UPDATE tokens SET status = 2", 401),
        ("UPDATE tokens SET deleted_at = '2026-01-01'", 401),
        ("UPDATE users SET status = 2", 403),
        ("UPDATE users SET deleted_at = '2026-01-01'", 401),
        ("UPDATE tokens SET allow_ips = '10.0.0.0/8'", 403),
    ],
)
def test_who_may_not_ask(client: testing.TestClient, state: State, path: str, change: str, status: int) -> None:
    key = made(state)
    run(state, change)
    answer = get(client, path, key)
    assert answer.status_code == status
    if "billing" in path:
        assert set(answer.json) == {"error"}
        assert answer.json["error"]["type"] == "new_api_error"
    else:
        assert set(answer.json) == {"success", "message"}
        assert answer.json["success"] is False


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("sent", ["", "sk-", "sk-unknown", "\0", "sk-" + "x" * 5000])
def test_a_key_that_is_none_gets_nothing(client: testing.TestClient, state: State, path: str, sent: str) -> None:
    made(state)
    assert get(client, path, **({"x-api-key": "k"} if not sent else {"authorization": sent})).status_code == 401


def test_a_channel_named_in_the_key_does_not_hinder(client: testing.TestClient, state: State) -> None:
    assert get(client, "/api/usage/token/", made(state) + "-7").status_code == 200
