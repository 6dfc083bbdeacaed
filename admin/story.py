"""A log row as a story: what was asked, which channels were tried and how they failed, what was lost, the sum."""

from __future__ import annotations

from typing import Any

from admin import figures, forms
from admin.view import View
from admin.words import gettext, noted

_ERROR, _USAGE = 5, 2
_KINDS = {1: noted("Top-up"), 3: noted("Management"), 4: noted("System"), 6: noted("Refund")}
MEANINGS = {
    "auth": noted("Key refused"),
    "bad_request": noted("Bad request"),
    "client_gone": noted("Cancelled"),
    "content_policy": noted("Refused by content rules"),
    "context_too_long": noted("Context too long"),
    "cut": noted("Cut off"),
    "forbidden": noted("Not allowed"),
    "not_found": noted("Not found"),
    "overloaded": noted("Overloaded"),
    "quota": noted("No quota left"),
    "rate_limit": noted("Rate limit"),
    "rate_limit_account": noted("Rate limit of the account"),
    "rate_limit_service": noted("Rate limit of the service"),
    "timeout": noted("Too slow"),
    "unavailable": noted("Unavailable"),
    "unknown": noted("Unknown failure"),
    "upstream_auth": noted("The vendor refuses the key"),
    "upstream_quota": noted("The vendor’s account is spent"),
}
BUCKETS = {
    "input_fresh": noted("Input"),
    "cache_read": noted("Read from cache"),
    "cache_write": noted("Written to cache"),
    "cache_write_5m": noted("Written to cache, 5 min"),
    "cache_write_1h": noted("Written to cache, 1 h"),
    "output_text": noted("Output"),
    "output_reasoning": noted("Thinking"),
    "input_audio": noted("Input, audio"),
    "output_audio": noted("Output, audio"),
    "input_image": noted("Input, image"),
    "output_image": noted("Output, image"),
}


def meaning(name: str) -> str:
    """A failure's meaning in words."""
    return gettext(MEANINGS[name]) if name in MEANINGS else name.replace("_", " ")


def bucket(name: str) -> str:
    """A bucket of tokens in words."""
    return gettext(BUCKETS[name]) if name in BUCKETS else name.replace("_", " ")


def row(view: View, item: dict[str, Any]) -> dict[str, Any]:
    """What the table shows of a row."""
    other = forms.loads(item["other"])
    tried = (other.get("admin_info") or {}).get("use_channel") or []
    kind, word = _result(item, other)
    usage = other.get("usage") or {}
    seconds = item["use_time"] or 0
    first = other.get("frt")
    return {
        **item,
        "info": other,
        "kind": kind,
        "word": word,
        "tries": len(tried),
        "losses": len(other.get("losses") or ()),
        "mapped": other.get("upstream_model_name") or "",
        "way": (item.get("channel_name") or other.get("channel") or "") if view.admin else "",
        "first": first / 1000 if first else None,
        "cached": usage.get("cache_read") or 0,
        "speed": item["completion_tokens"] / seconds if seconds and item["completion_tokens"] else 0,
        "call": item["type"] in (_USAGE, _ERROR),
    }


def _result(item: dict[str, Any], other: dict[str, Any]) -> tuple[str, str]:
    if item["type"] in _KINDS:
        return "off", gettext(_KINDS[item["type"]])
    error = other.get("error_type")
    ended = (other.get("stream_status") or {}).get("end_reason")
    if item["type"] == _ERROR or error:
        mild = str(error).startswith("rate_limit") or error == "overloaded"
        return "warn" if mild else "bad", meaning(str(error or "unknown"))
    if ended == "client_gone":
        return "bad", gettext("Cancelled")
    return ("warn", gettext("Cut off")) if ended else ("ok", gettext("Answered"))


def of(view: View, item: dict[str, Any]) -> dict[str, Any]:
    """All that the drawer tells of a row."""
    shown = row(view, item)
    other = shown["info"]
    conversion = other.get("request_conversion") or []
    admin = other.get("admin_info") or {}
    failed = [(name, meaning(why)) for name, why in admin.get("failed") or ()]
    tried = admin.get("use_channel") or []
    price = other.get("price") or {}
    return {
        **shown,
        "from": conversion[0] if conversion else (other.get("request_path") or ""),
        "to": conversion[-1] if conversion else "",
        "failed": failed if view.admin else [],
        "last": tried[-1] if tried and view.admin else "",
        "candidates": candidates(view, item) if view.admin and shown["call"] else [],
        "lost": [(str(at), str(why)) for at, why in other.get("losses") or ()],
        "buckets": _buckets(other.get("usage") or {}),
        "lines": _lines(view, price),
        "factors": list((price.get("factors") or {}).items()),
        "price": price,
        "unpriced": bool(other.get("unpriced")),
        "usd": item["quota"] / view.unit,
        "release": str(other.get("release") or "")[:7] if view.root else "",
        "reason": str(item.get("content") or ""),
    }


def candidates(view: View, item: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The channels that serve this model to this group now, and why each is or is not drawn first."""
    snapshot = view.worker.snapshot
    channels = sorted(
        snapshot.table.candidates(item["group"] or "default", item["model_name"]), key=lambda channel: -channel.priority
    )
    if not channels:
        return []
    free = [channel for channel in channels if not view.worker.upstream.health.until(channel)]
    top = max((channel.priority for channel in free), default=0)
    total = sum(channel.weight for channel in free if channel.priority == top)
    rows = []
    for channel in channels[:20]:
        if channel not in free:
            rows.append((channel.name, "—", gettext("set aside by its breaker")))
        elif channel.priority < top:
            rows.append(
                (
                    channel.name,
                    "—",
                    gettext("tier %(tier)s, after tier %(top)s") % {"tier": channel.priority, "top": top},
                )
            )
        else:
            chance = channel.weight / total if total else 1 / len(free)
            rows.append(
                (
                    channel.name,
                    figures.percent(chance, 1, 0),
                    gettext("drawn by weight %(weight)s") % {"weight": channel.weight},
                )
            )
    return rows


def _buckets(usage: dict[str, Any]) -> list[tuple[str, int]]:
    skipped = ("input_total", "output_total", "total")
    return [(bucket(name), count) for name, count in usage.items() if isinstance(count, int) and name not in skipped]


def _lines(view: View, price: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The sum: label, count, times what, amount."""
    rows = []
    for line in price.get("lines") or ():
        name, count, unit_price = str(line["bucket"]), str(line["units"]), str(line["price"])
        per = "M" if str(line["per"]).startswith("1M") else str(line["per"])
        rows.append((bucket(name), count, f"× ${unit_price} / {per}", f"{float(line['amount']) / view.unit:.6f}"))
    return rows
