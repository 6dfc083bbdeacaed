"""Which actions an administrator may do, and what a change leaves in the trail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.accounts import rights
from engine.accounts.factors import proofs
from engine.api.refusals import Denied
from engine.api.route import Answer, Ask
from engine.catalogue import options
from engine.storage.rows import trail
from engine.storage.rows.log_rows import LogRow, apply
from engine.storage.values import ADMIN
from engine.texts import refusal

_SECRET = re.compile(
    r"(?i)(password|secret|token|^key$|keys$|credential|header_override|^code$|^(webhook|bark|gotify)_url$)"
)
_MASK = "***"
_MANAGED = 3
"""The log type of what an administrator did."""


def may(ask: Ask, right: str = "") -> bool:
    """Whether the caller has the right that the route needs, or another one."""
    return rights.may(ask.worker.db, ask.user, right or ask.route.right)


def need(ask: Ask, right: str) -> None:
    """Refuse where the caller has not a right."""
    if not may(ask, right):
        raise refusal(Denied, "auth.role")


def prove(ask: Ask, scope: str, *, always: bool = False) -> None:
    """Refuse a dangerous act unless a second factor was just shown, where the caller has one, or ``always``.

    It is asked of sessions. A script's access token can show none: what is ``always`` proved is not for it.
    """
    db, session = ask.worker.db, ask.session
    if session is None and always:
        raise refusal(Denied, "auth.session")
    if session is not None and (always or proofs.asked(db, ask.user.id)):
        proofs.need(db, ask.worker.secret, ask.user.id, session["sid"], ask.proof, scope)


def note(ask: Ask, answer: Answer) -> None:
    """Write a change into the trail, and into the log where an administrator made it."""
    user, db, log_db = ask.user, ask.worker.db, ask.worker.log_db
    action = f"{ask.route.method} {ask.route.path}"
    details = {"path": dict(ask.path), "body": masked(ask.body)}
    if ask.before is not None:
        details |= {"before": masked(ask.before), "after": masked(answer.data)}
    values = {"user_id": user.id, "username": user.username, "ip": ask.ip, "action": action, "details": details}
    row = LogRow(user_id=user.id, username=user.username, type=_MANAGED, content=action)
    # names stand in the trail alone: log rows lose those of who is erased
    numbers = {name: value for name, value in ask.path.items() if value.isdigit()}
    row["other"] = {"audit_info": {"action": action, "path": numbers, "ip": ask.ip}}
    db.write(lambda connection: trail.note(db, connection, values))
    if user.role >= ADMIN:
        log_db.write(lambda connection: apply(connection, log_db, [row]))


def masked(value: Any, name: str = "") -> Any:
    """A body without its secrets, cut to a length that can be kept."""
    if value and _SECRET.search(name) and isinstance(value, str | list | Mapping):
        return _MASK
    if isinstance(value, Mapping):
        option = options.find(str(value.get("key", "")))
        hidden = option is not None and option.secret
        members = list(value.items())[:100]
        if option is not None:
            return {k: _MASK if k == "value" and hidden else masked(v) for k, v in members}
        return {k: masked(v, str(k)) for k, v in members}
    if isinstance(value, list):
        return [masked(one, name) for one in value[:100]]
    if isinstance(value, str):
        return value[:500]
    return value
