"""The frame of every page: entries of the side, the release in force, what waits."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from admin.view import ADMIN, ROOT, USER, View
from admin.words import LANGUAGES, gettext, noted
from engine.catalogue import options


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the side."""

    key: str
    label: str
    icon: str
    role: int = USER
    letter: str = ""

    @property
    def address(self) -> str:
        """Where it leads."""
        return "/console" if self.key == "dashboard" else f"/console/{self.key}"


MENU: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "",
        (
            Entry("dashboard", noted("Dashboard"), "dash", letter="D"),
            Entry("playground", noted("Playground"), "play", letter="P"),
            Entry("keys", noted("API keys"), "key", letter="K"),
            Entry("logs", noted("Logs"), "logs", letter="L"),
            Entry("tasks", noted("Tasks"), "task"),
        ),
    ),
    (
        noted("Spec"),
        (
            Entry("documents", noted("Documents"), "code", ROOT, "E"),
            Entry("releases", noted("Releases"), "rel", ROOT, "R"),
            Entry("captures", noted("Exchanges"), "logs", ROOT),
        ),
    ),
    (
        noted("Administration"),
        (
            Entry("channels", noted("Channels"), "chan", ADMIN, "C"),
            Entry("models", noted("Models and prices"), "model", ADMIN, "M"),
            Entry("users", noted("Users"), "users", ADMIN, "U"),
            Entry("codes", noted("Redemption codes"), "ticket", ADMIN),
            Entry("plans", noted("Plans"), "plan", ADMIN),
            Entry("notices", noted("Notices"), "bell", ADMIN),
            Entry("settings", noted("Settings"), "gear", ROOT, "S"),
        ),
    ),
    (
        noted("Personal"),
        (
            Entry("status", noted("Status"), "pulse"),
            Entry("prices", noted("Prices"), "model"),
            Entry("wallet", noted("Wallet"), "wallet"),
            Entry("teams", noted("Teams"), "users"),
            Entry("profile", noted("Profile"), "user"),
        ),
    ),
)
_MODULES = {
    "playground": ("chat", "playground"),
    **{ours: ("console", theirs) for ours, theirs in (("dashboard", "detail"), ("keys", "token"), ("logs", "log"))},
    "tasks": ("console", "task"),
    "wallet": ("personal", "topup"),
    "profile": ("personal", "personal"),
    **{ours: ("admin", theirs) for ours, theirs in (("channels", "channel"), ("models", "models"), ("users", "user"))},
    "codes": ("admin", "redemption"),
    "settings": ("admin", "setting"),
}
"""The names that New API's options for hiding entries have for ours: group and entry."""
_NEWS = 8
DOCK = ("dashboard", "channels", "keys", "logs", "documents")


def entries(view: View) -> list[tuple[str, list[Entry]]]:
    """The entries of who looks, by group: never one that may not be opened."""
    role = view.person.role if view.person is not None else 0
    mine = [(head, [entry for entry in group if role >= entry.role]) for head, group in MENU]
    if role >= ADMIN:  # operators have the prices in a place of their own
        mine = [(head, [entry for entry in group if entry.key != "prices"]) for head, group in mine]
    hidden = _hidden_of(view)
    mine = [(head, [entry for entry in group if entry.key not in hidden]) for head, group in mine]
    return [(head, group) for head, group in mine if group]


def _hidden_of(view: View) -> frozenset[str]:
    """What root hides from all, and what one hides for oneself; root's own settings stay in reach."""
    person = view.person
    own = str(person.setting.get("sidebar_modules") or "") if person is not None and not view.root else ""
    hidden = _hidden(str(view.worker.options.get("SidebarModulesAdmin") or "")) | _hidden(own)
    shown = price_rule(view.worker.options).get("enabled") is not False
    return (hidden if shown else hidden | {"prices"}) - ({"settings"} if view.root else set())


def price_rule(values: Mapping[str, str]) -> dict[str, Any]:
    """What New API's option for entries of the head says of the price page: ``enabled``, ``requireAuth``."""
    rule = _object(str(values.get("HeaderNavModules") or "")).get("pricing", True)
    return rule if isinstance(rule, dict) else {"enabled": rule}


def own_entries(view: View) -> list[tuple[Entry, bool]]:
    """The entries that who looks may hide for himself, and whether each is shown."""
    own = _hidden(str(view.user.setting.get("sidebar_modules") or ""))
    allowed = _hidden(str(view.worker.options.get("SidebarModulesAdmin") or ""))
    listed = [entry for _, group in MENU for entry in group if view.user.role >= entry.role]
    return [(entry, entry.key not in own) for entry in listed if entry.key in _MODULES and entry.key not in allowed]


def modules_of(shown: Collection[str]) -> str:
    """The setting that hides what is not among ``shown``, in New API's words."""
    groups: dict[str, dict[str, bool]] = {}
    for key, (group, name) in _MODULES.items():
        groups.setdefault(group, {"enabled": True})[name] = key in shown
    return orjson.dumps(groups).decode()


@lru_cache(maxsize=256)
def _hidden(text: str) -> frozenset[str]:
    modules = _object(text)

    def off(group: str, name: str) -> bool:
        members = modules.get(group)
        return isinstance(members, dict) and (members.get("enabled") is False or members.get(name) is False)

    return frozenset(key for key, (group, name) in _MODULES.items() if off(group, name))


def _object(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _docs(view: View) -> str:
    """Where help is, if somebody said so: New API's own address would explain another program."""
    address = str(view.worker.options.get("general_setting.docs_link") or "")
    return address if address.startswith(("http://", "https://")) else ""


def _news(view: View) -> list[dict[str, Any]]:
    """The notice and the announcements that are shown, newest first."""
    known = view.worker.options
    notice = str(options.value_of(known, "Notice") or "").strip()
    rows = options.value_of(known, "console_setting.announcements") or []
    shown = rows if options.value_of(known, "console_setting.announcements_enabled") else []
    news = [{"id": zlib.crc32(notice.encode()), "text": notice, "day": ""}] if notice else []
    for row in shown:
        if isinstance(row, dict):
            day = str(row.get("publishDate") or "")[:10]
            news.append({"id": row.get("id") or 0, "text": str(row.get("content") or ""), "day": day})
    return news[:_NEWS]


def of(view: View) -> dict[str, Any]:
    """What ``base.html`` takes."""
    program, news = view.worker.snapshot.program, _news(view)
    groups = entries(view)
    listed = [entry for _, group in groups for entry in group]
    at = view.address.removeprefix("/console").strip("/").partition("/")[0] or "dashboard"
    return {
        "name": view.worker.options.get("SystemName") or "Gatewright",
        "footer": str(options.value_of(view.worker.options, "Footer") or ""),
        "groups": groups,
        "dock": [entry for key in DOCK for entry in listed if entry.key == key][:4],
        "at": at,
        "news": news,
        "docs": _docs(view),
        "release": program.hash[:7],
        "languages": LANGUAGES,
        "title": next((gettext(entry.label) for entry in listed if entry.key == at), ""),
    }
