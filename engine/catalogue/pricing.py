"""The list of models with their prices, as pages and other gateways' price syncs read it, and entries of models.

Ratios are the family's: a model's ratio is its price of a million tokens in units of two dollars. Which ends a model is
spoken to by follows from the types of its channels (tables beside the engine).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from engine import paths
from engine.catalogue import groups, options, shelf
from engine.ledger.pricing.rules import shown
from engine.storage.database import Database
from engine.storage.rows import channel_edits
from engine.storage.rows import shelf as shelf_rows
from engine.storage.rows.crud import Row

if TYPE_CHECKING:
    from engine.ledger.pricing.book import Book
    from engine.routing.group_options import GroupOptions

_UNPRICED = 37.5
_MORE = (
    ("cache_ratio", "cache_ratio"),
    ("cache_creation_ratio", "create_cache_ratio"),
    ("image_ratio", "image_ratio"),
    ("audio_ratio", "audio_ratio"),
    ("audio_completion_ratio", "audio_completion_ratio"),
)


@lru_cache(maxsize=1)
def _ends() -> tuple[dict[str, Any], dict[str, Any]]:
    texts = [(paths.CATALOGUE / name).read_bytes() for name in ("endpoints.json", "kinds.json")]
    return orjson.loads(texts[0]), orjson.loads(texts[1])


class Offer:
    """What channels that are switched on serve: by model its groups, its channels and their types."""

    def __init__(self, db: Database) -> None:
        self.groups: dict[str, set[str]] = {}
        self.channels: dict[str, list[dict[str, Any]]] = {}
        self.types: dict[str, set[int]] = {}
        for row in channel_edits.listed(db, channel_edits.conditions(status=True)):
            named = [name.strip() for name in (row.get("models") or "").split(",") if name.strip()]
            for name in named:
                self.groups.setdefault(name, set()).update(
                    group.strip() for group in (row.get("group") or "default").split(",") if group.strip()
                )
                self.channels.setdefault(name, []).append({"name": row.get("name") or "", "type": row.get("type") or 0})
                self.types.setdefault(name, set()).add(row.get("type") or 0)

    def ends(self, name: str) -> list[str]:
        """How a model may be spoken to."""
        _, table = _ends()
        by_type = {end for kind in self.types.get(name, ()) for end in table["types"].get(str(kind), table["default"])}
        extra = [end for end, parts in table["models"].items() if any(part in name for part in parts)]
        return [*extra, *sorted(by_type)]


def price(book: Book, name: str) -> dict[str, Any]:
    """The members of a model's price."""
    rule = book.find(name)
    if rule is None:
        return {"quota_type": 0, "model_ratio": _UNPRICED, "model_price": 0, "completion_ratio": 1}
    ratios = shown(rule)
    per_call = ratios.get("model_price", -1)
    if per_call is not None and per_call >= 0:
        return {"quota_type": 1, "model_ratio": 0, "model_price": per_call, "completion_ratio": 0}
    base = {"quota_type": 0, "model_ratio": ratios.get("model_ratio", 0), "model_price": 0}
    base["completion_ratio"] = ratios.get("completion_ratio", 1)
    return base | {ours: ratios[theirs] for theirs, ours in _MORE if ratios.get(theirs) not in (None, 0)}


def entry_of(entries: Iterable[Row], name: str) -> Row | None:
    """The entry of the catalogue that means a model: one of its whole name goes before the others."""
    matches = [row for row in entries if shelf.matches(row, name)]
    return min(matches, key=lambda row: row.get("name_rule") or 0) if matches else None


def table(db: Database, book: Book, values: Mapping[str, str], rules: GroupOptions, group: str) -> dict[str, Any]:
    """The whole list for users of a group."""
    offer, entries = Offer(db), shelf_rows.everything(db, "models")
    usable = groups.usable(values, rules, group)
    listed = []
    for name in sorted(offer.groups):
        entry = entry_of(entries, name)
        served = sorted(offer.groups[name] & set(usable))
        if not served or (entry is not None and entry.get("status") != 1):
            continue
        words = (
            {key: entry[key] for key in ("description", "icon", "tags", "vendor_id") if entry.get(key)} if entry else {}
        )
        ends = {"enable_groups": served, "supported_endpoint_types": offer.ends(name)}
        listed.append({"model_name": name, **words, "owner_by": "", **price(book, name), **ends})
    endpoints, _ = _ends()
    spoken = sorted({end for model in listed for end in model["supported_endpoint_types"]})
    ratios = groups.ratios(values)
    body = {
        "success": True,
        "data": listed,
        "vendors": _vendors(db),
        "group_ratio": {name: ratios[name] for name in usable if name in ratios},
        "usable_group": {name: details["desc"] for name, details in usable.items()},
        "supported_endpoint": {end: endpoints[end] for end in spoken if end in endpoints},
        "auto_groups": [name for name in options.value_of(values, "AutoGroups") if name in usable],
    }
    version = hashlib.sha256(orjson.dumps(body)).hexdigest()[:32]
    for model in listed:
        model["pricing_version"] = version
    return {**body, "pricing_version": version}


def _vendors(db: Database) -> list[dict[str, Any]]:
    return [
        {"id": row["id"], "name": row["name"], **{key: row[key] for key in ("description", "icon") if row.get(key)}}
        for row in shelf_rows.everything(db, "vendors")
        if row.get("status") == 1
    ]


def missing(db: Database) -> list[str]:
    """Names in use without an entry in the catalogue."""
    entries = shelf_rows.everything(db, "models")
    exact = [row for row in entries if not row.get("name_rule")]
    return [name for name in sorted(Offer(db).groups) if entry_of(exact, name) is None]


def bound(offer: Offer, book: Book, row: Row) -> dict[str, Any]:
    """What an entry of the catalogue means at present: its models, channels, groups, prices."""
    names = [name for name in sorted(offer.groups) if shelf.matches(row, name)]
    if not names:
        return {}
    channels = {(channel["name"], channel["type"]) for name in names for channel in offer.channels[name]}
    more: dict[str, Any] = {"bound_channels": [{"name": name, "type": kind} for name, kind in sorted(channels)]}
    if row.get("status") == 1:
        more["enable_groups"] = sorted({group for name in names for group in offer.groups[name]})
        more["quota_types"] = sorted({price(book, name)["quota_type"] for name in names})
    if row.get("name_rule"):
        more |= {"matched_models": names, "matched_count": len(names)}
    if not row.get("endpoints"):
        more["endpoints"] = orjson.dumps(_all_ends(offer, names)).decode()
    return more


def _all_ends(offer: Offer, names: Sequence[str]) -> list[str]:
    return sorted({end for name in names for end in offer.ends(name)})
