"""Keys whose group is ``auto``, and keys that name a channel, through the real gateway on the database's channels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import insert, text

from engine.accounts import keys, users
from engine.ledger.proof import verify
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.tables.core import channels, options
from tests.relay.scripted import Say, Upstream
from tests.support import PATIENCE, Gateway, until

USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
OPTIONS = {
    "UserUsableGroups": '{"default": "", "first": "", "second": ""}',
    "AutoGroups": '["nobody", "first", "second"]',
    "GroupRatio": '{"default": 1, "first": 1, "second": 2}',
    "ModelRatio": '{"m": 1}',
    "CompletionRatio": '{"m": 1}',
    "RetryTimes": "1",
}


class Site:
    """A gateway with four channels: one and two fail and are of group first, three is of second, four is disabled."""

    def __init__(self, data: Path) -> None:
        self.upstream = Upstream()
        self.upstream.script = self._answer
        self.db: Database = open_database(Settings(data=data))
        for name, role in (("ann", 1), ("boss", 10)):
            users.create_user(self.db, name, "long enough", role=role, quota=10**9)
        rows = [(1, "first", 1), (2, "first", 1), (3, "second", 1), (4, "second", 2)]
        self.db.write(lambda c: c.execute(insert(channels), [self._channel(*row) for row in rows]).rowcount)
        self.db.write(
            lambda c: c.execute(insert(options), [{"key": k, "value": v} for k, v in OPTIONS.items()]).rowcount
        )
        (data / "first.key").write_text("sk-unused")
        self.data = data
        self.gateway = Gateway(data, priced=True, env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{self.upstream.port}"})

    def _channel(self, which: int, group: str, status: int) -> dict[str, Any]:
        base = f"{self.upstream.base}/{which}"
        return {"id": which, "type": 1, "key": "k", "name": f"c{which}", "models": "m", "group": group,
                "status": status, "base_url": base}  # fmt: skip

    def _answer(self, say: Say) -> None:
        if say.arrived.path.startswith(("/1", "/2")):
            say.whole({"error": {"message": "no room", "type": "server_error"}}, 503)
            return
        message = {"role": "assistant", "content": "yes"}
        say.whole({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE,
                   "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})  # fmt: skip

    def ask(self, key: str) -> tuple[int, list[str]]:
        """The status, and which channels were asked, in order."""
        self.upstream.got.clear()
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": f"Bearer {key}"}
        url = self.gateway.base + "/v1/chat/completions"
        answer = requests.post(url, json=body, headers=headers, timeout=PATIENCE)
        return answer.status_code, [one.path.split("/")[1] for one in self.upstream.got]

    def charged(self) -> list[tuple[Any, ...]]:
        """Quota, channel and group of what the crossing key was charged."""
        sql = "SELECT quota, channel_id, \"group\" FROM logs WHERE token_name = 'crossing'"
        with self.db.read() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("groups"))
    made.gateway.ready()
    yield made
    made.gateway.stop()
    made.db.close()
    made.upstream.close()


@pytest.mark.parametrize(
    ("user", "channel", "status", "asked"),
    [
        ("boss", 3, 200, ["3"]),
        ("boss", 1, 503, ["1"]),
        ("boss", 4, 403, []),
        ("boss", 77, 400, []),
        ("ann", 3, 403, []),
    ],
)
def test_an_administrators_key_may_name_the_channel(
    site: Site, user: str, channel: int, status: int, asked: list[str]
) -> None:
    key = keys.create_key(site.db, user, "k", models=["other"]).key
    assert site.ask(f"{key}-{channel}") == (status, asked)


def test_with_cross_group_retry_the_next_group_begins_when_one_is_used_up(site: Site) -> None:
    key = keys.create_key(site.db, "ann", "k", group="auto")
    status, asked = site.ask(key.key)
    assert (status, sorted(asked)) == (503, ["1", "2"]), "without it one group is all"
    fresh = keys.create_key(site.db, "ann", "crossing", group="auto")
    keys.change_key(site.db, fresh.token_id, keys.KeyChange(cross_group_retry=True))
    status, asked = site.ask(fresh.key)
    assert (status, sorted(asked[:2]), asked[2:]) == (200, ["1", "2"], ["3"])
    assert until(site.charged) == [(220, 3, "second")], "charged by the group that served it"
    assert verify(site.db, site.db, site.data / "journal").agrees
