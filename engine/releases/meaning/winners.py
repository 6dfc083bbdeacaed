"""Who wins where a document and a row of the database name the same thing: an option, a price, a channel.

A row that says otherwise is a document changed as a row: it shows in drift until one of the two gives way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.ledger.pricing.book import Book, Rule
from engine.program import Program
from engine.releases.meaning.examples import EXAMPLES, charges
from engine.storage.rows.channels import ChannelRow
from engine.storage.values import ENABLED

_EXAMPLE = next(iter(EXAMPLES))


def winners(
    program: Program, options: Mapping[str, str], channels: Sequence[ChannelRow], names: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """{kind, name, wins, over, document, row, same} of each thing that has more than one place.

    Prices are those of the models ``names``; without it of all that a document of one's own and the options price.
    ``options`` are the rows. ``wins`` and ``over`` are places; a channel's has no ``over``, as both stand.
    ``document`` and ``row`` are what each says, as texts (empty: nothing); ``same``: whether that is the same.
    """
    pinned = {name: text for name, (text, _) in program.pinned.items()}
    book = Book(program, {**options, **pinned})
    return [
        *_options(program, options),
        *_prices(book, _priced(program, book) if names is None else names, pinned),
        *_channels(program, channels),
    ]


def _options(program: Program, rows: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name, (text, place) in sorted(program.pinned.items()):
        if name in rows:
            yield {
                "kind": "option",
                "name": name,
                "wins": place,
                "over": [f"the row of the option {name}"],
                "document": text,
                "row": rows[name],
                "same": _value(text) == _value(rows[name]),
            }


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _priced(program: Program, book: Book) -> list[str]:
    own = {name for rule in program.prices.rules if rule.layer > 0 for name in rule.names}
    return [name for name in sorted(own) if book.options.rule(name, []) is not None]


def _prices(book: Book, names: Sequence[str], pinned: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name in dict.fromkeys(names):
        rules = book.rules(name)
        places = list(dict.fromkeys(f"{rule.name} ({rule.place})" for rule in rules))
        if len(places) < 2:
            continue
        row = next((rule for rule in rules[1:] if _row_of(rule) not in pinned and _row_of(rule)), None)
        document, said = (charges(book, rule) or {} for rule in (rules[0], row))
        yield {
            "kind": "price",
            "name": name,
            "wins": places[0],
            "over": places[1:],
            "document": _dollars(document),
            "row": _dollars(said),
            "same": row is None or document == said,
        }


def _row_of(rule: Rule) -> str:
    """The option that a rule stands in; empty where that is a document."""
    table, _, where = rule.place.partition(":")
    return where.partition("[")[0] if table == "options" else ""


def _dollars(example: Mapping[str, str]) -> str:
    return f"${example[_EXAMPLE]} for {_EXAMPLE}" if example else ""


def _channels(program: Program, rows: Sequence[ChannelRow]) -> Iterator[dict[str, Any]]:
    declared = {channel.name for channel in program.channels}
    for row in rows:
        if row.name in declared and row.status == ENABLED:
            both = f"the document's and the database's number {row.id}, by priority and weight"
            facts = {"kind": "channel", "name": row.name, "wins": both, "over": []}
            yield {**facts, "document": "a channel", "row": f"channel {row.id}", "same": False}


def lines(told: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """As people read it."""
    for one in told:
        over = f" before {', then '.join(one['over'])}" if one["over"] else ""
        yield f"{one['kind']} {one['name']}: {one['wins']}{over}"
