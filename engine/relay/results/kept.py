"""The answer with a result that is kept, to whoever may have it; nothing where its store can't give it now."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.relay.call import Reply
from engine.relay.results.rules import result_rules
from engine.relay.results.stores import opened
from engine.storage.rows.work import results
from engine.transport.faults import TransportError

if TYPE_CHECKING:
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot

log = logging.getLogger(__name__)
SAFE = (
    ("cache-control", "private, max-age=86400"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "sandbox; default-src 'none'"),
)
"""What a vendor made is no page of this gateway's."""


def kept(
    services: Services, snapshot: Snapshot, rows_of: str, task_id: int, number: int, asked: Mapping[str, str]
) -> Reply | None:
    """See the module. ``asked``: the caller's headers, by lower-case names."""
    row = results.find(services.db, rows_of, task_id, number)
    if row is None or row.state != results.KEPT:
        return None
    try:
        store = opened(services, snapshot, result_rules(snapshot.program.policy), row.store)
        reply = store.get(row.name, row.media_type or "application/octet-stream", asked)
    except (LookupError, OSError, TransportError) as error:
        log.warning("the result %s of the store %s can't be given: %s", row.name, row.store, error)
        return None
    if reply is None:
        log.warning("the store %s has the result %s no more", row.store, row.name)
        return None
    reply.headers = [*reply.headers, *SAFE]
    return reply
