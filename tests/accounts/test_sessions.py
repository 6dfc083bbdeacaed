"""Sessions, tokens and second factors: what is signed, what is kept, what ends."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from sqlalchemy import text

from engine.accounts import passwords, sessions, users
from engine.accounts.factors import codes as second_factor
from engine.accounts.people import Person
from engine.errors import Conflict, Unauthenticated
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows import people
from engine.texts import LANGUAGES, language
from engine.texts.table import TABLE


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    one = open_database(Settings(data=tmp_path))
    users.create_user(one, "ann", "long enough")
    yield one
    one.close()


def test_the_operators_secret_signs_and_a_random_one_is_kept(tmp_path: Path) -> None:
    mine = sessions.secret_of("mine", tmp_path)
    kept = sessions.secret_of("", tmp_path)
    assert mine == b"mine"
    assert kept == sessions.secret_of("", tmp_path)
    assert len(kept) == 64
    token = sessions.sign(mine, "access", {"sid": "x", "exp": time.time() + 9})
    assert sessions.read(mine, "access", token)
    for secret, purpose, text_ in ((kept, "access", token), (mine, "cookie", token), (mine, "access", token[:-3])):
        assert sessions.read(secret, purpose, text_) is None
    assert sessions.read(mine, "access", sessions.sign(mine, "access", {"exp": time.time() - 1})) is None


@pytest.mark.parametrize("junk", ["", ".", "a.b.c", "é.é.é", "." * 50])
def test_junk_is_no_token(junk: str) -> None:
    assert sessions.read(b"x", "access", junk) is None


def test_a_hash_that_another_program_made_is_verified(db: Database) -> None:
    hashed = bcrypt.hashpw(b"123456", bcrypt.gensalt(4, prefix=b"2a")).decode()
    db.write(lambda c: c.execute(text("UPDATE users SET password = :h"), {"h": hashed}).rowcount)
    assert sessions.check(db, "ann", "123456", "1.2.3.4", limited=True)["username"] == "ann"
    assert passwords.check_password("123456", hashed)


def test_a_refresh_token_counts_once_and_its_reuse_ends_the_session(db: Database) -> None:
    user = people.by_login(db, "ann")
    assert user is not None
    login = sessions.begin(db, user, "password", "1.2.3.4", "tests")
    second = sessions.renew(db, login.refresh)
    assert second.refresh != login.refresh
    assert sessions.renew(db, login.refresh).session["sid"] == login.session["sid"]  # at once it is a second tab
    db.write(lambda c: c.execute(text("UPDATE gatewright_sessions SET previous_until = 1")).rowcount)
    with pytest.raises(Unauthenticated):
        sessions.renew(db, login.refresh)
    with pytest.raises(Unauthenticated):
        sessions.renew(db, second.refresh)


def test_an_access_token_is_kept_as_a_hash_and_replaces_the_one_before(db: Database) -> None:
    db.write(lambda c: c.execute(text("UPDATE users SET access_token = :t"), {"t": "o" * 32}).rowcount)
    assert sessions.by_access_token(db, "o" * 32, reading=True)
    first, second = (sessions.access_token(db, 1) for _ in range(2))
    assert sessions.by_access_token(db, first, reading=True) is None
    assert sessions.by_access_token(db, "o" * 32, reading=True) is None
    assert (sessions.by_access_token(db, second, reading=True) or {})["username"] == "ann"
    with db.read() as reader:
        assert second not in str(reader.execute(text("SELECT * FROM gatewright_access_tokens")).all())


def digits(secret: str, step: int) -> str:
    """The six digits of a half minute, counted from the epoch."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    start = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


def test_a_second_factor_takes_each_code_once(db: Database) -> None:
    row = people.by_login(db, "ann")
    assert row is not None
    made = second_factor.set_up(db, Person(row), "Gatewright")
    assert second_factor.enabled(db, 1) is None
    now = int(time.time()) // 30  # codes of this half minute and the next: both count on either side of its end
    second_factor.switch_on(db, 1, digits(made["secret"], now))
    second_factor.check(db, 1, digits(made["secret"], now + 1))
    second_factor.check(db, 1, made["backup_codes"][0])
    for used in (digits(made["secret"], now + 1), made["backup_codes"][0], "000000x", ""):
        with pytest.raises(Conflict):
            second_factor.check(db, 1, used)
    assert second_factor.state(db, 1)["backup_codes_remaining"] == 3


def test_five_wrong_codes_lock_a_second_factor(db: Database) -> None:
    row = people.by_login(db, "ann")
    assert row is not None
    made = second_factor.set_up(db, Person(row), "Gatewright")
    second_factor.switch_on(db, 1, digits(made["secret"], int(time.time()) // 30))
    for _ in range(5):
        with pytest.raises(Conflict):
            second_factor.check(db, 1, "not a code")
    with pytest.raises(Conflict):
        second_factor.check(db, 1, made["backup_codes"][0])


@pytest.mark.parametrize("key", TABLE)
def test_every_text_is_there_in_every_language(key: str) -> None:
    row = TABLE[key]
    assert len(row) == len(LANGUAGES)
    assert all(row)


@pytest.mark.parametrize(
    ("chosen", "accepted", "tongue"),
    [
        ("", "", "en"),
        ("fr", "", "fr"),
        ("fr", "en-US,en;q=0.9", "fr"),
        ("fr", "ja", "ja"),
        ("", "de,zh-CN", "zh"),
        ("tlh", "*", "en"),
    ],
)
def test_the_language_of_an_answer(chosen: str, accepted: str, tongue: str) -> None:
    assert language(chosen, accepted) == tongue
