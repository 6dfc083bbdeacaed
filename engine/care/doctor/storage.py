"""The databases: whether they are there, what their schema is, whose clock differs, whether secrets can be read."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy import func, select, text

from engine.care.doctor.site import Finding, Site, error, warning
from engine.cluster.redis import Redis
from engine.errors import GatewrightError, Invalid
from engine.ledger import proof
from engine.storage import migrations, rotation
from engine.storage.database import Database, StorageError, open_database
from engine.storage.dsn import Target, resolve
from engine.storage.logdb import open_logs
from engine.storage.rows import channels, options
from engine.storage.tables.ledger import ledger
from engine.storage.upgrade.checking import check

_APART = 5
_AHEAD = 60
_PATIENCE = 3
_CAUSES = (
    (r"access denied|password authentication failed|no password supplied", "name or password is refused",
     "correct user and password in SQL_DSN"),
    (r"unknown database|database .* does not exist", "there is no such database",
     "make it (CREATE DATABASE ...), or correct its name in SQL_DSN"),
    (r"not a database|malformed|disk image", "the file is no sound SQLite database",
     "move it away and `gatewright restore DIR`, or sqlite3 FILE .recover"),
    (r"locked|busy", "another program holds the file", "fuser FILE names it; end it"),
    (r"getaddrinfo|name or service|resolve|translate host", "its host's name does not resolve",
     "correct the host in SQL_DSN, or the machine's DNS (/etc/resolv.conf)"),
    (r"too many", "it takes no more connections",
     "raise max_connections there, or lower SQL_MAX_OPEN_CONNS here"),
    (r"ssl|tls|certificate", "TLS with it fails", "see sslmode or tls in SQL_DSN, docs/databases.md"),
    (r"refused|can't connect|no such file|timed? ?out|timeout", "nobody answers there",
     "start it (systemctl start postgresql, or mariadb), or correct host and port in SQL_DSN"),
)  # fmt: skip


def database(site: Site) -> Iterator[Finding]:
    """The main database answers."""
    chosen = site.settings
    try:
        target = resolve(chosen.sql_dsn, chosen.sqlite_path, Path(chosen.data))
    except Invalid as fault:
        yield error("database", str(fault), "correct SQL_DSN, see docs/databases.md")
        return
    if target.path is not None and not target.path.exists():
        return  # the first start makes it
    if target.path is not None and (wrong := _sound(target)) is not None:
        yield wrong
        return
    try:
        site.db = open_database(replace(chosen, sql_dsn=_patient(chosen.sql_dsn, target)), migrate=False)
    except Invalid as fault:
        yield error("database", fault.what, fault.how)
    except GatewrightError as fault:
        yield _told("database", target.label, fault)


def _patient(dsn: str, target: Target) -> str:
    """The DSN with a bound on how long a connection may take, where it says none."""
    if target.kind == "sqlite" or "timeout" in dsn:
        return dsn
    name = "timeout=3s" if "(" in dsn and target.kind == "mysql" else f"connect_timeout={_PATIENCE}"
    return f"{dsn}{'&' if '?' in dsn else '?'}{name if target.kind == 'postgresql' or '(' in dsn else 'timeout=3s'}"


def _sound(target: Target) -> Finding | None:
    """What is wrong with an SQLite file, if anything is; it is not written to."""
    path = target.path
    assert path is not None
    if not path.stat().st_size:
        return None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)
        try:
            connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as fault:
        return _told("database", str(path), fault)
    return None


def _told(about: str, label: str, fault: Exception) -> Finding:
    words = str(fault)
    for pattern, cause, mend in _CAUSES:
        if re.search(pattern, words, re.IGNORECASE):
            variable = "LOG_SQL_DSN" if about == "log database" else "SQL_DSN"
            return error(about, f"{label}: {cause} ({words})", mend.replace("SQL_DSN", variable).replace("FILE", label))
    return error(about, f"{label}: {words}", "gatewright db check")


def schema(site: Site) -> Iterator[Finding]:
    """Our own tables are those of this version."""
    if site.db is None:
        return
    try:
        report = check(site.db)
        if not report.revision:
            with site.db.read() as connection:
                migrations.recognise(connection)
    except Invalid as fault:
        yield error("database", f"{site.db.label}: {fault.what}", fault.how)
        site.db.close()
        site.db = None
        return
    except StorageError as fault:
        yield _told("database", site.db.label, fault)
        site.db.close()
        site.db = None
        return
    if report.revision > migrations.HEAD:
        yield _newer(site.db, report.revision)
    elif report.program and report.revision != migrations.HEAD:
        of = f"schema {report.revision}" if report.revision else f"it was made by {report.program}"
        yield warning("schema", f"{report.database}: {of}; the next start brings it up", "gatewright backup DIR first")
    for finding in report.findings:
        yield warning("schema", f"{report.database}: {finding}", "gatewright db check")
    if "channels" in site.db.columns and report.revision:
        site.rows, site.options = tuple(channels.load(site.db)), options.load(site.db)


def _newer(db: Database, revision: str) -> Finding:
    try:
        with db.read() as connection:
            migrations.newer(connection, revision)
    except GatewrightError as fault:
        return error("schema", f"{db.label}: {fault}", "pip install --upgrade gatewright, or gatewright restore DIR")
    what = f"{db.label} was brought up by a newer version (schema {revision}), on which this one runs"
    return warning("schema", what, "pip install --upgrade gatewright")


def log_database(site: Site) -> Iterator[Finding]:
    """The database of log rows answers."""
    if site.db is None:
        return
    opened = None
    try:
        opened = open_logs(site.settings, site.db)
        opened.look()
        site.log_db = opened
    except Invalid as fault:
        yield error("log database", fault.what, fault.how)
    except GatewrightError as fault:
        yield _told("log database", "LOG_SQL_DSN", fault)
        if opened is not None:
            opened.close()


def counters(site: Site) -> Iterator[Finding]:
    """Where machines count limits together answers."""
    if not site.settings.redis:
        return
    redis = Redis(site.settings.redis, _PATIENCE)
    try:
        redis.run(("PING",))
    except (GatewrightError, OSError) as fault:
        what = f"Redis does not answer ({fault}): each machine counts limits by itself"
        yield error("Redis", what, "systemctl start redis-server, or correct REDIS_CONN_STRING")
    finally:
        redis.close()


def clock(site: Site) -> Iterator[Finding]:
    """This machine and the database tell the same time, and no call was booked in the future."""
    if site.db is None or ledger.name not in site.db.columns:
        return
    ask = {"postgresql": "SELECT EXTRACT(EPOCH FROM clock_timestamp())", "mysql": "SELECT UNIX_TIMESTAMP(NOW(6))"}
    with site.db.read() as connection:
        if site.db.kind in ask:
            apart = float(connection.execute(text(ask[site.db.kind])).scalar_one()) - time.time()
            if abs(apart) > _APART:
                yield _clock(f"the database's clock and this machine's are {abs(apart):.0f} s apart")
                return
        newest = connection.execute(select(func.max(ledger.c.created_at))).scalar() or 0
    if newest > time.time() + _AHEAD:
        yield _clock(f"the last call was booked {newest - time.time():.0f} s in the future: this clock was set back")


def _clock(what: str) -> Finding:
    return error("clock", what, "timedatectl set-ntp true; then timedatectl status")


def secrets(site: Site) -> Iterator[Finding]:
    """What is encrypted can be read."""
    if site.db is None or not site.db.columns:
        return
    for place, counts in rotation.status(site.db).items():
        if count := counts.get("unreadable"):
            why = "CRYPTO_SECRET is not the one of then" if site.settings.crypto_secret else "CRYPTO_SECRET is not set"
            what = f"{count} secrets of {place} can't be read: {why}"
            yield error(
                "secrets", what, "set CRYPTO_SECRET to the one of then, or gatewright secrets rotate --older VAR"
            )
        if (count := counts.get("plain")) and site.settings.crypto_secret:
            yield warning("secrets", f"{count} secrets of {place} lie there as plain text", "gatewright secrets rotate")


def books(site: Site) -> Iterator[Finding]:
    """The ledger agrees with balances and log rows."""
    if site.db is None or site.log_db is None or ledger.name not in site.db.columns:
        return
    result = proof.verify(site.db, site.log_db, site.settings.data / "journal")
    if result.differences or result.lost:
        count = len(result.differences) + result.lost
        yield error("ledger", f"{count} sums or calls differ from the books", "gatewright ledger verify lists them")
