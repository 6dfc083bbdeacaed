"""Whose an outside identity is: found, bound to an account, taken away again.

An identity is one account's, and an account has one of each login. What was bound by an older id of the service has the
new one from the next login on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from engine.errors import NotFound
from engine.identity.exchange import Outsider
from engine.identity.refused import refused
from engine.program.outside.logins import Login
from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows import people as rows
from engine.storage.rows.api import identities
from engine.storage.rows.api.identities import Keeper
from engine.storage.rows.crud import Row
from engine.texts import refusal


def keeper(login: Login) -> Keeper:
    """Where a login keeps its identities."""
    return Keeper(login.name, login.column, login.number)


def user_of(db: Database, login: Login, who: Outsider) -> int:
    """The user who has the identity, by the id or by the former one; 0 where nobody has."""
    place = keeper(login)
    which = identities.holder(db, place, who.subject)
    if not which and who.former and (which := identities.holder(db, place, who.former)):
        _write(db, login, lambda connection: _take(db, connection, login, which, who.subject, who.former))
    return which


def bind(db: Database, login: Login, user: int, who: Outsider) -> None:
    """Make an identity a user's. Raises ``LoginRefused`` where it is another's, or the user has one of this login."""
    _write(db, login, lambda connection: _take(db, connection, login, user, who.subject, ""))


def _write(db: Database, login: Login, work: Any) -> None:
    try:
        db.write(work)
    except StatementError as error:
        if not isinstance(error.__cause__, IntegrityError):
            raise
        try:
            db.write(work)  # another was first to note it: now there is a row to wait for
        except StatementError as again:
            if not isinstance(again.__cause__, IntegrityError):
                raise
            raise refused("oauth.taken", title=login.title) from None


def _take(db: Database, connection: Connection, login: Login, user: int, subject: str, instead: str) -> None:
    place = keeper(login)
    row: list[Row] = []
    rows.guarded(db, connection, user, row.append)
    identities.lock(db, connection, place, subject)
    holder = identities.holder(db, place, subject, connection)
    if holder == user:
        return
    if holder:
        raise refused("oauth.taken", title=login.title)
    has = identities.subject_of(db, place, row[0], connection)
    if has and has != instead:
        raise refused("oauth.already", title=login.title)
    if has:
        identities.unbind(db, connection, place, user)
    identities.bind(db, connection, place, user, subject)


def listed(db: Database, logins: Iterable[Login], user: Row) -> list[tuple[Login, str]]:
    """The logins that a user has an identity of, each with it."""
    pairs = [(login, identities.subject_of(db, keeper(login), user)) for login in logins]
    return [(login, subject) for login, subject in pairs if subject]


def unbind(db: Database, logins: Iterable[Login], user: Row, login: Login, *, forced: bool = False) -> bool:
    """Take an identity away; whether there was one. The last way in stays, unless an administrator says so."""
    held = [one.name for one, _ in listed(db, logins, user)]
    if login.name not in held:
        return False
    if not forced and held == [login.name] and not user.get("password"):
        raise refused("oauth.last")
    place = keeper(login)

    def work(connection: Connection) -> int:
        rows.guarded(db, connection, user["id"], lambda _: None)
        return identities.unbind(db, connection, place, user["id"])

    return db.write(work) > 0


def by_name(logins: Iterable[Login], name: str) -> Login:
    """A login by its name, or by the number of one that the console keeps; raises ``NotFound``."""
    for login in logins:
        if name == (str(login.number) if login.number else login.name):
            return login
    raise refusal(NotFound, "not_found")
