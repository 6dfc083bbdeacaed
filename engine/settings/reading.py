"""Reads the settings: the environment first, a ``.env`` file for what is missing, then the defaults.

Takes a mapping of variables, gives a ``Settings``; faults are gathered and told all at once. A secret may also be
given as ``NAME_FILE``, the path of a file that holds it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import Invalid
from engine.settings import retired
from engine.settings.row import Row
from engine.settings.table import rows
from engine.settings.values import Settings

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


class SettingsError(Invalid):
    """Settings that can't be read; ``faults`` has one sentence each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("settings", "\n".join(faults))
        self.faults = faults


def load(environ: Mapping[str, str] | None = None, *, directory: Path | None = None, **given: object) -> Settings:
    """Settings from the environment and the ``.env`` file of ``directory`` (the working directory).

    ``given`` are attributes set on the command line; they go over the rest.
    """
    environ = os.environ if environ is None else environ
    filled = read_dotenv((directory or Path()) / ".env")
    values: dict[str, Any] = {}
    sources: list[tuple[str, str]] = []
    faults: list[str] = []
    for row in rows():
        text, source = _text_of(row, environ, filled, faults)
        if not text:
            continue
        try:
            values[row.attribute] = row.kind.read(text)
            sources.append((row.name, source))
        except ValueError as error:
            shown = "" if row.secret else f", found {text!r}"
            faults.append(f"{row.name}: {error}{shown} (from {source})")
    faults += _apart(values)
    if faults:
        raise SettingsError(faults)
    named = {row.attribute: row.name for row in rows()}
    for attribute, value in given.items():
        if value is not None:
            values[attribute] = value
            sources = [pair for pair in sources if pair[0] != named[attribute]] + [(named[attribute], "command line")]
    known = {name for row in rows() for name in (row.name, f"{row.name}_FILE" if row.secret else row.name)}
    cautions = [f"{row.name}: {row.caution}" for row in rows() if row.caution and values.get(row.attribute)]
    vain = [warning for name in sorted({*environ, *filled}) if (warning := retired.warning(name, known))]
    return replace(Settings(**values), sources=tuple(sources), warnings=(*cautions, *vain))


def _apart(values: Mapping[str, Any]) -> list[str]:
    """Settings that do not go together, a sentence each."""
    if not values.get("login_header"):
        return []
    needed = {"trusted_proxies": "TRUSTED_PROXIES", "login_secret": "GATEWRIGHT_LOGIN_SECRET"}
    return [
        f"GATEWRIGHT_LOGIN_HEADER: set {name} too: anybody could name anybody without it"
        for attribute, name in needed.items()
        if not values.get(attribute)
    ]


def _text_of(row: Row, environ: Mapping[str, str], filled: Mapping[str, str], faults: list[str]) -> tuple[str, str]:
    for values, source in ((environ, "environment"), (filled, ".env")):
        text = values.get(row.name, "").strip()
        if text:
            return text, source
        path = values.get(f"{row.name}_FILE", "").strip() if row.secret else ""
        if path:
            try:
                return Path(path).read_text(encoding="utf-8").strip(), f"{row.name}_FILE"
            except (OSError, UnicodeDecodeError) as error:
                faults.append(f"{row.name}_FILE: can't read {path}: {error}")
    return "", "default"


def read_dotenv(path: Path) -> dict[str, str]:
    """The pairs of a ``.env`` file: ``NAME=value`` lines, ``#`` comments, single or double quotes round a value."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: can't be read: {error}"]) from None
    values: dict[str, str] = {}
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            faults.append(f"{path}:{number}: expected NAME=value")
            continue
        values[match[1]] = _unquoted(match[2])
    if faults:
        raise SettingsError(faults)
    return values


def _unquoted(text: str) -> str:
    for quote in "\"'":
        if text.startswith(quote):
            end = text.find(quote, 1)
            return text[1:end] if end > 0 else text
    return re.split(r"\s#", text, maxsplit=1)[0].rstrip()


def describe(settings: Settings) -> list[dict[str, str]]:
    """A row per setting for people: name, value (secrets masked), source, default, words."""
    sources = dict(settings.sources)
    return [
        {
            "name": row.name,
            "value": masked(row, getattr(settings, row.attribute)),
            "source": sources.get(row.name, "default"),
            "default": shown(row.default),
            "words": row.words,
        }
        for row in rows()
    ]


def masked(row: Row, value: object) -> str:
    """A value for people; of a secret only whether there is one."""
    return "********" if row.secret and value else shown(value)


def shown(value: object) -> str:
    """A value as one would write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return str(value)
