"""Every route of the management API, from its record, with thousands of spoilt calls as root and as a common user.

Never a 5xx; on ``/api`` always the envelope, on ``/api/v2`` problem details. Nightly; GATEWRIGHT_SEED gives others.
"""

from __future__ import annotations

import collections
import os
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from sqlalchemy import delete, insert, select

from engine.api.resources import newapi, v2
from engine.api.route import Route
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.tables.auth import two_fas
from engine.storage.tables.core import users
from tests.fuzz.managing import Spoilt, spoilt
from tests.support import Gateway

NIGHTLY = bool(os.environ.get("GATEWRIGHT_NIGHTLY"))
pytestmark = [
    pytest.mark.xdist_group("fuzz management"),
    pytest.mark.skipif(not NIGHTLY, reason="minutes long: make nightly"),
]
SEED = int(os.environ.get("GATEWRIGHT_SEED") or 1)
EACH = int(os.environ.get("GATEWRIGHT_FUZZ_EACH") or 12)
PASSWORD = "rootroot1"
LEFT_OUT = {("POST", "/api/setup"), ("GET", "/api/user/logout"), ("POST", "/api/user/auth/logout")}
"""What ends the session that the next call needs, or is over once there is a root."""
ROUTES = [route for route in (*newapi.ROUTES, *v2.ROUTES) if (route.method, route.path) not in LEFT_OUT]
_TIMEOUT = 120


class Site:
    """A gateway with a root and a user, who sign in again when a call has thrown them out."""

    def __init__(self, gateway: Gateway, db: Database) -> None:
        self.gateway, self.db = gateway, db
        self.counts: collections.Counter[str] = collections.Counter()
        self.session = requests.Session()
        body = {"username": "root", "password": PASSWORD, "confirmPassword": PASSWORD}
        assert self.session.post(f"{gateway.base}/api/setup", json=body, timeout=_TIMEOUT).json()["success"]
        self.tokens = {"root": self._login("root")}
        made = {"username": "ann", "password": PASSWORD}
        answer = self._send("POST", "/api/v2/users", self.tokens["root"], json=made)
        assert answer.status_code == 201, answer.text
        self.tokens["ann"] = self._login("ann")
        with db.read() as reader:
            self.rows = [dict(row) for row in reader.execute(select(users)).mappings()]

    def _login(self, name: str) -> str:
        body = {"username": name, "password": PASSWORD}
        answer = self.session.post(f"{self.gateway.base}/api/user/login", json=body, timeout=_TIMEOUT)
        return str(answer.json()["data"]["access_token"])

    def _send(self, method: str, target: str, token: str, **more: Any) -> requests.Response:
        headers = {"authorization": f"Bearer {token}", "if-match": "*", "content-type": "application/json"}
        self.session.cookies.clear()
        return self.session.request(
            method, f"{self.gateway.base}{target}", headers=headers, timeout=_TIMEOUT, allow_redirects=False, **more
        )

    def fresh(self, name: str) -> str:
        """A token of somebody who is as at the beginning."""
        answer = self._send("GET", "/api/user/self", self.tokens[name])
        told = answer.json().get("data") or {} if answer.status_code == 200 else {}
        if told.get("username") != name:
            self.db.write(self._restored)
            self.tokens[name] = self._login(name)
        return self.tokens[name]

    def _restored(self, connection: Any) -> None:
        for row in self.rows:
            connection.execute(delete(users).where(users.c.id == row["id"]))
            connection.execute(insert(users).values(row))
        connection.execute(delete(two_fas))

    def ask(self, route: Route, name: str, call: Spoilt) -> str | None:
        """Make a call; what is wrong with its answer."""
        answer = self._send(route.method, call.target, self.tokens[name], data=call.body)
        self.counts[f"{name} {answer.status_code // 100}xx"] += 1
        return wrong(route, answer)


def wrong(route: Route, answer: requests.Response) -> str | None:
    """What an answer should not be."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status_code >= 500:
        return f"{answer.status_code}: {answer.text[:300]}"
    if answer.status_code < 400:
        return None
    if answer.status_code == 413 and not answer.content and not route.path.startswith("/api/v2"):
        return None  # New API's own words for a body that nobody known sent
    try:
        told = answer.json()
    except ValueError:
        return f"{answer.status_code} without JSON: {answer.text[:200]!r}"
    if route.path.startswith("/api/v2"):
        problem = kind == "application/problem+json" and told.get("status") == answer.status_code
        return None if problem and told.get("code") and told.get("detail") else f"no problem details: {kind} {told}"
    if route.path.startswith("/pg/"):  # what is asked of a model is told as the relay tells
        return None if isinstance(told.get("error"), dict) or "success" in told else f"no error: {told}"
    envelope = told.get("success") is False and isinstance(told.get("message"), str)
    return None if envelope else f"{answer.status_code} without the envelope: {told}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("managed")
    (data / "first.key").write_text("none")
    env = {"GATEWRIGHT_FIRST_START": "open", "CRITICAL_RATE_LIMIT_ENABLE": "false"}
    gateway = Gateway(data, env=env, may_stall=True)
    try:
        gateway.ready()
        db = open_database(Settings(data=data), migrate=False)
        made = Site(gateway, db)
        yield made
        print(f"\nmanagement: {sum(made.counts.values())} calls, {dict(sorted(made.counts.items()))}")
        db.close()
    finally:
        gateway.stop()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["ann", "root"])
def test_no_route_fails_by_what_it_is_sent(site: Site, name: str) -> None:
    faults = []
    for route in ROUTES:
        choose = random.Random(f"{route.method} {route.path} {name} {SEED}")
        site.fresh(name)
        for call in spoilt(route, EACH, choose):
            fault = site.ask(route, name, call)
            if fault is not None:
                faults.append(f"{route.method} {call.target[:200]} as {name} ({call.story})\n    {fault}")
    if faults:
        pytest.fail(f"seed {SEED}: {len(faults)} of {sum(site.counts.values())}\n" + "\n".join(faults[:60]))


def test_the_log_has_no_trace(site: Site) -> None:
    said = site.gateway.output
    places = [place.start() for place in re.finditer("Traceback", said)]
    if places:
        pytest.fail(f"seed {SEED}, {len(places)} traces, the first:\n{said[max(0, places[0] - 300) :][:6000]}")
