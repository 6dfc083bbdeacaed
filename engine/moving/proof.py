"""Whether documents that were imported say what their source said: they compile, and models and prices are the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from typing import Any

from engine import paths
from engine.compiler import Fault, Result, Source, compile_set, read_set
from engine.ledger.pricing.book import Book
from engine.program import Program
from engine.routing import channels
from engine.routing.channel import LiveChannel
from engine.storage.rows.channels import ChannelRow

_USAGES: tuple[Mapping[str, Any], ...] = (
    {"input_fresh": 1000, "input_total": 1000, "output_text": 1000, "output_total": 1000, "total": 2000},
    {"input_fresh": 700, "cache_read": 9000, "cache_write_5m": 300, "input_total": 10_000, "output_text": 77,
     "output_total": 77, "total": 10_077},
    {"input_fresh": 50, "input_image": 800, "input_total": 850, "output_text": 1, "output_total": 1, "total": 851},
)  # fmt: skip


def compiled(files: Mapping[str, str]) -> Result:
    """The shipped documents with these over them."""
    sources, shared, faults = read_set([paths.SPECS])
    own = [Source(name, text, 9) for name, text in files.items()]
    result = compile_set([*sources, *own], shared)
    result.faults = faults + result.faults
    return result


@cache
def shipped() -> Program:
    """The Program of the shipped documents alone."""
    return compiled({}).program()


def errors(result: Result) -> list[Fault]:
    """What keeps a set from running."""
    return [fault for fault in result.faults if fault.severity == "error"]


def differences(before: Program, rows: list[ChannelRow], options: Mapping[str, str], after: Program) -> list[str]:
    """Where models by group, their channels, or prices differ between a database and the documents made of it."""
    old = channels.build(before, rows, _anything, options=options).table
    new = channels.build(after, [], _anything).table
    lines = []
    groups = sorted({group for channel in (*old.channels, *new.channels) for group in channel.groups})
    for group in groups:
        for model in sorted({*old.models([group]), *new.models([group])}):
            ways = _ways(old.candidates(group, model), model), _ways(new.candidates(group, model), model)
            if ways[0] != ways[1]:
                lines.append(f"model {model!r} of the group {group!r}: {ways[0]} in the database, {ways[1]} here")
    models = sorted({model for channel in old.channels for model in channel.models})
    books = Book(before, options), Book(after)
    for model, group in product(models, groups):
        charges = [[_charge(book, model, group, usage) for usage in _USAGES] for book in books]
        if charges[0] != charges[1]:
            lines.append(f"price of {model!r} in the group {group!r}: {charges[0]} in the database, {charges[1]} here")
    return lines


def _anything(reference: Mapping[str, str], url: str) -> str:
    return "secret"


def _ways(candidates: Iterable[LiveChannel], model: str) -> list[tuple[str, int, str, float]]:
    """Where calls of a model go, and with what odds within a priority."""
    listed = list(candidates)
    totals: dict[int, float] = {}
    for channel in listed:
        totals[channel.priority] = totals.get(channel.priority, 0) + channel.weight
    ways: dict[tuple[str, int, str], float] = {}
    for channel in listed:
        total, tier = totals[channel.priority], [other for other in listed if other.priority == channel.priority]
        way = channel.base_url, channel.priority, channel.mapped(model)
        share = channel.weight / total if total else 1 / len(tier)
        ways[way] = ways.get(way, 0) + share
    return sorted((*way, round(share, 6)) for way, share in ways.items())


def _charge(book: Book, model: str, group: str, usage: Mapping[str, Any]) -> int | None:
    rule = book.find(model)
    return None if rule is None else book.charge(rule, usage, group=group).quota
