"""The steps that carry what older programs kept elsewhere over to where the newest schema looks for it.

``run(connection)`` does each step once and notes it in ``gatewright_steps``; a step that is run again changes nothing
more. Only empty places are filled: nothing that a program of the family reads is taken away. ``findings`` tells what
a person should look at. Expects all columns of the newest schema.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, String, and_, column, func, inspect, or_, select, update
from sqlalchemy import table as sql_table

from engine.storage.rows.accounts import comma
from engine.storage.tables.auth import external_identity_claims
from engine.storage.tables.core import channels, logs, options, tokens, users
from engine.storage.tables.own import channel_origin, facts, steps
from engine.storage.upgrade.origin import FRESH, NEW, OLD, row_numbering

OLD_LOGS = "old_logs_until"
"""The fact that holds the last log row that was written before the take-over."""
_OLD_DELETED = 3
_SIGN_IN = {
    "OidcEnabled": "oidc.enabled",
    "OidcClientId": "oidc.client_id",
    "OidcClientSecret": "oidc.client_secret",
    "OidcWellKnown": "oidc.well_known",
    "OidcAuthorizationEndpoint": "oidc.authorization_endpoint",
    "OidcTokenEndpoint": "oidc.token_endpoint",
    "OidcUserinfoEndpoint": "oidc.user_info_endpoint",
}
_CLAIM = "telegram"
_SUBJECT = 128


def run(connection: Connection) -> dict[str, str]:
    """Do the steps that were not done yet; by name, what each did."""
    report = {}
    for name in outstanding(connection):
        report[name] = STEPS[name](connection)
        row = {"name": name, "done_at": int(time.time()), "note": report[name]}
        connection.execute(steps.insert().values(row))
    return report


def outstanding(connection: Connection) -> list[str]:
    """Names of the steps that were not done yet; none in a database that began as ours: there is nothing to carry."""
    inspector = inspect(connection)
    done: set[str] = set()
    if inspector.has_table(facts.name):
        origin = connection.execute(select(facts.c.value).where(facts.c.name == "origin")).scalar()
        if origin == FRESH.program:
            return []
    if inspector.has_table(steps.name):
        done = set(connection.execute(select(steps.c.name)).scalars())
    return [name for name in STEPS if name not in done]


def numbering(connection: Connection) -> str:
    """Whose channel types the database holds, as noted before anything was added to it."""
    numbering = connection.execute(select(facts.c.value).where(facts.c.name == "numbering")).scalar()
    return str(numbering) if numbering else NEW


def note_channels(connection: Connection, chosen: str = "") -> str:
    """Note for each channel by which numbering its type counts, while the marks of its writer are still there.

    ``chosen`` is the operator's word for rows that bear no mark in a database that both programs wrote.
    """
    origin = numbering(connection)
    if origin == NEW or not inspect(connection).has_table(channels.name):
        return "nothing to note"
    present = {str(c["name"]) for c in inspect(connection).get_columns(channels.name)}
    names = [c for c in ("id", "type", "created_time", "config", "channel_info", "other_info") if c in present]
    noted = set(connection.execute(select(channel_origin.c.channel_id)).scalars())
    fresh = []
    for row in connection.execute(select(*(column(c) for c in names)).select_from(sql_table(channels.name))).mappings():
        marks = (row.get("config"), row.get("channel_info"), row.get("other_info"))
        unmarked = origin == "mixed" and not chosen and all(mark is None for mark in marks)
        if row["id"] in noted or unmarked:
            continue
        meaning = row_numbering(chosen or origin, *marks)
        values = {"numbering": meaning, "type": row["type"] or 0, "created_time": row["created_time"] or 0}
        fresh.append({"channel_id": row["id"], **values})
    if fresh:
        connection.execute(channel_origin.insert(), fresh)
    return f"{len(fresh)} channels, {sum(row['numbering'] == OLD for row in fresh)} by the older numbering"


def _token_limits(connection: Connection) -> str:
    """Model and network limits of the older program's keys, which the newer one does not read, into its own places."""
    if not {"models", "subnet"} <= {str(c["name"]) for c in inspect(connection).get_columns(tokens.name)}:
        return "no such columns"
    older = sql_table(tokens.name, *(column(c) for c in ("id", "models", "subnet")))
    limited = or_(func.coalesce(older.c.models, "") != "", func.coalesce(older.c.subnet, "") != "")
    count = 0
    for token, models, subnet in connection.execute(select(older).where(limited)).all():
        for text, empty, values in (
            (models, _no_models(), {"model_limits": ",".join(comma(models)), "model_limits_enabled": True}),
            (subnet, func.coalesce(tokens.c.allow_ips, "") == "", {"allow_ips": "\n".join(comma(subnet))}),
        ):
            if text and text.strip():
                done = connection.execute(update(tokens).where(tokens.c.id == token, empty).values(values))
                count += done.rowcount
    return f"{count} limits copied"


