"""The real gateway on databases of other programs: it serves before and after the upgrade, and what it writes is read
back with the old schema's queries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from openai import OpenAI
from sqlalchemy import text

from engine.settings import Settings
from engine.storage.database import Database, connect
from engine.storage.dsn import resolve
from engine.storage.upgrade.upgrading import upgrade
from tests.relay.scripted import Upstream
from tests.storage import takeover
from tests.storage.takeover import columns_of, old, snapshot
from tests.support import PATIENCE, Gateway, until

ANSWER = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "sent-a",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "你好"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}
EARLIER_ROWS = 100_000
LARGE = {("sqlite", "new-api-2026-08"), ("mysql", "one-api-0.6"), ("postgresql", "new-api-2025-04")}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    made.script = lambda say: say.whole(ANSWER)
    yield made
    made.close()


@pytest.fixture
def taken_over(
    empty: Settings, sheets: Path, upstream: Upstream
) -> Iterator[Callable[[str, int], tuple[Database, Gateway]]]:
    """Makes a program's database and a gateway on it; both end with the test."""
    made: list[Any] = []

    def make(program: str, log_rows: int) -> tuple[Database, Gateway]:
        raw = connect(resolve(empty.sql_dsn, "", empty.data))
        made.append(raw.close)
        takeover.build(raw, program, sheets, upstream.base, log_rows)
        (empty.data / "first.key").write_text("sk-" + takeover.ROOT_KEY)
        env = {"SQL_DSN": empty.sql_dsn, "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"}
        gateway = Gateway(empty.data, env=env)
        made.append(gateway.stop)
        return raw, gateway.ready()

    yield make
    for end in reversed(made):
        end()


def ask(gateway: Gateway, key: str, model: str = "chat-a") -> requests.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return gateway.post("/v1/chat/completions", body, headers={"authorization": f"Bearer sk-{key}"})


def written(db: Database, columns: set[str], count: int) -> list[dict[str, Any]]:
    """The newest log rows, as the old program selects them."""
    quote = db.dialect.identifier_preparer.quote
    listed = ", ".join(quote(name) for name in sorted(columns))
    sql = f"SELECT {listed} FROM logs WHERE created_at > 1790000000 ORDER BY id DESC"

    def rows() -> list[dict[str, Any]]:
        with db.read() as connection:
            return [dict(row) for row in connection.execute(text(sql)).mappings()]

    until(lambda: len(rows()) >= count, words=rows)
    return rows()


@pytest.mark.parametrize("program", takeover.PROGRAMS)
def test_the_gateway_goes_on_with_the_database(
    taken_over: Callable[[str, int], tuple[Database, Gateway]], kind: str, program: str, upstream: Upstream
) -> None:
    db, gateway = taken_over(program, EARLIER_ROWS if (kind, program) in LARGE else 50)
    before = {name: names for name, names in columns_of(db).items() if not name.startswith("gatewright_")}
    untouched = {name: names for name, names in before.items() if name not in ("logs", "users", "tokens", "channels")}
    rows = snapshot(db, untouched)

    _serves(gateway, program, upstream)
    upgrade(db)  # while it runs
    assert ask(gateway, takeover.ROOT_KEY).status_code == 200

    found = written(db, before["logs"], 3)
    assert [row["type"] for row in found] == [2, 2, 2]
    row = found[-1]
    assert (row["username"], row["model_name"], row["channel_id"]) == ("root", "chat-a", 1)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (11, 7)
    # by the database's own ratios: (11 + 7 * 3) * 1, half of it in the group vip
    assert [each["quota"] for each in found] == [32, 16, 32]
    assert found[1]["username"] == "李雷"
    if "other" in before["logs"]:
        assert isinstance(json.loads(row["other"]), dict)
    if "request_id" in before["logs"]:
        assert len({row["request_id"] for row in found}) == 3
    gateway.stop()
    assert "Traceback" not in gateway.output, gateway.output
    _unchanged(snapshot(db, untouched), rows)
    _reads_as_before(db, before, kind, program)


