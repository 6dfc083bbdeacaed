"""Teams that documents declare become rows: the account, its group, projects, tags and budgets. People and keys stay.

One process of the cluster does it, whenever the documents are others than at the last time. What a document no longer
says becomes anybody's to change; a team whose document is gone stays as it is. Again it changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import orjson
from sqlalchemy import Connection

from engine.accounts import budgets as rules
from engine.accounts.users import create_user
from engine.errors import Conflict
from engine.storage.database import Database
from engine.storage.rows import budgets, people
from engine.storage.rows.api import teams as rows
from engine.storage.rows.api.teams import MEMBER, PROJECT, TAG
from engine.storage.rows.budgets import QUOTA, USER, Budget
from engine.storage.rows.crud import Row

EVERY = 5.0
_WARN = 80
_logger = logging.getLogger("gatewright.teams")
Wanted = dict[tuple[str, int, str, str], Budget]


class Terms(Protocol):
    """What a document says of a team."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def rights(self) -> Mapping[str, str]: ...
    @property
    def budgets(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def member(self) -> Mapping[str, Any]: ...
    @property
    def projects(self) -> Mapping[str, Any]: ...
    @property
    def tags(self) -> Mapping[str, Any]: ...


def follow(db: Database, log_db: Database, declared: Sequence[Terms]) -> str:
    """Have the rows be as the documents say, where these are others than at the last time; what was done."""
    mark = hashlib.sha256(orjson.dumps([_facts(terms) for terms in declared])).hexdigest()
    if rows.declared_mark(db) == mark:
        return "as before"
    refused = [terms.name for terms in declared if not _apply(db, log_db, terms)]
    gone = [row for row in rows.listed(db) if row["declared"] and row["name"] not in {one.name for one in declared}]
    for row in gone:
        db.write(partial(rows.release, db, team=row["id"], document=row["declared"]))
    if not refused:
        db.write(lambda connection: rows.note_declared(connection, mark))
    return f"{len(declared) - len(refused)} teams as declared, {len(gone)} no longer declared"


def _facts(terms: Terms) -> list[Any]:
    plain = [terms.name, terms.title, terms.group, dict(terms.rights), list(terms.budgets), dict(terms.member)]
    return [*plain, dict(terms.projects), dict(terms.tags)]


def _apply(db: Database, log_db: Database, terms: Terms) -> bool:
    document = f"Team/{terms.name}"
    kept = orjson.dumps({"rights": dict(terms.rights), "member": dict(terms.member)}).decode()
    values = {"declared": document, "terms": kept}
    team = rows.by_name(db, terms.name)
    title = terms.title or terms.name
    if team is None:
        try:
            create_user(
                db, terms.name, None, group=terms.group, quota=0, display_name=title, team=True,
                also=lambda connection, account: rows.add(db, connection, account, values),
            )  # fmt: skip
        except Conflict:
            _logger.warning("%s is not made: an account that is no team has its name; rename one of them", document)
            return False
        team = rows.by_name(db, terms.name) or {}

    def work(connection: Connection) -> None:
        rows.change(db, connection, team["id"], values)
        people.change(db, connection, team["id"], {"display_name": title, "group": terms.group})
        there = {(row["kind"], row["name"]) for row in rows.labels_of(db, team["id"])}
        for kind, names in ((PROJECT, terms.projects), (TAG, terms.tags)):
            for name in names:
                if (kind, name) not in there:
                    rows.add_label(db, connection, team["id"], kind, name)

    db.write(work)
    _set(db, log_db, team["id"], document, _wanted(db, terms, team["id"]))
    return True


def _wanted(db: Database, terms: Terms, team: int) -> Wanted:
    wanted = _budgets(USER, team, terms.budgets)
    for row in rows.members_of(db, team):
        wanted |= _budgets(MEMBER, row["id"], terms.member.get("budgets") or ())
    for row in rows.labels_of(db, team):
        part = (terms.projects if row["kind"] == PROJECT else terms.tags).get(row["name"]) or {}
        wanted |= _budgets(row["kind"], row["id"], part.get("budgets") or ())
    return wanted


def _budgets(holder: str, which: int, declared: Iterable[Mapping[str, Any]]) -> Wanted:
    wanted: Wanted = {}
    for one in declared:
        unit = one.get("unit", QUOTA)
        more = (one["amount"], one.get("warn", _WARN), one.get("rollover", 0))
        wanted[holder, which, one["period"], unit] = Budget(0, holder, which, one["period"], unit, *more)
    return wanted


def _set(db: Database, log_db: Database, team: int, document: str, wanted: Wanted) -> None:
    for row in rules.of_user(db, team):
        place = (row["holder"], row["holder_id"], row["period"], row["unit"])
        budget = wanted.get(place)
        if budget is None and row["declared"] == document:
            budgets.remove(db, row["id"])
        elif budget is not None and row["declared"] == document and _same(row, budget):
            del wanted[place]
    for budget in wanted.values():
        rules.set_budget(db, log_db, budget, document)


def _same(row: Row, budget: Budget) -> bool:
    return all(row[name] == getattr(budget, name) for name in ("amount", "soft_percent", "rollover"))


def cap_member(db: Database, team: Row, member: int) -> None:
    """Bind somebody who joins as the team's document says of each member, from the first call on."""
    terms = orjson.loads(team.get("terms") or "{}")
    if team.get("declared"):
        for budget in _budgets(MEMBER, member, (terms.get("member") or {}).get("budgets") or ()).values():
            rules.set_budget(db, db, budget, team["declared"])
