"""The first administrator of a fresh database, with a first key."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from engine.accounts.keys import create_key, random_text
from engine.accounts.users import create_user
from engine.errors import Conflict
from engine.storage.database import Database
from engine.storage.rows import setup
from engine.storage.tables.core import users
from engine.storage.values import ROOT

_FIRST_QUOTA = 100_000_000
"""Quota units that the first administrator begins with, as in the reference: priced models work at once."""


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What the first start made; nobody can read the password or the key again."""

    username: str
    password: str
    key: str


def first_start(db: Database) -> FirstStart | None:
    """In a database without users: a root user with a random password, and a key. Else nothing."""
    with db.read() as connection:
        if connection.execute(select(func.count()).select_from(users)).scalar():
            return None
    username, password = "root", random_text(16)
    try:
        user = make_root(db, username, password)
    except Conflict:  # another process was first
        return None
    key = create_key(db, user, "first key")
    return FirstStart(username, password, key.key)


def make_root(db: Database, username: str, password: str) -> int:
    """The user who may do anything, and the mark that the site is set up."""
    user = create_user(db, username, password, role=ROOT, quota=_FIRST_QUOTA, display_name="Root User")
    db.write(lambda connection: setup.note(db, connection, user))
    return user