def _serves(gateway: Gateway, program: str, upstream: Upstream) -> None:
    answer = ask(gateway, takeover.ROOT_KEY)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "你好"
    sent = upstream.got[-1]
    assert sent.json["model"] == "sent-a"
    assert sent.headers["authorization"] == "Bearer up-secret"
    with OpenAI(base_url=gateway.base + "/v1", api_key=f"sk-{takeover.LIMITED}", max_retries=0) as client:
        told = client.chat.completions.create(model="chat-a", messages=[{"role": "user", "content": "hi"}])
    assert (told.choices[0].message.content, told.usage.total_tokens if told.usage else 0) == ("你好", 18)
    headers = {"authorization": f"Bearer sk-{takeover.LIMITED}"}
    limit = requests.get(gateway.base + "/v1/dashboard/billing/subscription", headers=headers, timeout=PATIENCE).json()
    assert limit["hard_limit_usd"] == pytest.approx(takeover.HUGE / 500_000, rel=1e-6)
    rows = requests.get(gateway.base + "/api/log/token", headers=headers, timeout=PATIENCE).json()["data"]
    assert rows[-1]["username"] == "李雷"
    assert len(rows) in (50, 51, 1000)
    refused = {takeover.EXPIRED: 401, takeover.OFF: 401, takeover.GONE: 401, takeover.OF_DELETED: 403}
    if program != "one-api-0.5":  # whose keys have no such limits
        refused[takeover.OUTSIDE] = 403
        assert ask(gateway, takeover.LIMITED, "chat-b").status_code == 403
    for key, status in refused.items():
        assert ask(gateway, key).status_code == status, key
    assert ask(gateway, takeover.ROOT_KEY, "chat-c").status_code == 404  # its channel is switched off
    assert len(upstream.got) == 2


def _unchanged(found: dict[str, list[Any]], rows: dict[str, list[Any]]) -> None:
    found["options"] = [row for row in found["options"] if "oidc.client_id" not in row]
    for each in (found, rows):
        each.pop("external_identity_claims", None)
    assert found == rows


def _reads_as_before(db: Database, before: dict[str, set[str]], kind: str, program: str) -> None:
    """What the old program asks at its start and for its lists."""
    key, group = ('"key"', '"group"') if kind == "postgresql" else ("`key`", "`group`")
    gone = "" if old(program) else " AND deleted_at IS NULL"
    with db.read() as connection:
        token = connection.execute(text(f"SELECT * FROM tokens WHERE {key} = :k{gone}"), {"k": takeover.LIMITED}).one()
        assert (token.name, token.remain_quota > 2**52) == ("limited", True)
        asked = f"SELECT {group}, quota, used_quota, request_count FROM users WHERE id IN (1, 2) ORDER BY id"
        one, two = connection.execute(text(asked)).all()
        assert tuple(one) == ("default", takeover.HUGE - 64, 64, 2)
        assert tuple(two) == ("vip", 9_000_000 - 16, takeover.HUGE + 16, 1)
        asked = "SELECT remain_quota, used_quota FROM tokens WHERE id IN (1, 2) ORDER BY id"
        found = [tuple(row) for row in connection.execute(text(asked))]
        assert found == [(takeover.HUGE - 64, 64), (takeover.HUGE - 16, 16)]
        spent = connection.execute(text("SELECT used_quota FROM channels WHERE id = 1")).scalar()
        assert spent == takeover.HUGE + 80
        channel = connection.execute(text("SELECT * FROM channels WHERE status = 1 ORDER BY id")).first()
        assert (channel.name, channel.model_mapping) == ("渠道一", '{"chat-a": "sent-a"}')
        if "channel_info" in before["channels"]:
            held = channel.channel_info
            assert isinstance(held, bytes) == (kind == "sqlite")
            held = held if isinstance(held, dict) else json.loads(held)
            assert held == takeover.UNKNOWN
        count = connection.execute(
            text("SELECT COUNT(*) FROM logs WHERE type = 2 AND created_at < 1790000000")
        ).scalar()
        assert count in (50, EARLIER_ROWS)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_log_rows_go_to_a_database_of_their_own(
    empty: Settings, sheets: Path, upstream: Upstream, tmp_path: Path
) -> None:
    main = connect(resolve("", "", empty.data))
    takeover.build(main, "new-api-2026-08", sheets, upstream.base, 0)
    (empty.data / "first.key").write_text("sk-" + takeover.ROOT_KEY)
    dsn = f"sqlite:///{tmp_path / 'logs.db'}"
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}", "LOG_SQL_DSN": dsn}
    gateway = Gateway(empty.data, env=env)
    logs = connect(resolve(dsn, "", empty.data))
    try:
        gateway.ready()
        assert ask(gateway, takeover.LIMITED).status_code == 200
        rows = written(logs, {"username", "quota", "type"}, 1)
        assert [(row["username"], row["type"]) for row in rows] == [("李雷", 2)]
        headers = {"authorization": f"Bearer sk-{takeover.LIMITED}"}
        seen = requests.get(gateway.base + "/api/log/token", headers=headers, timeout=PATIENCE).json()["data"]
        assert [row["model_name"] for row in seen] == ["chat-a"]
        with main.read() as connection:
            assert connection.execute(text("SELECT COUNT(*) FROM logs WHERE type = 2")).scalar() == 0
            left = connection.execute(text("SELECT remain_quota FROM tokens WHERE id = 2")).scalar()
        assert left == takeover.HUGE - rows[0]["quota"]
    finally:
        gateway.stop()
        logs.close()
        main.close()
