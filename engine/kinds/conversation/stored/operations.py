"""What a caller may do with kept answers: get, delete, cancel, list what went into one.

Serves from what the gateway keeps; the provider is asked only about an answer that it is still making, and told of a
deletion. Knows the operations, no format: field names, lists and words come from its document.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.jsonbytes import dumps
from engine.kinds.conversation import options
from engine.kinds.conversation.stored.background import maker, shown, told_by
from engine.kinds.conversation.stored.replay import retell, wanted
from engine.kinds.conversation.stored.store import Record
from engine.relay.call import Reply
from engine.relay.dialect import JSON
from engine.relay.ingress.body import path_id
from engine.relay.ingress.identify import identify
from engine.relay.losses import loss_header
from engine.relay.upstream.failure import UpstreamFailure
from engine.relay.upstream.send import ask

if TYPE_CHECKING:
    from engine.kinds.conversation.call import ConversationCall
    from engine.kinds.conversation.services import ConversationServices
    from engine.program import Stored

log = logging.getLogger(__name__)
_PAGE, _MOST = 20, 100
_ORDERS = ("asc", "desc")


def get_stored(services: ConversationServices, call: ConversationCall, environ: dict[str, Any]) -> Reply:
    """Answer with a kept answer, whole or as a stream."""
    rules, record = _found(services, call)
    if _pending(rules, record.answer):
        record = _asked(services, call, rules, record, "GET", "")
    reply = retell(call, rules, record) if wanted(call, rules) else _json(record.answer)
    more = rules.replay.get("include")
    if more and any(name.partition("[")[0] == more for name in call.query):
        reply.headers += loss_header([(more, "the answer is given as it was kept")])
    return reply


def delete_stored(services: ConversationServices, call: ConversationCall, environ: dict[str, Any]) -> Reply:
    """Forget an answer, here and at the provider that holds it. One that is still being made is ended before."""
    rules, record = _found(services, call)
    for method, below in (("GET", ""), ("POST", "/cancel")):
        if _pending(rules, record.answer):
            record = _asked(services, call, rules, record, method, below)
    if _pending(rules, record.answer):
        raise CallError("bad_request", "this response is still being made; cancel it first, or wait for its end")
    services.answers.delete(_owner(call), record.id, options.of(call.snapshot).stored)
    attempt = maker(call.snapshot, call.format, record.channel) if record.held else None
    if attempt is not None:
        try:
            ask(services, call, attempt, "DELETE", f"/{record.id}")
        except UpstreamFailure as ex:
            log.info("call %s: %s did not delete %s: %s", call.request_id, attempt.name, record.id, ex)
    return _json(rules.deleted([], record.id))


def cancel_stored(services: ConversationServices, call: ConversationCall, environ: dict[str, Any]) -> Reply:
    """Cancel an answer that is being made; one that has ended is shown as it is, if it could have been cancelled."""
    rules, record = _found(services, call)
    if rules.cancellable is None or not rules.cancellable([], record.answer):
        raise CallError(
            "bad_request", "this response was not made in the background; only those that are can be cancelled"
        )
    if _pending(rules, record.answer):
        record = _asked(services, call, rules, record, "POST", "/cancel")
    return _json(record.answer)


def list_stored_items(services: ConversationServices, call: ConversationCall, environ: dict[str, Any]) -> Reply:
    """Answer with a page of what went into an answer: the conversation before it, and its own request's items."""
    rules, record = _found(services, call)
    chain = services.answers.chain(
        _owner(call), record.id, services.settings.max_request_body, options.of(call.snapshot).stored
    )
    items: list[dict[str, Any]] = []
    for turn in chain.records:
        output = turn.answer.get(rules.output) or [] if turn.id != record.id else []
        items += [rules.listed([], item, f"{turn.id}/{index}") for index, item in enumerate([*turn.input, *output])]
    size, order, after = _page_asked(rules, call.query)
    if order == "desc":
        items.reverse()
    ids = [item.get(rules.id) for item in items]
    if after and after not in ids:
        raise CallError(
            "bad_request", f"there is no item {after!r} here to begin after", param=rules.paging.get("after")
        )
    begin = ids.index(after) + 1 if after else 0
    page = items[begin : begin + size]
    shown = ids[begin : begin + size] or [None]
    return _json(rules.page([], page, shown[0], shown[-1], begin + size < len(items)))


def _owner(call: ConversationCall) -> int:
    if call.account is None:
        raise TypeError("the call has no account")
    return call.account.token_id


def _found(services: ConversationServices, call: ConversationCall) -> tuple[Stored, Record]:
    call.account = identify(call, services.keys)
    rules, wanted = call.format.stored, path_id(call)
    record = services.answers.find(call.account.token_id, wanted) if rules else None
    if rules is None or record is None:
        raise CallError(
            "not_found",
            f"response {wanted!r} not found: it is not kept here for this key (not any more, or never was)",
            code="response_not_found",
        )
    return rules, record


def _page_asked(rules: Stored, query: dict[str, str]) -> tuple[int, str, str]:
    """The size, order and beginning that the query asks for."""
    names = rules.paging
    most, limit = int(names.get("most") or _MOST), query.get(names.get("limit", ""))
    size = min(int(names.get("size") or _PAGE), most)
    if limit is not None:
        if not limit.isdecimal() or len(limit) > 9 or not 1 <= int(limit) <= most:
            raise CallError("bad_request", f"{names['limit']} must be between 1 and {most}", param=names["limit"])
        size = int(limit)
    order = query.get(names.get("order", ""), "desc")
    if order not in _ORDERS:
        raise CallError("bad_request", f"{names['order']} must be asc or desc", param=names["order"])
    return size, order, query.get(names.get("after", ""), "")


def _asked(
    services: ConversationServices, call: ConversationCall, rules: Stored, record: Record, method: str, below: str
) -> Record:
    """The record with what the provider says of the answer now; it is kept anew, and settled if that is its end."""
    attempt = maker(call.snapshot, call.format, record.channel)
    if attempt is None:
        raise CallError("unavailable", "the channel that makes this answer is not there any more")
    call.attempts.append(attempt)
    answer = told_by(services, call, attempt, method, record.id, below)
    shown(services, options.of(call.snapshot).stored, _owner(call), record.id, call.format, answer)
    if not _pending(rules, answer):
        services.background.ended(services, call.snapshot, _owner(call), record.id, answer, attempt)
    return services.answers.find(_owner(call), record.id) or replace(record, answer=answer)


def _pending(rules: Stored, answer: dict[str, Any]) -> bool:
    return rules.pending is not None and bool(rules.pending([], answer))


def _json(body: Any) -> Reply:
    return Reply(200, [("content-type", JSON)], dumps(body))
