"""Teams that documents declare: compiled as every kind is, made rows by one process, left alone if nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.accounts import people, users
from engine.accounts.teams import declared, members, purposes, standing, teams
from engine.compiler import Source, compile_set
from engine.errors import Conflict
from engine.program import load
from engine.routing.limits.rules import limit_rules
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows import budgets
from engine.storage.rows.api import teams as rows
from engine.storage.rows.people import by_id
from engine.storage.values import ROOT

TEAM = """
apiVersion: gatewright/v1
kind: Team
metadata: {name: lab}
spec:
  title: The lab
  group: vip
  rights: {wallet: administrator, keys: administrator}
  budgets: [{period: month, amount: 1000, rollover: 25}]
  member: {keys: 2, budgets: [{period: day, amount: 50, warn: 0}]}
  projects: {crawler: {budgets: [{period: week, unit: tokens, amount: 9}]}, site: {}}
  limits: {calls: {requests: 30, per: minute}}
"""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(Settings(data=tmp_path))
    users.create_user(opened, "olga", "a long password", role=ROOT)
    users.create_user(opened, "mia", "a long password")
    yield opened
    opened.close()


def program(text: str) -> Any:
    result = compile_set([Source("team.yaml", text)] if text else [], [])
    assert not result.faults, result.faults
    return load(result.artefact)


def told(db: Database) -> dict[tuple[str, str, str], tuple[int, int, int]]:
    listed = [one for each in budgets.load(db).values() for one in each]
    return {(one.holder, one.period, one.unit): (one.amount, one.soft_percent, one.rollover) for one in listed}


def who(db: Database, which: int) -> standing.Standing:
    return standing.of(db, people.Person(by_id(db, which) or {}), int((rows.by_name(db, "lab") or {})["id"]))


ALL = {
    ("user", "month", "quota"): (1000, 80, 25),
    ("member", "day", "quota"): (50, 0, 0),
    ("project", "week", "tokens"): (9, 80, 0),
}


def test_a_document_becomes_rows_and_changes_with_it(db: Database) -> None:
    one = program(TEAM)
    assert declared.follow(db, db, one.teams) == "1 teams as declared, 0 no longer declared"
    assert declared.follow(db, db, one.teams) == "as before"
    team = rows.by_name(db, "lab")
    assert team is not None
    assert (team["title"], team["group"], team["declared"], team["quota"]) == ("The lab", "vip", "Team/lab", 0)
    # somebody who joins is bound at once, and the roles are those of the document
    members.invite(db, who(db, 1), "mia", "member")
    assert told(db) == ALL
    assert not who(db, 2).may("keys")
    mine = [row for row in purposes.budgets_of(db, who(db, 2)) if row["holder"] == "member"]
    with pytest.raises(Conflict, match="Team/lab says so"):
        purposes.drop_budget(db, who(db, 1), mine[0]["id"])
    with pytest.raises(Conflict, match="Team/lab says so"):
        teams.rename(db, who(db, 1), "Other")
    values = {"holder": "team", "period": "month", "unit": "quota", "amount": 5}
    with pytest.raises(Conflict, match="Team/lab says so"):
        purposes.put_budget(db, db, who(db, 1), values)
    purposes.put_budget(db, db, who(db, 1), {**values, "period": "week"})

    less = TEAM.replace("amount: 1000", "amount: 7").replace(", budgets: [{period: day, amount: 50, warn: 0}]", "")
    changed = program(less)
    declared.follow(db, db, changed.teams)
    expected = {**ALL, ("user", "month", "quota"): (7, 80, 25), ("user", "week", "quota"): (5, 80, 0)}
    del expected["member", "day", "quota"]
    assert told(db) == expected
    assert declared.follow(db, db, program("").teams) == "0 teams as declared, 1 no longer declared"
    assert told(db) == expected
    teams.rename(db, who(db, 1), "Other")
    assert [row["username"] for row in rows.members_of(db, who(db, 1).id)] == ["mia"]


def test_a_name_that_a_user_has_makes_no_team_until_it_is_free(db: Database) -> None:
    one = program(TEAM.replace("name: lab", "name: mia"))
    assert declared.follow(db, db, one.teams) == "0 teams as declared, 0 no longer declared"
    assert rows.listed(db) == []


def test_limits_bind_the_teams_account_alone() -> None:
    (rule,) = [rule for rule in limit_rules(program(TEAM).policy, {}).ours if rule.name == "lab: calls"]
    call: Any = SimpleNamespace(account=SimpleNamespace(username="lab", user_id=7, group="vip", token_name="k"))
    assert (rule.most, rule.seconds, rule.by) == (30, 60.0, ("user",))
    assert rule.when.holds(call)
    call.account.username = "mia"
    assert not rule.when.holds(call)


WRONG = {
    "name: lab": "name: a-name-that-is-too-long",
    "period: month": "period: year",
    "amount: 1000": "amount: -1",
    "rollover: 25": "rollover: 101",
    "budgets: [{period: month": "budgets: [{period: month, amount: 3}, {period: month",
    "wallet: administrator": "wallet: root",
    "{requests: 30, per: minute}": "{requests: 30}",
    "crawler:": f"{'x' * 65}:",
    "title:": "titel:",
}


@pytest.mark.parametrize(("right", "wrong"), WRONG.items())
def test_a_document_that_is_wrong_says_where(right: str, wrong: str) -> None:
    assert right in TEAM
    result = compile_set([Source("team.yaml", TEAM.replace(right, wrong, 1))], [])
    assert [fault.place.file for fault in result.faults] == ["team.yaml"], result.faults
