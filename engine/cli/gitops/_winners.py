"""Who wins where a document and a row of the database name the same thing: an option, a price, a channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.ledger.pricing.book import Book
from engine.program import Program
from engine.storage.database import Database
from engine.storage.rows import channels, options


def winners(db: Database, program: Program, names: Sequence[str]) -> list[dict[str, Any]]:
    """{kind, name, wins, over} of each thing that has more than one place; prices are those of the model's ``names``.

    ``wins`` and ``over`` are places; a channel's has no ``over``, as both stand.
    """
    rows = options.stored(db)
    texts = {**rows, **{name: text for name, (text, _) in program.pinned.items()}}
    return [*_options(program, rows), *_prices(Book(program, texts), names), *_channels(program, db)]


def _options(program: Program, rows: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name, (_, place) in sorted(program.pinned.items()):
        if name in rows:
            yield {"kind": "option", "name": name, "wins": place, "over": [f"the row of the option {name}"]}


def _prices(book: Book, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for name in dict.fromkeys(names):
        places = list(dict.fromkeys(f"{rule.name} ({rule.place})" for rule in book.rules(name)))
        if len(places) > 1:
            yield {"kind": "price", "name": name, "wins": places[0], "over": places[1:]}


def _channels(program: Program, db: Database) -> Iterator[dict[str, Any]]:
    declared = {channel.name for channel in program.channels}
    for row in channels.load(db):
        if row.name in declared:
            both = f"the document's and the database's number {row.id}, by priority and weight"
            yield {"kind": "channel", "name": row.name, "wins": both, "over": []}


def lines(told: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """As people read it."""
    for one in told:
        over = f" before {', then '.join(one['over'])}" if one["over"] else ""
        yield f"{one['kind']} {one['name']}: {one['wins']}{over}"
