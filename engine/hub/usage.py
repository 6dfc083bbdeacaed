"""Token counts: from a format's own usage object to disjoint buckets that add up.

Takes the upstream's object and the declared rules, per count a ``path``, ``of`` (inside which total it stands, or
``beside``: added to its side) and ``later`` (``replace`` or ``add``, for streams that tell usage in pieces); a Provider
may override single counts. Gives the buckets, their derived totals, the raw object and flags where the upstream's own
figures contradict each other. The buckets of a side always add up to that side's total as the upstream told it: what
stands "inside" and is larger than the total is cut down and flagged, and ``beyond`` has what was cut off; unless the
answer's own total is the sum with it beside, which says that it stands beside. Knows no price and no format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from engine.hub import naming, paths

INPUT_PARTS = ("cache_read", "cache_write_5m", "cache_write_1h", "tool_use_input")
OUTPUT_PARTS = ("reasoning",)
SUBSETS = ("input_audio", "input_image", "input_video", "output_audio", "output_image")
_SIDES = (("input", "input_fresh", INPUT_PARTS), ("output", "output_text", OUTPUT_PARTS))
"""Name of the side's total upstream, the bucket for what no part names, the parts."""
_SUBSETS = frozenset(SUBSETS)
BUCKETS = ("input_fresh", *INPUT_PARTS, "output_text", *OUTPUT_PARTS)
_DERIVED = ("input_total", "output_total", "cache_write", "total")
_SPECIAL = frozenset({"calls", "meters", "models"})

Counts = dict[str, Any]
Usage = dict[str, Any]

EMPTY: Usage = dict.fromkeys((*BUCKETS, *SUBSETS, *_DERIVED), 0) | {"calls": {}}
"""Usage of an answer about which nothing was said; never changed."""


def short_hash(prefix: str, text: str) -> str:
    """A made-up id with a prefix."""
    return prefix + naming.short_hash(text)


