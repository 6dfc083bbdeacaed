"""Answers that are kept for a time, so that a later request of the same key can go on from one of them.

Each record holds one turn: the request's new items, the answer, and the id of the answer before it; a conversation is a
chain of records. Bounded per record and in all; what is gone on from lives anew. Takes and gives plain records; knows
neither calls nor what an item means.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from engine.bounds import ID
from engine.cluster.store import EmbeddedStore

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


class Answers:
    """One worker's door to what all of them keep. An owner is a key's id; nobody sees another's answers."""

    def __init__(self, store: EmbeddedStore, limit: int, rules: Mapping[str, Any]) -> None:
        self.store = store
        self.limit = limit
        self._seconds = float(rules.get("seconds", _SECONDS))
        self._most = int(rules.get("entryBytes") or _ENTRY_BYTES)
        self._records = store.space("answers")
        self._owners = store.space("owners")
        self._items = store.space("items")

    @property
    def keeps(self) -> bool:
        """Whether anything is kept at all."""
        return self._seconds > 0

    def keep(self, owner: int, record: Record, item_ids: list[str]) -> bool:
        """Keep a record; false if it is too large. ``item_ids`` are those of the answer's items."""
        data = _bytes(record)
        if not self.keeps or len(data) > self._most:
            return False
        self._owners.put(record.id, str(owner).encode(), self._seconds)
        for item_id in item_ids:
            self._items.put(f"{owner}:{item_id}", record.id.encode(), self._seconds)
        self._records.put(f"{owner}:{record.id}", data, self._seconds)
        return True

    def find(self, owner: int, answer_id: str) -> Record | None:
        """Return what the owner has under this id."""
        found = self._records.get(f"{owner}:{answer_id}")
        return _record(found) if found else None

    def holder(self, owner: int, item_id: str) -> Record | None:
        """Return the record whose answer has an item of this id."""
        found = self._items.get(f"{owner}:{item_id}") if len(item_id) <= ID.most else None
        return self.find(owner, found.decode()) if found else None

    def closed(self, owner: int, answer_id: str) -> bool:
        """Whether this id must not be gone on from, whoever else may know it: another's, or deleted."""
        found = self._owners.get(answer_id)
        return found is not None and found != str(owner).encode()

    def delete(self, owner: int, answer_id: str) -> bool:
        """Forget an answer, and remember that it was deleted; true if there was one."""
        if not self._records.delete(f"{owner}:{answer_id}"):
            return False
        self._owners.put(answer_id, _DELETED, self._seconds)
        return True

    def chain(self, owner: int, answer_id: str, limit: int) -> Chain:
        """Return the conversation that ends in an answer, of ``limit`` bytes at most."""
        records: list[Record] = []
        seen: set[str] = set()
        size, following = 0, answer_id or None
        while following and following not in seen and len(records) < _TURNS:
            seen.add(following)
            found = self._records.get(f"{owner}:{following}")
            if found is None or (records and size + len(found) > limit):
                return Chain(records[::-1], False, size)
            size += len(found)
            record = _record(found)
            self._renew(owner, record)
            records.append(record)
            following = record.previous
        return Chain(records[::-1], following is None, size)

    def _renew(self, owner: int, record: Record) -> None:
        """A conversation that goes on keeps its beginning: a turn past half its time begins it anew."""
        now = time.time()
        if now - record.at > self._seconds / 2:
            record.at = now
            self._owners.put(record.id, str(owner).encode(), self._seconds)
            self._records.put(f"{owner}:{record.id}", _bytes(record), self._seconds)


def opened(data: Path, policy: Mapping[str, Any], before: Answers | None) -> Answers:
    """Return the door to the answers below the data directory, as the merged policy bounds them."""
    rules = policy.get("stored") or {}
    limit = int(rules.get("bytes") or _BYTES)
    if before is not None and before.limit == limit:
        return Answers(before.store, limit, rules)
    # A file of its own: conversations must not push out what else is kept.
    return Answers(EmbeddedStore(data / "answers.db", limit_bytes=limit), limit, rules)


def _bytes(record: Record) -> bytes:
    try:
        return orjson.dumps(record)
    except (TypeError, ValueError):  # lone surrogates, which the strict serialiser refuses
        return json.dumps(asdict(record), ensure_ascii=True).encode()


def _record(data: bytes) -> Record:
    try:
        return Record(**orjson.loads(data))
    except ValueError:
        return Record(**json.loads(data))
