"""Plan: what changes would mean, beside what they would change in the text.

Compiles the set as it is and as it would be, and compares what calls would meet: which models each group may ask for,
what three example calls are charged, which channels are drawn and how often, what every document says after ``extends``
(so a base that changes shows in all that stand on it), and what formats make of the documents' own samples. Rows of the
database (channels, options) are the same on both sides. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.compiler import Fault, Result, spectests
from engine.compiler.comparison import difference
from engine.compiler.documents.sets import Definition
from engine.compiler.standing import uncollected
from engine.ledger.pricing.book import Book, Rule
from engine.program import Program
from engine.releases.captured import replay
from engine.releases.checking import Check, Ground, check, compiled
from engine.releases.history import Difference, differences
from engine.releases.meaning.examples import charges, short
from engine.releases.meaning.winners import winners
from engine.routing import channels as routing_channels
from engine.routing.channel import LiveChannel
from engine.routing.table import Table
from engine.storage.database import Database
from engine.storage.releases import rows as stored_rows
from engine.storage.releases.captures import Captured
from engine.storage.releases.documents import StoredDocument
from engine.storage.rows import channels, options
from engine.storage.rows.channels import ChannelRow


@dataclass(frozen=True, slots=True)
class Rows:
    """What the database says beside documents."""

    channels: Sequence[ChannelRow] = ()
    options: Mapping[str, str] = field(default_factory=dict)


def rows_of(db: Database) -> Rows:
    """Channels and options as they are now."""
    return Rows(tuple(channels.load(db)), options.load(db))


def beside(db: Database, program: Program | None = None) -> dict[str, Any]:
    """What rows add to documents: how many ``channels`` and ``options`` there are, at which ``revision``.

    ``twice`` tells what a row and a document of ``program`` both name and don't say the same of (``winners``).
    """
    channel_rows, option_rows = channels.load(db), options.stored(db)
    named = winners(program, option_rows, channel_rows) if program is not None else []
    return {
        "channels": len(channel_rows),
        "options": len(option_rows),
        "revision": stored_rows.newest(db),
        "twice": [one for one in named if not one["same"]],
    }


@dataclass(slots=True)
class Plan:
    """What changes would mean. A list is empty where nothing differs; ``faults`` are those of the set as it would be.

    ``models``: {group, gained, lost}; ``prices``: {model, before, after: {example: dollars}, groups}; ``routes``:
    {group, model, before, after}; ``effects``: {title, what, direct, difference} for every document that says
    something else; ``outputs``: {document, test, difference}.
    """

    base: int
    documents: list[Difference]
    faults: list[Fault] = field(default_factory=list)
    models: list[dict[str, Any]] = field(default_factory=list)
    prices: list[dict[str, Any]] = field(default_factory=list)
    routes: list[dict[str, Any]] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    replays: dict[str, Any] = field(default_factory=dict)
    """What kept exchanges come to (``captured.replay``); empty where none were replayed."""
    program: Program | None = None
    """What the set would be, where it compiles."""

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        return not (self.documents or self.effects)

    def as_json(self) -> dict[str, Any]:
        """The plan as plain data."""
        texts = [{"title": d.title, "what": d.what, "owner": d.owner, "diff": d.text} for d in self.documents]
        return {
            "base": self.base,
            "ok": not any(fault.severity == "error" for fault in self.faults),
            "empty": self.empty,
            "documents": texts,
            "models": self.models,
            "prices": self.prices,
            "routes": self.routes,
            "effects": self.effects,
            "outputs": self.outputs,
            "replays": self.replays,
            "faults": [fault.as_json() for fault in self.faults],
        }


@uncollected()
def plan(
    ground: Ground,
    changes: Sequence[StoredDocument],
    rows: Rows | None = None,
    *,
    moved: frozenset[str] = frozenset(),
    exchanges: Sequence[Captured] = (),
) -> Plan:
    """What changes would mean; with faults only these and the texts are told. ``exchanges`` are replayed."""
    after = check(ground, changes, moved=moved)
    made = Plan(ground.number, differences(list(ground.documents), after.documents), after.faults)
    if after.result is not None and after.result.ok:
        made.program = after.result.program()
    if not after.ok or not changes:
        return made
    before = compiled(ground.directories, ground.documents, tested=False)
    compare(made, before, after, rows or Rows(), exchanges)
    return made


def compare(made: Plan, before: Check, after: Check, rows: Rows, exchanges: Sequence[Captured] = ()) -> None:
    """Fill a plan with what differs between two sets; a set with faults tells nothing."""
    old, new = before.result, after.result
    if old is None or new is None or not (old.ok and new.ok):
        return
    changed = {one.title for one in made.documents}
    made.effects = list(_effects(old, new, changed))
    if not made.effects:
        return
    sides = _Side(old, rows), _Side(new, rows)
    made.models = list(_models(*sides))
    made.prices = list(_prices(*sides))
    made.routes = list(_routes(*sides))
    kinds = {effect["title"].partition("/")[0] for effect in made.effects}
    if kinds & {"Format", "Provider", "Model", "Alias"}:
        made.outputs = list(_outputs(old, new))
    if exchanges:
        books = sides[0].book, sides[1].book
        made.replays = replay.replayed(exchanges, sides[0].program, sides[1].program, books)


class _Side:
    """One of two sets, ready to be asked."""

    def __init__(self, result: Result, rows: Rows) -> None:
        self.program = result.program()
        self.texts = texts = {**rows.options, **{name: text for name, (text, _) in self.program.pinned.items()}}
        self.book = Book(self.program, texts)
        built = routing_channels.build(self.program, rows.channels, _any_secret, options=texts)
        self.table: Table = built.table
        self.groups = sorted({group for channel in built.table.channels for group in channel.groups})


def _any_secret(_reference: Mapping[str, str], _url: str) -> str:
    """A plan must not hang on which secrets are at hand where it is made."""
    return "secret"


def _effects(old: Result, new: Result, changed: set[str]) -> Iterator[dict[str, Any]]:
    before = {one.title: one for one in old.documents}
    after = {one.title: one for one in new.documents}
    for title in sorted({*before, *after}):
        was, now = before.get(title), after.get(title)
        if _said(was) == _said(now):
            continue
        what = "added" if was is None else "removed" if now is None else "changed"
        yield {
            "title": title,
            "what": what,
            "direct": title in changed,
            "difference": difference(_said(was), _said(now)) if what == "changed" else "",
        }


def _said(definition: Definition | None) -> Any:
    """What a document says; its tests and words for readers are no part of that."""
    if definition is None:
        return None
    return {"spec": definition.spec, "abstract": definition.abstract}


def _models(old: _Side, new: _Side) -> Iterator[dict[str, Any]]:
    for group in sorted({*old.groups, *new.groups}):
        before, after = set(old.table.models((group,))), set(new.table.models((group,)))
        if before != after:
            yield {"group": group, "gained": sorted(after - before), "lost": sorted(before - after)}


def _prices(old: _Side, new: _Side) -> Iterator[dict[str, Any]]:
    groups = sorted({*old.groups, *new.groups, "default"})
    for name in sorted(_repriced(old, new)):
        rules = old.book.find(name), new.book.find(name)
        before, after = charges(old.book, rules[0]), charges(new.book, rules[1])
        factors = _factors(rules[0], groups), _factors(rules[1], groups)
        if before != after or factors[0] != factors[1]:
            differing = [group for group in groups if factors[0].get(group) != factors[1].get(group)]
            yield {
                "model": name,
                "before": before,
                "after": after,
                "groups": {g: [short(factors[0].get(g)), short(factors[1].get(g))] for g in differing},
                "rule": rules[1].place if rules[1] is not None else None,
            }


def _repriced(old: _Side, new: _Side) -> set[str]:
    """Models whose price may differ. PERF: those of rules that differ alone, where nothing else does."""
    sides = (old, new)
    rules = [{(one.title, one.names, one.match, one.start): one for one in side.program.prices.rules} for side in sides]
    differing = [one for mine, other in (rules, rules[::-1]) for key, one in mine.items() if other.get(key) != one]
    shared = [(side.program.prices.common, side.program.prices.ratios, side.texts, side.groups) for side in sides]
    if shared[0] == shared[1] and not any(one.match for one in differing):
        return {name for one in differing for name in one.names}
    names = {model for side in sides for group in side.groups for model in side.table.models((group,))}
    return names | {name for side in sides for one in side.program.prices.rules for name in one.names}


def _factors(rule: Rule | None, groups: Sequence[str]) -> dict[str, Decimal]:
    return {} if rule is None else {group: rule.share(group, group, "").factor for group in groups}


def _routes(old: _Side, new: _Side) -> Iterator[dict[str, Any]]:
    for group in sorted({*old.groups, *new.groups}):
        for model in sorted({*old.table.models((group,))} & {*new.table.models((group,))}):
            before, after = (odds(side.table.candidates(group, model).channels) for side in (old, new))
            if before != after:
                yield {"group": group, "model": model, "before": before, "after": after}


def odds(candidates: Sequence[LiveChannel]) -> list[dict[str, Any]]:
    """How calls are drawn: each channel with its priority and its share of the first tries of that priority."""
    told = []
    for channel in sorted(candidates, key=lambda one: (-one.priority, one.name)):
        tier = [one for one in candidates if one.priority == channel.priority]
        total = sum(one.weight for one in tier)
        share = channel.weight / total if total else 1 / len(tier)
        told.append(
            {
                "channel": channel.name,
                "provider": channel.provider.name,
                "priority": channel.priority,
                "share": round(share, 4),
                "model": dict(channel.model_mapping),
            }
        )
    return told


def _outputs(old: Result, new: Result) -> Iterator[dict[str, Any]]:
    """Samples of the documents' own tests, run by both sets."""
    before = spectests.outputs(old, old)
    after = spectests.outputs(old, new)
    for key, value in before.items():
        if key in after and (text := difference(value, after[key])):
            yield {"document": key[0], "test": key[1], "difference": text}
