"""An event becomes messages: to each person who wants to be told, and to each webhook that listens. In one transaction.

Nobody is told of one kind of event more often than the limit says; who is told on which way is decided anew when the
message leaves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from engine.accounts.people import Person
from engine.accounts.teams.teams import told_of
from engine.notices.ground import Ground, reachable
from engine.outbox import Outcome
from engine.program.outside.notices import Notice
from engine.storage.database import Database
from engine.storage.rows import people
from engine.storage.rows.api.teams import is_team
from engine.storage.rows.work import marks, outbox, webhooks
from engine.storage.rows.work.marks import Mark
from engine.storage.rows.work.outbox import Message
from engine.storage.values import ENABLED, ROOT

TO_PERSON, TO_WEBHOOK = "notice", "webhook"
ON, OFF = "notice_on", "notice_off"
"""Members of a person's setting: events that are told, and that are not, other than usual."""
LIMIT = "limit:"


@dataclass(frozen=True, slots=True)
class Limit:
    """How many notices of one kind somebody gets in so many seconds; 0 of them is no limit."""

    count: int
    seconds: int


def wants(event: Notice, setting: Mapping[str, Any]) -> bool:
    """Whether somebody is told of an event."""
    chosen, refused = setting.get(ON), setting.get(OFF)
    if isinstance(chosen, list) and event.name in chosen:
        return True
    return event.usual and not (isinstance(refused, list) and event.name in refused)


def listens(row: Mapping[str, Any], event: str) -> bool:
    """Whether a webhook is told of an event."""
    names = str(row["events"] or "").split()
    return bool(row["enabled"]) and ("*" in names or event in names)


class Teller:
    """See the module; ``tell`` is the sender of events."""

    def __init__(self, db: Database, ground: Callable[[], Ground], limit: Limit) -> None:
        self._db, self._ground, self._limit = db, ground, limit

    def tell(self, message: Message) -> Outcome:
        """Put in what an event comes to; its row goes with that."""
        event, values = self._ground().events.get(message.about), message.body.get("values")
        user, facts = message.body.get("user"), dict(values) if isinstance(values, dict) else {}
        persons = self._persons(event, user if type(user) is int else 0) if event is not None else []
        name = people.names(self._db, [user]).get(user, "") if type(user) is int and user else ""
        hooks = [row for row in webhooks.listed(self._db) if listens(row, message.about)]

        def work(connection: Connection) -> None:
            if not outbox.sent(self._db, message, connection):
                return  # another process was quicker
            for person in persons:
                if self._has_room(connection, person.id, message.about):
                    body = {"user": person.id, "values": facts, "at": message.created_at}
                    outbox.put(self._db, connection, TO_PERSON, f"user:{person.id}", message.about, body)
            for row in hooks:
                body = {"webhook": row["id"], "values": _whose(facts, user, name), "at": message.created_at}
                outbox.put(self._db, connection, TO_WEBHOOK, f"webhook:{row['id']}", message.about, body)

        self._db.write(work)
        return Outcome(True, settled=True)

    def _persons(self, event: Notice, user: int) -> list[Person]:
        """Who wants to know and can be reached."""
        if event.tells == "operator":
            rows = people.with_role(self._db, ROOT)
        else:
            team = user and is_team(self._db, user)
            rows = told_of(self._db, user) if team else people.by_ids(self._db, [user] if user else [])
        ground = self._ground()
        persons = [Person(row) for row in rows if row.get("status") == ENABLED]
        return [person for person in persons if wants(event, person.setting) and reachable(ground, person)]

    def _has_room(self, connection: Connection, user: int, event: str) -> bool:
        limit, now, name = self._limit, int(time.time()), f"{LIMIT}{user}:{event}"
        if not limit.count:
            return True
        mark = marks.one(connection, name)
        if mark is None or now - mark.at >= limit.seconds:
            mark = Mark(0, now)
        if mark.count >= limit.count:
            return False
        marks.put(connection, name, Mark(mark.count + 1, mark.at))
        return True


def _whose(values: dict[str, Any], user: Any, name: str) -> dict[str, Any]:
    return {**values, "user": {"id": user, "username": name}} if user else values
