"""Outsiders become users on every engine: one each, however many come at once; identities by letter and by place."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from engine.accounts import first_start, users
from engine.identity import bindings, entering, flows
from engine.identity.exchange import Outsider
from engine.identity.flows import Flow
from engine.identity.refused import LoginRefused
from engine.program.outside.logins import Login, LoginPerson
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows import people
from engine.storage.rows.api import identities

PERSON = LoginPerson(lambda *_: None, None, None, None, None, None)
COLUMN = Login("column", "Column", PERSON, column="oidc_id")
OWN = Login("own", "Own", PERSON)
CUSTOM = Login("custom", "Custom", PERSON, number=7)
PLACES = [COLUMN, OWN, CUSTOM]


@pytest.fixture
def db(empty: Settings) -> Iterator[Database]:
    one = open_database(empty)
    first_start.make_root(one, "root", "a good password")
    yield one
    one.close()


def outsider(subject: str, name: str = "", former: str = "") -> Outsider:
    return Outsider(subject, former, name, "", "", ({}, None, {}, {}))


def enter(db: Database, login: Login, who: Outsider) -> int:
    user = entering.enter(db, login, who, open_to_all=True, invited_by="", tongue="en")
    return int(user["id"])


@pytest.mark.parametrize("login", PLACES, ids=lambda login: login.name)
def test_many_at_once_are_one_user(db: Database, login: Login) -> None:
    with ThreadPoolExecutor(8) as many:
        ids = list(many.map(lambda _: enter(db, login, outsider("s-1", "ann")), range(16)))
    assert len({*ids}) == 1
    with db.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM users")).scalar() == 2
    assert people.by_id(db, ids[0])["username"] == "ann"  # type: ignore[index]


@pytest.mark.parametrize("login", PLACES, ids=lambda login: login.name)
def test_an_identity_is_bound_to_one_account_by_its_letters(db: Database, login: Login) -> None:
    first, second = (users.create_user(db, name, "long enough") for name in ("first", "second"))
    with ThreadPoolExecutor(8) as many:
        done = list(many.map(lambda which: _bound(db, login, which, "AbC"), [first, second] * 4))
    assert sorted({*done}) in ([f"{first}", "oauth.taken"], [f"{second}", "oauth.taken"])
    holder = identities.holder(db, bindings.keeper(login), "AbC")
    other = second if holder == first else first
    assert identities.holder(db, bindings.keeper(login), "abc") == 0
    assert identities.holder(db, bindings.keeper(login), "AbC ") in (0, holder)
    assert _bound(db, login, holder, "xyz") == "oauth.already"
    row = people.by_id(db, holder)
    assert row is not None
    assert [(one.name, said) for one, said in bindings.listed(db, PLACES, row)] == [(login.name, "AbC")]
    assert bindings.unbind(db, PLACES, row, login)
    assert not bindings.unbind(db, PLACES, people.by_id(db, holder) or {}, login)
    assert _bound(db, login, other, "AbC") == f"{other}"


def _bound(db: Database, login: Login, user: int, subject: str) -> str:
    try:
        bindings.bind(db, login, user, outsider(subject))
    except LoginRefused as error:
        return error.key
    return str(user)


def test_two_identities_of_a_login_at_once_leave_an_account_one(db: Database) -> None:
    which = users.create_user(db, "first", "long enough")
    with ThreadPoolExecutor(4) as many:
        done = list(many.map(lambda subject: _bound(db, OWN, which, subject), ["a", "b", "c", "d"]))
    assert sorted(done) == [str(which), *["oauth.already"] * 3]


@pytest.mark.parametrize("login", PLACES, ids=lambda login: login.name)
def test_a_former_id_becomes_the_one_of_now(db: Database, login: Login) -> None:
    which = users.create_user(db, "first", "long enough")
    assert _bound(db, login, which, "old-name") == str(which)
    assert enter(db, login, outsider("42", former="old-name")) == which
    assert identities.holder(db, bindings.keeper(login), "42") == which
    assert identities.holder(db, bindings.keeper(login), "old-name") == 0


def test_a_user_who_is_deleted_for_good_leaves_nothing(db: Database) -> None:
    which = enter(db, OWN, outsider("s-2"))
    assert enter(db, CUSTOM, outsider("s-2")) != which
    db.write(lambda connection: people.erase(db, connection, which))
    assert identities.holder(db, bindings.keeper(OWN), "s-2") == 0
    assert enter(db, OWN, outsider("s-2")) != which


def test_a_state_is_taken_by_one(db: Database) -> None:
    flow = Flow(flows.fresh(), "own", flows.LOGIN, invited_by="abcd")
    flows.begin(db, flow, "browser")

    def take(_: int) -> Flow | None:
        try:
            return flows.take(db, flow.state, "own", "browser")
        except LoginRefused:
            return None

    with ThreadPoolExecutor(8) as many:
        taken = [one for one in many.map(take, range(16)) if one is not None]
    assert taken == [flow]
