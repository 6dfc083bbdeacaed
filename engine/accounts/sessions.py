"""Logins: who somebody is by a name and a password, a signed cookie, a short token, or an access token for scripts.

A session is a row; the cookie and the short token name it, signed with one secret, so ending the row ends both. A
session holds as long as the user's version is the one it began with. Failed logins make the next ones wait: nothing
for five, then a second, doubled up to fifteen minutes, by name and by address. Nothing here tells an unknown name from
a wrong password, in words or in time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import os
import secrets
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from engine.accounts import passwords
from engine.accounts.keys import random_text
from engine.errors import Conflict, Forbidden, Invalid, Unauthenticated
from engine.storage.database import Database
from engine.storage.rows import logins, people
from engine.storage.rows.api import teams
from engine.storage.rows.crud import Row
from engine.storage.rows.work import outbox
from engine.storage.values import ENABLED
from engine.texts import refusal

SHORT = 15 * 60
LONG = 30 * 24 * 3600
WHOLE = 180 * 24 * 3600
"""Seconds after which a session ends: without use, and however it is used."""
_AGAIN = 30
_FREE, _LONGEST = 5, 900
_FREE_ADDRESS = 30
_NOBODY = "$2b$10$CwTycUXWue0Thq9StjUM0uJ8.b1yWcO9VV8nVzQbXb0Y5v2FQ6W2u"
"""What an unknown name's password is compared with, for the time that it takes."""


class Throttled(Forbidden):
    """Too many logins failed: the next may come later."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login just made: its row, and what the caller is given of it."""

    user: Row
    session: Row
    refresh: str


def secret_of(given: str, data: Path) -> bytes:
    """The secret that sessions are signed with: the operator's, or a random one that stays in the data directory."""
    if given:
        return given.encode()
    path = data / "session.secret"
    if not path.exists():
        fresh = data / f".session.{os.getpid()}.{secrets.token_hex(4)}"
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_hex(32), encoding="ascii")
        try:
            os.link(fresh, path)  # whole or not at all: another worker may be reading
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text(encoding="ascii").strip().encode()


def sign(secret: bytes, purpose: str, claims: dict[str, Any]) -> str:
    """A signed token in the form of a JWT; ``exp`` among the claims is when it ends."""
    head = _packed(orjson.dumps({"alg": "HS256", "typ": "JWT"}))
    body = _packed(orjson.dumps({**claims, "token_use": purpose}))
    return f"{head}.{body}.{_packed(_mac(secret, f'{head}.{body}'))}"


def read(secret: bytes, purpose: str, token: str, *, late: bool = False) -> dict[str, Any] | None:
    """The claims of a token that we signed for a purpose and whose time is not over, unless it may be ``late``."""
    body, _, mac = token.rpartition(".")
    try:
        if not hmac.compare_digest(_mac(secret, body), _unpacked(mac)):
            return None
        claims = orjson.loads(_unpacked(body.partition(".")[2]))
    except (ValueError, binascii.Error):
        return None
    good = isinstance(claims, dict) and claims.get("token_use") == purpose
    good = good and (late or claims.get("exp", 0) > time.time())
    return claims if good else None


def _mac(secret: bytes, text: str) -> bytes:
    return hmac.new(secret, text.encode("utf-8", "replace"), hashlib.sha256).digest()


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def hashed(token: str) -> str:
    """The form in which tokens are kept: they are long and random, so no salt is needed."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def check(db: Database, name: str, password: str, ip: str, *, limited: bool) -> Row:
    """The user of a name and a password; else a refusal in the same words and time whatever is wrong."""
    by_name = f"name:{hashed(name)}"
    if limited:
        count(db, ip)
        _attempt(db, by_name, _FREE)
    user = people.by_login(db, name)
    good = passwords.check_password(password, (user or {}).get("password") or _NOBODY)
    if user is None or not good or user.get("status") != ENABLED:
        raise refusal(Conflict, "login.wrong")
    if limited:
        forgive(db, ip)
        db.write(lambda connection: logins.clear_throttle(db, connection, by_name))
    return user


def count(db: Database, ip: str) -> None:
    """Count an attempt of an address before it is looked at; raises ``Throttled`` where it has to wait."""
    _attempt(db, f"ip:{ip}"[:128], _FREE_ADDRESS)


def forgive(db: Database, ip: str) -> None:
    """The attempt of an address was none that failed."""
    logins.forgive(db, f"ip:{ip}"[:128])


def _attempt(db: Database, holder: str, free: int) -> None:
    until = logins.attempt(db, holder, partial(_wait, free))
    if until:
        raise refusal(Throttled, "login.wait", seconds=int(until - time.time()) + 1)


def _wait(free: int, failures: int) -> int:
    return int(min(_LONGEST, 2 ** min(failures - free, 20))) if failures > free else 0


def begin(db: Database, user: Row, method: str, ip: str, agent: str) -> Login:
    """Make a session of a user who has proved to be that. To the account of a team nobody signs in, on whatever way."""
    if teams.is_team(db, user["id"]):
        raise refusal(Conflict, "login.wrong")
    now, sid = int(time.time()), secrets.token_hex(16)
    refresh = f"{sid}.{secrets.token_urlsafe(32)}"
    row = {
        "sid": sid,
        "user_id": user["id"],
        "user_version": user.get("auth_version") or 1,
        "refresh_hash": hashed(refresh),
        "previous_hash": "",
        "previous_until": 0,
        "method": method,
        "ip": ip[:64],
        "agent": agent[:255],
        "created_at": now,
        "active_at": now,
        "expires_at": now + LONG,
    }

    before = {network_of(str(one["ip"])) for one in logins.sessions_of(db, user["id"])}

    def work(connection: Any) -> int:
        logins.begin(db, connection, row)
        if before and network_of(ip) not in before:
            told = {"ip": ip[:64], "agent": agent[:255], "at": now}
            outbox.happened(db, connection, "login.new_place", told, user["id"])
        return people.change(db, connection, user["id"], {"last_login_at": now})

    db.write(work)
    return Login(user, row, refresh)


def network_of(ip: str) -> str:
    """The place that an address stands for: its /24, of IPv6 its /48; what is no address stands for itself."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip[:64]
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def resume(db: Database, sid: str) -> tuple[Row, Row] | None:
    """The session of an id, with its user, if both still hold."""
    row = logins.session(db, sid)
    user = people.by_id(db, row["user_id"]) if row is not None else None
    if row is None or user is None or row["user_version"] != (user.get("auth_version") or 1):
        return None
    return row, user


