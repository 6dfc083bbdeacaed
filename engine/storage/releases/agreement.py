"""Secrets that all machines of one database have to share, compared by fingerprints in the machines' rows.

A fingerprint is scrypt of the secret under a salt that the rows carry: 50 ms a guess, of use for no other purpose, and
not the key that anything is encrypted with. Only machines that are heard of now are compared, so all may be stopped and
begin again with other secrets.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from engine.errors import Conflict
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.releases import machines
from engine.storage.releases.machines import SILENT, Machine

_SALT = "salt"


def shared(settings: Settings) -> dict[str, str]:
    """The secrets by the names that operators know them by."""
    return {"SESSION_SECRET": settings.session_secret, "CRYPTO_SECRET": settings.crypto_secret}


def fingerprints(db: Database, secrets: Mapping[str, str]) -> dict[str, str]:
    """What a machine's row tells of its secrets: the salt, and by name a fingerprint, empty where one is not set."""
    told = (one.report.get("secrets") or {} for one in machines.listed(db) if not one.silent)
    salt = next((str(each[_SALT]) for each in told if each.get(_SALT)), "") or os.urandom(16).hex()
    return _fingerprints(secrets, salt)


def join(db: Database, id_: str, secrets: Mapping[str, str]) -> list[str]:
    """Begin as a machine of this database; gives warnings. Raises ``Conflict`` where another machine's secrets differ.

    The row is written before the others are read: of two machines that begin together at least one sees the other.
    """
    now = int(time.time())
    machines.report(
        db,
        Machine(
            id=id_,
            name=db.node,
            release=0,
            program="",
            ok=True,
            report={"secrets": fingerprints(db, secrets)},
            changed_at=now,
            seen_at=now,
        ),
    )
    others = [one for one in machines.listed(db) if one.id != id_ and not one.silent]
    for other in others:
        theirs = other.report.get("secrets") or {}
        for name in _differing(secrets, theirs):
            machines.leave(db, id_)
            raise Conflict(_words(name, other, own=bool(secrets[name]), theirs=bool(theirs[name])))
    if others and not secrets["SESSION_SECRET"]:
        return ["SESSION_SECRET is not set: who signs in at one machine is not signed in at the others; set it on all"]
    return []


def _differing(secrets: Mapping[str, str], theirs: Mapping[str, Any]) -> list[str]:
    """Names of those that another machine has otherwise; one of an older program says nothing of its own."""
    if not theirs.get(_SALT):
        return []
    own = _fingerprints(secrets, str(theirs[_SALT]))
    return [name for name in secrets if name in theirs and not hmac.compare_digest(own[name], str(theirs[name]))]


def _words(name: str, other: Machine, *, own: bool, theirs: bool) -> str:
    where = f"the machine {other.name or other.id[:8]!r}"
    ago = max(0, int(time.time()) - other.seen_at)
    if not own:
        what = f"{name} is not set here, but {where} on the same database runs with one"
    elif not theirs:
        what = f"{name} is set here, but {where} on the same database runs without"
    else:
        what = f"{name} is not the one that {where} on the same database runs with"
    return (
        f"{what} (heard of {ago} s ago). All machines of a database need the same: set {name} to theirs. To change "
        f"it, stop all machines first; one that did not stop by itself is forgotten after {SILENT} s"
    )


def _fingerprints(secrets: Mapping[str, str], salt: str) -> dict[str, str]:
    return {_SALT: salt, **{name: _fingerprint(name, secret, salt) for name, secret in secrets.items()}}


@lru_cache(maxsize=16)
def _fingerprint(name: str, secret: str, salt: str) -> str:
    if not secret:
        return ""
    raw = f"gatewright fingerprint of {name}, {salt}".encode()
    return hashlib.scrypt(secret.encode("utf-8", "replace"), salt=raw, n=2**14, r=8, p=1, dklen=16).hex()
