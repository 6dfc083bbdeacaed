"""Callers are told what becomes of their tasks, where a request names an address for that: by the outbox.

A message is put in with the move itself; what it tells is the task as it is when the message leaves, in the caller's
own format. It is signed with the caller's key, which both sides have. A vendor never learns the address.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.errors import CallError, MappingError
from engine.jsonbytes import dumps
from engine.kinds.task import images
from engine.kinds.task.record import TaskRecord, record, view
from engine.outbox import Outcome, posting
from engine.storage.rows.work import called, outbox, tasks
from engine.transport.faults import TransportError
from engine.transport.url import parse_url

if TYPE_CHECKING:
    from engine.kinds.task.call import TaskCall
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot
    from engine.storage.database import Database
    from engine.storage.rows.work.outbox import Message

KIND = "callback"
_LONGEST = 2_000


def wanted(call: TaskCall) -> str:
    """The address that a request names; nothing where it names none, or the operator has not opened that."""
    views = call.format.task
    if views is None or views.callback is None:
        return ""
    if views.callback_option and call.snapshot.options.get(views.callback_option) != "true":
        return ""
    url = views.callback([], call.wire)
    if url is None or url == "":
        return ""
    try:
        if not isinstance(url, str) or len(url) > _LONGEST:
            raise CallError("bad_request", f"the callback is no address of at most {_LONGEST} characters")
        parse_url(url)
    except TransportError:
        raise CallError("bad_request", "the callback is no address that begins with http:// or https://") from None
    return url


def put(connection: Any, db: Database, one: TaskRecord, state: str) -> None:
    """Note that a caller is to be told, in the transaction that moves the task."""
    url = one.own.get("callback")
    if isinstance(url, str) and url:
        host = urlsplit(url).netloc.rpartition("@")[2]
        body = {"rows": one.rows, "id": one.id}
        outbox.put(db, connection, KIND, f"{KIND}:{host}"[:160], f"task.{state.lower()}", body)


class CallingBack:
    """See the module. ``send`` is the sender."""

    def __init__(self, services: Services, snapshot: Callable[[], Snapshot]) -> None:
        self._services, self._snapshot = services, snapshot

    def send(self, message: Message) -> Outcome:
        """Tell a caller; one whose key or task is gone is not told."""
        task, db = self._task(message.body), self._services.db
        if task is None:
            return Outcome(True)
        rows = called.keys(db, [int(task.own.get("token") or 0)])
        body = self._told(task)
        if not rows or body is None:
            return Outcome(True)
        signed = posting.signed(f"sk-{rows[0]['key'].rstrip()}", message.message, int(time.time()), body)
        headers = [("content-type", "application/json"), *signed]
        return posting.call(self._services.callers_pool, "POST", str(task.own["callback"]), headers, body)[0]

    def _task(self, body: dict[str, Any]) -> TaskRecord | None:
        table, which = body.get("rows"), body.get("id")
        if table not in tasks.TABLES or type(which) is not int:
            return None
        rows = tasks.load(self._services.db, str(table), [which])
        task = record(str(table), rows[0]) if rows else None
        return task if task is not None and task.own.get("callback") and not task.own.get("deleted") else None

    def _told(self, task: TaskRecord) -> bytes | None:
        """The task in the caller's format, as a question for it is answered."""
        formats = self._snapshot().program.formats
        asked, spoken = formats.get(str(task.own.get("asked_format"))), formats.get(str(task.own.get("format")))
        if asked is None or asked.task is None:
            return None
        same = spoken is not None and spoken.passthrough_as == asked.passthrough_as
        mapping = asked.task.fetched or asked.task.submitted
        try:
            image = images.shown(self._snapshot().options, asked, task)
            return dumps(mapping([], {**view(task, same=same), "image": image}, {}))
        except MappingError:
            return None