class Plan:
    """Count rules made ready once for all answers that are counted by them.

    ``rules`` are a format's counts (or what holds them), ``overrides`` a Provider's, count by count; ``None`` as an
    override takes a count away, and `calls` stand in place of all calls.
    """

    __slots__ = ("_adding", "_beside", "_calls", "_meters", "_models", "_read", "_several", "names", "rules", "whole")

    def __init__(self, rules: Any, overrides: Mapping[str, Any] | None = None) -> None:
        counts: dict[str, Any] = dict((rules if isinstance(rules, dict) else getattr(rules, "counts", None)) or {})
        for name, change in (overrides or {}).items():
            if change is None:
                counts.pop(name, None)
            else:
                counts[name] = change if name == "calls" else {**counts.get(name, {}), **change}
        self.rules = counts
        self.whole = bool(getattr(rules, "whole", False))
        """Each piece of a stream's usage is all of it: what it leaves out is 0, unless it tells no count at all."""
        # A Provider may say how it counts what the format does not count at all: then nothing is read.
        single = {name: rule for name, rule in counts.items() if name not in _SPECIAL and "path" in rule}
        self.names = tuple(single)
        self._read = paths.reader_of_all({name: rule["path"] for name, rule in single.items()})
        self._calls = [(name, paths.reader(rule["path"])) for name, rule in counts.get("calls", {}).items()]
        self._meters = Plan(counts["meters"]) if "meters" in counts else None
        self._adding = frozenset(name for name, rule in single.items() if rule.get("later") == "add")
        self._beside = frozenset(name for name in (*INPUT_PARTS, *OUTPUT_PARTS) if self._place(name) == "beside")
        self._several: dict[str, Any] | None = counts.get("models")
        self._models = Plan(self._several.get("counts") or single) if self._several else None

    def _place(self, name: str) -> str | None:
        """A part of the cache writes stands where their sum does, unless it says something else."""
        place: str | None = (self.rules.get(name) or {}).get("of")
        if place == "cache_write" or (name.startswith("cache_write_") and name not in self.rules):
            place = (self.rules.get("cache_write") or {}).get("of")
        return place

    def collect(self, raw: Any) -> Counts:
        """The counts that an upstream's object holds, by their hub names; nothing is worked out yet."""
        counts: Counts = self._read(raw)
        calls = {name: number for name, read in self._calls if (number := read(raw))}
        if calls:
            counts["calls"] = calls
        if self._meters is not None:
            counts["meters"] = dict.fromkeys(self._meters.names, 0) | self._meters._read(raw)
        if self._several is not None:
            entries = [entry for entry in paths.values(raw, self._several["path"] + "[*]") if isinstance(entry, dict)]
            if entries:
                counts["models"] = entries
        return counts

    def merge(self, old: Counts, new: Counts) -> Counts:
        """A later piece over an earlier one: told counts replace, or add where the rule says so; a 0 erases nothing."""
        merged = {**old, **{name: value for name, value in new.items() if value or name not in old}}
        for name in self._adding & old.keys() & new.keys():
            merged[name] = old[name] + new[name]
        if "calls" in old and "calls" in new:
            merged["calls"] = {**old["calls"], **{k: max(v, old["calls"].get(k, 0)) for k, v in new["calls"].items()}}
        if self._meters is not None and "meters" in old and "meters" in new:
            merged["meters"] = self._meters.merge(old["meters"], new["meters"])
        return merged

    def settle(self, counts: Counts, raw: Any = None) -> Usage:
        """The buckets and totals of what was counted."""
        flags: list[str] = []
        known = {name: value for name, value in counts.items() if type(value) is int}
        if known and min(known.values()) < 0:
            known = _not_negative(known, flags)
        if "cache_write" in known:
            _split_cache_writes(known, flags)
        usage, cut = self._sides(known, self._beside)
        if known.get("total", 0) not in (0, usage["total"]):
            apart = self._beside_by_total(known)
            if apart:
                usage, cut = self._sides(known, self._beside | apart)
                flags += [f"{name}_beside" for name in sorted(apart)]
            else:
                cut.append("total_differs")
        usage["calls"] = _not_negative(counts["calls"], flags) if "calls" in counts else {}
        if "meters" in counts:
            usage["meters"] = _not_negative(counts["meters"], flags)
        flags += cut
        if raw is not None:
            usage["raw"] = raw
        if flags:
            usage["flags"] = flags
        if counts.get("models"):
            usage["models"] = self._billed(counts["models"])
        return usage

    def _sides(self, known: dict[str, int], beside: frozenset[str]) -> tuple[Usage, list[str]]:
        """Both sides split into their buckets, and flags of what was cut."""
        usage: Usage = EMPTY.copy()
        flags: list[str] = []
        for side, rest, parts in _SIDES:
            total = known.get(side)
            if total is None or not known.keys().isdisjoint(parts):
                total, left = _split(total, [name for name in parts if name in known], known, beside, usage, flags)
            else:
                left = total
            usage[rest] = left
            usage[f"{side}_total"] = total
        for name in () if _SUBSETS.isdisjoint(known) else [name for name in SUBSETS if name in known]:
            room = usage["input_total" if name.startswith("input") else "output_total"]
            usage[name] = known[name] if known[name] <= room else _cut(name, known[name], room, usage)
        usage["cache_write"] = usage["cache_write_5m"] + usage["cache_write_1h"]
        usage["total"] = usage["input_total"] + usage["output_total"]
        return usage, flags

    def _beside_by_total(self, known: dict[str, int]) -> frozenset[str]:
        """Parts declared inside that stand beside their side, as the total is the sum with just them beside."""
        parts = [name for side, _, names in _SIDES if side in known for name in names if known.get(name)]
        inside = [name for name in parts if name not in self._beside]
        counted = sum(known.get(side, 0) for side, _, _ in _SIDES)
        missing = known["total"] - counted - sum(known[name] for name in parts if name in self._beside)
        sets = (subset for number in range(1, len(inside) + 1) for subset in combinations(inside, number))
        return frozenset(next((subset for subset in sets if sum(known[name] for name in subset) == missing), ()))

    def normalise(self, raw: Any) -> Usage:
        """An upstream's whole usage object as buckets."""
        return self.settle(self.collect(raw), raw)

    def _billed(self, entries: list[dict[str, Any]]) -> list[Usage]:
        """Where several models (or passes) are billed in one answer, each has buckets of its own."""
        several, plan = self._several or {}, self._models or self
        billed: list[Usage] = []
        for entry in entries:
            usage = plan.settle(plan.collect(entry))
            for name in ("model", "kind"):
                value = entry.get(several.get(name, "model" if name == "model" else "type"))
                if isinstance(value, str):
                    usage[name] = value
            billed.append(usage)
        return billed


NO_PLAN = Plan(None)
"""Counts nothing."""


def normalise(raw: Any, rules: Any, overrides: Mapping[str, Any] | None = None) -> Usage:
    """An upstream's whole usage object as buckets, by rules that are not made ready."""
    return Plan(rules, overrides).normalise(raw)


def _split(
    total: int | None,
    parts: list[str],
    known: dict[str, int],
    beside: frozenset[str],
    usage: Usage,
    flags: list[str],
) -> tuple[int, int]:
    """One side's whole total and what is left of it, when what was told of its parts is taken out."""
    inside = [name for name in parts if name not in beside]
    if total is None:
        total = sum([known[name] for name in inside])
    left = total
    for name in inside:
        number = known[name]
        if number > left:
            flags.append(f"{name}_clamped")
            number = _cut(name, number, left, usage)
        usage[name] = number
        left -= number
    for name in parts:
        if name in beside:
            usage[name] = known[name]
            total += known[name]
    return total, left


def _cut(name: str, number: int, room: int, usage: Usage) -> int:
    """As much of a count as there is room for; what is beyond is noted apart."""
    usage.setdefault("beyond", {})[name] = number - room
    return room


