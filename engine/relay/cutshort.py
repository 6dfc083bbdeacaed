"""Calls that died with their worker while their callers read: what is noted of each, and the entry made of that.

Where nobody knows what was produced, the input is charged: the provider was asked, and the caller saw the beginning.
What the note says was ``used``, as that of a live session does after each answer, is charged by that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.ledger.counting.weights import BYTES_PER_TOKEN
from engine.storage.rows.log_rows import CONSUME, LogRow
from engine.storage.rows.posting import Entry

if TYPE_CHECKING:
    from engine.ledger.pricing.book import Book, Charge
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt

_ENDED = "worker_died"


def note(call: Call, attempt: Attempt) -> dict[str, Any]:
    """What has to be known to book the call without it; names that are no column of an entry come last."""
    account = call.account
    beside: dict[str, Any] = {}
    if call.chosen or call.canary is not None:
        beside = {"release": call.program.hash, "canary": list(call.canary or ())}
    if call.reservation is not None and call.reservation.plan:
        beside["plan"] = call.reservation.plan
    if call.tags:
        beside["tags"] = list(call.tags)
    return {
        "request_id": call.request_id,
        "at": call.now,
        "user": account.user_id if account else 0,
        "token": account.token_id if account else 0,
        "channel": attempt.channel.id,
        "input": len(call.raw) // BYTES_PER_TOKEN,
        "group": attempt.group,
        "model": call.asked,
        "rule": call.rule.model if call.rule is not None else "",
        "user_group": account.user_group if account else "",
        "username": account.username if account else "",
        "token_name": account.token_name if account else "",
        "channel_name": attempt.channel.name,
        "upstream": attempt.outcome.upstream_id[:128],
        **beside,
    }


def entry(book: Book, noted: dict[str, Any], *, logged: bool) -> Entry:
    """The entry of a noted call, by the prices of today; of a release beside that in force, by those of that."""
    used = noted.get("used")
    usage = used or {"input_fresh": noted["input"], "input_total": noted["input"], "total": noted["input"]}
    more: dict[str, Any] = {"stream_status": {"status": "error", "end_reason": _ENDED}}
    if "release" in noted:
        more["release"] = _text(noted, "release")[:16]
    if noted.get("canary"):  # as a call that failed, without a first byte or losses
        more["admin_info"] = {"canary": [*noted["canary"], True, None, 0]}
    charge = charged(book, noted, usage, {})
    return booked(noted, usage, charge, source="upstream" if used else "estimated", more=more, logged=logged)


def charged(book: Book, noted: dict[str, Any], usage: dict[str, Any], request: dict[str, Any]) -> Charge:
    """What a noted call costs; ``request`` are the fields that conditions of prices may look at."""
    rule = book.find(_text(noted, "model"), _text(noted, "rule") or _text(noted, "model"), noted["at"])
    return book.charge(
        rule,
        usage,
        group=_text(noted, "group"),
        user_group=_text(noted, "user_group"),
        channel=_text(noted, "channel_name"),
        request=request,
        now=noted["at"],
    )


def booked(
    noted: dict[str, Any], usage: dict[str, Any], charge: Charge, *, source: str, more: dict[str, Any], logged: bool
) -> Entry:
    """The entry of a noted call with its charge; ``more`` goes into the log row's ``other``."""
    shown = {key: value for key, value in usage.items() if value and key != "raw"}
    row = LogRow(
        user_id=noted["user"],
        username=_text(noted, "username"),
        token_id=noted["token"],
        token_name=_text(noted, "token_name"),
        model_name=_text(noted, "model"),
        channel_id=noted["channel"],
        type=CONSUME,
        quota=charge.quota,
        prompt_tokens=usage.get("input_total", 0),
        completion_tokens=usage.get("output_total", 0),
        is_stream=bool(noted.get("stream", True)),
        group=_text(noted, "group"),
        request_id=noted["request_id"],
        upstream_request_id=_text(noted, "upstream"),
        created_at=noted["at"],
        other={
            **charge.other(),
            "channel": _text(noted, "channel_name"),
            "usage": shown,
            "usage_source": source,
            **more,
            **({"tags": noted["tags"]} if noted.get("tags") else {}),
        },
    )
    return Entry(
        request_id=noted["request_id"],
        created_at=noted["at"],
        user_id=noted["user"],
        token_id=noted["token"],
        channel_id=noted["channel"],
        quota=charge.quota,
        counted=True,
        source=source,
        row=row,
        logged=logged,
        plan=noted.get("plan", 0),
    )


def _text(noted: dict[str, Any], key: str) -> str:
    return str(noted.get(key, ""))
