"""What was changed of a user's rights, in the table of rules that New API keeps."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.tables.auth import casbin_rule

_ALLOW, _DENY = "allow", "deny"


def of(db: Database, user: int) -> dict[tuple[str, str], bool]:
    """Resource and action: whether it is allowed."""
    where = [casbin_rule.c.ptype == "p", casbin_rule.c.v0 == f"user:{user}"]
    return {(row["v1"], row["v2"]): row["v3"] == _ALLOW for row in crud.listed(db, casbin_rule, where)}


def put(db: Database, connection: Connection, user: int, changes: Mapping[tuple[str, str], bool | None]) -> None:
    """Note rights; nothing takes a note away."""
    for (resource, action), value in changes.items():
        rule = {"ptype": "p", "v0": f"user:{user}", "v1": resource, "v2": action}
        crud.remove(db, connection, casbin_rule, [casbin_rule.c[name] == text for name, text in rule.items()])
        if value is not None:
            crud.add(db, connection, casbin_rule, {**rule, "v3": _ALLOW if value else _DENY, "v4": "", "v5": ""})


def drop(db: Database, connection: Connection, user: int) -> None:
    """Forget all of a user's."""
    if casbin_rule.name in db.columns:
        crud.remove(db, connection, casbin_rule, [casbin_rule.c.v0 == f"user:{user}"])
