"""Who may call which route of the management API, and how logins behave: the app over a real database."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import falcon
import orjson
import pytest
from click.testing import CliRunner
from falcon import testing
from sqlalchemy import text

from engine import api
from engine.accounts import first_start, keys, rights, sessions, users
from engine.api.resources import newapi, v2
from engine.api.route import NOBODY, Route
from engine.catalogue.options import value_of
from engine.cli.care.audit import command
from engine.notices import Notices
from engine.notices.ground import Ground
from engine.notices.telling import Limit
from engine.routing.group_options import GroupOptions
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows import options, people, trail
from engine.transport.egress import Guard
from engine.transport.leg import Pool

PASSWORD = "a good password"


class Worker:
    """What the room needs of a worker; without a program, so that only what is refused at the door can be asked."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.db = open_database(settings)
        self.secret = sessions.secret_of(settings.session_secret, settings.data)
        self.started = time.time()
        self.snapshot: Any = SimpleNamespace(
            networks={},
            groups=GroupOptions({}),
            table=SimpleNamespace(models=lambda groups: set(), by_id={}, channels=()),
            program=SimpleNamespace(payments=(), logins=(), captchas=(), policy={}),
            tags=None,
            captures=None,
        )
        self.notices = Notices(self.db, Pool(Guard()), self.ground, Limit(2, 600))
        self.upstream: Any = None
        self.lane = None
        self.memo: dict[Any, tuple[float, Any]] = {}

    @property
    def log_db(self) -> Database:
        return self.db

    @property
    def options(self) -> dict[str, str]:
        return options.load(self.db)

    def ground(self) -> Ground:
        """Without documents nobody is told anything."""
        return Ground({}, self.options, partial(value_of, self.options))

    def call(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nobody is called")

    test_channel = call

    def catch_up(self) -> None:
        """Options are read afresh."""

    def changed(self) -> None:
        """Options are read afresh."""


class Site:
    """The app over a worker, as a client sees it."""

    def __init__(self, settings: Settings) -> None:
        self.worker = Worker(settings)
        app = falcon.App()
        app.add_sink(api.management(self.worker), "/")
        self.client = testing.TestClient(app)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> testing.Result:
        return self.client.simulate_request(method, path, json=body, headers=headers)

    def login(self, name: str, password: str = PASSWORD) -> testing.Result:
        return self.ask("POST", "/api/user/login", {"username": name, "password": password})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    one = Site(Settings(data=tmp_path))
    first_start.make_root(one.worker.db, "root", PASSWORD)
    users.create_user(one.worker.db, "ann", PASSWORD)
    users.create_user(one.worker.db, "adam", PASSWORD, role=10)
    yield one
    one.worker.db.close()


ALL = (*newapi.ROUTES, *v2.ROUTES)


def callers(site: Site) -> dict[str, tuple[int, dict[str, str]]]:
    """Name: the role, and what is sent."""
    names = ("ann", "adam", "root")
    tokens = {name: site.login(name).json["data"]["access_token"] for name in names}
    over = sessions.sign(site.worker.secret, "access", {"sid": "none", "sub": "1", "exp": time.time() - 1})
    ended = site.login("ann").json["data"]["access_token"]
    site.ask("GET", "/api/user/logout", authorization=f"Bearer {ended}")
    key = keys.create_key(site.worker.db, "ann", "k").key
    said = {name: {"authorization": f"Bearer {token}"} for name, token in tokens.items()}
    return {
        "nobody": (-1, {}),
        "user": (1, said["ann"]),
        "administrator": (10, said["adam"]),
        "root": (100, said["root"]),
        "a key": (-1, {"authorization": f"Bearer {key}"}),
        "an expired session": (-1, {"authorization": f"Bearer {over}"}),
        "a session that was ended": (-1, {"authorization": f"Bearer {ended}"}),
        "another's id": (-1, {**said["ann"], "new-api-user": "1"}),
    }


def _path(route: Route) -> str:
    return "/".join("1" if part[:1] == ":" else part for part in route.path.split("/"))


def _status(site: Site, route: Route, headers: dict[str, str]) -> int:
    return site.ask(route.method, _path(route), {} if route.method != "GET" else None, **headers).status_code


def test_every_route_is_shut_to_those_below_its_role(site: Site) -> None:
    wrong = []
    for name, (role, headers) in callers(site).items():
        for route in ALL:
            if route.role == NOBODY or role >= route.role:
                continue
            status = _status(site, route, headers)
            if status != (401 if role < 0 else 403):
                wrong.append((name, route.method, route.path, status))
    assert wrong == []


_NOT_READ = {
    "/api/user/logout",
    "/api/user/token",
    "/api/ratio_config",
    "/api/user/:id",
    "/api/user/:id/oauth/bindings",
}
"""What changes something, is shut by an option, or asks for somebody of a lower role."""


def test_what_can_be_read_is_open_to_its_role_and_those_above(site: Site) -> None:
    """Without a program some of these fail later on; nobody is turned away at the door."""
    wrong = []
    who = callers(site)
    for name in ("user", "administrator", "root"):
        role, headers = who[name]
        for route in ALL:
            if route.method != "GET" or role < route.role or route.session or route.path in _NOT_READ:
                continue
            if name == "administrator" and not _given(route.right):
                continue
            if (status := _status(site, route, headers)) in (401, 403):
                wrong.append((name, route.path, status))
    assert wrong == []


def _given(right: str) -> bool:
    """Whether an administrator begins with a right."""
    resource, _, action = right.partition(".")
    return not right or rights.TABLE[resource][action]


def test_an_administrator_without_the_right_is_refused(site: Site) -> None:
    """Each right is taken away in turn, and shuts what needs it and nothing else."""
    who = callers(site)
    headers, root = who["administrator"][1], who["root"][1]
    which = people.by_login(site.worker.db, "adam")["id"]
    needed = {route.right for route in ALL if route.right}
    listed = {f"{resource}.{action}" for resource, actions in rights.TABLE.items() for action in actions}
    assert needed <= listed
    for right in sorted(needed):
        resource, _, action = right.partition(".")
        body = {resource: {action: False}}
        path = f"/api/v2/users/{which}/rights"
        assert site.ask("PATCH", path, body, **root, **{"if-match": "*"}).json[resource][action] is False
        for route in ALL:
            if route.right == right:
                assert _status(site, route, headers) == 403, (right, route.path)
        assert site.ask("PATCH", path, {resource: {action: True}}, **root, **{"if-match": "*"}).status_code == 200
        reading = [
            route for route in ALL if route.right == right and route.method == "GET" and "balance" not in route.path
        ]
        assert all(_status(site, route, headers) != 403 for route in reading if ":id" not in route.path), right


def test_rights_are_roots_to_give_and_go_with_the_role(site: Site) -> None:
    who = callers(site)
    headers, root = who["administrator"][1], who["root"][1]
    which = people.by_login(site.worker.db, "adam")["id"]
    path = f"/api/v2/users/{which}/rights"
    assert (
        site.ask("PATCH", path, {"channel": {"sensitive_write": True}}, **headers, **{"if-match": "*"}).status_code
        == 403
    )
    for body in ({"channel": {"fly": True}}, {"channel": {"read": "yes"}}, {"moon": {"read": True}}):
        assert site.ask("PATCH", path, body, **root, **{"if-match": "*"}).status_code == 400, body
    permissions = {"channel": {"sensitive_write": True}}
    answer = site.ask("PUT", "/api/user/", {"id": which, "admin_permissions": permissions}, **root)
    assert answer.json["success"], answer.json
    shown = site.ask("GET", f"/api/user/{which}", **root).json["data"]["admin_permissions"]["channel"]
    assert shown["sensitive_write"] is True
    for action in ("demote", "promote"):
        assert site.ask("POST", "/api/user/manage", {"id": which, "action": action}, **root).json["success"]
    assert site.ask("GET", path, **root).json["channel"]["sensitive_write"] is False


def test_no_route_for_people_takes_no_role_by_accident() -> None:
    paths = {route.path for route in newapi.ROUTES if route.role == NOBODY}
    assert not [path for path in paths if path.startswith(("/api/channel", "/api/option", "/api/token", "/api/log"))]
    assert len({(route.method, route.path) for route in newapi.ROUTES}) == len(newapi.ROUTES)


def test_a_cookie_needs_the_header_that_no_other_site_can_send(site: Site) -> None:
    cookie = site.login("ann").cookies["session"].value
    for named, status in (("", 401), ("abc", 401), ("1", 401), ("2", 200)):
        answer = site.ask("GET", "/api/user/self", cookie=f"session={cookie}", **{"new-api-user": named})
        assert answer.status_code == status, named
    changed = cookie[:-2] + ("aa" if cookie[-2:] != "aa" else "bb")
    assert site.ask("GET", "/api/user/self", cookie=f"session={changed}", **{"new-api-user": "2"}).status_code == 401


def test_a_new_password_ends_other_sessions_and_keeps_this_one(site: Site) -> None:
    first, second = (site.login("ann").json["data"]["access_token"] for _ in range(2))
    body = {"password": "another password", "original_password": PASSWORD}
    answer = site.ask("PUT", "/api/user/self", body, authorization=f"Bearer {first}")
    assert answer.json["success"], answer.json
    assert site.ask("GET", "/api/user/self", authorization=f"Bearer {first}").status_code == 200
    assert site.ask("GET", "/api/user/self", authorization=f"Bearer {second}").status_code == 401


def test_failed_logins_wait_unless_that_is_switched_off(site: Site) -> None:
    words = {site.login(name, "a wrong password").json["message"] for name in ("ann", "nobody-here")}
    assert len(words) == 1
    for _ in range(7):
        site.login("ann", "a wrong password")
    assert "seconds" in site.login("ann").json["message"]
    assert site.login("adam").json["success"]
    site.worker.settings = dataclasses.replace(site.worker.settings, login_limit=False)
    assert site.login("ann").json["success"]


def test_cookies_are_for_tls_alone_where_that_is_set(site: Site) -> None:
    assert "Secure" not in site.login("ann").headers["set-cookie"]
    site.worker.settings = dataclasses.replace(site.worker.settings, session_cookie_secure=True)
    assert "Secure" in site.login("ann").headers["set-cookie"]


@pytest.mark.parametrize(("way", "made"), [("login", False), ("open", True)])
def test_the_first_caller_makes_root_only_where_that_is_opened(tmp_path: Path, way: str, made: bool) -> None:
    site = Site(Settings(data=tmp_path, first_start=way))
    body = {"username": "root", "password": PASSWORD, "confirmPassword": PASSWORD}
    assert site.ask("POST", "/api/setup", body).json["success"] is made
    assert site.login("root").json["success"] is made
    assert not site.ask("POST", "/api/setup", body).json["success"]
    site.worker.db.close()


def test_a_write_without_its_id_changes_nothing(site: Site) -> None:
    token = site.login("root").json["data"]["access_token"]
    bodies = (
        {"action": "disable"},
        {"action": "add_quota", "mode": "override", "value": 5},
        {"id": 99999, "action": "disable"},
    )
    for body in bodies:
        assert not site.ask("POST", "/api/user/manage", body, authorization=f"Bearer {token}").json["success"]
    assert not site.ask("PUT", "/api/option/", {"key": "", "value": "x"}, authorization=f"Bearer {token}").json[
        "success"
    ]
    assert site.login("root").json["success"]


def test_a_wrong_value_of_an_option_is_not_stored(site: Site) -> None:
    token = site.login("root").json["data"]["access_token"]
    for key, value in (
        ("ModelRatio", "{broken"),
        ("GroupRatio", '{"a":-1}'),
        ("NoSuchOption", "x"),
        ("RetryTimes", "x"),
    ):
        answer = site.ask("PUT", "/api/option/", {"key": key, "value": value}, authorization=f"Bearer {token}")
        assert not answer.json["success"]
    assert options.load(site.worker.db) == {}


def test_changes_are_in_the_trail_without_secrets_and_a_changed_row_is_found(site: Site) -> None:
    token = site.login("root").json["data"]["access_token"]
    body = {"username": "eve", "password": "her password"}
    assert site.ask("POST", "/api/user/", body, authorization=f"Bearer {token}").json["data"]["id"]
    site.ask("PUT", "/api/option/", {"key": "SMTPToken", "value": "mail-secret"}, authorization=f"Bearer {token}")
    with site.worker.db.read() as reader:
        rows = [str(row) for row in reader.execute(text("SELECT username, action, details FROM gatewright_audit"))]
    assert len(rows) == 2
    assert "eve" in rows[0]
    assert not [row for row in rows if "her password" in row or "mail-secret" in row]
    assert trail.verified(site.worker.db).broken_at == 0
    assert _verify(site)[0] == 0
    last = trail.verified(site.worker.db).last
    assert _verify(site, "--last", last)[0] == 0
    assert _verify(site, "--last", "0" * 64)[0] == 1
    site.worker.db.write(lambda c: c.execute(text("UPDATE gatewright_audit SET username = 'x' WHERE id = 1")).rowcount)
    assert trail.verified(site.worker.db).broken_at == 1
    assert _verify(site) == (1, 1)


def test_entries_that_were_taken_away_are_missed_also_the_newest(site: Site) -> None:
    token = site.login("root").json["data"]["access_token"]
    for number in range(3):
        body = {"key": "RetryTimes", "value": str(number)}
        assert site.ask("PUT", "/api/option/", body, authorization=f"Bearer {token}").json["success"]
    site.worker.db.write(lambda c: c.execute(text("DELETE FROM gatewright_audit WHERE id = 3")).rowcount)
    assert _verify(site) == (1, 3)
    site.worker.db.write(lambda c: c.execute(text("DELETE FROM gatewright_audit WHERE id = 1")).rowcount)
    assert _verify(site) == (1, 2)


def _verify(site: Site, *more: str) -> tuple[int, int]:
    """What the command says: its exit code, and the entry that is broken."""
    told = CliRunner().invoke(
        command, ["verify", "--json", *more], env={"GATEWRIGHT_DATA": str(site.worker.settings.data)}
    )
    return told.exit_code, orjson.loads(told.output)["broken_at"]


def test_bodies_of_strangers_are_bounded(site: Site) -> None:
    answer = site.ask("POST", "/api/user/login", {"username": "x" * 600_000})
    assert (answer.status_code, answer.text) == (413, "")


def test_another_users_key_is_as_if_it_were_not_there(site: Site) -> None:
    which = keys.create_key(site.worker.db, "adam", "his").token_id
    token = site.login("ann").json["data"]["access_token"]
    for path in (f"/api/token/{which}", "/api/token/99999"):
        answer = site.ask("GET", path, authorization=f"Bearer {token}")
        assert answer.json["code"] == "not_found"
        assert answer.json["message"] == "record not found"


def test_people_are_told_in_their_language(site: Site) -> None:
    answers = {
        tongue: site.ask("GET", "/api/user/self", **{"accept-language": tongue}).json["message"]
        for tongue in ("en", "zh", "fr", "ja")
    }
    assert len(set(answers.values())) == 4
