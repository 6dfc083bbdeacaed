"""Writes a period's calls as CSV or JSON lines, for comparing with a provider's invoice.

A line for each call: who, when, which model and channel, tokens by bucket, charge in units and dollars, and the
provider's own request id. Takes rows as ``storage.audit`` gives them; writes text.
"""

from __future__ import annotations

import csv
import datetime
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

import orjson

from engine import sheets

_COLUMNS = (
    "request_id",
    "time",
    "username",
    "user_id",
    "token_name",
    "token_id",
    "group",
    "model",
    "upstream_model",
    "channel",
    "channel_id",
    "upstream_request_id",
    "prompt_tokens",
    "completion_tokens",
    "cache_read",
    "cache_write",
    "reasoning",
    "source",
    "quota",
    "usd",
    "rule",
    "place",
    "is_stream",
    "use_time",
)


def write(rows: Iterable[Mapping[str, Any]], out: TextIO, form: str) -> int:
    """Write all rows; how many there were."""
    count = 0
    table = csv.DictWriter(out, _COLUMNS, lineterminator="\n") if form == "csv" else None
    if table is not None:
        table.writeheader()
    for row in rows:
        line = flat(row)
        if table is not None:
            table.writerow({name: sheets.safe(line.get(name)) for name in _COLUMNS})
        else:
            out.write(orjson.dumps(line, default=str).decode() + "\n")
        count += 1
    return count


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A call as one flat record."""
    try:
        other = orjson.loads(row.get("other") or "{}")
    except orjson.JSONDecodeError:
        other = {}
    usage, price = other.get("usage") or {}, other.get("price") or {}
    moment = datetime.datetime.fromtimestamp(row["created_at"], datetime.UTC)
    values = {
        **{name: row[name] for name in _COLUMNS if name in row},
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "upstream_model": other.get("upstream_model_name") or row["model"],
        "channel": other.get("channel", ""),
        "cache_read": usage.get("cache_read", 0),
        "cache_write": usage.get("cache_write", 0),
        "reasoning": usage.get("reasoning", 0),
        "usd": price.get("usd"),
        "rule": price.get("rule", ""),
        "place": price.get("place", ""),
        "is_stream": bool(row.get("is_stream")),
    }
    return {name: values.get(name) for name in _COLUMNS}
