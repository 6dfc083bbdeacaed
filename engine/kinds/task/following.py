"""Follow-up: every unfinished task is asked for until it ends, by one process of the cluster for each channel.

``Follower.jobs`` gives a job for each channel of which something is due; its lease keeps others away. When a task is
asked for next is known here alone: a restart asks at once. An interval grows with a task's age, from its document's
``first`` to its ``most``, and is never quite the same twice.
"""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.jobs import Job, Lease
from engine.kinds.task import record as records
from engine.kinds.task import work
from engine.kinds.task.asking import Asker, channel_of, key_of, spoken_of
from engine.kinds.task.moving import move
from engine.kinds.task.record import TaskRecord
from engine.program import FINAL
from engine.relay.upstream.failure import UpstreamFailure
from engine.storage.rows.work import tasks

if TYPE_CHECKING:
    from engine.program import TaskRules
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot

log = logging.getLogger(__name__)
_LISTED_EVERY = 3.0
_YOUNG, _AGE = 120.0, 24.0
"""Seconds for which a task is asked for at its shortest interval; later a 24th of its age passes between two."""
_GONE = {False: 60.0, True: 600.0}
"""Seconds after which a channel is believed to be gone: one that was deleted, one that is not in use."""
_AT_ONCE = 8
_LONG = 3600.0
_jitter = random.Random()  # noqa: S311 - spreads load, guards nothing
Which = tuple[str, int]
"""A row: table and id."""


class Follower:
    """See the module."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._due: dict[int, dict[Which, float]] = {}
        self._listed = 0.0
        self._gone: dict[Which, float] = {}

    def jobs(self, snapshot: Snapshot) -> Sequence[Job]:
        """A job for each channel of which a task is due."""
        now = time.time()
        if now - self._listed >= _LISTED_EVERY:
            self._listed = now
            self._list(now)
        return [
            Job(f"tasks:{channel}", 0.0, partial(self._work, channel, snapshot), sticky=True)
            for channel, due in self._due.items()
            if any(at <= now for at in due.values())
        ]

    def _list(self, now: float) -> None:
        """What is unfinished in the tables; what is known already keeps its time."""
        by_channel: dict[int, dict[Which, float]] = defaultdict(dict)
        for rows in (tasks.TASKS, tasks.DRAWINGS):
            for which, channel, _ in tasks.unfinished(self._services.db, rows):
                moment = self._due.get(channel, {}).get((rows, which))
                by_channel[channel][rows, which] = now if moment is None else moment
        self._due = dict(by_channel)
        unfinished = {key for due in by_channel.values() for key in due}
        self._gone = {key: since for key, since in self._gone.items() if key in unfinished}

    def _work(self, channel: int, snapshot: Snapshot, lease: Lease) -> str:
        """Ask for what is due of a channel."""
        now, due = time.time(), self._due.get(channel, {})
        wanted = sorted((at, key) for key, at in due.items() if at <= now)
        wanted = wanted[: self._services.settings.task_query_limit]
        loaded: list[TaskRecord] = []
        for rows in (tasks.TASKS, tasks.DRAWINGS):
            ids = [which for _, (table, which) in wanted if table == rows]
            loaded += [records.record(rows, row) for row in tasks.load(self._services.db, rows, ids)]
        groups, moved = self._groups(snapshot, loaded, due)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            moved += sum(pool.map(partial(self._ask, snapshot, lease, due), groups))
        return f"{len(loaded)} asked for, {moved} moved"

    def _groups(
        self, snapshot: Snapshot, loaded: list[TaskRecord], due: dict[Which, float]
    ) -> tuple[list[tuple[Asker, list[TaskRecord]]], int]:
        """Tasks by how they are asked for together; those that can't be asked for, or are too old, are ended."""
        by: dict[Any, tuple[Asker, list[TaskRecord]]] = {}
        moved = 0
        for task in loaded:
            due[task.rows, task.id] = _later(task, None)
            asker = self._asker(snapshot, task)
            rules = asker.rules if asker is not None else None
            why = self._over(snapshot, task, rules)
            if why:
                moved += move(self._services, snapshot, task, rules, {"state": "FAILURE", "error": {"message": why}})
            elif asker is not None and task.vendor_id:
                due[task.rows, task.id] = _later(task, rules)
                key = (asker.attempt.channel.mark, asker.call.format.name, asker.attempt.secret)
                by.setdefault(key, (asker, []))[1].append(task)
        return [(asker, part) for asker, ones in by.values() for part in _parts(ones, asker.rules.follow.many)], moved

    def _asker(self, snapshot: Snapshot, task: TaskRecord) -> Asker | None:
        channel = channel_of(snapshot, task)
        spoken = spoken_of(snapshot, channel, task) if channel is not None else None
        if channel is None or spoken is None:
            self._gone.setdefault((task.rows, task.id), time.time())
            return None
        self._gone.pop((task.rows, task.id), None)
        return Asker(self._services, snapshot, channel, spoken, key_of(channel, task))

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

    def _ask(
        self, snapshot: Snapshot, lease: Lease, due: dict[Which, float], group: tuple[Asker, list[TaskRecord]]
    ) -> int:
        """Ask for tasks in one question, and move those that have changed; how many."""
        asker, ones = group
        if not lease.keep():
            return 0
        try:
            answers = asker.follow(ones)
            if asker.rules.charge.lines is not None:
                answered = [task for task in ones if task.vendor_id in answers]
                answers |= {task.vendor_id: self._spent(asker, task, answers[task.vendor_id]) for task in answered}
        except (UpstreamFailure, CallError) as ex:
            log.info("the tasks of channel %s can't be asked for: %s", asker.attempt.channel.name, ex)
            if len(ones) == 1 and isinstance(ex, UpstreamFailure) and ex.error.get("meaning") == "not_found":
                return int(self._unknown(snapshot, ones[0], asker.rules))
            return 0
        moved = 0
        for task in ones:
            if task.vendor_id in answers:
                moved += move(self._services, snapshot, task, asker.rules, answers[task.vendor_id])
            elif asker.rules.follow.many > 1:
                moved += self._unknown(snapshot, task, asker.rules)
        return moved

    def _spent(self, asker: Asker, task: TaskRecord, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """What was told of a task, with what its answers used where it has ended."""
        if asker.rules.state(answer.get("status")) not in FINAL:
            return answer
        return {**answer, "spent": work.used(self._services, asker, task, answer)}

    def _unknown(self, snapshot: Snapshot, task: TaskRecord, rules: TaskRules) -> bool:
        """Its vendor does not know a task: that may pass, so it is believed after some minutes."""
        since = self._gone.setdefault((task.rows, task.id), time.time())
        if time.time() - since < _GONE[True]:
            return False
        why = {"state": "FAILURE", "error": {"message": "the provider does not know it any more"}}
        return move(self._services, snapshot, task, rules, why)


def _later(task: TaskRecord, rules: TaskRules | None) -> float:
    """When a task is asked for again."""
    now = time.time()
    age = max(0.0, now - task.submitted)
    first, most = (rules.follow.first, rules.follow.most) if rules is not None else (15.0, 60.0)
    interval = first if age < _YOUNG else max(first, min(most, age / _AGE))
    return now + interval * _jitter.uniform(0.85, 1.15)


def _parts(ones: list[TaskRecord], most: int) -> Iterator[list[TaskRecord]]:
    for start in range(0, len(ones), most):
        yield ones[start : start + most]
