"""What telling stands on: the documents and options in force now, and a person as a reader of notices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.accounts.people import Person
from engine.program.outside.notices import Notice
from engine.storage.values import QUOTA_PER_UNIT
from engine.texts import language

USUAL_WAY = "email"


@dataclass(frozen=True)
class Ground:
    """The Notice documents of the program, the options as texts, and ``value``, which gives one in its type."""

    notices: Mapping[str, Notice]
    options: Mapping[str, str]
    value: Callable[[str], Any]

    @cached_property
    def ways(self) -> dict[str, Notice]:
        """What leads to people, by name."""
        return {name: notice for name, notice in self.notices.items() if notice.words is None}

    @cached_property
    def events(self) -> dict[str, Notice]:
        """What people are told of, by name."""
        return {name: notice for name, notice in self.notices.items() if notice.words is not None}

    @property
    def site(self) -> str:
        """What the gateway calls itself."""
        return str(self.value("SystemName") or "")

    def dollars(self, units: Any) -> str:
        """Quota units as people read them."""
        number = units if type(units) in (int, float) else 0
        money = number / (float(self.value("QuotaPerUnit") or 0) or QUOTA_PER_UNIT)
        return f"${money:,.2f}" if abs(money) >= 1 or not number else f"${money:.6f}".rstrip("0").rstrip(".")

    def threshold(self, person: Person) -> int:
        """Below which balance somebody wants to be told, in quota units."""
        own = person.setting.get("quota_warning_threshold")
        return int(own if isinstance(own, int | float) and own > 0 else self.value("QuotaRemindThreshold") or 0)


def way_of(ground: Ground, person: Person) -> Notice | None:
    """The way that somebody has chosen, if it is there."""
    return ground.ways.get(str(person.setting.get("notify_type") or USUAL_WAY))


def reader(person: Person) -> dict[str, Any]:
    """What documents may know of somebody."""
    return {
        "id": person.id,
        "username": person.username,
        "email": str(person.row.get("email") or ""),
        "language": tongue(person),
    }


def tongue(person: Person) -> str:
    """The language that somebody reads."""
    return language(person.language, "")


def reachable(ground: Ground, person: Person) -> bool:
    """Whether the chosen way leads anywhere."""
    way = way_of(ground, person)
    if way is None or way.lacks(person.setting, ground.options):
        return False
    if way.mail is None:
        return True
    return bool(way.mail.to([], way.own(person.setting), way.read(ground.options), reader(person)))
