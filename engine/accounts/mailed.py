"""Codes and links by e-mail: for an address that is to be somebody's, and for a password that was forgotten.

A code has six digits and counts for ten minutes and five tries; a link is long and random. Both are kept as hashes.
Whether an address is known is never told: the same mail's worth of work is done, with other words in it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from engine.accounts import passwords
from engine.accounts.mail import MailFailed, Server
from engine.accounts.people import checked_password, is_email
from engine.accounts.sessions import Throttled
from engine.errors import Conflict, Invalid
from engine.storage.database import Database
from engine.storage.rows import logins, people
from engine.storage.rows.api import mailed as rows
from engine.texts import refusal, say

ADDRESS, RESET = "address", "reset"
_TIME, _TRIES = 600, 5
_PER_ADDRESS, _PER_IP = 60, 30
_BURST = 2
Value = Callable[[str], Any]


def checked_address(value: Value, address: str) -> str:
    """An address that the options allow; raises ``Invalid``."""
    address = address.strip()
    local, _, domain = address.rpartition("@")
    if not is_email(address):
        raise refusal(Invalid, "email.invalid", field="email")
    allowed = [one.strip().lower() for one in str(value("EmailDomainWhitelist")).split(",") if one.strip()]
    if value("EmailDomainRestrictionEnabled") and domain.lower() not in allowed:
        raise refusal(Invalid, "email.domain", field="email")
    if value("EmailAliasRestrictionEnabled") and ("+" in local or "." in local):
        raise refusal(Invalid, "email.alias", field="email")
    return address


def send_code(db: Database, value: Value, address: str, ip: str, tongue: str) -> None:
    """Mail a code to an address; to one that is taken, that it is. Without a mail server nothing is sent."""
    address = checked_address(value, address)
    server = Server.of(value)
    if server is None:
        return
    _paced(db, address, ip)
    site = str(value("SystemName"))
    if people.by_email(db, address) is not None:
        server.send(address, say("mail.taken.subject", tongue, site=site), say("mail.taken", tongue, site=site))
        return
    code = f"{secrets.randbelow(10**6):06d}"
    rows.put(db, _name(ADDRESS, address), _hashed(code), int(time.time()) + _TIME)
    server.send(address, say("mail.code.subject", tongue, site=site), say("mail.code", tongue, site=site, code=code))


def check_code(db: Database, address: str, code: str) -> None:
    """Raises ``Conflict`` where this is not the code that was mailed; it goes on counting until ``use`` is called."""
    row = rows.tried(db, _name(ADDRESS, address.strip()), _TRIES)
    if row is None or not hmac.compare_digest(row["hash"], _hashed(code.strip())):
        raise refusal(Conflict, "code.wrong")


def use(db: Database, address: str, code: str) -> None:
    """A code was used."""
    rows.used(db, _name(ADDRESS, address.strip()), _hashed(code.strip()))


def send_link(db: Database, value: Value, address: str, ip: str, tongue: str) -> None:
    """Mail a link for a new password, where the address is somebody's; nobody is told whether it is.

    It is sent when this has ended, so that the time tells nothing either.
    """
    if not is_email(address):
        raise refusal(Invalid, "email.invalid", field="email")
    server = Server.of(value)
    if server is None:
        return
    _paced(db, address, ip)
    if people.by_email(db, address) is None:
        return
    token = secrets.token_urlsafe(32)
    base, site = str(value("ServerAddress") or "").rstrip("/"), str(value("SystemName"))
    link = f"{base}/user/reset?email={quote(address)}&token={token}"
    subject, text = say("mail.reset.subject", tongue, site=site), say("mail.reset", tongue, site=site, link=link)

    def work() -> None:
        rows.put(db, _name(RESET, address), _hashed(token), int(time.time()) + _TIME)
        try:
            server.send(address, subject, text)
        except MailFailed:
            return  # it is in the log; whoever asked is told the same as ever

    threading.Thread(target=work, daemon=True).start()


def reset(db: Database, address: str, token: str, password: str) -> None:
    """Set the password that the person has chosen, for a link that was mailed; all logins end, the link is used."""
    name = _name(RESET, address)
    row, user = rows.tried(db, name, _TRIES), people.by_email(db, address)
    if row is None or user is None or not hmac.compare_digest(row["hash"], _hashed(token)):
        raise refusal(Conflict, "reset.invalid")
    hashed = passwords.hash_password(checked_password(password), user["username"] or "")
    if not rows.used(db, name, row["hash"]):
        raise refusal(Conflict, "reset.invalid")

    def work(connection: Any) -> None:
        logins.end(db, connection, user["id"])
        people.change(db, connection, user["id"], {"password": hashed}, end=True)

    db.write(work)


def _paced(db: Database, address: str, ip: str) -> None:
    for holder, wait in ((f"mail:{_hashed(address)}", _PER_ADDRESS), (f"mail-ip:{ip}"[:128], _PER_IP)):
        until = logins.attempt(db, holder, lambda count, wait=wait: 0 if count % _BURST else wait)  # type: ignore[misc]
        if until:
            raise refusal(Throttled, "login.wait", seconds=int(until - time.time()) + 1)


def _name(purpose: str, address: str) -> str:
    return f"{purpose}:{_hashed(address.lower())}"


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
