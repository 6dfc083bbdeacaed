"""An operator's and a user's story by New API's documented calls alone, on the databases that other programs made.

On SQLite in ``make test``, on PostgreSQL and MariaDB in ``make test-all``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests
from sqlalchemy import text

from engine.settings import Settings
from engine.storage.database import connect
from engine.storage.dsn import resolve
from tests.databases import empty_database
from tests.relay.scripted import Upstream
from tests.storage import takeover
from tests.support import PATIENCE, Gateway, until

PASSWORD = "of-the-story-1"
ANSWER = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "story-model",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "River"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}
WHERE = [
    pytest.param(kind, program, marks=[] if kind == "sqlite" else [pytest.mark.long])
    for kind in ("sqlite", "mysql", "postgresql")
    for program in takeover.PROGRAMS
]


class Caller:
    """A person with the cookie of a login and the header that old scripts send with it."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        self._base, self._session = gateway.base, requests.Session()
        told = self("POST", "/api/user/login", {"username": name, "password": PASSWORD})
        self.id = told["id"]
        self._session.headers["New-Api-User"] = str(self.id)

    def whole(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self._session.request(method, self._base + path, json=body, timeout=PATIENCE)
        told: dict[str, Any] = answer.json()
        return told

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        told = self.whole(method, path, body)
        assert told["success"] is True, (method, path, told)
        return told.get("data")


@pytest.fixture
def gateway_on(tmp_path: Path, sheets: Path) -> Iterator[Callable[[str, str], tuple[Gateway, Upstream]]]:
    """Makes a program's database with rows, a root whose password is known, and a gateway on it."""
    ends: list[Callable[[], Any]] = []

    def make(kind: str, program: str) -> tuple[Gateway, Upstream]:
        upstream = Upstream()
        ends.append(upstream.close)
        upstream.script = lambda say: say.whole(ANSWER)
        database = empty_database(kind, tmp_path)
        settings: Settings = database.__enter__()
        ends.append(lambda: database.__exit__(None, None, None))
        raw = connect(resolve(settings.sql_dsn, "", settings.data))
        takeover.build(raw, program, sheets, upstream.base)
        kept = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        raw.write(lambda c: c.execute(text("UPDATE users SET password = :p WHERE id = 1"), {"p": kept}).close())
        raw.close()
        (tmp_path / "first.key").write_text("none")
        env = {"SQL_DSN": settings.sql_dsn} if settings.sql_dsn else {}
        gateway = Gateway(tmp_path, env={**env, "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"})
        ends.append(gateway.stop)
        return gateway.ready(), upstream

    yield make
    for end in reversed(ends):
        end()


@pytest.mark.parametrize(("kind", "program"), WHERE)
def test_an_operator_and_a_user_do_all_by_new_apis_calls(
    gateway_on: Callable[[str, str], tuple[Gateway, Upstream]], kind: str, program: str
) -> None:
    gateway, upstream = gateway_on(kind, program)
    root = Caller(gateway, "root")
    number = takeover.NUMBER["one-api" if takeover.old(program) else "new-api"]
    _operate(root, upstream, number)
    ann = Caller(gateway, "ann")
    key = _use(gateway, root, ann)
    row = ann("GET", "/api/log/self?type=2")["items"][0]
    assert (row["prompt_tokens"], row["completion_tokens"], row["model_name"]) == (11, 7, "story-model")
    seen = root("GET", "/api/log/?username=ann&type=2")["items"][0]
    assert (seen["quota"], seen["token_name"]) == (row["quota"], "story")
    assert root("GET", "/api/log/stat?username=ann&type=2")["quota"] == row["quota"]
    assert root("GET", f"/api/user/{ann.id}")["used_quota"] == row["quota"]
    _end(gateway, root, ann, key)
    gateway.stop()
    assert "Traceback" not in gateway.output, gateway.output


def _operate(root: Caller, upstream: Upstream, number: int) -> None:
    """A channel, a price, a user, a code."""
    channel = {"name": "story", "type": number, "key": "sk-up", "base_url": upstream.base, "models": "story-model"}
    single = {**channel, "group": "default"}
    root("POST", "/api/channel/", single)
    (made,) = root("GET", "/api/channel/search?keyword=story")["items"]
    assert (made["name"], made["status"]) == ("story", 1)
    changed = root("PUT", "/api/channel/", {"id": made["id"], "priority": 7})
    assert root("GET", f"/api/channel/{made['id']}")["priority"] == 7, changed
    root("PUT", "/api/option/", {"key": "ModelRatio", "value": '{"chat-a": 1, "story-model": 2}'})
    options = {one["key"]: one["value"] for one in root("GET", "/api/option/")}
    assert "story-model" in options["ModelRatio"]
    body = {"username": "ann", "password": PASSWORD, "display_name": "Ann", "role": 1}
    root("POST", "/api/user/", body)


def _use(gateway: Gateway, root: Caller, ann: Caller) -> str:
    """A code becomes balance, a key is made and called with."""
    codes = root("POST", "/api/redemption/", {"name": "story", "count": 2, "quota": 500_000})
    before = ann("GET", "/api/user/self")["quota"]
    assert ann("POST", "/api/user/topup", {"key": codes[0]}) == 500_000
    assert ann("GET", "/api/user/self")["quota"] == before + 500_000
    assert ann.whole("POST", "/api/user/topup", {"key": codes[0]})["success"] is False, "a code counts once"
    ann("POST", "/api/token/", {"name": "story", "remain_quota": 100_000, "unlimited_quota": False})
    (row,) = ann("GET", "/api/token/")["items"]
    key = str(ann("POST", f"/api/token/{row['id']}/key")["key"])
    assert ask(gateway, key).status_code == 200
    until(lambda: ann("GET", "/api/log/self?type=2")["items"])
    return key


def _end(gateway: Gateway, root: Caller, ann: Caller, key: str) -> None:
    """A key that is switched off, a channel that is, and a user who is gone."""
    (row,) = ann("GET", "/api/token/")["items"]
    assert row["used_quota"] > 0
    ann("PUT", "/api/token/?status_only=true", {"id": row["id"], "status": 2})
    until(lambda: ask(gateway, key).status_code == 401)
    ann("PUT", "/api/token/?status_only=true", {"id": row["id"], "status": 1})
    until(lambda: ask(gateway, key).status_code == 200)
    (channel,) = root("GET", "/api/channel/search?keyword=story")["items"]
    root("PUT", "/api/channel/", {"id": channel["id"], "status": 2})
    until(lambda: ask(gateway, key).status_code in (404, 503))
    root("POST", "/api/user/manage", {"id": ann.id, "action": "disable"})
    assert ann.whole("GET", "/api/user/self")["success"] is False
    until(lambda: ask(gateway, key).status_code == 403)
    root("DELETE", f"/api/user/{ann.id}")
    root("DELETE", f"/api/channel/{channel['id']}")


def ask(gateway: Gateway, key: str) -> requests.Response:
    body = {"model": "story-model", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    return gateway.post("/v1/chat/completions", body, headers={"authorization": f"Bearer sk-{key}"})
