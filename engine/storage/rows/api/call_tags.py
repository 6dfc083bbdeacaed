"""Tags of calls: which a key may have, and by which an account's calls are summed.

An account is summed by so many tags at most, and all of them by ``MOST`` together: the calls of any other count under
``OTHER``. A tag that was not seen for ``KEPT_DAYS`` gives its place to another. Knows no Policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, func, insert, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.own import key_tags, tag_names

OTHER = "(other)"
"""No call can have it as a tag."""
EACH, MOST = 200, 20_000
KEPT_DAYS = 90
_DAY, _LONGEST = 86_400, 64
_PART = 500


def put(connection: Connection, token: int, tags: Sequence[str]) -> None:
    """Have calls with a key be of these tags alone, or of any where there are none."""
    connection.execute(delete(key_tags).where(key_tags.c.token_id == token))
    if tags:
        connection.execute(insert(key_tags).values(token_id=token, tags=",".join(tags)))


def beside(db: Database, keys: Sequence[Row]) -> list[Row]:
    """Rows of keys, each with the tags that its calls may have as ``call_tags``: a text with commas."""
    texts: dict[int, str] = {}
    for start in range(0, len(keys), _PART):
        ids = [row["id"] for row in keys[start : start + _PART]]
        texts |= {row["token_id"]: row["tags"] for row in crud.listed(db, key_tags, [key_tags.c.token_id.in_(ids)])}
    return [{**row, "call_tags": texts.get(row["id"], "")} for row in keys]


class TagNames:
    """Under which names calls are summed; ``each`` is the most of an account. Reads when something is asked."""

    def __init__(self, db: Database, each: int = EACH) -> None:
        self._db = db
        self._each = each
        self._known: dict[int, dict[str, int]] = {}
        self._room: int | None = None
        self._seen: set[tuple[int, str]] = set()

    def counted(self, user: int, tags: Iterable[str]) -> list[str]:
        """The names that a call of these tags counts under, each once."""
        return list(dict.fromkeys(self._name(user, tag) for tag in tags))

    def _name(self, user: int, tag: str) -> str:
        known = self._of(user)
        if tag not in known:
            if len(known) >= self._each or len(tag) > _LONGEST or self._left() <= 0:
                return OTHER
            known[tag] = 0
            self._room = self._left() - 1
        self._seen.add((user, tag))
        return tag

    def _of(self, user: int) -> dict[str, int]:
        known = self._known.get(user)
        if known is None:
            rows = crud.listed(self._db, tag_names, [tag_names.c.user_id == user])
            known = self._known[user] = {row["name"]: row["seen_at"] for row in rows}
        return known

    def _left(self) -> int:
        if self._room is None:
            self._room = MOST - crud.count(self._db, tag_names)
        return self._room

    def note(self, connection: Connection, now: float) -> None:
        """Keep what was seen, in the transaction that adds up the sums."""
        day = int(now) - int(now) % _DAY
        for user, name in sorted(self._seen):
            if self._known[user][name] < day:
                place = [tag_names.c.user_id == user, tag_names.c.name == name]
                values = {"user_id": user, "name": name, "seen_at": day}
                if not crud.change(self._db, connection, tag_names, place, {"seen_at": day}):
                    connection.execute(insert(tag_names).values(values))


def forget(db: Database, now: float) -> int:
    """Give the places of tags free that nobody has used for long; how many."""
    if tag_names.name not in db.columns:
        return 0
    old = tag_names.c.seen_at < int(now) - KEPT_DAYS * _DAY
    with db.read() as reader:
        if not reader.execute(select(func.count()).select_from(tag_names).where(old)).scalar():
            return 0
    return db.write(lambda connection: connection.execute(delete(tag_names).where(old)).rowcount)
