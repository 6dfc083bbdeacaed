"""Finer rights of administrators, by resource and action: what each begins with, and what root has changed of one.

Root may do everything, users nothing of this. What was changed is kept where New API keeps its rules
(``casbin_rule``), a row for each: ``p, user:ID, resource, action, allow|deny``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.accounts.people import Person
from engine.errors import Forbidden, Invalid
from engine.storage.database import Database
from engine.storage.rows.api import rules
from engine.storage.rows.crud import Row
from engine.storage.values import ADMIN, ROOT
from engine.texts import refusal

_BOTH = {"read": True, "write": True}
TABLE: Mapping[str, Mapping[str, bool]] = {
    "channel": {"read": True, "operate": True, "write": True, "sensitive_write": False, "secret_view": False},
    "user": {**_BOTH, "quota": True},
    "log": {"read": True},
    "code": _BOTH,
    "catalogue": _BOTH,
    "task": _BOTH,
    "budget": _BOTH,
    "plan": _BOTH,
    "outbox": _BOTH,
    "webhook": {"read": True, "write": False},
    "capture": {"read": False, "write": False},
}
"""The actions of each resource, and whether an administrator begins with them."""


def of(db: Database, user: int, role: int) -> dict[str, dict[str, bool]]:
    """What a user may do, by resource and action."""
    changed = rules.of(db, user) if ADMIN <= role < ROOT else {}
    return {
        resource: {
            action: role >= ROOT or (role >= ADMIN and changed.get((resource, action), first))
            for action, first in actions.items()
        }
        for resource, actions in TABLE.items()
    }


def may(db: Database, person: Person, right: str) -> bool:
    """Whether a user has a right (``resource.action``)."""
    if person.role >= ROOT or person.role < ADMIN:
        return person.role >= ROOT
    resource, _, action = right.partition(".")
    return rules.of(db, person.id).get((resource, action), TABLE[resource][action])


def put(db: Database, actor: Person, row: Row, given: Mapping[str, Any]) -> None:
    """Change rights of an administrator; what is not given stays."""
    changes = checked(actor, row.get("role") or 0, given)
    db.write(lambda connection: rules.put(db, connection, row["id"], changes))


def checked(actor: Person, role: int, given: Mapping[str, Any]) -> dict[tuple[str, str], bool | None]:
    """What is to be noted of rights for a user of a role. Only root may. Raises ``Invalid``."""
    if actor.role < ROOT:
        raise refusal(Forbidden, "auth.role")
    if role != ADMIN:
        raise refusal(Invalid, "invalid.field", field="rights", what="those of an administrator")
    changes: dict[tuple[str, str], bool | None] = {}
    for resource, actions in given.items():
        if resource not in TABLE or not isinstance(actions, Mapping):
            raise refusal(Invalid, "invalid.field", field=resource[:40], what=" or ".join(TABLE))
        for action, value in actions.items():
            if action not in TABLE[resource] or not isinstance(value, bool):
                what = f"true or false for {', '.join(TABLE[resource])}"
                raise refusal(Invalid, "invalid.field", field=f"{resource}.{action}"[:80], what=what)
            changes[resource, action] = value if value is not TABLE[resource][action] else None
    return changes
