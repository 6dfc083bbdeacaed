"""Pictures of drawings by addresses of the gateway's own: kept, or handed on from their vendors, who are not seen.

An address names a row and a secret of that row; whoever has it may look, as with the vendor's own.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.kinds.task.contents import fetched
from engine.kinds.task.record import TaskRecord, record
from engine.relay.call import Call, Reply
from engine.relay.ingress.body import path_id
from engine.relay.results.kept import kept
from engine.storage.rows.work import tasks

if TYPE_CHECKING:
    from engine.program import Format
    from engine.relay.services import Services

_DIGITS = 18


def shown(options: Mapping[str, str], asked: Format, task: TaskRecord) -> str | None:
    """The address under which a task's picture is shown; nothing where its vendor's is."""
    views, address = asked.task, options.get("ServerAddress", "").rstrip("/")
    secret = task.own.get("image")
    if views is None or not views.image_path or not secret or not address or not task.id:
        return None
    if views.image_option and options.get(views.image_option) == "false":
        return None
    return f"{address}{views.image_path}{task.id}-{secret}"


def image(services: Services, call: Call, environ: dict[str, Any]) -> Reply:
    """The picture of an address, to whoever has it."""
    number, _, secret = path_id(call).partition("-")
    views = call.format.task
    rows = tasks.load(services.db, views.rows, [int(number)]) if views is not None and _whole(number) else []
    task = record(views.rows, rows[0]) if views is not None and rows else None
    own = str(task.own.get("image") or "") if task is not None else ""
    url = str(task.row.get("image_url") or "") if task is not None else ""
    if not own or not hmac.compare_digest(own.encode(), secret.encode()) or not url:
        raise CallError("not_found", "there is no such picture", code="image_not_found")
    assert task is not None
    return kept(services, call.snapshot, task.rows, task.id, 0, call.headers) or fetched(services, url, call.headers)


def _whole(number: str) -> bool:
    return number.isascii() and number.isdecimal() and len(number) <= _DIGITS
