"""What is typed into forms, as the management API takes it, and back: lines for JSON objects, dollars, dates, lists."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Mapping
from typing import Any

import orjson

from admin.view import View
from admin.words import gettext
from engine.errors import Forbidden, Invalid

_ARROW = re.compile(r"\s*(?:→|->|=>|=|:)\s*")
_SPANS = {"1h": 3600, "1d": 86_400, "1w": 604_800, "1m": 2_592_000, "1y": 31_536_000}


def lines_of(text: Any, mark: str = " → ") -> str:
    """A JSON object of texts as lines."""
    value = loads(text)
    return "\n".join(f"{name}{mark}{member}" for name, member in value.items())


def loads(text: Any) -> dict[str, Any]:
    """A JSON object, or nothing where there is none."""
    if isinstance(text, dict):
        return text
    try:
        value = orjson.loads(text) if text else {}
    except (orjson.JSONDecodeError, TypeError):
        return {}
    return value if isinstance(value, dict) else {}


def object_of(field: str, text: str) -> str:
    """Lines ``from → to`` as a JSON object; a JSON object is taken as it is. Empty is an empty object."""
    if text.strip().startswith("{"):
        return text.strip()
    pairs: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        parts = _ARROW.split(line.strip(), maxsplit=1)
        if len(parts) != 2 or not all(parts):
            raise Invalid(field, gettext("Line %(number)s: write it as “from → to”") % {"number": number})
        pairs[parts[0]] = parts[1]
    return orjson.dumps(pairs).decode()


def words_of(text: str) -> list[str]:
    """Names apart by commas, blanks or lines, each once."""
    return list(dict.fromkeys(word for word in re.split(r"[\s,，;]+", text) if word))


def whole(field: str, text: str, default: int = 0) -> int:
    """A whole number; raises ``Invalid``."""
    text = text.strip().replace(",", "").replace("\u202f", "")
    if not text:
        return default
    if not re.fullmatch(r"-?\d{1,15}", text):
        raise Invalid(field, gettext("Write a whole number"))
    return int(text)


def decimal(field: str, text: str, default: float = 0.0) -> float:
    """A number; a comma may stand for the point. Raises ``Invalid``."""
    text = text.strip().lstrip("$").replace(",", ".")
    if not text:
        return default
    if not re.fullmatch(r"-?\d{0,15}(\.\d{0,12})?", text) or not any(map(str.isdigit, text)):
        raise Invalid(field, gettext("Write a number, such as 12.50"))
    return float(text)


def quota(view: View, field: str, text: str) -> int:
    """Dollars as quota units."""
    amount = decimal(field, text)
    if amount < 0:
        raise Invalid(field, gettext("Write an amount of 0 or more"))
    return round(amount * view.unit)


def until(field: str, choice: str, date: str = "") -> int:
    """When something ends: a span from now, a date, or -1 for never."""
    if choice in _SPANS:
        return int(time.time()) + _SPANS[choice]
    if choice != "date":
        return -1
    try:
        moment = datetime.datetime.fromisoformat(date)
    except ValueError:
        raise Invalid(field, gettext("Choose a day")) from None
    return int(moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp())


def filled(view: View, kind: str) -> list[dict[str, Any]]:
    """The lists that forms are filled with; none for who may not read them."""
    try:
        lists: list[dict[str, Any]] = view.api("GET", "/api/prefill_group/", type=kind)
    except Forbidden:
        return []
    return lists


def ids(view: View) -> list[int]:
    """The rows that were ticked."""
    return [int(part) for part in view.form.get("ids", "").split(",") if part.isascii() and part.isdigit()]


def faults(view: View, error: Exception, usual: str) -> dict[str, str]:
    """A refusal beside the field that it is about."""
    field = error.field if isinstance(error, Invalid) and error.field else usual
    return {field: view.words(error)}  # type: ignore[arg-type]


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What differs."""
    return {name: value for name, value in after.items() if before.get(name) != value}
