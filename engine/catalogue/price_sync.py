"""Prices of other gateways beside our own: what differs. Writes nothing; whoever asked decides.

Reads the list of prices (``/api/pricing``) or of ratios (``/api/ratio_config``) below an address, through the guard.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from engine import paths
from engine.catalogue import options
from engine.storage.database import Database
from engine.storage.rows import channel_edits
from engine.transport.faults import TransportError
from engine.transport.fetch import fetch
from engine.transport.limits import Timeouts

if TYPE_CHECKING:
    from engine.transport.leg import Pool

FIELDS = {
    "model_ratio": "ModelRatio",
    "completion_ratio": "CompletionRatio",
    "cache_ratio": "CacheRatio",
    "create_cache_ratio": "CreateCacheRatio",
    "model_price": "ModelPrice",
}
_LIMIT = 8 * 1024 * 1024
_MOST = 20
_ENDPOINT = "/api/pricing"


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A gateway whose prices are read."""

    name: str
    url: str


def presets() -> list[dict[str, Any]]:
    """Public lists, as the console shows them."""
    names = ("id", "name", "base_url", "status", "type")
    return [{name: preset[name] for name in names} for preset in _presets()]


def _presets() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = orjson.loads((paths.CATALOGUE / "presets.json").read_bytes())
    return listed


def sources(db: Database, ids: Sequence[Any], given: Sequence[Any]) -> list[Source]:
    """The gateways that a body names, by channel or by address; twenty at most."""
    gateways = [
        _given(entry) for entry in given[:_MOST] if isinstance(entry, dict) and isinstance(entry.get("base_url"), str)
    ]
    wanted = [number for number in ids[:_MOST] if isinstance(number, int) and not isinstance(number, bool)]
    gateways += [
        Source(preset["name"], preset["base_url"] + preset["endpoint"])
        for preset in _presets()
        if preset["id"] in wanted
    ]
    rows = channel_edits.several(db, [number for number in wanted if number > 0])
    gateways += [
        Source(row["name"] or "", row["base_url"].rstrip("/") + _ENDPOINT) for row in rows if row.get("base_url")
    ]
    return gateways[:_MOST]


def _given(entry: Mapping[str, Any]) -> Source:
    endpoint = str(entry.get("endpoint") or _ENDPOINT)
    url = endpoint if endpoint.startswith(("http://", "https://")) else entry["base_url"].rstrip("/") + endpoint
    return Source(str(entry.get("name") or entry["base_url"])[:191], url[:2048])


def compare(pool: Pool, listed: Sequence[Source], values: Mapping[str, str], seconds: int) -> dict[str, Any]:
    """What differs per model and field, and how reading each source went."""
    results, prices = [], {}
    for source in listed:
        table, fault = prices_of(pool, source, seconds)
        if table is None:
            results.append({"name": source.name, "status": "error", "error": fault})
        else:
            prices[source.name] = table
            results.append({"name": source.name, "status": "success"})
    own = {field: options.value_of(values, name) for field, name in FIELDS.items()}
    differences: dict[str, Any] = {}
    for model in sorted({model for table in prices.values() for model in table}):
        fields = _fields(model, prices, own)
        if fields:
            differences[model] = fields
    return {"differences": differences, "test_results": results}


def _fields(model: str, prices: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for field, table in own.items():
        here = table.get(model)
        theirs = {name: model_prices.get(model, {}).get(field) for name, model_prices in prices.items()}
        if any(value is not None and value != here for value in theirs.values()):
            values = {name: "same" if value == here and value is not None else value for name, value in theirs.items()}
            sure = {name: value is not None for name, value in theirs.items()}
            fields[field] = {"current": here, "upstreams": values, "confidence": sure}
    return fields


def prices_of(pool: Pool, source: Source, seconds: int) -> tuple[dict[str, dict[str, Any]] | None, str]:
    """What a gateway asks for, by model and field; or nothing, and why."""
    try:
        return _read(pool, source, seconds), ""
    except TransportError as error:
        return None, error.public
    except ValueError:
        return None, "its answer can't be read"


def _read(pool: Pool, source: Source, seconds: int) -> dict[str, dict[str, Any]]:
    times = Timeouts(connect=float(seconds), first_byte=float(seconds), idle=float(seconds), total=float(seconds))
    raw, _ = fetch(pool, source.url, limit=_LIMIT, timeouts=times)
    body = orjson.loads(raw)
    data = body.get("data") if isinstance(body, dict) else body
    if isinstance(data, list):
        return {
            entry["model_name"]: _numbers(entry)
            for entry in data
            if isinstance(entry, dict) and entry.get("model_name")
        }
    if not isinstance(data, dict):
        raise ValueError("no list of prices")
    prices: dict[str, dict[str, Any]] = {}
    for field in FIELDS:
        table = data.get(field)
        for model, value in table.items() if isinstance(table, dict) else ():
            prices.setdefault(str(model), {})[field] = value
    return {model: _numbers(entry) for model, entry in prices.items()}


def _numbers(entry: Mapping[str, Any]) -> dict[str, Any]:
    by_call = entry.get("quota_type") == 1
    wanted = [f for f in FIELDS if (f == "model_price") == by_call or "quota_type" not in entry]
    good = {f: entry[f] for f in wanted if isinstance(entry.get(f), int | float) and not isinstance(entry.get(f), bool)}
    return {field: value for field, value in good.items() if value >= 0}
