"""Results of finished tasks are fetched once and kept, where a Policy says so; and forgotten when their time is over.

A result is noted with the move that ends its task (``wanted``), and fetched by one process of the cluster, which is
killed at any point without harm: its name in the store is known before, and what is there is there whole. What can't be
kept is told in the log and beside the task; the task itself, its state and its money stay as they are.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import CallError, Unavailable
from engine.jobs import Job, Lease
from engine.kinds.task import record as records
from engine.kinds.task.asking import Asker, channel_of, key_of, spoken_of
from engine.kinds.task.contents import fetched, files, original
from engine.relay.results.rules import ResultRules, result_rules
from engine.relay.results.stores import opened
from engine.relay.upstream.failure import UpstreamFailure
from engine.storage.rows.work import results, tasks
from engine.transport.faults import TransportError
from engine.transport.spool import Spool

if TYPE_CHECKING:
    from engine.kinds.task.record import TaskRecord
    from engine.program import TaskRules
    from engine.relay.call import Reply
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot
    from engine.storage.rows.work.results import KeptResult

log = logging.getLogger(__name__)
_LOOKED_EVERY = 2.0
_AT_ONCE, _TAKEN_FOR = 4, 60.0
_TRIES, _FIRST, _GROWS, _LONGEST = 10, 20, 3, 21_600
"""How often a result is tried for, over about two days; after how many seconds again, which grow."""
_AT_A_TIME, _LATER = 200, 3_600
_MOST = 20
"""Results of one task that are kept."""
_FAULTS = (CallError, UpstreamFailure, TransportError, LookupError, OSError)


def wanted(snapshot: Snapshot, one: TaskRecord, rules: TaskRules | None) -> list[dict[str, Any]]:
    """The results of a task that has succeeded which are to be kept; none where no Policy says so.

    What many requests made stays where it is, and what stands in the row itself needs no keeping.
    """
    policy = result_rules(snapshot.program.policy)
    if not policy.keep or (rules is not None and rules.charge.lines is not None):
        return []
    if rules is not None and rules.content is not None:
        numbers = [0]
    elif one.rows == tasks.DRAWINGS:
        numbers = [0] if one.row.get("image_url") else []
    else:
        whole = enumerate(files(one)[:_MOST])
        numbers = [number for number, result in whole if not str(result.get("url")).startswith("data:")]
    about = {"user_id": one.user_id, "store": policy.keep}
    return [{"number": number, **about, "name": _name(number)} for number in numbers]


def _name(number: int) -> str:
    """A name in a store that nobody can guess; some hundred directories for each month."""
    token = secrets.token_hex(16)
    return f"{time.strftime('%Y-%m')}/{token[:2]}/{number}-{token}"


class Keeping:
    """See the module."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._looked = 0.0
        self._due: list[tuple[str, Callable[[Snapshot, Lease], str]]] = []

    def jobs(self, snapshot: Snapshot) -> Sequence[Job]:
        """To keep what waits, and to forget what is over: where there is something."""
        if time.time() - self._looked >= _LOOKED_EVERY:
            self._looked, db = time.time(), self._services.db
            now = int(self._looked)
            self._due = [("results.keeping", self._keep_all)] if results.waiting(db, now, 1) else []
            self._due += [("results.retention", self._forget)] if results.over(db, now, 1) else []
        return [Job(name, 0.0, partial(work, snapshot)) for name, work in self._due]

    def _keep_all(self, snapshot: Snapshot, lease: Lease) -> str:
        """Fetch what waits, some at once; a slow one holds up none that comes after it."""
        end, count = time.monotonic() + _TAKEN_FOR, 0
        running: dict[Future[bool], int] = {}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while lease.keep():
                if time.monotonic() < end:
                    free, now = _AT_ONCE - len(running), int(time.time())
                    for row in results.waiting(self._services.db, now, free, list(running.values())) if free else ():
                        running[pool.submit(self._keep, snapshot, lease, row)] = row.id
                if not running:
                    break
                for done in wait(running, 1.0, FIRST_COMPLETED).done:
                    del running[done]
                    count += done.result()
        return f"{count} results were kept"

    def _keep(self, snapshot: Snapshot, lease: Lease, row: KeptResult) -> bool:
        """Fetch one and keep it; whether it is kept now."""
        rules, now = result_rules(snapshot.program.policy), int(time.time())
        try:
            size, media_type = self._carried(snapshot, lease, rules, row)
        except Unavailable:  # the database: what waits, waits on
            raise
        except Exception as error:
            if not isinstance(error, _FAULTS):
                log.exception("the result %s can't be kept", row.name)
            if row.tries + 1 >= _TRIES or getattr(error, "kind", "") == "too_large":
                return self._given_up(row, str(error), now + rules.seconds)
            log.info("the result %s can't be kept now: %s", row.name, error)
            results.again(self._services.db, row, str(error), now + min(_FIRST * _GROWS**row.tries, _LONGEST))
            return False
        if size is None:
            return False
        if results.kept(self._services.db, row, size, media_type, int(time.time()) + rules.seconds):
            return True
        after = results.find(self._services.db, row.rows_of, row.task_id, row.number)
        if after is None or after.state != results.KEPT:  # its task was deleted meanwhile
            opened(self._services, snapshot, rules, row.store).remove(row.name)
        return False

    def _given_up(self, row: KeptResult, why: str, until: int) -> bool:
        log.warning("the result %s of the task %s %d is not kept: %s", row.name, row.rows_of, row.task_id, why)
        results.failed(self._services.db, row, why, until)
        return False

    def _carried(self, snapshot: Snapshot, lease: Lease, rules: ResultRules, row: KeptResult) -> tuple[int | None, str]:
        """Size and type of a result that lies in its store now; no size where the lease was lost on the way."""
        store = opened(self._services, snapshot, rules, row.store)
        reply = self._original(snapshot, row)
        media_type = dict(reply.headers).get("content-type", "application/octet-stream")
        stream = reply.stream if reply.stream is not None else iter((reply.body,))
        spool = Spool(self._services.settings.data)
        try:
            for piece in stream:
                if len(spool) + len(piece) > rules.bytes:
                    raise TransportError("too_large", f"it is longer than {rules.bytes} bytes (results.bytes)")
                if not lease.keep():
                    return None, ""
                spool.write(piece)
        finally:
            if close := getattr(stream, "close", None):
                close()
        store.put(row.name, spool, media_type)
        return (len(spool) if lease.keep() else None), media_type

    def _original(self, snapshot: Snapshot, row: KeptResult) -> Reply:
        """What its vendor has. Raises what ``_FAULTS`` names."""
        loaded = tasks.load(self._services.db, row.rows_of, [row.task_id])
        if not loaded:
            raise LookupError("its task is gone")
        one = records.record(row.rows_of, loaded[0])
        if one.rows == tasks.DRAWINGS:
            return fetched(self._services, str(one.row.get("image_url") or ""), {})
        channel = channel_of(snapshot, one)
        spoken = spoken_of(snapshot, channel, one) if channel is not None else None
        asker = None
        if channel is not None and spoken is not None:
            asker = Asker(self._services, snapshot, channel, spoken, key_of(channel, one))
        return original(self._services, one, asker, {"index": str(row.number)}, {})

    def _forget(self, snapshot: Snapshot, lease: Lease) -> str:
        """Have stores forget what is kept long enough, and what was kept of tasks that were deleted."""
        db, rules, count = self._services.db, result_rules(snapshot.program.policy), 0
        for row in results.over(db, int(time.time()), _AT_A_TIME):
            if not lease.keep():
                break
            try:
                opened(self._services, snapshot, rules, row.store).remove(row.name)
            except _FAULTS as error:
                log.warning("the store %s can't forget the result %s: %s", row.store, row.name, error)
                results.later(db, row, int(time.time()) + _LATER)
            else:
                results.forget(db, row)
                count += 1
        return f"{count} results were forgotten"
