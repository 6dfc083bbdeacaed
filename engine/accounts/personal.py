"""A person's data: provisioned from outside, and erased. Telling it all is ``engine.reports.personal``.

Erasure is for good. What was bought and called stays in the books under a number; names, addresses, keys and every way
to sign in go. What was begun and cut short is finished by doing it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.accounts import people as rules
from engine.accounts import sessions
from engine.accounts.people import Person
from engine.accounts.users import create_user
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.rows import people
from engine.storage.rows.api import personal, teams
from engine.storage.rows.api import rules as rights
from engine.storage.rows.crud import Row
from engine.storage.values import ROOT
from engine.texts import refusal


def provision(db: Database, actor: Person, name: str, values: Mapping[str, Any]) -> tuple[Row, bool]:
    """The user of a name as it is to be, made where there is none; and whether it was made. Again it does nothing.

    ``values`` may hold ``display_name``, ``email``, ``group``, ``remark``, ``status``, and ``password``; without one
    nobody signs in by a password. Raises ``Forbidden`` for a user of the own role or a higher one.
    """
    name = rules.checked_name(name)
    is_new = False
    if people.by_login(db, name) is None:
        password = values.get("password")
        password = rules.checked_password(password) if password else None
        try:
            create_user(db, name, password, quota=None, setting=rules.first_setting(1))
            is_new = True
        except Conflict:
            if people.by_login(db, name) is None:
                raise refusal(Conflict, "user.exists") from None  # a deleted one has it
    row = people.by_login(db, name)
    if row is None or row.get("username") != name:
        raise refusal(NotFound, "not_found")
    email = str(values.get("email") or "").strip()
    if email and email != (row.get("email") or ""):
        if not rules.is_email(email):
            raise refusal(Invalid, "email.invalid", field="email")
        rules.lower(db, actor, row["id"])
        rules.bind_email(db, Person(row), email)
    columns = {key: value for key, value in values.items() if key != "email" and (key != "password" or not is_new)}
    changed = {key: value for key, value in columns.items() if key == "password" or value != row.get(key)}
    return (rules.edit(db, actor, row["id"], changed) if changed else people.by_id(db, row["id"]) or row), is_new


def erase(db: Database, log_db: Database, actor: Person, which: int) -> dict[str, int]:
    """Erase a user of a lower role for good, also one who is deleted already; how many log rows lost the name."""
    row = people.by_id(db, which, deleted=True)
    if row is None:
        raise refusal(NotFound, "not_found")
    role = row.get("role") or 0
    if role >= ROOT:
        raise refusal(Forbidden, "user.root.delete")
    if actor.role != ROOT and actor.role <= role:
        raise refusal(Forbidden, "user.higher")
    name = f"erased-{which}"

    def work(connection: Any) -> None:
        rights.drop(db, connection, which)
        teams.leave_all(db, connection, which)
        personal.erase(db, connection, which, name, sessions.no_token(db))

    db.write(work)
    return {"id": which, "log_rows": personal.erase_log(log_db, which, name)}
