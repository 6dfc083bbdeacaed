"""Follow-up: every unfinished task is asked for until it ends, by one process of the cluster for each channel.

``Follower.jobs`` gives a job for each channel of which something is due; its lease keeps others away. When a task is
asked for next is known here alone: a restart asks at once. An interval grows with a task's age, from its document's
``first`` to its ``most``, and is never quite the same twice.

PERF: what is asked for again is known from the last time, and its row is read again only when its vendor says something
else than then: a question about a task that goes on costs the question alone.
"""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from engine.errors import CallError, Unavailable
from engine.jobs import Job, Lease
from engine.jsonbytes import dumps
from engine.kinds.task import record as records
from engine.kinds.task import work
from engine.kinds.task.asking import Asker, channel_of, key_of, spoken_of
from engine.kinds.task.moving import move, next_state
from engine.kinds.task.record import TaskRecord
from engine.program import FINAL
from engine.relay.upstream.failure import UpstreamFailure
from engine.storage.rows.work import tasks

if TYPE_CHECKING:
    from engine.program import TaskRules
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot

log = logging.getLogger(__name__)
_LISTED_EVERY, _LISTED_WHOLE_EVERY = 3.0, 30.0
_LATE = 1_000
"""Rows whose numbers lie before the last may come into sight after it, as each does when its transaction ends."""
_YOUNG, _AGE = 120.0, 24.0
"""Seconds for which a task is asked for at its shortest interval; later a 24th of its age passes between two."""
_GONE = {False: 60.0, True: 600.0}
"""Seconds after which a channel is believed to be gone: one that was deleted, one that is not in use."""
_AT_ONCE = 8
_LONG = 3600.0
_jitter = random.Random()  # noqa: S311 - spreads load, guards nothing
Which = tuple[str, int]
"""A row: table and id."""
Part = tuple[Asker, list[TaskRecord]]
"""Tasks that are asked for in one question."""


