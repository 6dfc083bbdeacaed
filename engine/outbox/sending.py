"""The job that sends: messages that are due go out side by side, one at a time to each target.

A target that fails has a pause, so that a dead one costs a try now and then, however much waits for it. Killed at any
point, what was under way is sent once more with the same id when its claim has run out.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from engine.jobs import Job, Lease
from engine.storage.database import Database
from engine.storage.rows.work import outbox as rows
from engine.storage.rows.work.outbox import Message

EVERY = 1.0
CLAIM = 90
"""Seconds for which a try has its message to itself: longer than any try takes."""
_AT_ONCE = 16
_FIRST, _GROWTH, _LONGEST = 10.0, 3.0, 21_600.0
_PAUSE = 60.0
_LOOK = 0.5
_HOUR = 3600
_KEPT = 30 * 86_400
"""How long dead letters are kept."""
_log = logging.getLogger("gatewright.outbox")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a try. ``error`` says why it failed, without secrets; ``again``: whether it is worth trying again;
    ``after``: how many seconds the receiver asks to wait. ``settled``: the sender has taken the row away itself."""

    sent: bool
    error: str = ""
    again: bool = True
    after: float = 0.0
    settled: bool = False


SENT = Outcome(True)
Sender = Callable[[Message], Outcome]
"""Sends a message within ``CLAIM`` seconds. What it raises counts as a failure that may pass."""


def growing(tries: int, after: float = 0.0, *, jitter: Callable[[], float] = random.random) -> float:
    """Seconds until the next try: 10 at first, then three times as long each, 6 hours at most; a fifth by chance."""
    seconds = min(_FIRST * _GROWTH ** max(0, tries - 1), _LONGEST)
    return max(min(after, _LONGEST), seconds * (0.8 + 0.4 * jitter()))


class Outbox:
    """See the module. ``senders`` by the kind of message."""

    def __init__(self, db: Database, senders: Mapping[str, Sender], *, clock: Callable[[], float] = time.time) -> None:
        self._db = db
        self._senders = senders
        self._clock = clock
        self._paused: dict[str, float] = {}
        self._cleaned = 0.0

    def jobs(self) -> list[Job]:
        """The work that is due: no lease is written every second where nothing waits."""
        return [Job("outbox", EVERY, self.send)] if self._due(set(), 1) or self._old() else []

    def send(self, lease: Lease) -> str:
        """Send all that is due; what came of it."""
        counts = {True: 0, False: 0}
        flying: dict[Future[bool], str] = {}
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="outbox") as pool:
            while True:
                if lease.keep():
                    for message in self._due(set(flying.values()), _AT_ONCE - len(flying)):
                        flying[pool.submit(self._try, message)] = message.target
                if not flying:
                    break
                done, _ = wait(flying, timeout=_LOOK, return_when=FIRST_COMPLETED)
                for future in done:
                    del flying[future]
                    counts[future.result()] += 1
        self._clean()
        return f"{counts[True]} left, {counts[False]} did not"

    def _due(self, flying: set[str], room: int) -> list[Message]:
        now = self._clock()
        self._paused = {target: until for target, until in self._paused.items() if until > now}
        return rows.due(self._db, int(now), flying | self._paused.keys(), room) if room > 0 else []

    def _try(self, message: Message) -> bool:
        """Whether a message left. Whatever fails here leaves it for later."""
        try:
            if not rows.claim(self._db, message, int(self._clock()) + CLAIM):
                return False
            outcome = self._outcome(message)
            if outcome.sent:
                if not outcome.settled:
                    rows.sent(self._db, message)
                return True
            self._failed(message, outcome)
        except Exception:
            _log.exception("message %s is left for later", message.message)
            self._paused[message.target] = self._clock() + _PAUSE
        return False

    def _outcome(self, message: Message) -> Outcome:
        sender = self._senders.get(message.kind)
        if message.tries >= rows.MOST_TRIES:
            return Outcome(False, "whoever tried last did not live to tell", again=False)
        if sender is None:
            return Outcome(False, f"nobody sends messages of the kind {message.kind}")
        try:
            return sender(message)
        except Exception as error:
            _log.exception("message %s to %s could not be sent", message.message, message.target)
            return Outcome(False, f"failed: {type(error).__name__}")

    def _failed(self, message: Message, outcome: Outcome) -> None:
        tries, now = message.tries + 1, self._clock()
        over = not outcome.again or tries >= rows.MOST_TRIES
        seconds = growing(tries, outcome.after)
        rows.failed(self._db, message, outcome.error, None if over else int(now + seconds))
        if over:
            _log.warning("message %s to %s can't leave: %s", message.message, message.target, outcome.error)
        if outcome.again:
            self._paused[message.target] = now + min(seconds, _PAUSE)

    def _old(self) -> bool:
        """Whether it is time to look for dead letters that nobody needs any more."""
        return self._clock() - self._cleaned > _HOUR

    def _clean(self) -> None:
        if self._old():
            self._cleaned = self._clock()
            rows.forget(self._db, int(self._cleaned) - _KEPT)
