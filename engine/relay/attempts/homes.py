"""Where a channel's credential is kept that each exchange replaces: its row, or a secret of the database.

One process of the cluster renews it, under a lease of the database; see ``engine.transport.auth.rotation``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.storage.releases import secrets
from engine.storage.rows import channels
from engine.storage.rows.work import leases

if TYPE_CHECKING:
    from engine.routing.channel import LiveChannel
    from engine.storage.database import Database

_LEASE = 60
"""Seconds: longer than an exchange may take."""


class ChannelHome:
    """See the module."""

    def __init__(self, db: Database, channel: LiveChannel) -> None:
        self._db, self._channel = db, channel

    def standing(self) -> tuple[str, ...]:
        """The credentials that stand there now."""
        if self._channel.id:
            return channels.keys_of(self._db, self._channel.id)
        kept = secrets.one(self._db, self._channel.secret_name)
        return (kept,) if kept else ()

    def replace(self, old: str, new: str) -> bool:
        """Put one in another's place; False where that does not stand there any more."""
        if self._channel.id:
            return channels.renew_key(self._db, self._channel.id, old, new)
        return secrets.renew(self._db, self._channel.secret_name, old, new)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody else of the cluster renews it now."""
        where = self._channel.id or self._channel.secret_name
        name, holder = f"credential.{where}", uuid.uuid4().hex
        fence = leases.take(self._db, name, holder, _LEASE)
        try:
            yield fence is not None
        finally:
            if fence is not None:
                leases.give_back(self._db, name, holder, fence, 0, "")
