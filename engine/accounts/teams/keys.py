"""A team's keys: of the team's account, so that its wallet and plans pay; each is a member's, or the team's own.

The secret of a key is told to whom it is given: an administrator switches a member's key off, and never reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from engine.accounts import own_keys
from engine.accounts.teams.standing import Standing
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.api import call_tags
from engine.storage.rows.api import teams as rows
from engine.storage.rows.api.teams import MEMBER, PROJECT, TAG
from engine.storage.rows.crud import Guard, Row
from engine.storage.tables.core import tokens
from engine.texts import refusal

MOST_TAGS = 20


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a key is counted for; nothing leaves as it is. ``own``: it is the team's and no member's."""

    project: str | None = None
    tags: Sequence[str] | None = None
    own: bool = False


def listed(db: Database, who: Standing) -> list[Row]:
    """The keys that one sees, each with whom it is counted for: with the right ``usage`` all, else one's own."""
    keys = crud.listed(db, tokens, [tokens.c.user_id == who.id, *crud.alive(db, tokens)], [tokens.c.id.desc()])
    listed_keys = _described(db, who, keys)
    return listed_keys if who.may("usage") else [row for row in listed_keys if _is_mine(who, row)]


def _described(db: Database, who: Standing, keys: Sequence[Row]) -> list[Row]:
    holders = rows.holders_of(db, [row["id"] for row in keys])
    names = {row["id"]: row["name"] for row in rows.labels_of(db, who.id)}
    people = {row["id"]: row for row in rows.members_of(db, who.id)}
    described = []
    for row in call_tags.beside(db, keys):
        mine = holders.get(row["id"], {})
        member = people.get((mine.get(MEMBER) or [0])[0])
        described.append(
            {
                **row,
                "member_id": member["id"] if member else 0,
                "member": member["username"] if member else "",
                "project": next((names[one] for one in mine.get(PROJECT, ()) if one in names), ""),
                "tags": sorted(names[one] for one in mine.get(TAG, ()) if one in names),
            }
        )
    return described


def _is_mine(who: Standing, row: Row) -> bool:
    return who.member is not None and row["member_id"] == who.member["id"]


def one(db: Database, who: Standing, which: int, *, secret: bool = False) -> Row:
    """A key that one sees; with ``secret`` only one's own, or, with the right ``members``, the team's own."""
    row = _described(db, who, [own_keys.mine(db, who.id, which)])[0]
    if not _is_mine(who, row) and not who.may("usage"):
        raise refusal(NotFound, "not_found")
    if secret and not _is_mine(who, row) and (row["member_id"] or not who.may("members")):
        raise refusal(Forbidden, "team.secret")
    return row


def create(
    db: Database, who: Standing, body: Mapping[str, Any], purpose: Purpose, open_to: Collection[str], most: int
) -> Row:
    """Make a key for oneself, or the team's own; its row, the key in clear."""
    who.need("members" if purpose.own or who.member is None else "keys")
    own = purpose.own or who.member is None
    holders = _holders(db, who, purpose)
    allowed = (who.terms.get("member") or {}).get("keys")

    def also(connection: Connection, key: int) -> None:
        if not own and who.member is not None:
            rows.held(db, connection, who.id)
            if allowed is not None and _count(db, connection, who.member["id"]) >= allowed:
                raise refusal(Conflict, "team.keys", most=allowed)
            holders.append((MEMBER, who.member["id"]))
        rows.assign(connection, key, holders, (MEMBER, PROJECT, TAG))

    row = own_keys.create(db, who.id, body, open_to, most, also)
    return {**_described(db, who, [row])[0], "key": row["key"]}


def _count(db: Database, connection: Connection, member: int) -> int:
    """How many keys a member has."""
    mine = rows.mine(MEMBER, member)
    return len(connection.execute(select(tokens.c.id).where(tokens.c.id.in_(mine), *crud.alive(db, tokens))).all())


def _holders(db: Database, who: Standing, purpose: Purpose) -> list[tuple[str, int]]:
    """The project and tags by name; raises ``Invalid`` for one that the team has not."""
    known = {(row["kind"], row["name"]): row["id"] for row in rows.labels_of(db, who.id)}
    asked = [(PROJECT, purpose.project)] if purpose.project else []
    asked += [(TAG, name) for name in purpose.tags or ()]
    if len(asked) > MOST_TAGS + 1:
        raise refusal(Invalid, "invalid.field", field="tags", what=f"{MOST_TAGS} entries at most")
    for kind, name in asked:
        if (kind, name) not in known:
            names = ", ".join(sorted(known_name for known_kind, known_name in known if known_kind == kind)[:20])
            field = "tags" if kind == TAG else kind
            raise refusal(Invalid, "team.label", field=field, name=str(name)[:64], names=names or "-")
    return [(kind, known[kind, str(name)]) for kind, name in asked]


def change(
    db: Database,
    who: Standing,
    which: int,
    body: Mapping[str, Any],
    purpose: Purpose,
    open_to: Collection[str],
    guard: Guard | None = None,
) -> Row:
    """Change what is given of a key: one's own, or with the right ``members`` anybody's."""
    row = one(db, who, which)
    if not _is_mine(who, row):
        who.need("members")
    kinds = [kind for kind, given in ((PROJECT, purpose.project), (TAG, purpose.tags)) if given is not None]
    holders = _holders(db, who, purpose)

    def also(connection: Connection) -> None:
        if kinds:
            rows.assign(connection, which, holders, kinds)

    own_keys.change(db, who.id, which, body, open_to, guard, also)
    return one(db, who, which)


def renew(db: Database, who: Standing, which: int) -> Row:
    """Another secret for a key of one's own, in clear this once."""
    row = one(db, who, which, secret=True)
    return {**row, "key": own_keys.renew(db, who.id, which)["key"]}


def described(db: Database, who: Standing, row: Row) -> Row:
    """A key's row with whom it is counted for."""
    return _described(db, who, [row])[0]


def delete(db: Database, who: Standing, which: int, guard: Guard | None = None) -> None:
    """Delete a key: one's own, or with the right ``members`` anybody's."""
    row = one(db, who, which)
    if not _is_mine(who, row):
        who.need("members")
    own_keys.delete(db, who.id, [which], guard)
