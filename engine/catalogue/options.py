"""Options: one table of what there is (name, type, default, check, secret, what it shows), and how one is set.

The table lies beside the engine (``catalogue/options.json``), since names of outside programs stand in it. A value is
checked before anything is stored; unknown names are refused with the nearest. Values are texts, as the family's
programs keep them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from engine import paths
from engine.errors import Forbidden, Invalid
from engine.net import network_rules
from engine.storage.database import Database
from engine.storage.releases import acting
from engine.storage.releases.documents import Author
from engine.storage.rows import options as rows
from engine.storage.rows import trail
from engine.storage.rows.crud import Guard
from engine.texts import refusal

_STATUSES = re.compile(r"\d{3}(\s*-\s*\d{3})?(\s*,\s*\d{3}(\s*-\s*\d{3})?)*")
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,12})?")
_OF_DOCUMENT = re.compile(r"(?P<place>(?:captcha|login|payment)\.[a-z0-9][a-z0-9_-]{0,63}\.)[a-z0-9_]{1,64}")
_LONGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Option:
    """What is known of an option. ``status`` is where ``/api/status`` shows it; ``used``: something here reads it."""

    name: str
    type: str = "text"
    default: str = ""
    secret: bool = False
    status: str = ""
    needs: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    readonly: bool = False
    used: bool = False


@lru_cache(maxsize=1)
def known() -> Mapping[str, Option]:
    """All options by name."""
    table = orjson.loads((paths.CATALOGUE / "options.json").read_bytes())
    return {name: _option(name, row) for name, row in table.items()}


def find(name: str) -> Option | None:
    """An option by its name, one of those that documents of the operator's own read too.

    These are called ``captcha.``, ``login.`` or ``payment.NAME.WORD`` and are texts. Where a shipped document has
    options of that NAME, what is not among them is a slip.
    """
    if (option := known().get(name)) is not None:
        return option
    match = _OF_DOCUMENT.fullmatch(name)
    if match is None or any(other.startswith(match["place"]) for other in known()):
        return None
    return Option(name, secret=_is_secret(name), used=True)


def _option(name: str, row: dict[str, Any]) -> Option:
    lists: dict[str, Any] = {key: tuple(row.pop(key)) for key in ("needs", "choices") if key in row}
    members: dict[str, Any] = {**row, **lists}
    return Option(name=name, **members)


def value_of(values: Mapping[str, str], name: str) -> Any:
    """An option's value in its type, its default where it is not set or can't be read."""
    option = known()[name]
    for text in (values.get(name), option.default):
        if text is None:
            continue
        try:
            return _typed(option, text)
        except ValueError:
            continue
    return None


def _typed(option: Option, text: str) -> Any:
    if option.type == "boolean":
        return text == "true"
    if option.type == "whole":
        return int(text)
    if option.type == "number":
        number = float(text)
        return int(number) if number == int(number) else number
    if option.type in ("object", "list", "ratios", "groups", "rates", "networks"):
        return orjson.loads(text) if text else ([] if option.type in ("list", "networks") else {})
    return text


def shown(values: Mapping[str, str]) -> list[dict[str, str]]:
    """All options that are no secrets, as texts."""
    table = known()
    names = sorted({*table, *values})
    return [
        {"key": name, "value": values.get(name, table[name].default if name in table else "")}
        for name in names
        if not _is_secret(name)
    ]


def _is_secret(name: str) -> bool:
    option = known().get(name)
    return option.secret if option else re.search(r"(?i)(token|secret|key)$", name) is not None


def put(db: Database, values: Mapping[str, str], name: str, value: Any, user: int, guard: Guard | None = None) -> bool:
    """Set an option; whether something here reads it. Raises ``Invalid`` and stores nothing where it is wrong."""
    if not name.strip():
        raise refusal(Invalid, "required", name="key", field="key")
    option = find(name)
    if option is None:
        near = difflib.get_close_matches(name, known(), n=1)
        raise refusal(Invalid, "option.unknown", field="key", name=name[:80], near=f" ({near[0]}?)" if near else "")
    if option.readonly:
        raise refusal(Forbidden, "option.read_only", name=name)
    _open(db, name)
    text = text_of(value)
    _check(option, text, values)
    db.write(lambda connection: _store(db, connection, option, text, _author(user), guard))
    return option.used


def _author(user: int) -> Author:
    return acting.who() if acting.who().id == user else Author(user, "")


def put_all(db: Database, values: Mapping[str, str], texts: Mapping[str, str], user: int) -> None:
    """Set several options that are known, all in one transaction or none."""
    for name, text in texts.items():
        _open(db, name)
        _check(known()[name], text, values)

    def work(connection: Any) -> None:
        for name, text in texts.items():
            _store(db, connection, known()[name], text, _author(user), None)

    db.write(work)


def _open(db: Database, name: str) -> None:
    """Refuse an option that a document pins, naming its place."""
    if name in db.pinned:
        raise refusal(Forbidden, "option.pinned", name=name, place=db.pinned[name][1])


def _store(db: Database, connection: Any, option: Option, text: str, by: Author, guard: Guard | None) -> None:
    if guard is not None:
        guard({"name": option.name, "value": rows.held(db, connection, option.name)})
    rows.put(db, connection, option.name, text, by, secret=option.secret)
    trail.changed(db, connection)


def reset(db: Database, names: list[str]) -> None:
    """Back to the defaults."""
    for name in names:
        _open(db, name)
    drop(db, *names)


def drop(db: Database, *names: str) -> int:
    """Take rows away, whatever a document says; how many there were."""
    by = acting.who()

    def work(connection: Any) -> int:
        gone = rows.drop(db, connection, list(names), by)
        trail.changed(db, connection)
        return gone

    return db.write(work)


def text_of(value: Any) -> str:
    """A value as the text that is kept."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return orjson.dumps(value).decode()


