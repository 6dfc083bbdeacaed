"""Notices that never came: each service that can be asked is asked for the orders that nobody has paid yet.

One job for all services; one process of the cluster does it. An order is asked for from a minute after it was made,
less often the older it is, and for a day; who paid later than that is completed by hand.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from engine.accounts import orders
from engine.accounts.keys import random_text
from engine.errors import GatewrightError, MappingError
from engine.jobs import Job, Lease
from engine.payments import service
from engine.payments.offers import is_on
from engine.program.outside.payments import Payment
from engine.storage.database import Database
from engine.storage.rows import jobs
from engine.storage.rows.crud import Row
from engine.transport.leg import Pool

EVERY = 15.0
_FROM, _FOR = 30, 86_400
_MOST = 200
_DUE = 10
"""An order is asked for when a tenth of its age has gone by since it was last: soon at first, then seldom."""
_log = logging.getLogger(__name__)


class Lost:
    """What one process remembers of the orders it asked for."""

    def __init__(self, db: Database, log_db: Database, pool: Pool) -> None:
        self._db, self._log_db, self._pool = db, log_db, pool
        self._asked: dict[str, float] = {}

    def job(self, payments: Iterable[Payment], options: Mapping[str, str]) -> list[Job]:
        """The job, where a service that is on can be asked."""
        asked = {one.service: one for one in payments if one.query is not None and is_on(one, options)}
        if not asked:
            return []
        return [Job("payments.lost", EVERY, lambda lease: self._look(lease, asked, options))]

    def _look(self, lease: Lease, payments: Mapping[str, Payment], options: Mapping[str, str]) -> str:
        now, found = int(time.time()), 0
        rows = jobs.pending(self._db, list(payments), now - _FOR, now - _FROM, _MOST)
        self._asked = {number: at for number, at in self._asked.items() if any(r["trade_no"] == number for r in rows)}
        for row in rows:
            if not lease.keep():
                break
            age, number = now - int(row["create_time"] or now), str(row["trade_no"])
            if now - self._asked.get(number, 0) < age / _DUE:
                continue
            self._asked[number] = now
            found += self._ask(payments[str(row["payment_provider"])], row, options)
        return f"{found} of {len(rows)} pending orders were paid"

    def _ask(self, payment: Payment, row: Row, options: Mapping[str, str]) -> bool:
        """Whether an order turned out to be paid."""
        query, values = payment.query, payment.read(options)
        assert query is not None
        order: dict[str, Any] = {"number": row["trade_no"], "user": row["user_id"], "amount": row.get("amount") or 0}
        order["random"] = random_text(6)
        try:
            answer = service.ask(self._pool, query.call, values, order, int(time.time()))
            status = orders.OUTCOMES.get(str(query.outcome([], answer)))
            paid = query.money is None or orders.pays(row, query.money([], answer))
        except (GatewrightError, MappingError) as error:
            _log.info("order %s can't be asked for: %s", row["trade_no"], error)
            return False
        if status is None or (status == orders.PAID and not paid):
            return False
        settled = orders.settle(self._db, self._log_db, row, status, options, products=payment.offer.products)
        if settled.changed and status == orders.PAID:
            _log.info("order %s was paid, though no notice came", row["trade_no"])
        return settled.changed and status == orders.PAID