def _not_negative(counts: Mapping[str, int], flags: list[str]) -> dict[str, int]:
    """Counts without what is below 0: nobody is paid for a call."""
    flags += [f"{name}_negative" for name, value in counts.items() if value < 0]
    return {name: max(value, 0) for name, value in counts.items()}


def bounded(usage: Usage, most_tokens: int, most_calls: int) -> Usage:
    """The usage with no side above ``most_tokens`` and no kind of calls or meter above ``most_calls``, flagged if cut.

    The same object where nothing has to be cut. What the upstream told stays in ``raw``.
    """
    flags: list[str] = []
    cut: Usage = {}
    for side, parts in (("input", ("input_fresh", *INPUT_PARTS)), ("output", ("output_text", *OUTPUT_PARTS))):
        if usage.get(f"{side}_total", 0) > most_tokens:
            flags.append(f"{side}_above_ceiling")
            cut |= dict(_within({name: usage.get(name, 0) for name in parts}, most_tokens))
            cut[f"{side}_total"] = most_tokens
            cut |= {name: min(usage.get(name, 0), most_tokens) for name in SUBSETS if name.startswith(side)}
    for table in ("calls", "meters"):
        above = [name for name, number in (usage.get(table) or {}).items() if number > most_calls]
        if above:
            flags += [f"{name}_above_ceiling" for name in above]
            cut[table] = {**usage[table], **dict.fromkeys(above, most_calls)}
    models = [bounded(model, most_tokens, most_calls) for model in usage.get("models") or ()]
    if any(after is not before for after, before in zip(models, usage.get("models") or (), strict=True)):
        cut["models"] = models
    if not cut:
        return usage
    result = {**usage, **cut, "flags": [*usage.get("flags", ()), *flags]}
    result.pop("beyond", None)
    result["cache_write"] = result.get("cache_write_5m", 0) + result.get("cache_write_1h", 0)
    result["total"] = result.get("input_total", 0) + result.get("output_total", 0)
    return result


def _within(buckets: dict[str, int], room: int) -> Iterable[tuple[str, int]]:
    """The buckets as far as there is room for them, in their order."""
    for name, number in buckets.items():
        share = min(number, room)
        yield name, share
        room -= share


def _split_cache_writes(known: dict[str, int], flags: list[str]) -> None:
    """A total of cache writes without its split is of the short kind."""
    writes = known.pop("cache_write")
    long = known.get("cache_write_1h", 0)
    if long > writes:
        flags.append("cache_write_1h_clamped")
        long = known["cache_write_1h"] = writes
    known["cache_write_5m"] = writes - long


_MADE = ("output_text", *OUTPUT_PARTS, "output_audio", "output_image", "output_total")
_COUNTED = ("calls", "meters")


def joined(begun: Usage, rest: Usage) -> Usage:
    """The usage of an answer that two upstreams made one after the other: the input of the first, the output of both.

    What the second was sent again is no part of the answer.
    """
    usage: Usage = {name: value for name, value in begun.items() if name != "raw"}
    for name in _MADE:
        usage[name] = begun.get(name, 0) + rest.get(name, 0)
    for table in _COUNTED:
        if begun.get(table) or rest.get(table):
            both, more = dict(begun.get(table) or {}), rest.get(table) or {}
            usage[table] = both | {name: both.get(name, 0) + number for name, number in more.items()}
    usage["total"] = usage.get("input_total", 0) + usage["output_total"]
    return usage


class UsageTally:
    """Usage of one stream, told in pieces; worked out only when somebody asks. ``begun``: see ``whole``."""

    __slots__ = ("_begun", "_counts", "_given", "_plan", "_raw", "changed", "own")

    def __init__(self, plan: Plan = NO_PLAN, begun: Usage | None = None) -> None:
        self._plan = plan
        self._begun = begun
        self.own: Usage = EMPTY
        """What was settled last."""
        self._counts: Counts = {}
        self._raw: dict[str, Any] = {}
        self._given: Usage | None = None
        self.changed = False

    def add(self, event: dict[str, Any]) -> None:
        """Take a usage event: ``usage`` is normalised already, ``counts`` is the upstream's object."""
        usage, raw = event.get("usage"), event.get("counts")
        if isinstance(usage, dict):
            self._given = {**EMPTY, **usage}
            self.changed = True
        elif isinstance(raw, dict) and raw:
            counts = self._plan.collect(raw)
            if self._plan.whole and any(counts[name] for name in self._plan.names if name in counts):
                self._raw, self._counts = {}, {name: self._counts[name] for name in _SPECIAL & self._counts.keys()}
            self._raw.update(raw)
            self._counts = self._plan.merge(self._counts, counts)
            self.changed = True

    def settle(self) -> Usage:
        """The usage so far."""
        self.changed = False
        given = self._given
        self.own = given if given is not None else self._plan.settle(self._counts, self._raw or None)
        return self.own

    def whole(self) -> Usage:
        """The usage so far of an answer that another stream began, which had used ``begun``."""
        own = self.settle() if self.changed else self.own
        return own if self._begun is None else joined(self._begun, own)
