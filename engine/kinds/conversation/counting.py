"""Token counts of requests that are not sent, in the caller's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import CallError
from engine.jsonbytes import dumps
from engine.kinds.conversation.read import ReadServices, read
from engine.kinds.conversation.translate import request_hub
from engine.relay.admit import check_quota
from engine.relay.call import Reply
from engine.relay.dialect import JSON
from engine.relay.ingress.identify import identify
from engine.routing.resolve import resolve

if TYPE_CHECKING:
    from engine.kinds.conversation.call import ConversationCall
    from engine.relay.ingress.identify import KeyCache


class CountingServices(ReadServices, Protocol):
    """What counting takes of what a worker has for conversations."""

    @property
    def keys(self) -> KeyCache: ...


def count_tokens(services: CountingServices, call: ConversationCall, environ: dict[str, Any]) -> Reply:
    """Answer with the request's input tokens as they are counted here, and say where that is an estimate."""
    call.account = identify(call, services.keys)
    elsewhere = read(services, call, environ)
    if elsewhere is not None:
        return elsewhere
    snapshot = call.snapshot
    reading, _ = resolve(call, snapshot.aliases, snapshot.table, snapshot.groups.groups(call.account))
    check_quota(call.account, snapshot.terms)
    speaker = call.format
    if speaker.count_encode is None:
        raise CallError("not_found", f"{speaker.name} has no counting of tokens")
    count = snapshot.counter.request(reading.name, request_hub(call))
    estimated = count.how != "counted"
    body = speaker.count_encode([], {"input": count.tokens, "estimate": estimated}, call.ctx())
    how = ("x-gatewright-count", "estimate" if estimated else "counted")
    return Reply(200, [("content-type", JSON), how], dumps(body))
