"""The job that looks at the canary: drops it where it breaks a bound or its time is over, promotes it where it may.

One process of the cluster does it at a time; each step is a compare-and-set, so one that was killed is taken up. What
it publishes goes over the compiling process, as all releases do.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from engine.releases.canary import BETTER, WORSE, Rules, look
from engine.storage.database import Database
from engine.storage.releases import canaries

EVERY = 5.0
"""Seconds between two rounds."""


class _Asked(Protocol):
    def ask(self, what: str, **values: Any) -> Any: ...


def judge(db: Database, desk: _Asked) -> str:
    """One round; what came of it, in words."""
    canary = canaries.running(db)
    if canary is None:
        return ""
    rules = Rules.of(canary.rules)
    if time.time() > canary.begun_at + rules.seconds():
        words = f"nothing was decided in {rules.hours:g} hours"
        db.write(lambda connection: canaries.end(db, connection, canary.number, canaries.DROPPED, words))
        return f"canary {canary.number} is dropped: {words}"
    verdict = look(rules, canary.looks, canaries.counts(db, canary.number, rules.by))
    state = canary.verdict.get("state", "")
    if verdict is not None:
        state, words = verdict.state, verdict.words if verdict.state == WORSE else ""
        if not canaries.looked(db, canary, verdict.looks, verdict.as_json(), dropped=words):
            return ""
        if words:
            return f"canary {canary.number} is dropped: {words}"
    if state == BETTER and rules.promote:
        # root: whoever began it had the right, and what is published is what was begun
        author = {"id": canary.author.id, "name": canary.author.name}
        answer = desk.ask("promote_canary", author=author, root=True)
        return f"canary {canary.number} became release {answer['release']}" if answer["ok"] else "it has faults now"
    return f"canary {canary.number} runs"
