"""Token counts: from a format's own usage object to disjoint buckets that add up.

Takes the upstream's object and the declared rules, per count a ``path``, ``of`` (inside which total it stands, or
``beside``: added to its side) and ``later`` (``replace`` or ``add``, for streams that tell usage in pieces); a Provider
may override single counts. Gives the buckets, their derived totals, the raw object and flags where the upstream's own
figures contradict each other. The buckets of a side always add up to that side's total as the upstream told it: what
stands "inside" and is larger than the total is cut down and flagged. Knows no price and no format.
"""

from __future__ import annotations

from typing import Any

from engine.hub import naming, paths

INPUT_PARTS = ("cache_read", "cache_write_5m", "cache_write_1h", "tool_use_input")
OUTPUT_PARTS = ("reasoning",)
SUBSETS = ("input_audio", "input_image", "input_video", "output_audio", "output_image")
BUCKETS = ("input_fresh", *INPUT_PARTS, "output_text", *OUTPUT_PARTS)
_DERIVED = ("input_total", "output_total", "cache_write", "total")
_SPECIAL = frozenset({"calls", "models"})

Counts = dict[str, Any]
Usage = dict[str, Any]

EMPTY: Usage = dict.fromkeys((*BUCKETS, *SUBSETS, *_DERIVED), 0) | {"calls": {}}
"""Usage of an answer about which nothing was said; never changed."""


def short_hash(prefix: str, text: str) -> str:
    """A made-up id with a prefix."""
    return prefix + naming.short_hash(text)


