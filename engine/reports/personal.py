"""All that is kept of one person as JSON, in pieces as it is read, so that nothing is held whole."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson

from engine.reports import log_lists
from engine.storage.database import Database
from engine.storage.rows.api import personal
from engine.storage.rows.api.keyset import Question
from engine.storage.rows.crud import Row

LISTS = {**dict.fromkeys(personal.LISTS, "Rows of it, without secrets."), "log": "Calls, newest first."}
"""The lists of an export, with words."""
_LOG_SECRET = ("channel_id", "channel_name", "upstream_request_id", "other")
"""What log rows say of the operator's side."""


def export(db: Database, log_db: Database, user: Row) -> Iterator[bytes]:
    """An object: ``exported_at``, ``user``, a list for each table, and ``log``."""
    yield b'{"exported_at":%d,"user":%s' % (int(time.time()), _json(personal.of_user(user)))
    for name, rows in personal.kept(db, user["id"]):
        yield b',"%s":%s' % (name.encode(), _json(rows))
    yield b',"log":['
    before = b""
    for row in log_lists.everything(log_db, Question(), user_id=user["id"]):
        yield before + _json({name: value for name, value in row.items() if name not in _LOG_SECRET})
        before = b","
    yield b"]}"


def _json(value: object) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
