"""Codes as a second factor: six digits that change each half minute (RFC 6238), and four backup codes, each good once.

Five wrong ones lock it for five minutes; a code that was used is not taken again within its time. The secret lies in
the database under CRYPTO_SECRET, where one is set; backup codes lie there as passwords do. Who has passkeys alone has
backup codes, too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
import time
from typing import Any
from urllib.parse import quote

from engine.accounts import passwords
from engine.accounts.keys import random_text
from engine.accounts.people import Person
from engine.errors import Conflict
from engine.storage.database import Database
from engine.storage.rows import factors, logins
from engine.storage.rows.api import passkeys
from engine.storage.rows.crud import Row
from engine.texts import refusal

PLACE = "two_fas.secret"
_STEP, _DIGITS, _FREE, _LOCK = 30, 6, 5, 300
_CODES = 4


def enabled(db: Database, user: int) -> Row | None:
    """A user's factor, if it is switched on."""
    row = factors.of(db, user)
    return row if row is not None and row.get("is_enabled") else None


def state(db: Database, user: int) -> dict[str, Any]:
    """Whether it is on, locked, and how many backup codes are left."""
    row = enabled(db, user)
    if row is None:
        return {"enabled": False, "locked": False}
    return {"enabled": True, "locked": _locked(db, user), "backup_codes_remaining": len(factors.codes(db, user))}


def _locked(db: Database, user: int) -> bool:
    row = logins.throttle(db, f"2fa:{user}")
    return row is not None and row["until"] > time.time()


def set_up(db: Database, person: Person, issuer: str) -> dict[str, Any]:
    """A secret and backup codes; they count once a code was given."""
    if not factors.there(db):
        raise refusal(Conflict, "factor.none")
    if enabled(db, person.id) is not None:
        raise refusal(Conflict, "factor.already")
    secret = base64.b32encode(secrets.token_bytes(20)).decode().rstrip("=")
    codes = new_codes()
    hashes = hashed(codes)
    sealed = db.vault.seal(secret, PLACE)
    db.write(lambda connection: factors.put(db, connection, person.id, sealed, hashes))
    label = quote(f"{issuer}:{person.username}")
    uri = f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer)}&digits={_DIGITS}&period={_STEP}"
    return {"secret": secret, "qr_code_data": uri, "backup_codes": codes}


def new_codes() -> list[str]:
    """Backup codes to be written down."""
    return [f"{random_text(4)}-{random_text(4)}".upper() for _ in range(_CODES)]


def hashed(codes: list[str]) -> list[str]:
    """Backup codes as they are kept: as passwords are."""
    return [passwords.hash_password(code) for code in codes]


def put(db: Database, connection: Any, user: int, hashes: list[str]) -> None:
    """Keep backup codes in place of those before, where the database has a place for them."""
    if factors.there(db):
        factors.put_codes(db, connection, user, hashes)


def switch_on(db: Database, user: int, code: str) -> None:
    """Switch the factor on, once a code of it was given."""
    row = factors.of(db, user)
    if row is None:
        raise refusal(Conflict, "factor.setup")
    if row.get("is_enabled"):
        raise refusal(Conflict, "factor.already")
    if not _digits(db, row, code):
        raise refusal(Conflict, "factor.wrong")
    db.write(lambda connection: factors.change(db, connection, user, {"is_enabled": True}))


def check(db: Database, user: int, code: str, *, backup: bool = True) -> None:
    """Raise unless the code is right: six digits of now, or a backup code, which is then used."""
    row = enabled(db, user)
    spare = backup and (row is not None or passkeys.asked_for(db, user))
    if row is None and not spare:
        raise refusal(Conflict, "factor.off")
    holder = f"2fa:{user}"
    if logins.attempt(db, holder, lambda failures: 0 if failures % _FREE else _LOCK):
        raise refusal(Conflict, "factor.locked", seconds=_LOCK)
    if (row is not None and _digits(db, row, code)) or (spare and _backup(db, user, code)):
        db.write(lambda connection: logins.clear_throttle(db, connection, holder))
        return
    raise refusal(Conflict, "factor.wrong")


def _digits(db: Database, row: Row, code: str) -> bool:
    code = code.strip()
    if len(code) != _DIGITS or not (code.isascii() and code.isdigit()):
        return False
    secret = db.vault.open(row["secret"], PLACE)
    key, now = base64.b32decode(secret + "=" * (-len(secret) % 8)), int(time.time()) // _STEP
    for step in (now - 1, now, now + 1):
        if hmac.compare_digest(_at(key, step), code):
            return _fresh(db, row["user_id"], step)
    return False


def _at(key: bytes, step: int) -> str:
    mac = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    start = mac[-1] & 15
    number: int = struct.unpack(">I", mac[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}d}"


def _fresh(db: Database, user: int, step: int) -> bool:
    """Whether a code of this time was not used before."""
    # the first use has the next ones wait for longer than the code could be shown
    return not logins.attempt(db, f"2fa-used:{user}:{step}", lambda _: 4 * _STEP)


def _backup(db: Database, user: int, code: str) -> bool:
    code = code.strip().upper()
    if len(code) != 9:
        return False
    for row in factors.codes(db, user):
        if passwords.check_password(code, row["code_hash"]):
            return factors.use(db, row["id"]) == 1
    return False


def fresh_codes(db: Database, user: int) -> list[str]:
    """New backup codes in place of those before."""
    codes = new_codes()
    hashes = hashed(codes)
    db.write(lambda connection: put(db, connection, user, hashes))
    return codes


def switch_off(db: Database, user: int) -> None:
    """Forget the factor; who has passkeys keeps the backup codes."""
    if enabled(db, user) is None:
        raise refusal(Conflict, "factor.off")
    keep = passkeys.asked_for(db, user)
    db.write(lambda connection: factors.drop(db, connection, user, keep_codes=keep))
