"""People by a team's own systems: provisioned the same however often, told whole, and erased while the books agree."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from engine.accounts import first_start, keys, personal, users
from engine.accounts.people import Person
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.faults import StatementError
from engine.storage.releases import approvals, drafts
from engine.storage.releases.documents import Author
from engine.storage.rows import people, trail
from engine.storage.rows.api import passkeys
from engine.storage.rows.log_rows import LogRow, apply
from engine.storage.tables import releases
from tests.api.test_management import PASSWORD, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    one = Site(Settings(data=tmp_path))
    first_start.make_root(one.worker.db, "root", PASSWORD)
    users.create_user(one.worker.db, "adam", PASSWORD, role=10)
    yield one
    one.worker.db.close()


def _who(site: Site, name: str = "adam") -> dict[str, str]:
    return {"authorization": f"Bearer {site.login(name).json['data']['access_token']}"}


def _put(site: Site, who: dict[str, str], name: str, body: Any) -> tuple[int, Any]:
    answer = site.ask("PUT", f"/api/v2/users/by-name/{name}", body, **who)
    return answer.status_code, answer.json


def test_provisioning_again_changes_nothing(site: Site) -> None:
    who = _who(site)
    body = {"group": "team", "display_name": "Ann A", "email": "ann@team.example", "status": "enabled"}
    made, again = (_put(site, who, "ann", body) for _ in range(2))
    assert (made[0], again[0]) == (201, 200)
    assert made[1] == again[1]
    assert {name: made[1][name] for name in body} == body
    assert not site.ask("POST", "/api/user/login", {"username": "ann", "password": ""}).json["success"]
    version = people.by_login(site.worker.db, "ann")["auth_version"]  # type: ignore[index]
    assert _put(site, who, "ann", {"status": "disabled"})[1]["status"] == "disabled"
    assert _put(site, who, "ann", {"status": "disabled"})[1]["group"] == "team"
    assert people.by_login(site.worker.db, "ann")["auth_version"] == version  # type: ignore[index]
    assert _put(site, who, "ann", {"group": "other"})[1]["group"] == "other"
    refused = [
        _put(site, who, "root", {"group": "x"}),
        _put(site, who, "adam", {"status": "disabled"}),
        _put(site, who, "bob", {"email": "ann@team.example"}),
        _put(site, who, "bob", {"email": "no address"}),
        _put(site, who, "bob", {"role": "administrator"}),
        _put(site, who, "x" * 21, {}),
        _put(site, who, "bob", {"status": "maybe"}),
    ]
    assert [status for status, _ in refused] == [403, 403, 409, 400, 400, 400, 400]
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda _: _put(site, who, "carl", {"group": "team"}), range(4)))
    assert sorted(status for status, _ in many) == [200, 200, 200, 201]
    assert len({told["id"] for _, told in many}) == 1


def _calls(db: Database, user: int, name: str, count: int) -> None:
    row = LogRow(user_id=user, username=name, token_name="laptop", quota=7, model_name="m", ip="10.1.1.1", content="c")
    rows = [LogRow(**row, request_id=f"{name}-{n}", other={"ratio": 1}) for n in range(count)]
    login = LogRow(user_id=user, username=name, type=7, ip="10.1.1.1", content=f"{name} came", other={"ip": "10.1.1.1"})
    db.write(lambda connection: apply(connection, db, [*rows, login]))


def _erased(site: Site, *ids: int) -> list[int]:
    root = _who(site, "root")
    return [site.ask("POST", f"/api/v2/users/{which}/erase", **root).status_code for which in ids]


def test_a_person_is_told_whole_and_erased_while_the_books_stay(site: Site) -> None:
    db, who = site.worker.db, _who(site)
    _put(site, who, "ann", {"email": "ann@team.example", "password": PASSWORD, "remark": "of the team"})
    which = people.by_login(db, "ann")["id"]  # type: ignore[index]
    key = keys.create_key(db, "ann", "laptop").key
    own = _who(site, "ann")
    _calls(db, which, "ann", 3)
    _calls(db, 1, "root", 1)
    exchange = {"id": "kept", "rule": "r", "created_at": 1, "until": 2**40, "user_id": which, "username": "ann"}
    db.write(lambda connection: connection.execute(releases.captures.insert().values(**exchange)))
    db.write(lambda connection: connection.execute(releases.capture_data.insert().values(id="kept", data="ann said")))
    draft = drafts.create(db, "a draft", 0, Author(which, "ann"))
    approvals.add(db, "c", Author(which, "ann"))
    told = site.ask("GET", f"/api/v2/users/{which}/export", **who)
    mine = site.ask("GET", "/api/v2/me/export", **own)
    assert told.headers["content-disposition"].endswith(f'"user-{which}.json"')
    for one in (told.json, mine.json):
        assert one["user"]["email"] == "ann@team.example"
        assert [row["name"] for row in one["keys"]] == ["laptop"]
        assert [row["quota"] for row in one["log"]] == [0, 7, 7, 7]
        assert len(one["sessions"]) == 1
        assert [row["id"] for row in one["exchanges"]] == ["kept"]
        assert not [secret for secret in (key[3:], PASSWORD, "$2b$", "refresh_hash") if secret in str(one)]
    assert site.ask("GET", f"/api/v2/users/{which}/export", **own).status_code == 403

    erased = site.ask("POST", f"/api/v2/users/{which}/erase", **who)
    assert (erased.status_code, erased.json) == (200, {"id": which, "log_rows": 4})
    assert site.ask("POST", f"/api/v2/users/{which}/erase", **who).json["log_rows"] == 0
    assert site.ask("GET", "/api/user/self", **own).status_code == 401
    with db.read() as reader:
        tables = [row[0] for row in reader.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))]
        whole = {name: str(reader.execute(text(f'SELECT * FROM "{name}"')).all()) for name in tables}
        rows = reader.execute(text(f"SELECT username, quota, model_name FROM logs WHERE user_id = {which}")).all()
    traces = [name for name, rows_ in whole.items() for word in ("ann", "laptop", key[3:], "10.1.1.1") if word in rows_]
    assert set(traces) <= {"gatewright_audit", "logs"}  # the trail is a chain; root's row has the address too
    assert drafts.one(db, draft.id).author.name == f"erased-{which}"
    assert "ann" not in whole["logs"].replace("ann-", "")  # but in ids of calls, which are of this test
    assert rows.count((f"erased-{which}", 7, "m")) == 3
    assert "/erase" in whole["gatewright_audit"]
    assert trail.verified(db).broken_at == 0
    assert _put(site, who, "ann", {})[0] == 201  # the name is free again, for another
    assert [site.ask("POST", f"/api/v2/users/{n}/erase", **_who(site, "root")).status_code for n in (1, 999)] == [
        403,
        404,
    ]
    assert site.ask("POST", "/api/v2/users/2/erase", **who).status_code == 403


def test_erasure_and_the_rows_of_passkeys_on_every_engine(empty: Settings) -> None:
    db = open_database(empty)
    try:
        users.create_user(db, "root", PASSWORD, role=100)
        for name in ("ann", "bob"):
            users.create_user(db, name, PASSWORD)
            keys.create_key(db, name, "laptop")
        root, ann = people.by_login(db, "root"), people.by_login(db, "ann")
        assert root is not None
        assert ann is not None
        row = {"user_id": ann["id"], "credential_id": "aWQ", "public_key": "a2V5", "name": "Phone", "asked_for": True}
        row |= {"sign_count": 3, "created_at": 1}
        db.write(lambda connection: passkeys.add(db, connection, b"id", row))
        with pytest.raises(StatementError):
            db.write(lambda connection: passkeys.add(db, connection, b"id", row))
        held = passkeys.by_credential(db, b"id")
        assert held is not None
        assert passkeys.asked_for(db, ann["id"])
        assert [passkeys.used(db, held["id"], before, 4, 9) for before in (2, 3, 3, 4, 4)] == [0, 1, 0, 1, 1]
        assert passkeys.rename(db, ann["id"], held["id"], "Phone") == 1
        _calls(db, ann["id"], "ann", 2)
        for count in (3, 0):
            assert personal.erase(db, db, Person(root), ann["id"])["log_rows"] == count
        assert people.by_login(db, "ann") is None
        assert (people.by_id(db, ann["id"], deleted=True) or {})["username"] == f"erased-{ann['id']}"
        assert passkeys.of_user(db, ann["id"]) == []
    finally:
        db.close()
