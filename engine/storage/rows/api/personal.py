"""What the database keeps of one person: told as rows, and taken away while sums and books stay. Knows no rules."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Table, select

from engine.storage.database import Database
from engine.storage.releases import captures
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables import auth, billing, invoices, management, own, releases, teams
from engine.storage.tables.core import logs, tokens, users

_STRETCH = 500
_TOLD_OF = (1, 3, 4, 7)
"""Types of log rows that are no calls: top-ups, changes by administrators, the system's, logins."""
_GONE: tuple[Table, ...] = (
    *(auth.user_sessions, auth.auth_flows, auth.external_identity_claims, auth.passkey_credentials),
    *(auth.two_fas, auth.two_fa_backup_codes, auth.user_oauth_bindings),
    *(management.identities, management.passkeys, management.login_flows, own.sessions, own.access_tokens),
)
"""What is deleted with a person: ways to sign in, and sessions."""
_TOLD: tuple[tuple[str, Table, tuple[str, ...]], ...] = (
    ("keys", tokens, ("key",)),
    ("sessions", own.sessions, ("refresh_hash", "previous_hash")),
    ("access_tokens", own.access_tokens, ("hash",)),
    ("identities", management.identities, ("key",)),
    ("provider_identities", auth.user_oauth_bindings, ()),
    ("passkeys", management.passkeys, ("hash", "public_key")),
    ("grants", own.grants, ()),
    ("top_ups", billing.top_ups, ()),
    ("invoices", invoices.invoices, ()),
    ("subscriptions", billing.user_subscriptions, ()),
    ("check_ins", billing.checkins, ()),
    ("memberships", teams.members, ()),
    ("exchanges", releases.captures, ()),
)
"""What is told of a person beside the row of ``users`` and the log: a name, the table, and columns that are secrets."""
LISTS = tuple(name for name, _, _ in _TOLD)
_SIGNED: tuple[Table, ...] = (
    *(releases.documents, releases.releases, releases.drafts, releases.trials, releases.canaries),
    *(releases.row_revisions, releases.approvals, releases.capture_keys),
)
"""What says by name who made it."""
_SECRET = ("password", "access_token", "auth_version")
_TEXTS = (
    *("display_name", "email", "github_id", "discord_id", "oidc_id", "wechat_id", "telegram_id", "linux_do_id"),
    *("setting", "remark", "stripe_customer", "password"),
)


def of_user(row: Row) -> Row:
    """A user's row without its secrets."""
    return {name: value for name, value in row.items() if name not in _SECRET}


def kept(db: Database, user: int) -> Iterator[tuple[str, list[Row]]]:
    """The rows that a person has in each table, without secrets, 10,000 of each at most."""
    for name, table, secret in _TOLD:
        rows = crud.listed(db, table, [table.c.user_id == user], list(table.primary_key.columns), limit=10_000)
        yield name, [{key: value for key, value in row.items() if key not in secret} for row in rows]


def erase(db: Database, connection: Connection, user: int, name: str, token: str | None) -> None:
    """Overwrite and bury a user and the keys; delete every way to sign in. ``name`` stands in place of the own one.

    ``token`` is what the column for an access token holds where there is none.
    """
    for table in _GONE:
        if table.name in db.columns:
            crud.remove(db, connection, table, [table.c.user_id == user])
    for which in connection.execute(select(tokens.c.id).where(tokens.c.user_id == user)).scalars().all():
        values = {"key": f"erased-{which}", "name": "", "allow_ips": ""}
        crud.change(db, connection, tokens, [tokens.c.id == which], values)
    crud.bury(db, connection, tokens, [tokens.c.user_id == user])
    blank = {**dict.fromkeys(_TEXTS, ""), "username": name, "access_token": token, "aff_code": f"erased-{user}"}
    crud.change(db, connection, users, [users.c.id == user], {**blank, "last_login_at": 0})
    crud.bury(db, connection, users, [users.c.id == user])
    if releases.captures.name in db.columns:
        captures.of_user(connection, user)
    for table in _SIGNED:
        if table.name in db.columns:
            crud.change(db, connection, table, [table.c.user_id == user], {"username": name})
    if billing.quota_data.name in db.columns:
        crud.change(db, connection, billing.quota_data, [billing.quota_data.c.user_id == user], {"username": name})


def erase_log(log_db: Database, user: int, name: str) -> int:
    """Take name, key's name and address from a person's log rows, a stretch at a time; how many there were."""
    count, last = 0, 0
    while True:
        where = [logs.c.user_id == user, logs.c.id > last, logs.c.username.is_distinct_from(name)]
        with log_db.read() as reader:
            chosen = select(logs.c.id).where(*where).order_by(logs.c.id).limit(_STRETCH)
            ids = list(reader.execute(chosen).scalars())
        if not ids:
            return count
        last, count = ids[-1], count + len(ids)
        log_db.write(lambda connection, ids=ids: _blank(log_db, connection, ids, name))  # type: ignore[misc]


def _blank(log_db: Database, connection: Connection, ids: list[int], name: str) -> int:
    """Rows of calls keep what they cost and why; of other rows what was told beside them goes."""
    values = {"username": name, "token_name": "", "ip": ""}
    others = [logs.c.id.in_(ids), logs.c.type.in_(_TOLD_OF)]
    crud.change(log_db, connection, logs, others, {"content": "", "other": ""})
    return crud.change(log_db, connection, logs, [logs.c.id.in_(ids)], values)
