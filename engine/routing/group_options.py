"""What the options table decides of a call: which groups a user may use, what ``auto`` stands for, how often to retry.

``GroupOptions(options)`` reads the texts once; a text that can't be read counts as not set. Knows no prices.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.storage.rows.accounts import Account

AUTO = "auto"
_USABLE = {"default": "", "vip": ""}
_MOST_RETRIES = 20
_MOST_RESERVED = 10**9
_TIMED_OUT = (504, 524)
_USUAL_AGAIN = "100-199,300-399,401-407,409-499,500-503,505-523,525-599"
"""Statuses after which another channel is tried where only the number of tries was set."""


class GroupOptions:
    """See the module. ``retries`` is nothing where the option is not set: a Policy document decides then.

    ``least_input`` is how many tokens of input are reserved for any call; ``logged``: calls that were served get a log
    row.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self._usable = _object(options, "UserUsableGroups") or _USABLE
        self._special = _object(options, "group_ratio_setting.group_special_usable_group")
        self._auto = _names(options, "AutoGroups") or ("default",)
        prices = _object(options, "group_ratio_setting.group_ratio") or _object(options, "GroupRatio")
        self._priced: frozenset[str] | None = frozenset(prices) if prices else None
        self._open: dict[str, frozenset[str]] = {}
        self.retries = _count(options, "RetryTimes", _MOST_RETRIES)
        self.least_input = _count(options, "PreConsumedQuota", _MOST_RESERVED) or 0
        # only this very word is yes in the programs that write the option
        self.logged = options.get("LogConsumeEnabled", "true") == "true"
        codes = options.get("AutomaticRetryStatusCodes") or ("" if self.retries is None else _USUAL_AGAIN)
        self._again = ranges(codes)

    def retries_on(self, status: int | None) -> bool | None:
        """Whether another channel is tried after an answer of this status; nothing where the option does not say.

        Never after a proxy's time-out: the first provider may still be working.
        """
        if self._again is None or status is None:
            return None
        return status not in _TIMED_OUT and any(first <= status <= last for first, last in self._again)

    def open_to(self, user_group: str) -> frozenset[str]:
        """The groups that users of a group may choose for their keys; their own always."""
        held = self._open.get(user_group)
        if held is None:
            groups = set(self._usable)
            rules = self._special.get(user_group)
            for rule in rules if isinstance(rules, dict) else ():
                if rule.startswith("-:"):
                    groups.discard(rule[2:])
                else:
                    groups.add(rule.removeprefix("+:"))
            held = self._open[user_group] = frozenset(groups | {user_group})
        return held

    def refusal(self, account: Account) -> str | None:
        """Why a key may not use the group that it names; nothing when it may."""
        group = account.token_group
        if not group or group in (account.user_group, AUTO):
            return None
        if group not in self.open_to(account.user_group):
            return f"this API key's group {group!r} is not open to its user"
        if self._priced is not None and group not in self._priced:
            return f"this API key's group {group!r} is no longer offered"
        return None

    def groups(self, account: Account) -> tuple[str, ...]:
        """The groups to try, in order. A key's own list narrows and orders what ``auto`` stands for."""
        if account.group != AUTO:
            return (account.group,)
        usable = self.open_to(account.user_group)
        auto = tuple(g for g in self._auto if g in usable and (self._priced is None or g in self._priced))
        own = tuple(group for group in account.auto_groups if group in auto)
        return own or auto or (account.user_group,)


def _read(options: Mapping[str, str], name: str) -> Any:
    try:
        return json.loads(options.get(name) or "null")
    except ValueError:
        return None


def _object(options: Mapping[str, str], name: str) -> dict[str, Any]:
    value = _read(options, name)
    return value if isinstance(value, dict) else {}


def _names(options: Mapping[str, str], name: str) -> tuple[str, ...]:
    value = _read(options, name)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _count(options: Mapping[str, str], name: str, most: int) -> int | None:
    text = options.get(name, "").strip()
    return min(int(text), most) if text.isascii() and text.isdigit() else None


def ranges(text: str) -> list[tuple[int, int]] | None:
    """Numbers and ranges of them, such as ``401-407, 429``; nothing where a part of it is neither."""
    spans = []
    for entry in text.replace("，", ",").split(","):
        first, _, last = (part.strip() for part in entry.partition("-"))
        if not (first.isascii() and first.isdigit()) or not (not last or (last.isascii() and last.isdigit())):
            return None
        spans.append((int(first), int(last or first)))
    return spans
