"""All of it together, as a worker has it: the jobs of the cluster's one process, and tries that are made at once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from engine.accounts.people import Person
from engine.jobs import Job
from engine.notices.ground import Ground
from engine.notices.sending import Sending
from engine.notices.telling import TO_PERSON, TO_WEBHOOK, Limit, Teller
from engine.notices.watching import Watch
from engine.outbox import Outbox, Outcome, Sender
from engine.storage.database import Database
from engine.storage.rows.crud import Row
from engine.storage.rows.work.outbox import EVENT, Message
from engine.transport.leg import Pool

TEST = "notice.test"


class Notices:
    """See the module. ``ground`` gives documents and options of now; ``pool`` is the one for callers' addresses;
    ``more`` are senders of other kinds of messages."""

    def __init__(
        self,
        db: Database,
        pool: Pool,
        ground: Callable[[], Ground],
        limit: Limit,
        more: Mapping[str, Sender] = MappingProxyType({}),
    ) -> None:
        self.ground = ground
        self._sending = Sending(db, pool, ground)
        teller = Teller(db, ground, limit)
        self.outbox = Outbox(
            db,
            {**more, EVENT: teller.tell, TO_PERSON: self._sending.to_person, TO_WEBHOOK: self._sending.to_webhook},
        )
        self._watch = Watch(db, ground)

    def jobs(self) -> list[Job]:
        """What one process of the cluster does."""
        return [*self.outbox.jobs(), *self._watch.jobs()]

    def try_person(self, person: Person) -> Outcome:
        """Tell somebody that the chosen way works, now."""
        return self._sending.to_person(_message(TO_PERSON, {"user": person.id, "values": {}, "at": int(time.time())}))

    def try_webhook(self, row: Row) -> Outcome:
        """Tell a webhook that it works, now."""
        body = {"webhook": row["id"], "values": {}, "at": int(time.time())}
        return self._sending.to_webhook(_message(TO_WEBHOOK, body))


def _message(kind: str, body: Mapping[str, Any]) -> Message:
    return Message(0, secrets.token_hex(16), kind, "", TEST, dict(body), 0, int(time.time()))
