"""Sessions of a person: seen, ended one by one or all others, bounded in number and in time; nobody's but one's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from engine.accounts import first_start, sessions, users
from engine.settings import Settings
from engine.storage.rows import logins, people
from engine.texts import say
from tests.api.test_management import PASSWORD, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    one = Site(Settings(data=tmp_path))
    first_start.make_root(one.worker.db, "root", PASSWORD)
    users.create_user(one.worker.db, "ann", PASSWORD)
    yield one
    one.worker.db.close()


def begun(site: Site, name: str = "ann") -> dict[str, str]:
    return {"authorization": f"Bearer {site.login(name).json['data']['access_token']}"}


def listed(site: Site, who: dict[str, str]) -> Any:
    return site.ask("GET", "/api/user/sessions", **who).json.get("data")


def test_sessions_are_seen_and_ended_by_whose_they_are(site: Site) -> None:
    first, second, third, root = begun(site), begun(site), begun(site), begun(site, "root")
    rows = listed(site, first)
    assert len(rows) == 3
    mine = next(row for row in rows if row.get("current"))
    other = next(row for row in rows if not row.get("current"))
    name = next(key for key in ("sid", "id", "session_id") if key in other)
    site.ask("DELETE", f"/api/user/sessions/{mine[name]}", **root)
    assert len(listed(site, first)) == 3  # another person's is as if it were not there
    assert site.ask("DELETE", f"/api/user/sessions/{other[name]}", **first).json["success"]
    assert len(listed(site, first)) == 2
    assert site.ask("POST", "/api/user/sessions/revoke-others", {}, **first).json["success"]
    assert [listed(site, who) is None for who in (first, second, third)].count(True) == 2
    assert len(listed(site, first)) == 1


def test_the_oldest_ends_beyond_fifty(site: Site) -> None:
    db = site.worker.db
    ann = people.by_login(db, "ann") or {}
    made = [sessions.begin(db, ann, "password", "127.0.0.1", "x") for _ in range(52)]
    assert len(logins.sessions_of(db, ann["id"])) == 50
    assert sessions.resume(db, made[-1].session["sid"]) is not None


def test_a_session_ends_without_use_and_after_half_a_year_of_it(site: Site) -> None:
    db, now = site.worker.db, int(time.time())
    login = sessions.begin(db, people.by_login(db, "ann") or {}, "password", "127.0.0.1", "x")
    assert login.session["expires_at"] <= now + sessions.LONG + 5
    age = sessions.WHOLE - 3600
    statement = text("UPDATE gatewright_sessions SET created_at = created_at - :age")
    db.write(lambda connection: connection.execute(statement, {"age": age}).rowcount)
    renewed = sessions.renew(db, login.refresh)
    row = logins.session(db, renewed.session["sid"])
    assert row is not None
    assert 3500 < row["expires_at"] - now <= 3605
    db.write(lambda c: c.execute(text("UPDATE gatewright_sessions SET expires_at = 1")).rowcount)
    assert sessions.resume(db, login.session["sid"]) is None


def test_passwords_are_bounded_and_compared_as_typed(site: Site) -> None:
    """Any signs, eight at least; neither trimmed, cut nor put into another case."""
    first = begun(site)
    for wrong in ("short 7", "x" * 21):
        body = {"original_password": PASSWORD, "password": wrong}
        assert site.ask("PUT", "/api/user/self", body, **first).json["success"] is False
    assert (
        site.ask("PUT", "/api/user/self", {"original_password": "wrong one", "password": "aaaaaaaa"}, **first).json[
            "success"
        ]
        is False
    )
    typed = " Pass 密码 ~`\"'<b> "
    body = {"original_password": PASSWORD, "password": typed}
    assert site.ask("PUT", "/api/user/self", body, **first).json["success"]
    assert site.login("ann", typed).json["success"]
    for other in (typed.strip(), typed.lower(), typed[:-1], PASSWORD):
        assert site.login("ann", other).json["success"] is False


def test_a_common_password_is_refused_wherever_one_is_set(site: Site, tmp_path: Path) -> None:
    """By mail as well: ``test_mail``; on the command line: ``tests/cli``."""
    root, ann = begun(site, "root"), begun(site)
    ann_id = (people.by_login(site.worker.db, "ann") or {})["id"]
    common, name, words = "Qwerty123", {"username": "bob"}, say("password.common")
    calls = (
        ("POST", "/api/user/register", {**name, "password": common}, {}),
        ("POST", "/api/user/", {**name, "password": common, "role": 1}, root),
        ("PUT", "/api/user/", {"id": ann_id, "username": "ann", "password": common}, root),
        ("PUT", "/api/user/self", {"original_password": PASSWORD, "password": common}, ann),
    )
    for method, path, body, who in calls:
        answer = site.ask(method, path, body, **who)
        assert (answer.json["success"], answer.json["message"]) == (False, words), path
    for method, path, body in (
        ("POST", "/api/v2/users", {**name, "password": common}),
        ("PUT", "/api/v2/users/by-name/bob", {"password": common}),
        ("PATCH", f"/api/v2/users/{ann_id}", {"password": common}),
    ):
        answer = site.ask(method, path, body, **root, **({"if-match": "*"} if method == "PATCH" else {}))
        assert (answer.status_code, answer.json["detail"], answer.json["field"]) == (400, words, "password")
    told = site.ask("PUT", "/api/user/self", calls[-1][2], **ann, **{"accept-language": "ja"}).json
    assert "パスワード" in told["message"]
    assert site.login("ann").json["success"]
    assert people.by_login(site.worker.db, "bob") is None
    fresh = Site(Settings(data=tmp_path / "fresh", first_start="open"))
    body = {"username": "root", "password": common, "confirmPassword": common}
    assert fresh.ask("POST", "/api/setup", body).json["message"] == words
    fresh.worker.db.close()
