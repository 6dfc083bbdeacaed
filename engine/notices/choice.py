"""What a person chooses: the way, what it needs, of which events to be told, and from which balance on.

Kept in the person's setting, where New API has its fields for it. Secrets go in and are not told again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.accounts.people import Person, is_email, put_setting
from engine.errors import Invalid
from engine.notices.ground import USUAL_WAY, Ground
from engine.notices.telling import OFF, ON, wants
from engine.program.outside.notices import Notice
from engine.storage.database import Database
from engine.texts import refusal
from engine.transport.faults import TransportError
from engine.transport.url import parse_url

_WAY, _THRESHOLD = "notify_type", "quota_warning_threshold"
_LONGEST = 2_000
_MOST_NUMBER = 1_000_000


def shown(ground: Ground, person: Person) -> dict[str, Any]:
    """What somebody chose, and what there is to choose from. Operators' events are told to who is one."""
    return {
        "way": str(person.setting.get(_WAY) or USUAL_WAY),
        "threshold": ground.threshold(person),
        "events": {name: wants(event, person.setting) for name, event in events_of(ground, person).items()},
        "setting": _settings(ground, person),
        "ways": [_way(ground, way, person) for way in sorted(ground.ways.values(), key=_order)],
    }


def events_of(ground: Ground, person: Person) -> dict[str, Notice]:
    """The events that somebody may be told of; the test is none."""
    there = {name: event for name, event in ground.events.items() if name != "notice.test"}
    return {name: event for name, event in there.items() if event.tells == "person" or person.role >= 100}


def _order(way: Notice) -> tuple[bool, str]:
    return way.name != USUAL_WAY, way.name


def _settings(ground: Ground, person: Person) -> dict[str, Any]:
    """The members that ways read, as they are set; of secrets only that they are."""
    there: dict[str, Any] = {}
    for way in ground.ways.values():
        for name, kind in way.setting.items():
            value = person.setting.get(name)
            there[name] = bool(value) if kind == "secret" else value if value is not None else ""
    return there


def _way(ground: Ground, way: Notice, person: Person) -> dict[str, Any]:
    lacks = way.lacks(person.setting, ground.options)
    return {
        "name": way.name,
        "title": way.title,
        "setting": way.setting,
        "needs": [name for name in way.needs if name in way.setting],
        "offered": not any(name in way.options for name in lacks),
        "ready": not lacks,
    }


def choose(db: Database, ground: Ground, person: Person, given: Mapping[str, Any]) -> None:
    """Change what is given: ``way``, ``threshold``, ``events`` (true or false by name), ``setting`` (by name; an empty
    text takes one away). Raises ``Invalid``."""
    values: dict[str, Any] = {}
    for name, value in (given.get("setting") or {}).items():
        values[name] = _checked(ground, name, value)
    if given.get("threshold") is not None:
        values[_THRESHOLD] = given["threshold"]
    if given.get("events"):
        values |= _chosen(ground, person, given["events"])
    if given.get("way") is not None:
        way = ground.ways.get(given["way"])
        if way is None:
            raise refusal(Invalid, "invalid.field", field="way", what=" or ".join(sorted(ground.ways)))
        lacks = way.lacks({**person.setting, **values}, ground.options)
        if lacks:
            key = "notice.off" if any(name in way.options for name in lacks) else "notice.lacks"
            raise refusal(Invalid, key, field=lacks[0], way=way.title, what=", ".join(lacks))
        values[_WAY] = way.name
    put_setting(db, person, values)


def _chosen(ground: Ground, person: Person, events: Mapping[str, Any]) -> dict[str, list[str]]:
    known = events_of(ground, person)
    now = {name: wants(event, person.setting) for name, event in known.items()}
    for name, value in events.items():
        if name not in known:
            raise refusal(Invalid, "invalid.field", field="events", what=" or ".join(known))
        if not isinstance(value, bool):
            raise refusal(Invalid, "invalid.type", field=f"events.{name}"[:80], what="true or false")
        now[name] = value
    return {ON: sorted(name for name in now if now[name]), OFF: sorted(name for name in now if not now[name])}


def _checked(ground: Ground, name: str, value: Any) -> Any:
    kinds = {key: kind for way in ground.ways.values() for key, kind in way.setting.items()}
    kind = kinds.get(name)
    if kind is None:
        raise refusal(Invalid, "invalid.field", field=f"setting.{name}"[:80], what=" or ".join(sorted(kinds)))
    if value is None or value == "":
        return ""
    if kind == "number":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_NUMBER:
            raise refusal(Invalid, "invalid.type", field=name, what="a whole number of 0 or more")
        return value
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
        raise refusal(Invalid, "invalid.field", field=name, what=f"a text in one line, {_LONGEST} characters at most")
    value = value.strip()
    if (kind == "url" and not is_url(value)) or (kind == "email" and not is_email(value)):
        what = "an address that begins with http:// or https://" if kind == "url" else "an e-mail address"
        raise refusal(Invalid, "invalid.field", field=name, what=what)
    return value


def is_url(text: str) -> bool:
    """Whether this may be called. A place that a document fills (in double braces) counts as any sign."""
    try:
        parse_url(text.replace("{{", "").replace("}}", ""))
    except TransportError:
        return False
    return True
