"""Calls that died with their worker while their callers read: what is noted of each, and the entry made of that.

Nobody knows what was produced, so the input is charged: the provider was asked, and the caller saw the beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.storage.log_rows import CONSUME, LogRow
from engine.storage.posting import Entry

if TYPE_CHECKING:
    from engine.ledger.pricing import Book
    from engine.relay.call import Attempt, Call

_BYTES_PER_TOKEN = 4
_ENDED = "worker_died"


def note(call: Call, attempt: Attempt) -> dict[str, Any]:
    """What has to be known to book the call without it; names that are no column of an entry come last."""
    account = call.account
    return {
        "request_id": call.request_id,
        "at": call.now,
        "user": account.user_id if account else 0,
        "token": account.token_id if account else 0,
        "channel": attempt.channel.id,
        "input": len(call.raw) // _BYTES_PER_TOKEN,
        "group": attempt.group,
        "model": call.asked,
        "rule": call.rule.model if call.rule is not None else "",
        "user_group": account.user_group if account else "",
        "username": account.username if account else "",
        "token_name": account.token_name if account else "",
        "channel_name": attempt.channel.name,
        "upstream": attempt.outcome.upstream_id[:128],
    }


def entry(book: Book, noted: dict[str, Any], *, logged: bool) -> Entry:
    """The entry of a noted call, by the prices of today."""
    usage = {"input_fresh": noted["input"], "input_total": noted["input"], "total": noted["input"]}
    text = {key: str(noted.get(key, "")) for key in ("group", "model", "rule", "user_group", "channel_name")}
    rule = book.find(text["model"], text["rule"] or text["model"], noted["at"])
    charge = book.charge(
        rule,
        usage,
        group=text["group"],
        user_group=text["user_group"],
        channel=text["channel_name"],
        request={},
        now=noted["at"],
    )
    row = LogRow(
        user_id=noted["user"],
        username=str(noted.get("username", "")),
        token_id=noted["token"],
        token_name=str(noted.get("token_name", "")),
        model_name=text["model"],
        channel_id=noted["channel"],
        type=CONSUME,
        quota=charge.quota,
        prompt_tokens=noted["input"],
        is_stream=True,
        group=text["group"],
        request_id=noted["request_id"],
        upstream_request_id=str(noted.get("upstream", "")),
        created_at=noted["at"],
        other={
            **charge.other(),
            "channel": text["channel_name"],
            "usage": usage,
            "usage_source": "estimated",
            "stream_status": {"status": "error", "end_reason": _ENDED},
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
        source="estimated",
        row=row,
        logged=logged,
    )
