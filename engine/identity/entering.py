"""Who came from outside becomes a user: the one who has the identity, or a new one where that is open to everybody.

What the document says of who may enter, of role and group counts at each login. An address that somebody has already is
not kept, and opens nobody's account: two services may say different things of one address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from engine.accounts import invitations, people
from engine.accounts.keys import random_text
from engine.accounts.users import create_user
from engine.errors import Conflict, MappingError, NotFound
from engine.identity import bindings
from engine.identity.exchange import Outsider
from engine.identity.refused import LoginRefused, refused
from engine.program.layout import Function
from engine.program.outside.logins import Login
from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows import people as rows
from engine.storage.rows.api import identities, rules
from engine.storage.rows.crud import Row
from engine.storage.values import ADMIN, ENABLED, ROOT
from engine.texts import LANGUAGES

_NAMES = 4
_GROUP = 64


def admitted(login: Login, who: Outsider, tongue: str) -> None:
    """Raise unless the document lets this one in; its refusal is told in the language, as far as it has it."""
    if login.verified_email and not who.email:
        raise refused("oauth.email", title=login.title)
    for condition in login.admit:
        if _said(condition.when, who) is not True:
            raise _denied(login, _said(condition.refusal, who), tongue)


def _said(part: Function | None, who: Outsider) -> Any:
    """What the document says of somebody; nothing where an answer has not the shape that it expects."""
    try:
        return None if part is None else part([], *who.known)
    except MappingError:
        return None


def _denied(login: Login, words: Any, tongue: str) -> LoginRefused:
    if isinstance(words, Mapping):
        words = next((words[name] for name in (tongue, *LANGUAGES) if isinstance(words.get(name), str)), None)
    if not isinstance(words, str) or not words.strip():
        return refused("oauth.barred", title=login.title)
    return LoginRefused(words.strip()[:500])


def enter(db: Database, login: Login, who: Outsider, *, open_to_all: bool, invited_by: str, tongue: str) -> Row:
    """The user of somebody who came. ``open_to_all``: whether those who are new may register."""
    admitted(login, who, tongue)
    which = bindings.user_of(db, login, who)
    if not which:
        if not open_to_all:
            raise refused("register.off", code="REGISTER_OFF")
        which = _registered(db, login, who, invited_by, tongue)
    user = rows.by_id(db, which)
    if user is None:
        raise refused("oauth.deleted", code="AUTH_USER_INVALID")
    if user.get("status") != ENABLED:
        raise refused("key.banned", code="AUTH_USER_DISABLED")
    return _ranked(db, login, who, user)


def _registered(db: Database, login: Login, who: Outsider, invited_by: str, tongue: str) -> int:
    """A new user with the identity; the one of another call, where that was quicker."""
    keeper = bindings.keeper(login)

    def bind(connection: Connection, which: int) -> None:
        identities.lock(db, connection, keeper, who.subject)
        if identities.holder(db, keeper, who.subject, connection):
            raise Conflict("another login of the same identity was quicker")
        identities.bind(db, connection, keeper, which, who.subject)

    email = who.email if who.email and rows.by_email(db, who.email) is None else ""
    for attempt in range(_NAMES):
        name = _name(db, login, who.name, attempt)
        try:
            return create_user(
                db,
                name,
                None,
                display_name=(who.display_name or name)[: people.NAME],
                invited_by=_inviter(db, invited_by),
                setting=people.first_setting(1, tongue),
                email=email,
                also=bind,
            )
        except (Conflict, StatementError) as error:
            if isinstance(error, StatementError) and not isinstance(error.__cause__, IntegrityError):
                raise
            if which := bindings.user_of(db, login, who):
                return which
    raise refused("oauth.again", title=login.title)


def _name(db: Database, login: Login, name: str, attempt: int) -> str:
    """The service's name for the person while it is free and short enough, else one with a number."""
    if not attempt and name and len(name) <= people.NAME and "@" not in name and not rows.taken(db, name):
        return name
    number = str(rows.newest(db) + 1) if attempt < 2 else random_text(6)
    return f"{login.name[: people.NAME - len(number) - 1]}_{number}"


def _inviter(db: Database, code: str) -> str:
    try:
        if code:
            db.write(lambda connection: invitations.inviter(db, connection, code))
    except NotFound:
        return ""
    return code


def _ranked(db: Database, login: Login, who: Outsider, user: Row) -> Row:
    """The user with the role and the group that the document gives; root stays as it is."""
    role, group = _said(login.role, who), _said(login.group, who)
    values: dict[str, Any] = {}
    if type(role) is int and role in (1, ADMIN) and role != user.get("role"):
        values["role"] = role
    if isinstance(group, str) and 0 < len(group) <= _GROUP and group != user.get("group"):
        values["group"] = group
    if not values or user.get("role") == ROOT:
        return user

    def work(connection: Connection) -> None:
        rows.change(db, connection, user["id"], values, end=True)
        if "role" in values:
            rules.drop(db, connection, user["id"])

    db.write(work)
    return rows.by_id(db, user["id"]) or user
