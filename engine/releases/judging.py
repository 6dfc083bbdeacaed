"""The job that looks at the canary: drops it where it breaks a bound or its time is over, promotes it where it may.

One process of the cluster does it at a time; each step is a compare-and-set, so one that was killed is taken up. What
takes a processor is asked of the compiling process: to look, seconds at times, and to publish, as all releases are.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from engine.releases.canary import BETTER, Rules, due
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
        if canary.verdict.get("few"):
            words += f"; so few {rules.by}s called that no difference is sure: share by call, or give it more of them"
        db.write(lambda connection: canaries.end(db, connection, canary.number, canaries.DROPPED, words))
        return f"canary {canary.number} is dropped: {words}"
    state = canary.verdict.get("state", "")
    if due(rules, canary.looks, canaries.counts(db, canary.number, rules.by)):
        answer = desk.ask("weigh_canary")
        state, words = answer["verdict"]["state"], answer["broken"]
        if not canaries.looked(db, canary, answer["looks"], answer["verdict"], dropped=words):
            return ""
        if words:
            return f"canary {canary.number} is dropped: {words}"
    if state == BETTER and rules.promote:
        # root: whoever began it had the right, and what is published is what was begun
        author = {"id": canary.author.id, "name": canary.author.name}
        answer = desk.ask("promote_canary", author=author, root=True)
        return f"canary {canary.number} became release {answer['release']}" if answer["ok"] else "it has faults now"
    return f"canary {canary.number} runs"