class Follower:
    """See the module."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._due: dict[int, dict[Which, float]] = {}
        self._known: dict[Which, tuple[TaskRecord, bytes]] = {}
        """Tasks as they were read last, with what their vendor said of them last, once the row says so."""
        self._listed = self._listed_whole = 0.0
        self._last = {tasks.TASKS: 0, tasks.DRAWINGS: 0}
        self._gone: dict[Which, float] = {}
        """Since when the channel of a task is gone; ``_strange``: since when its vendor does not know it."""
        self._strange: dict[Which, float] = {}
        self._questions: dict[Which, int] = {}
        """How often this process has asked for a task since it last went to another state."""

    def jobs(self, snapshot: Snapshot) -> Sequence[Job]:
        """A job for each channel of which a task is due."""
        now = time.time()
        if now - self._listed >= _LISTED_EVERY:
            self._listed = now
            if now - self._listed_whole >= _LISTED_WHOLE_EVERY:
                self._listed_whole = now
                self._list(now)
            else:
                self._list_new(now)
        return [
            Job(f"tasks:{channel}", 0.0, partial(self._work, channel, snapshot), sticky=True)
            for channel, due in list(self._due.items())
            if any(at <= now for at in list(due.values()))
        ]

    def _list(self, now: float) -> None:
        """What is unfinished in the tables; what is known already keeps its time."""
        by_channel: dict[int, dict[Which, float]] = defaultdict(dict)
        for rows in self._last:
            for which, channel in tasks.unfinished(self._services.db, rows):
                moment = self._due.get(channel, {}).get((rows, which))
                by_channel[channel][rows, which] = now if moment is None else moment
                self._last[rows] = max(self._last[rows], which)
        self._due = dict(by_channel)
        unfinished = {key for due in by_channel.values() for key in due}
        self._gone = {key: since for key, since in self._gone.items() if key in unfinished}
        self._strange = {key: since for key, since in self._strange.items() if key in unfinished}
        self._known = {key: known for key, known in self._known.items() if key in unfinished}
        self._questions = {key: count for key, count in self._questions.items() if key in unfinished}

    def _list_new(self, now: float) -> None:
        """What has come since."""
        for rows, last in self._last.items():
            for which, channel in tasks.unfinished(self._services.db, rows, after=last - _LATE):
                self._due.setdefault(channel, {}).setdefault((rows, which), now)
                self._last[rows] = max(self._last[rows], which)

    def _work(self, channel: int, snapshot: Snapshot, lease: Lease) -> str:
        """Ask for what is due of a channel."""
        now, due = time.time(), self._due.get(channel, {})
        wanted = sorted((at, key) for key, at in due.items() if at <= now)
        keys = [key for _, key in wanted[: self._services.settings.task_query_limit]]
        fresh = self._read([key for key in keys if key not in self._known])
        for key in keys:
            if key not in self._known and key not in fresh:
                due.pop(key, None)
        known = [fresh[key] if key in fresh else self._known[key][0] for key in keys if key in due]
        parts, moved = self._parts(snapshot, known, due)
        left, counts = iter(parts), list[int]()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in range(min(_AT_ONCE, len(parts))):
                pool.submit(self._ask_all, snapshot, lease, due, left, counts)
        return f"{len(known)} asked for, {moved + sum(counts)} moved"

    def _read(self, keys: Sequence[Which]) -> dict[Which, TaskRecord]:
        """Tasks as their rows have them now."""
        loaded: dict[Which, TaskRecord] = {}
        for rows in self._last:
            ids = [which for table, which in keys if table == rows]
            loaded |= {(rows, row["id"]): records.record(rows, row) for row in tasks.load(self._services.db, rows, ids)}
        return loaded

    def _parts(self, snapshot: Snapshot, known: list[TaskRecord], due: dict[Which, float]) -> tuple[list[Part], int]:
        """Tasks by how they are asked for together; those that can't be asked for, or are too old, are ended."""
        askers: dict[Any, Asker | None] = {}
        by: dict[Any, Part] = {}
        moved = 0
        for task in known:
            place = (task.channel_id, *map(task.own.get, ("channel", "format", "key")), task.private.get("key"))
            if place not in askers:
                askers[place] = self._asker(snapshot, task)
            asker = askers[place]
            self._note_channel(task, there=asker is not None)
            rules = asker.rules if asker is not None else None
            due[task.rows, task.id] = _later(task, rules if task.vendor_id else None)
            why = self._over(snapshot, task, rules)
            if why:
                failed = {"state": "FAILURE", "error": {"message": why}}
                moved += self._move(snapshot, rules, [(task, failed)], due)
            elif asker is not None and task.vendor_id:
                key = (asker.attempt.channel.mark, asker.call.format.name, asker.attempt.secret)
                by.setdefault(key, (asker, []))[1].append(task)
        return [(asker, part) for asker, ones in by.values() for part in _cut(ones, asker.rules.follow.many)], moved

    def _asker(self, snapshot: Snapshot, task: TaskRecord) -> Asker | None:
        channel = channel_of(snapshot, task)
        spoken = spoken_of(snapshot, channel, task) if channel is not None else None
        if channel is None or spoken is None:
            return None
        return Asker(self._services, snapshot, channel, spoken, key_of(channel, task))

    def _note_channel(self, task: TaskRecord, *, there: bool) -> None:
        """Since when a task's channel is gone, if it is."""
        if not there:
            self._gone.setdefault((task.rows, task.id), time.time())
        else:
            self._gone.pop((task.rows, task.id), None)

    def _over(self, snapshot: Snapshot, task: TaskRecord, rules: TaskRules | None) -> str:
        """Why a task is not asked for any more; nothing where it is."""
        minutes = rules.timeout if rules is not None and rules.timeout else None
        if minutes is None:
            minutes = 60 if task.rows == tasks.DRAWINGS else self._services.settings.task_timeout_minutes
        if minutes and time.time() - task.submitted > minutes * 60:
            return f"the provider did not finish it within {minutes:g} minutes"
        since = self._gone.get((task.rows, task.id))
        idle = task.channel_id in snapshot.table.unused
        if since is not None and time.time() - since > _GONE[idle]:
            return "the channel that it was sent to is not there any more"
        if not task.own and not task.private.get("upstream_task_id") and not task.name:
            return "it never reached its provider"
        return ""

    def _ask_all(
        self, snapshot: Snapshot, lease: Lease, due: dict[Which, float], left: Iterator[Part], counts: list[int]
    ) -> None:
        """Ask one question after the other, beside others who do so, until none is left."""
        for part in left:
            if not lease.keep():
                return
            try:
                counts.append(self._ask(snapshot, due, part))
            except Unavailable as error:
                log.warning("tasks wait: %s", error)
                return
            except Exception:
                log.exception("the tasks of channel %s can't be asked for", part[0].attempt.channel.name)

    def _ask(self, snapshot: Snapshot, due: dict[Which, float], part: Part) -> int:
        """Ask for tasks in one question, and move those that have changed; how many."""
        asker, ones = part
        for task in ones:
            self._questions[task.rows, task.id] = self._questions.get((task.rows, task.id), 0) + 1
        try:
            answers = asker.follow(ones)
            if asker.rules.charge.lines is not None:
                answered = [task for task in ones if task.vendor_id in answers]
                answers |= {task.vendor_id: self._spent(asker, task, answers[task.vendor_id]) for task in answered}
        except (UpstreamFailure, CallError) as ex:
            log.info("the tasks of channel %s can't be asked for: %s", asker.attempt.channel.name, ex)
            if len(ones) == 1 and isinstance(ex, UpstreamFailure) and ex.error.get("meaning") == "not_found":
                return self._unknown(snapshot, ones[0], asker.rules, due)
            return 0
        told = [(task, answers[task.vendor_id]) for task in ones if task.vendor_id in answers]
        for task, _ in told:
            self._strange.pop((task.rows, task.id), None)
        missing = [task for task in ones if task.vendor_id not in answers] if asker.rules.follow.many > 1 else []
        moved = sum(self._unknown(snapshot, task, asker.rules, due) for task in missing)
        return moved + self._move(snapshot, asker.rules, told, due)

    def _move(
        self,
        snapshot: Snapshot,
        rules: TaskRules | None,
        told: Sequence[tuple[TaskRecord, Mapping[str, Any]]],
        due: dict[Which, float],
    ) -> int:
        """Move the tasks of which something else is told than before; how many. Of the others no row is read.

        An end is never taken for known: who told of it first may have lost the move to another who told of less.
        """
        changed = []
        for task, answer in told:
            state = answer.get("state") or (rules.state(answer.get("status")) if rules is not None else None)
            said = b"" if state in FINAL else _digest(answer)
            known = self._known.get((task.rows, task.id))
            if not said or known is None or known[1] != said:
                changed.append((task, answer, said))
        read = self._read([key for task, *_ in changed if (key := (task.rows, task.id)) in self._known])
        count = 0
        for task, answer, said in changed:
            key = (task.rows, task.id)
            fresh = read.get(key) if key in self._known else task
            counted = {**answer, "questions": self._questions.get(key, 0)}
            won = fresh is not None and move(self._services, snapshot, fresh, rules, counted)
            count += won
            if won and fresh is not None and next_state(fresh, rules, answer) != fresh.state:
                self._questions.pop(key, None)
            if fresh is not None and not fresh.final and said:
                self._known[key] = (_slim(fresh), said)
                continue
            self._known.pop(key, None)
            if fresh is None or fresh.final or won:
                due.pop(key, None)
        return count

    def _spent(self, asker: Asker, task: TaskRecord, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """What was told of a task, with what its answers used where it has ended."""
        if asker.rules.state(answer.get("status")) not in FINAL:
            return answer
        return {**answer, "spent": work.used(self._services, asker, task, answer)}

    def _unknown(self, snapshot: Snapshot, task: TaskRecord, rules: TaskRules, due: dict[Which, float]) -> int:
        """Its vendor does not know a task: that may pass, so it is believed after some minutes."""
        since = self._strange.setdefault((task.rows, task.id), time.time())
        if time.time() - since < _GONE[True]:
            return 0
        why = {"state": "FAILURE", "error": {"message": "the provider does not know it any more"}}
        return self._move(snapshot, rules, [(task, why)], due)


def _later(task: TaskRecord, rules: TaskRules | None) -> float:
    """When a task is asked for again."""
    now = time.time()
    age = max(0.0, now - task.submitted)
    first, most = (rules.follow.first, rules.follow.most) if rules is not None else (15.0, 120.0)
    interval = first if age < _YOUNG else max(first, min(most, age / _AGE))
    return now + interval * _jitter.uniform(0.85, 1.15)


def _digest(answer: Mapping[str, Any]) -> bytes:
    return blake2b(dumps(answer), digest_size=16).digest()


def _slim(task: TaskRecord) -> TaskRecord:
    """What asking for it again takes: neither its row nor what its vendor said."""
    own = {name: value for name, value in task.own.items() if name not in ("story", "results", "more")}
    private: dict[str, Any] = {key: task.private[key] for key in ("key", "upstream_task_id") if key in task.private}
    return replace(task, data=None, row={}, own=own, private=private)


def _cut(ones: list[TaskRecord], most: int) -> Iterator[list[TaskRecord]]:
    for start in range(0, len(ones), most):
        yield ones[start : start + most]
