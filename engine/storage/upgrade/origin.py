"""Which program made a database, told by the tables and columns it has, in the order the reference gives.

Takes the columns by table, gives an ``Origin``. Must be asked before anything is added: afterwards the marks are gone,
so the first migration writes the answer into ``gatewright_facts``. Knows no rows and no connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

NEW, OLD = "newApi", "oneApi"


@dataclass(frozen=True, slots=True)
class Origin:
    """``program`` in words; ``numbering`` of its channel types, or ``mixed`` when both programs wrote."""

    program: str
    numbering: str


_MARKS = {
    "users": {"id", "username", "password", "role", "status"},
    "tokens": {"id", "user_id", "key"},
    "channels": {"id", "type", "key"},
    "options": {"key", "value"},
}
"""What every version of the family has had."""
FRESH = Origin("Gatewright", NEW)


def identify(columns: Mapping[str, Set[str]]) -> Origin | None:
    """The program that made these tables; nothing when there is no such database yet."""
    if "users" not in columns:
        return None
    channels = columns.get("channels", frozenset())
    mixed = "config" in channels and "setting" in channels
    new = "mixed" if mixed else NEW
    for marks, program in (
        ("auth_version" in columns["users"], "New API of 2026"),
        (bool({"channel_info", "settings"} & channels), "New API between mid-2025 and 2026"),
        ("setups" in columns, "New API from 2025-04"),
        ("other" in columns.get("logs", ()) or "quota_data" in columns, "New API before 2025-04"),
    ):
        if marks:
            return Origin(program + (", on a One API database" if mixed else ""), new)
    if "config" in channels:
        return Origin(f"One API {_one_api(columns, channels)}", OLD)
    return Origin("One API 0.5 or older", OLD)


def strange(columns: Mapping[str, Set[str]], ours: Set[str]) -> str:
    """Why a database that has some of ``ours`` (names of tables) is none of the family; empty where it is, or has none.

    Such a one belongs to somebody else: nothing may be added to it.
    """
    taken = sorted(ours & columns.keys())
    if not taken:
        return ""
    for table, marks in _MARKS.items():
        if lacking := sorted(marks - columns.get(table, frozenset())):
            what = f"table {table} lacks {', '.join(lacking)}" if table in columns else f"there is no table {table}"
            return f"it has tables of these names ({', '.join(taken[:5])}), but {what}"
    return ""


def _one_api(columns: Mapping[str, Set[str]], channels: Set[str]) -> str:
    if "elapsed_time" in columns.get("logs", ()):
        return "0.6.11 preview"
    if "system_prompt" in channels:
        return "0.6.9 or later"
    return "0.6.5 or later" if "subnet" in columns.get("tokens", ()) else "0.6"


def row_numbering(origin: str, config: object, info: object, other_info: object) -> str:
    """By which numbering a channel row's type counts, where ``origin`` is what was noted of the database."""
    if config is not None:
        return OLD
    if info is not None or other_info is not None:
        return NEW
    return NEW if origin == NEW else OLD
