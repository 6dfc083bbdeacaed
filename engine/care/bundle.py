"""What an expert needs to help, in one file without a secret: settings, findings, schema, counts, channels, documents.

``bundle(settings, environ, path)`` writes a ``.tar.gz``. Two nets hold secrets back: fields that may hold one are
masked where they are written, and every secret that this installation knows is then struck out of every file, in each
spelling. What callers said and what models answered is not in it, nor names of users.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from sqlalchemy import column, func, select, table

from engine import __version__, settings
from engine.care.doctor import Asked, examine
from engine.errors import GatewrightError, Unavailable
from engine.settings import Settings
from engine.storage import rotation
from engine.storage.database import Database, open_database
from engine.storage.rows import channels, options
from engine.storage.tables import METADATA
from engine.storage.tables.core import logs, tokens, users
from engine.storage.upgrade.checking import check
from engine.storage.vault import SealedError
from engine.transport.masking import STRUCK, Mask

_WORD = re.compile(r"(?i)authorization|secret|token|passw|credential|api[-_]?key|^key$|cookie|headers|certificate")
_USERINFO = re.compile(r"(?<=://)[^\s'\"]*@")
_KEY = re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{24,}\b")
"""What looks like a key, whoever made it."""
_SINCE = 7 * 86_400
_KEY_PREFIX = "GATEWRIGHT_KEY_"


def bundle(chosen: Settings, environ: Mapping[str, str], path: Path) -> list[str]:
    """Write the bundle; the names of its files."""
    files: dict[str, str] = {"about.json": _json(_about(chosen))}
    secrets = list(_secrets_around(chosen, environ))
    files["settings.json"] = _json({"settings": settings.describe(chosen), "warnings": chosen.warnings})
    files["doctor.json"] = _json([asdict(finding) for finding in examine(Asked(environ, offline=True))])
    files |= {f"documents/{name}": masked(text) for name, text in _documents(chosen)}
    try:
        db = open_database(chosen, migrate=False) if _is_there(chosen) else None
    except GatewrightError as fault:
        files["database.json"] = _json({"fault": str(fault)})
    else:
        if db is not None:
            try:
                files["database.json"] = _json(_database(db))
                secrets += _secrets_in(db)
            finally:
                db.close()
    mask = Mask(sorted(set(secrets), key=len, reverse=True))
    _write(path, {name: mask.text(text) for name, text in files.items()})
    return sorted(files)


def _is_there(chosen: Settings) -> bool:
    own = not chosen.sql_dsn or chosen.sql_dsn.startswith("local")
    return not own or Path(chosen.database_path.partition("?")[0]).is_file()


def _about(chosen: Settings) -> dict[str, Any]:
    data = chosen.data
    return {
        "version": __version__,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": sys.version,
        "machine": platform.platform(),
        "processors": os.cpu_count(),
        "packages": sorted(f"{package.name} {package.version}" for package in metadata.distributions()),
        "data": {str(path.relative_to(data)): path.stat().st_size for path in sorted(data.rglob("*")) if path.is_file()}
        if data.is_dir()
        else {},
    }


def _documents(chosen: Settings) -> Iterator[tuple[str, str]]:
    directory = chosen.spec_directory
    for path in sorted(directory.rglob("*.y*ml")) if directory.is_dir() else ():
        with suppress(OSError):
            yield path.relative_to(directory).as_posix(), path.read_text("utf-8", "replace")


def masked(text: str) -> str:
    """Documents without what may be a secret: values of headers and beside words of secrets, users in addresses."""
    try:
        documents = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, RecursionError):
        return "left out: it is no YAML; `gatewright lint` says where\n"
    return yaml.safe_dump_all([_masked(document) for document in documents], sort_keys=False, allow_unicode=True)


def _masked(value: Any, *, under: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            key: member if key == "secretRef" else _masked(member, under=under or bool(_WORD.search(str(key))))
            for key, member in value.items()
            if key != "tests"
        }
    if isinstance(value, list):
        return [_masked(item, under=under) for item in value]
    if not isinstance(value, str):
        return value
    return STRUCK if under else _KEY.sub(STRUCK, _USERINFO.sub(f"{STRUCK}@", value))


def _database(db: Database) -> dict[str, Any]:
    report = asdict(check(db))
    there = sorted(set(db.columns) & set(METADATA.tables))
    with db.read() as connection:
        counts = {name: connection.execute(select(func.count()).select_from(table(name))).scalar() for name in there}
        recent = (
            connection.execute(
                select(logs.c.type, logs.c.model_name, logs.c.channel_id, func.count())
                .where(logs.c.created_at > time.time() - _SINCE)
                .group_by(logs.c.type, logs.c.model_name, logs.c.channel_id)
            ).all()
            if {"type", "model_name", "channel_id", "created_at"} <= db.columns.get("logs", frozenset())
            else []
        )
    facts: dict[str, Any] = {"schema": report, "rows": counts, "calls of 7 days": [list(row) for row in recent]}
    if "options" in there and report["revision"]:
        facts["options"] = {
            name: STRUCK if rotation.is_secret(name) or _WORD.search(name) else _option(value)
            for name, value in options.load(db).items()
        }
        facts["channels"] = [_channel(row) for row in channels.load(db)]
    return facts


def _option(value: str) -> Any:
    """Switches, numbers and tables of them; what is text may say anything."""
    if value in ("true", "false", ""):
        return value
    try:
        return _numbers(json.loads(value))
    except ValueError:
        return STRUCK


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {_KEY.sub(STRUCK, key): _numbers(item) for key, item in value.items()}
    return (
        STRUCK if isinstance(value, str) else [_numbers(item) for item in value] if isinstance(value, list) else value
    )


def _channel(row: channels.ChannelRow) -> dict[str, Any]:
    place = urlsplit(_USERINFO.sub("", row.base_url))
    return {
        "id": row.id, "type": row.type, "numbering": row.numbering, "status": row.status, "keys": len(row.keys),
        "models": row.models, "groups": row.groups, "priority": row.priority, "weight": row.weight,
        "host": place.hostname, "path": place.path, "mapping": row.model_mapping, "faults": row.faults,
        "asks for": sorted([*row.param_override, *row.header_override, *row.setting, *row.settings, *row.config]),
    }  # fmt: skip


def _secrets_around(chosen: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """Secrets of settings, the environment and files."""
    for row in settings.rows():
        if row.secret:
            value = str(getattr(chosen, row.attribute) or "")
            yield from (value, *_passwords(value))
    for name, value in environ.items():
        if name.startswith(_KEY_PREFIX) or name in chosen.secret_env:
            yield value
    files = [chosen.data / name for name in ("session.secret", "first.key", "first.login")]
    for path in [*files, *(chosen.secret_directory.rglob("*") if chosen.secret_directory.is_dir() else ())]:
        with suppress(OSError, UnicodeDecodeError):
            yield from (path.read_text("utf-8").strip(), *path.read_text("utf-8").split())


def _passwords(dsn: str) -> Iterator[str]:
    """The password in a DSN, of either form."""
    if match := re.match(r"(?:\w+(?:\+\w+)?://)?[^:/@]*:(.+)@", dsn):
        yield match[1]


def _secrets_in(db: Database) -> list[str]:
    """Secrets in the database: of channels, options, keys and people."""
    secrets: list[str] = []
    if "channels" in db.columns and db.columns.get("gatewright_facts"):
        for row in channels.load(db):
            secrets += row.keys
    with db.read() as connection:
        for place, text in rotation.texts(db, connection):
            secrets.append(text)
            with suppress(SealedError):
                secrets.append(db.vault.open(text, place))
        for column_ in (tokens.c.key, users.c.password, users.c.access_token, users.c.email, users.c.username):
            if column_.name in db.columns.get(column_.table.name, ()):
                listed = select(table(column_.table.name, column(column_.name)))
                secrets += [str(row[0]).strip() for row in connection.execute(listed) if row[0]]
    return secrets


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)


def _write(path: Path, files: Mapping[str, str]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        place = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(place, "wb") as out, tarfile.open(fileobj=out, mode="w:gz") as archive:
            for name, text in sorted(files.items()):
                data = text.encode("utf-8", "replace")
                member = tarfile.TarInfo(f"gatewright-support/{name}")
                member.size, member.mtime, member.mode = len(data), int(time.time()), 0o600
                archive.addfile(member, io.BytesIO(data))
        partial.rename(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise Unavailable(f"{path} can't be written: {error.strerror}") from None
