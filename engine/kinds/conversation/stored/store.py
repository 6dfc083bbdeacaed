"""Answers that are kept for a time, so that a later request of the same key can go on from one of them.

Each record holds one turn: the request's new items, the answer, and the id of the answer before it; a conversation is a
chain of records. Bounded per record and in all; what is gone on from lives anew. Takes and gives plain records; knows
neither calls nor what an item means.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.bounds import ID
from engine.cluster.store import EmbeddedStore
from engine.jsonbytes import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 86_400.0
_BYTES = 256 * 1024 * 1024
_ENTRY_BYTES = 8 * 1024 * 1024
_TURNS = 2000
_DELETED = b"-"


@dataclass(slots=True)
class Record:
    """One turn. ``channel`` names the channel that made the answer; ``held``: its provider keeps it under this id."""

    id: str
    at: float
    channel: str
    held: bool
    previous: str | None
    input: list[Any]
    answer: dict[str, Any]


@dataclass(slots=True)
class Chain:
    """A conversation, the oldest turn first. ``whole`` is false when earlier turns are gone, or too large.

    ``size`` is that of its turns as they are kept, in bytes.
    """

    records: list[Record]
    whole: bool = True
    size: int = 0


@dataclass(frozen=True, slots=True)
class StoreTerms:
    """How long answers are kept, and how many bytes each may have, and all of them."""

    seconds: float = _SECONDS
    entry_bytes: int = _ENTRY_BYTES
    all_bytes: int = _BYTES

    @property
    def keeps(self) -> bool:
        """Whether anything is kept at all."""
        return self.seconds > 0


def store_terms(policy: Mapping[str, Any]) -> StoreTerms:
    """The terms of a merged policy."""
    rules = policy.get("stored") or {}
    return StoreTerms(
        float(rules.get("seconds", _SECONDS)),
        int(rules.get("entryBytes") or _ENTRY_BYTES),
        int(rules.get("bytes") or _BYTES),
    )


class ResponseStore:
    """One worker's door to what all of them keep. An owner is a key's id; nobody sees another's answers.

    ``terms`` are those of the release by which the call is served that keeps or asks.
    """

    def __init__(self, store: EmbeddedStore, limit: int) -> None:
        self.store = store
        self.limit = limit
        self._records = store.space("answers")
        self._owners = store.space("owners")
        self._items = store.space("items")

    def keep(self, owner: int, record: Record, item_ids: list[str], terms: StoreTerms) -> bool:
        """Keep a record; false if it is too large. ``item_ids`` are those of the answer's items."""
        data = _bytes(record)
        if not terms.keeps or len(data) > terms.entry_bytes:
            return False
        self._owners.put(record.id, str(owner).encode(), terms.seconds)
        for item_id in item_ids:
            self._items.put(f"{owner}:{item_id}", record.id.encode(), terms.seconds)
        self._records.put(f"{owner}:{record.id}", data, terms.seconds)
        return True

    def find(self, owner: int, answer_id: str) -> Record | None:
        """Return what the owner has under this id."""
        raw = self._records.get(f"{owner}:{answer_id}")
        return _record(raw) if raw else None

    def holder(self, owner: int, item_id: str) -> Record | None:
        """Return the record whose answer has an item of this id."""
        answer_id = self._items.get(f"{owner}:{item_id}") if len(item_id) <= ID.most else None
        return self.find(owner, answer_id.decode()) if answer_id else None

    def closed(self, owner: int, answer_id: str) -> bool:
        """Whether this id must not be gone on from, whoever else may know it: another's, or deleted."""
        keeper = self._owners.get(answer_id)
        return keeper is not None and keeper != str(owner).encode()

    def delete(self, owner: int, answer_id: str, terms: StoreTerms) -> bool:
        """Forget an answer, and remember that it was deleted; true if there was one."""
        if not self._records.delete(f"{owner}:{answer_id}"):
            return False
        self._owners.put(answer_id, _DELETED, terms.seconds)
        return True

    def chain(self, owner: int, answer_id: str, limit: int, terms: StoreTerms) -> Chain:
        """Return the conversation that ends in an answer, of ``limit`` bytes at most."""
        records: list[Record] = []
        seen: set[str] = set()
        size, following = 0, answer_id or None
        while following and following not in seen and len(records) < _TURNS:
            seen.add(following)
            raw = self._records.get(f"{owner}:{following}")
            if raw is None or (records and size + len(raw) > limit):
                return Chain(records[::-1], False, size)
            size += len(raw)
            record = _record(raw)
            self._renew(owner, record, terms)
            records.append(record)
            following = record.previous
        return Chain(records[::-1], following is None, size)

    def _renew(self, owner: int, record: Record, terms: StoreTerms) -> None:
        """A conversation that goes on keeps its beginning: a turn past half its time begins it anew."""
        now = time.time()
        if now - record.at > terms.seconds / 2:
            record.at = now
            self._owners.put(record.id, str(owner).encode(), terms.seconds)
            self._records.put(f"{owner}:{record.id}", _bytes(record), terms.seconds)


def opened(data: Path, terms: StoreTerms, before: ResponseStore | None) -> ResponseStore:
    """Return the door to the answers below the data directory, all of them bounded as the terms say."""
    if before is not None and before.limit == terms.all_bytes:
        return before
    # A file of its own: conversations must not push out what else is kept.
    return ResponseStore(EmbeddedStore(data / "answers.db", limit_bytes=terms.all_bytes), terms.all_bytes)


def _bytes(record: Record) -> bytes:
    return dumps({field.name: getattr(record, field.name) for field in fields(record)})


def _record(data: bytes) -> Record:
    return Record(**loads(data))
