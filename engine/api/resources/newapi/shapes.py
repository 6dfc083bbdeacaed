"""How rows are shown: the members of each object in the words of the family's programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.storage.key_form import is_hash, tail
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.values import ADMIN, ROOT

if TYPE_CHECKING:
    from engine.accounts.people import Person

_OWN = (
    *("id", "username", "display_name", "role", "status", "email", "github_id", "discord_id", "oidc_id", "wechat_id"),
    *("telegram_id", "linux_do_id", "group", "quota", "used_quota", "request_count", "aff_count", "aff_quota"),
    *("inviter_id", "stripe_customer"),
)
_NUMBERS = frozenset(
    ("role", "status", "quota", "used_quota", "request_count", "aff_count", "aff_quota", "inviter_id", "id")
)


def _members(row: Row) -> dict[str, Any]:
    shown = {name: row.get(name) or (0 if name in _NUMBERS else "") for name in _OWN}
    shown["aff_code"] = str(row.get("aff_code") or "").rstrip()
    shown["aff_history_quota"] = row.get("aff_history") or 0
    shown["setting"] = row.get("setting") or ""
    return shown


def own_user(person: Person, rights: Mapping[str, bool]) -> dict[str, Any]:
    """A user as it sees itself."""
    role = person.role
    modules: dict[str, Any] = {} if role == ROOT else {"admin": {"setting": False} if role >= ADMIN else False}
    permissions = {
        "sidebar_settings": role != ROOT,
        "sidebar_modules": modules,
        "admin_permissions": {"channel": dict(rights)},
    }
    sidebar = person.setting.get("sidebar_modules") or ""
    return {**_members(person.row), "sidebar_modules": sidebar, "permissions": permissions}


def user(row: Row) -> dict[str, Any]:
    """A user as administrators see it."""
    return {
        **_members(row),
        "password": "",
        "original_password": "",
        "verification_code": "",
        "remark": row.get("remark") or "",
        "created_at": row.get("created_at") or 0,
        "last_login_at": row.get("last_login_at") or 0,
        "DeletedAt": crud.moment(row.get("deleted_at")),
    }


def bare_user(role: int, status: int) -> dict[str, Any]:
    """What an action on a user answers: a row with nothing but role and status."""
    return {**user({}), "role": role, "status": status}


def token(row: Row) -> dict[str, Any]:
    """A key, itself masked."""
    text = str(row.get("key") or "").rstrip()
    auto = row.get("auto_groups") or None
    return {
        "id": row["id"],
        "user_id": row.get("user_id") or 0,
        "key": masked(text),
        "status": row.get("status") or 0,
        "name": row.get("name") or "",
        "created_time": row.get("created_time") or 0,
        "accessed_time": row.get("accessed_time") or 0,
        "expired_time": -1 if row.get("expired_time") is None else row["expired_time"],
        "remain_quota": row.get("remain_quota") or 0,
        "unlimited_quota": bool(row.get("unlimited_quota")),
        "model_limits_enabled": bool(row.get("model_limits_enabled")),
        "model_limits": row.get("model_limits") or "",
        "allow_ips": row.get("allow_ips") or "",
        "used_quota": row.get("used_quota") or 0,
        "group": row.get("group") or "",
        "cross_group_retry": bool(row.get("cross_group_retry")),
        "DeletedAt": crud.moment(row.get("deleted_at")),
        "auto_groups": auto,
    }


def masked(text: str) -> str:
    """The first and the last four characters; of a key that is kept as a hash its last ones."""
    if is_hash(text):
        return f"**********{tail(text)}"
    return f"{text[:4]}**********{text[-4:]}" if len(text) > 8 else "*" * len(text)