def _no_models() -> Any:
    unset = or_(tokens.c.model_limits_enabled.is_(None), tokens.c.model_limits_enabled == False)  # noqa: E712 - SQL
    return and_(unset, func.coalesce(tokens.c.model_limits, "") == "")


def _deleted_users(connection: Connection) -> str:
    """Users whom the older program marks as deleted by status get the newer program's mark too."""
    now = datetime.datetime.now(datetime.UTC)
    gone = update(users).where(users.c.status == _OLD_DELETED, users.c.deleted_at.is_(None)).values(deleted_at=now)
    return f"{connection.execute(gone).rowcount} users marked"


def _auth_version(connection: Connection) -> str:
    unset = or_(users.c.auth_version.is_(None), users.c.auth_version < 1)
    return f"{connection.execute(update(users).where(unset).values(auth_version=1)).rowcount} users"


def _channel_keys(connection: Connection) -> str:
    """The newest program's start would stumble over a NULL here."""
    return f"{connection.execute(update(channels).where(channels.c.key.is_(None)).values(key='')).rowcount} channels"


def _sign_in_options(connection: Connection) -> str:
    texts = {row.key: row.value for row in connection.execute(select(options.c.key, options.c.value))}
    fresh = [{"key": new, "value": texts[old]} for old, new in _SIGN_IN.items() if texts.get(old) and new not in texts]
    if fresh:
        connection.execute(options.insert(), fresh)
    return f"{len(fresh)} options copied"


def _identity_claims(connection: Connection) -> str:
    """One row for each identity; of two users with the same one, the older has it."""
    claims = external_identity_claims
    claimed = connection.execute(select(claims.c.subject, claims.c.user_id).where(claims.c.provider == _CLAIM)).all()
    subjects, holders = {row[0] for row in claimed}, {row[1] for row in claimed}
    holder = select(users.c.telegram_id, func.min(users.c.id)).where(func.coalesce(users.c.telegram_id, "") != "")
    now = datetime.datetime.now(datetime.UTC)
    fresh = [
        {"provider": _CLAIM, "subject": subject, "user_id": user, "created_at": now}
        for subject, user in connection.execute(holder.group_by(users.c.telegram_id))
        if subject not in subjects and user not in holders and len(subject) <= _SUBJECT
    ]
    if fresh:
        connection.execute(claims.insert(), fresh)
    return f"{len(fresh)} identities"


def _old_logs(connection: Connection) -> str:
    """Where the older program's log rows end, among which type 5 means a test and not an error."""
    if numbering(connection) == NEW:
        return "nothing to note"
    last = connection.execute(select(func.max(logs.c.id))).scalar() or 0
    connection.execute(facts.insert().values(name=OLD_LOGS, value=str(last)))
    return f"up to row {last}"


STEPS: dict[str, Callable[[Connection], str]] = {
    "channel_numbering": note_channels,
    "token_limits": _token_limits,
    "deleted_users": _deleted_users,
    "auth_version": _auth_version,
    "channel_keys": _channel_keys,
    "sign_in_options": _sign_in_options,
    "identity_claims": _identity_claims,
    "old_logs": _old_logs,
}


def findings(connection: Connection, columns: dict[str, set[str]], origin: str) -> list[str]:
    """What a person should look at, in a database of any age."""
    notes: list[str] = []
    if "users" in columns:
        for name in ("email", "telegram_id"):
            if name in columns["users"]:
                same = func.lower(column(name, String()))
                twins = select(same).select_from(sql_table("users")).where(func.coalesce(column(name), "") != "")
                count = len(connection.execute(twins.group_by(same).having(func.count() > 1)).all())
                if count:
                    notes.append(f"users.{name}: {count} values are held by several users")
    channel = columns.get("channels", set())
    if origin == "mixed":
        bare = [column(c).is_(None) for c in ("config", "channel_info", "other_info") if c in channel]
        unmarked = select(func.count()).select_from(sql_table("channels")).where(*bare)
        if channel_origin.name in columns:
            unmarked = unmarked.where(column("id").not_in(select(channel_origin.c.channel_id)))
        count = connection.execute(unmarked).scalar() or 0
        if count:
            notes.append(
                f"channels: both programs wrote this database and {count} rows bear no mark of either; "
                "say with --numbering by which one their types count"
            )
    return notes