def renew(db: Database, token: str) -> Login:
    """A new refresh token for one; the one before it gives the session for half a minute, later it ends it."""
    sid, _, _ = token.partition(".")
    pair = resume(db, sid)
    if pair is None:
        raise refusal(Unauthenticated, "auth.none")
    row, user = pair
    now, seen = int(time.time()), hashed(token)
    again = hmac.compare_digest(seen, row["previous_hash"] or "")
    if again and now <= row["previous_until"]:
        return Login(user, row, "")
    if not hmac.compare_digest(seen, row["refresh_hash"] or ""):
        if again:
            db.write(lambda connection: logins.end(db, connection, user["id"], sid=sid))
        raise refusal(Unauthenticated, "auth.none")
    fresh = f"{sid}.{secrets.token_urlsafe(32)}"
    values = {
        "refresh_hash": hashed(fresh),
        "previous_hash": seen,
        "previous_until": now + _AGAIN,
        "active_at": now,
        "expires_at": min(now + LONG, int(row["created_at"] or now) + WHOLE),
    }
    if not db.write(lambda connection: logins.renew(db, connection, sid, seen, values)):
        return Login(user, row, "")  # another call was quicker, and its token counts
    return Login(user, {**row, **values}, fresh)


def short_token(secret: bytes, session: Row) -> tuple[str, int]:
    """The token that says for a quarter of an hour which session calls, and when it ends."""
    now = int(time.time())
    claims = {"sid": session["sid"], "sub": str(session["user_id"]), "iat": now, "exp": now + SHORT}
    return sign(secret, "access", claims), now + SHORT


def access_token(db: Database, user: int, name: str = "default") -> str:
    """A new token for scripts, in place of the user's one of this name; it is kept as its hash alone."""
    token = random_text(32)

    def work(connection: Any) -> None:
        logins.put_access_token(db, connection, user, hashed(token), name)
        if name == "default":
            people.change(db, connection, user, {"access_token": no_token(db)})

    db.write(work)
    return token


def named_token(db: Database, user: int, name: str, scope: str, expires_at: int) -> tuple[str, Row]:
    """A new token for scripts with an end and a scope, in place of the user's one of this name; and its row."""
    if expires_at and expires_at <= time.time():
        raise refusal(Invalid, "code.past", field="expires_at")
    token = random_text(32)

    def work(connection: Any) -> Row:
        return logins.put_access_token(db, connection, user, hashed(token), name, scope, expires_at)

    return token, db.write(work)


def end_token(db: Database, user: int, which: int) -> bool:
    """End one of a user's tokens for scripts."""
    return bool(db.write(lambda connection: logins.end_access_token(db, connection, user, which)))


def no_token(db: Database) -> str | None:
    """What stands for none: One API's column is unique and never NULL."""
    return None if "auth_version" in db.columns.get("users", ()) else random_text(32).lower()


def by_access_token(db: Database, token: str, *, reading: bool) -> Row | None:
    """The user of a script's token, in the new form or the old; ``reading``: nothing is to be changed."""
    row = logins.access_token(db, hashed(token))
    if row is not None:
        if row.get("scope") == "read" and not reading:
            raise refusal(Forbidden, "auth.scope")
        return people.by_id(db, row["user_id"])
    return people.by_old_token(db, token) if 28 <= len(token) <= 32 else None
