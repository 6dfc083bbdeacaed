"""Through a running gateway with several workers: an event leaves within seconds, and outlives who dies on the way."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.relay.scripted import Say, Upstream
from tests.support import PATIENCE, Gateway, until

PASSWORD = "long enough"


class Site:
    """A gateway, root and a user, and where both are told."""

    def __init__(self, gateway: Gateway, receiver: Upstream) -> None:
        self.gateway, self.receiver = gateway, receiver
        name, password = (gateway.data / "first.login").read_text().split(" ", 1)
        self.root = self.login(name, password.strip())
        self.call("POST", "/api/user/", {"username": "ann", "password": PASSWORD, "role": 1}, self.root)
        self.ann = self.login("ann", PASSWORD)

    def call(self, method: str, path: str, body: Any = None, who: dict[str, str] | None = None, **more: str) -> Any:
        headers = {**(who or {}), **{name.replace("_", "-"): value for name, value in more.items()}}
        return requests.request(method, self.gateway.base + path, json=body, headers=headers, timeout=PATIENCE)

    def login(self, name: str, password: str, ip: str = "192.0.2.1") -> dict[str, str]:
        body = {"username": name, "password": password}
        answer = self.call("POST", "/api/user/login", body, x_forwarded_for=ip)
        return {"authorization": f"Bearer {answer.json()['data']['access_token']}"}

    def tell_at(self, who: dict[str, str], path: str) -> None:
        """As New API's page does it."""
        body = {"notify_type": "webhook", "quota_warning_threshold": 1000, "webhook_url": self.receiver.base + path}
        answer = self.call("PUT", "/api/user/setting", {**body, "webhook_secret": "topsecret"}, who)
        assert answer.json()["success"], answer.text

    def got(self, path: str, kind: str = "") -> list[Any]:
        there = [one.json for one in list(self.receiver.got) if one.path == path]
        return [one for one in there if not kind or one["type"] == kind]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    receiver = Upstream()
    receiver.script = lambda say: say.whole({})
    env = {
        "GATEWRIGHT_FETCH_ALLOW": "127.0.0.1",
        "CRITICAL_RATE_LIMIT_ENABLE": "false",
        "NOTIFY_LIMIT_COUNT": "3",
        "NOTIFICATION_LIMIT_DURATION_MINUTE": "60",
    }
    gateway = Gateway(tmp_path_factory.mktemp("notices"), env=env, workers=2)
    try:
        yield Site(gateway.ready(), receiver)
    finally:
        gateway.stop()
        receiver.close()


def test_nobody_is_told_more_often_than_the_settings_say(site: Site) -> None:
    site.tell_at(site.ann, "/ann")
    for number in range(6):
        site.login("ann", PASSWORD, f"198.51.{number}.1")
    hook = {"name": "all", "url": f"{site.receiver.base}/all", "events": ["login.new_place"]}
    made = site.call("POST", "/api/v2/webhooks", hook, site.root).json()
    site.login("ann", PASSWORD, "203.0.113.9")
    last = "203.0.113.9"
    until(lambda: last in {one["data"]["ip"] for one in site.got("/all")})  # all of them were looked at
    site.call("DELETE", f"/api/v2/webhooks/{made['id']}", None, site.root, if_match="*")
    until(lambda: len(site.got("/ann", "login.new_place")) >= 3)
    assert len(site.got("/ann", "login.new_place")) == 3
    assert {one["data"]["user"]["username"] for one in site.got("/all")} == {"ann"}


def test_a_low_balance_is_noticed_after_a_call(site: Site) -> None:
    """No call of the relay does anything for it: its ledger entry is looked at later."""
    site.tell_at(site.root, "/root")
    rows = site.call("GET", "/api/user/", None, site.root).json()["data"]["items"]
    ann = next(row for row in rows if row["username"] == "ann")
    site.tell_at(site.ann, "/ann-low")
    site.call("POST", "/api/token/", {"name": "k", "unlimited_quota": True, "expired_time": -1}, site.ann)
    assert ann["quota"] < 1000
    with closing(sqlite3.connect(site.gateway.data / "gatewright.db")) as db, db:
        db.execute(
            "INSERT INTO gatewright_ledger (request_id, created_at, user_id, token_id, channel_id, quota)"
            " VALUES ('r1', ?, ?, 0, 0, 5)",
            (int(time.time()), ann["id"]),
        )
    until(lambda: site.got("/ann-low", "quota_exceed"))
    (told,) = site.got("/ann-low", "quota_exceed")
    assert told["event"] == "balance.low"
    assert "$" in told["content"]


def test_what_can_not_leave_now_leaves_after_the_process_for_jobs_was_killed(site: Site) -> None:
    away: list[str] = []

    def script(say: Say) -> None:
        if say.arrived.path != "/hook":
            say.whole({})
            return
        away.append(say.arrived.headers["webhook-id"])
        if len(away) == 1:
            say.wait_until_left(PATIENCE)  # the sender dies while the receiver thinks
            return
        say.whole({})

    site.receiver.script = script
    try:
        hook = {"name": "h", "url": f"{site.receiver.base}/hook", "events": ["login.new_place"]}
        made = site.call("POST", "/api/v2/webhooks", hook, site.root).json()
        site.login("ann", PASSWORD, "203.0.114.9")
        until(lambda: away)
        killed = _job_process(site.gateway)
        os.kill(killed, signal.SIGKILL)
        until(lambda: _job_process(site.gateway) not in (0, killed))
        _wind_forward(site.gateway.data)
        until(lambda: len(away) >= 2)
        assert away[0] == away[1]
        site.call("DELETE", f"/api/v2/webhooks/{made['id']}", None, site.root, if_match="*")
    finally:
        site.receiver.script = lambda say: say.whole({})


def _job_process(gateway: Gateway) -> int:
    """The process that holds the lease of the outbox, as the lease names it; 0 where nobody does."""
    with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
        row = db.execute("SELECT holder FROM gatewright_jobs WHERE name = 'outbox'").fetchone()
    parts = str(row[0] if row else "").split(":")
    process = int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else 0
    return process if process and Path(f"/proc/{process}").exists() else 0


def _wind_forward(data: Path) -> None:
    """As if the time of the claim had run out."""
    with closing(sqlite3.connect(data / "gatewright.db", timeout=30)) as db, db:
        db.execute("UPDATE gatewright_outbox SET next_at = 0 WHERE tries > 0")
