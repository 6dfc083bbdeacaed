"""Groups as users see them, and the models that they serve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.catalogue import options

if TYPE_CHECKING:
    from engine.program import Program
    from engine.routing.group_options import GroupOptions
    from engine.routing.table import Table

AUTO = "auto"
_AUTOMATIC = "自动"
"""What the family's programs show as the ratio of the group that is chosen for each call."""


def ratios(values: Mapping[str, str]) -> dict[str, Any]:
    """The ratio of each group."""
    newer = options.value_of(values, "group_ratio_setting.group_ratio")
    table: dict[str, Any] = newer or options.value_of(values, "GroupRatio")
    return table


def usable(values: Mapping[str, str], rules: GroupOptions, group: str) -> dict[str, Any]:
    """The groups that users of a group may choose, with ratio and words."""
    table, words = ratios(values), options.value_of(values, "UserUsableGroups") or {}
    shown: dict[str, Any] = {
        name: {"ratio": table[name], "desc": words.get(name) or name}
        for name in sorted(rules.open_to(group))
        if name in table
    }
    if AUTO in words:
        shown[AUTO] = {"ratio": _AUTOMATIC, "desc": words[AUTO] or AUTO}
    return shown


def models(table: Table, rules: GroupOptions, group: str, only: str) -> list[str]:
    """The models of all groups that users of a group may choose, or of one of them; none of another's."""
    opened = rules.open_to(group)
    if only and only != AUTO and only not in opened:
        return []
    chosen = (only,) if only and only != AUTO else tuple(sorted(opened))
    return sorted(table.models(chosen))


def by_type(program: Program) -> dict[str, list[str]]:
    """The models that documents give to the provider of each channel type."""
    shown: dict[str, list[str]] = {}
    for (numbering, number), names in program.legacy.items():
        if numbering == "newApi":
            shown[str(number)] = sorted({model for name in names for model in program.providers[name].models})
    return shown