def rules_of(rules: Any, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """The count rules, with a Provider's overrides merged in count by count; ``None`` takes a count away."""
    counts: dict[str, Any] = dict((rules if isinstance(rules, dict) else getattr(rules, "counts", None)) or {})
    for name, change in (overrides or {}).items():
        if change is None:
            counts.pop(name, None)
        else:
            counts[name] = {**counts.get(name, {}), **change}
    return counts


def collect(raw: Any, rules: dict[str, Any]) -> Counts:
    """The counts that an upstream's object holds, by their hub names; nothing is worked out yet."""
    found: Counts = {}
    for name, rule in rules.items():
        if name not in _SPECIAL:
            number = paths.count(raw, rule["path"])
            if number is not None:
                found[name] = number
    calls = {name: paths.count(raw, rule["path"]) for name, rule in rules.get("calls", {}).items()}
    if any(calls.values()):
        found["calls"] = {name: number for name, number in calls.items() if number}
    several = rules.get("models")
    if several:
        entries = [entry for entry in paths.values(raw, several["path"] + "[*]") if isinstance(entry, dict)]
        if entries:
            found["models"] = entries
    return found


def merge(old: Counts, new: Counts, rules: dict[str, Any]) -> Counts:
    """A later piece over an earlier one: present counts replace, or add where the rule says so."""
    merged = dict(old)
    for name, value in new.items():
        rule = rules.get(name)
        adds = isinstance(value, int) and isinstance(rule, dict) and rule.get("later") == "add"
        merged[name] = old.get(name, 0) + value if adds else value
    return merged


def settle(counts: Counts, rules: dict[str, Any], raw: Any = None) -> Usage:
    """The buckets and totals of what was counted."""
    flags: list[str] = []
    known = {name: _positive(name, value, flags) for name, value in counts.items() if isinstance(value, int)}
    _split_cache_writes(known, rules, flags)
    usage: Usage = dict(EMPTY)
    _side("input", "input_fresh", INPUT_PARTS, known, rules, usage, flags)
    _side("output", "output_text", OUTPUT_PARTS, known, rules, usage, flags)
    for name in SUBSETS:
        usage[name] = min(known.get(name, 0), _side_total(usage, name))
    usage["calls"] = dict(counts.get("calls", {}))
    usage["cache_write"] = usage["cache_write_5m"] + usage["cache_write_1h"]
    usage["total"] = usage["input_total"] + usage["output_total"]
    if known.get("total") and known["total"] != usage["total"]:
        flags.append("total_differs")
    if raw is not None:
        usage["raw"] = raw
    if flags:
        usage["flags"] = flags
    if counts.get("models"):
        usage["models"] = _models(counts["models"], rules)
    return usage


def normalise(raw: Any, rules: Any, overrides: dict[str, Any] | None = None) -> Usage:
    """An upstream's whole usage object as buckets."""
    counts = rules_of(rules, overrides)
    return settle(collect(raw, counts), counts, raw)


def _positive(name: str, value: int, flags: list[str]) -> int:
    if value < 0:
        flags.append(f"{name}_negative")
        return 0
    return value


def _split_cache_writes(known: dict[str, int], rules: dict[str, Any], flags: list[str]) -> None:
    """A total of cache writes without its split is of the short kind."""
    written = known.pop("cache_write", None)
    if written is None:
        return
    long = known.get("cache_write_1h", 0)
    if long > written:
        flags.append("cache_write_1h_clamped")
        long = known["cache_write_1h"] = written
    known["cache_write_5m"] = written - long


def _place(name: str, side: str, rules: dict[str, Any]) -> str:
    rule = rules.get(name) or {}
    place: str = rule.get("of") or side
    if place == "cache_write" or (name.startswith("cache_write_") and name not in rules):
        place = (rules.get("cache_write") or {}).get("of") or side
    return place


def _side(
    side: str,
    rest: str,
    parts: tuple[str, ...],
    known: dict[str, int],
    rules: dict[str, Any],
    usage: Usage,
    flags: list[str],
) -> None:
    """One side's total is split into what the rules name and the rest."""
    inside = [name for name in parts if name in known and _place(name, side, rules) != "beside"]
    total = known.get(side)
    if total is None:
        total = sum(known[name] for name in inside)
    left = total
    for name in inside:
        usage[name] = min(known[name], left)
        if known[name] > left:
            flags.append(f"{name}_clamped")
        left -= usage[name]
    for name in parts:
        if name in known and name not in inside:
            usage[name] = known[name]
            total += known[name]
    usage[rest] = left
    usage[f"{side}_total"] = total


def _side_total(usage: Usage, name: str) -> int:
    total: int = usage["input_total" if name.startswith("input") else "output_total"]
    return total


def _models(entries: list[dict[str, Any]], rules: dict[str, Any]) -> list[Usage]:
    """Where several models (or passes) are billed in one answer, each has buckets of its own."""
    several = rules["models"]
    counts = several.get("counts") or {name: rule for name, rule in rules.items() if name not in _SPECIAL}
    billed: list[Usage] = []
    for entry in entries:
        usage = settle(collect(entry, counts), counts)
        for name in ("model", "kind"):
            value = entry.get(several.get(name, "model" if name == "model" else "type"))
            if isinstance(value, str):
                usage[name] = value
        billed.append(usage)
    return billed


class UsageTally:
    """Usage of one stream, told in pieces; worked out only when somebody asks."""

    __slots__ = ("_counts", "_given", "_raw", "_rules", "changed")

    def __init__(self, rules: Any, overrides: dict[str, Any] | None = None) -> None:
        self._rules = rules_of(rules, overrides)
        self._counts: Counts = {}
        self._raw: dict[str, Any] = {}
        self._given: Usage | None = None
        self.changed = False

    def add(self, event: dict[str, Any]) -> None:
        """Take a usage event: ``usage`` is normalised already, ``counts`` is the upstream's object."""
        given, raw = event.get("usage"), event.get("counts")
        if isinstance(given, dict):
            self._given = {**EMPTY, **given}
            self.changed = True
        elif isinstance(raw, dict) and raw:
            self._raw.update(raw)
            self._counts = merge(self._counts, collect(raw, self._rules), self._rules)
            self.changed = True

    def settle(self) -> Usage:
        """The usage so far."""
        self.changed = False
        if self._given is not None:
            return self._given
        return settle(self._counts, self._rules, self._raw or None)