def _check(option: Option, text: str, values: Mapping[str, str]) -> None:
    if len(text) > _LONGEST or "\0" in text:
        raise _wrong(option, f"{_LONGEST} characters at most, none of them NUL")
    if option.choices and text not in option.choices:
        raise _wrong(option, " or ".join(option.choices))
    check = _CHECKS.get(option.type)
    if check is not None and (text or option.type in ("boolean", "whole", "number")):
        check(option, text)
    if option.type == "boolean" and text == "true":
        for name in option.needs:
            if not values.get(name, known()[name].default).strip():
                raise refusal(Invalid, "option.needs", field="value", name=option.name, needs=name)


def _wrong(option: Option, what: str) -> Invalid:
    return refusal(Invalid, "option.value", field="value", name=option.name, what=what)


def _boolean(option: Option, text: str) -> None:
    if text not in ("true", "false"):
        raise _wrong(option, "true or false")


def _whole(option: Option, text: str) -> None:
    if not re.fullmatch(r"-?\d{1,15}", text) or text[0] == "-":
        raise _wrong(option, "a whole number, 0 or more")


def _number(option: Option, text: str) -> None:
    if not _NUMBER.fullmatch(text) or text[0] == "-":
        raise _wrong(option, "a number, 0 or more")


def _json(option: Option, text: str, kind: type) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise refusal(Invalid, "option.json", field="value", name=option.name, what=str(error)[:120]) from None
    if not isinstance(value, kind):
        raise _wrong(option, "a JSON list" if kind is list else "a JSON object")
    return value


def _object(option: Option, text: str) -> None:
    _json(option, text, dict)


def _list(option: Option, text: str) -> None:
    _json(option, text, list)


def _ratios(option: Option, text: str) -> None:
    for name, value in _json(option, text, dict).items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise _wrong(option, f"numbers of 0 or more (at {name[:80]})")


def _groups(option: Option, text: str) -> None:
    for name, value in _json(option, text, dict).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(option, f"numbers (at {name[:80]})")
        if value < 0:
            raise refusal(Invalid, "option.negative", field="value", group=name)


def _rates(option: Option, text: str) -> None:
    for name, pair in _json(option, text, dict).items():
        good = isinstance(pair, list) and len(pair) == 2 and all(type(number) is int for number in pair)
        if not good:
            raise _wrong(option, "two whole numbers for each group")
        if pair[0] < 0 or pair[1] < 1:
            what = f"[{pair[0]}, {pair[1]}]"
            raise refusal(Invalid, "option.rates", field="value", group=name, what=what)


def _statuses(option: Option, text: str) -> None:
    if not _STATUSES.fullmatch(text.strip()):
        raise refusal(Invalid, "option.status", field="value", what=text[:80])


def _networks(option: Option, text: str) -> None:
    try:
        network_rules(_json(option, text, list))
    except ValueError as error:
        raise _wrong(option, str(error)) from None


_CHECKS: dict[str, Callable[[Option, str], None]] = {
    "boolean": _boolean,
    "whole": _whole,
    "number": _number,
    "object": _object,
    "list": _list,
    "ratios": _ratios,
    "groups": _groups,
    "rates": _rates,
    "statuses": _statuses,
    "networks": _networks,
}
