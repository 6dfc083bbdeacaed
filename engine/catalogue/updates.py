"""Models that came or went at a channel's upstream: noted by looking, taken up when somebody says so.

What was found lies in the channel's ``settings``, as the family's programs keep it; only that can be taken up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson

from engine.catalogue import channels
from engine.filters.patterns import pattern
from engine.storage.database import Database
from engine.storage.rows import channel_edits as rows
from engine.storage.rows.crud import Row

_NAME, _REGEX = "upstream_model_update_", "regex:"
_CHECKED, _FOUND, _GONE = f"{_NAME}last_check_time", f"{_NAME}last_detected_models", f"{_NAME}last_removed_models"
_IGNORED, _AUTO = f"{_NAME}ignored_models", f"{_NAME}auto_sync_enabled"


def _settings(row: Row) -> dict[str, Any]:
    try:
        value = orjson.loads(row.get("settings") or "{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _models(row: Row) -> list[str]:
    return [name.strip() for name in (row.get("models") or "").split(",") if name.strip()]


def detect(db: Database, which: int, listed: list[str]) -> dict[str, Any]:
    """Note what differs between a channel's models, as they are now, and those that its upstream listed."""
    row = channels.get(db, which)
    settings, own = _settings(row), _models(row)
    ignores, mapped = _ignores(settings), _mapped(row)
    new_names = [name for name in listed if name not in own and name not in mapped and not ignores(name)]
    gone = [name for name in own if name not in listed and name not in _sources(row)]
    settings |= {_CHECKED: int(time.time()), _FOUND: new_names, _GONE: gone}
    rows.change(db, {row["id"]: {"settings": _text(settings)}}, quiet=True)
    return {
        "channel_id": row["id"],
        "channel_name": row.get("name") or "",
        "add_models": new_names,
        "remove_models": gone,
        "last_check_time": settings[_CHECKED],
        "auto_added_models": 0,
    }


def _mapping(row: Row) -> dict[str, Any]:
    try:
        value = orjson.loads(row.get("model_mapping") or "{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _mapped(row: Row) -> set[str]:
    return {str(name) for name in _mapping(row).values()}


def _sources(row: Row) -> set[str]:
    return set(_mapping(row))


def _text(settings: dict[str, Any]) -> str:
    return orjson.dumps({name: value for name, value in settings.items() if value not in ([], None)}).decode()


def _ignores(settings: dict[str, Any]) -> Callable[[str], bool]:
    """Whether a model is one that nobody wants to be told of: by its name, or by ``regex:`` and a pattern."""
    names, patterns = set(), []
    for entry in settings.get(_IGNORED) or ():
        if str(entry).startswith(_REGEX):
            with suppress(ValueError):  # one that can't be read ignores nothing
                patterns.append(pattern(str(entry).removeprefix(_REGEX)))
        else:
            names.add(entry)
    return lambda name: name in names or any(ignored.found(name) for ignored in patterns)


def asked_for(row: Row) -> bool:
    """Whether a channel's setting asks for looking."""
    return _settings(row).get(f"{_NAME}check_enabled") is True


def due(row: Row, least: int) -> bool:
    """Whether a channel's setting asks for looking, and nobody has looked for ``least`` seconds."""
    checked = _settings(row).get(_CHECKED)
    return asked_for(row) and time.time() - (checked if isinstance(checked, int) else 0) >= least


def takes_up(row: Row) -> bool:
    """Whether a channel's setting says that models which came are taken up at once."""
    return _settings(row).get(_AUTO) is True


def proposed(row: Row) -> tuple[list[str], list[str]]:
    """The models that came and that went, when somebody looked last."""
    settings = _settings(row)
    return list(settings.get(_FOUND) or ()), list(settings.get(_GONE) or ())


def apply(db: Database, which: int, add: list[str], remove: list[str], ignore: list[str]) -> dict[str, Any]:
    """Take up some of what was found."""
    row = channels.get(db, which)
    settings, own = _settings(row), _models(row)
    new_names, gone = proposed(row)
    added = [name for name in add if name in new_names and name not in own]
    removed = [name for name in remove if name in gone]
    ignored = [name for name in ignore if name in new_names]
    models = [name for name in own if name not in removed] + added
    settings[_FOUND] = [name for name in new_names if name not in added and name not in ignored]
    settings[_GONE] = [name for name in gone if name not in removed]
    settings[_IGNORED] = list(dict.fromkeys([*(settings.get(_IGNORED) or ()), *ignored]))
    remaining, leaving = settings[_FOUND], settings[_GONE]
    text = _text(settings)
    rows.change(db, {row["id"]: {"models": ",".join(models), "settings": text}})
    return {
        "id": which,
        "added_models": added,
        "removed_models": removed,
        "ignored_models": ignored,
        "remaining_models": remaining,
        "remaining_remove_models": leaving,
        "models": ",".join(models),
        "settings": text,
    }


def apply_all(db: Database) -> dict[str, Any]:
    """Take up all that was found of the channels whose setting asks for it."""
    results = []
    for row in rows.listed(db, rows.conditions(status=True)):
        new_names, _ = proposed(row)
        if takes_up(row) and new_names:
            results.append(apply(db, row["id"], new_names, [], []))
    return {
        "processed_channels": len(results),
        "added_models": sum(len(result["added_models"]) for result in results),
        "removed_models": 0,
        "failed_channel_ids": [],
        "results": results,
    }
