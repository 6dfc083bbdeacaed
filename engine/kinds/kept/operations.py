"""What callers may ask of their own kept things: anything that their format has a path for, and a list of them.

A question goes to the channel that keeps the thing, with the key that made it, and its answer comes back as it is.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.jsonbytes import dumps
from engine.kinds.kept import owned
from engine.kinds.kept.call import KeptCall
from engine.kinds.kept.requests import at
from engine.kinds.task.contents import handed_through
from engine.relay.call import Reply
from engine.relay.dialect import JSON
from engine.relay.ingress.body import path_id, receive
from engine.relay.ingress.identify import identify
from engine.relay.upstream.answer import headers_back
from engine.relay.upstream.refusal import parse
from engine.relay.upstream.send import begin, failure
from engine.storage.rows.work import kept
from engine.transport import faults
from engine.transport.leg import Handle, Timeouts

if TYPE_CHECKING:
    from engine.program import KeptRules
    from engine.relay.services import Services
    from engine.storage.rows.work.kept import KeptThing

_TIMES = Timeouts(connect=10, first_byte=120, idle=60, total=1800)
_MOST = 8 * 1024 * 1024
_PAGE, _LONGEST_PAGE = 20, 100
_ASKED = ("range", "if-range")


def ask(services: Services, call: KeptCall, environ: dict[str, Any]) -> Reply:
    """Ask the provider about a thing, or have it do something with it, as the endpoint's method and path say."""
    call.account = identify(call, services.keys)
    rules, settings = _rules(call), services.settings
    resource = owned.found(services, call, rules.family, path_id(call))
    attempt = owned.attempt_of(call, resource)
    call.attempts.append(attempt)
    endpoint = call.endpoint
    body = receive(environ, settings.max_request_body, settings.data) if endpoint.method in ("POST", "PUT") else b""
    described = {"accept": "*/*", "accept-encoding": "identity"}
    if len(body):
        described["content-type"] = call.headers.get("content-type") or JSON
    described |= {name: call.headers[name] for name in _ASKED if name in call.headers}
    hop, mark, query = attempt.channel.path(attempt.channel.provider.formats[attempt.format.name].path).partition("?")
    path = f"{hop}/{resource.name}{endpoint.path.partition('{id}')[2]}{mark}{query}"
    handle = Handle()
    answer = begin(services, call, attempt, endpoint.method, path, body, described, handle, _TIMES)
    if not answer.headers.get("content-type", "").startswith(JSON) or "content-disposition" in answer.headers:
        return handed_through(answer, handle)
    try:
        raw = answer.read(_MOST)
    except faults.TransportError as ex:
        raise failure(ex) from None
    parsed = parse(raw)
    if isinstance(parsed, dict):
        _seen(services, call, rules, resource, parsed)
    return Reply(200, [("content-type", JSON), *headers_back(call, attempt, answer.headers, same=True)], raw)


def list_page(services: Services, call: KeptCall, environ: dict[str, Any]) -> Reply:
    """A page of the caller's things, as each was shown last; newest first unless the query says otherwise."""
    call.account = identify(call, services.keys)
    rules, query = _rules(call), call.query
    if rules.listed is None:
        raise CallError("not_found", f"the format {call.format.name} has no lists")
    names = rules.paging
    size, most = int(names.get("size") or _PAGE), int(names.get("most") or _LONGEST_PAGE)
    if (limit := query.get(names.get("limit", ""))) is not None:
        if not limit.isdecimal() or len(limit) > 9 or not 1 <= int(limit) <= most:
            raise CallError("bad_request", f"{names['limit']} must be between 1 and {most}", param=names["limit"])
        size = int(limit)
    order = query.get(names.get("order", ""), "desc")
    if order not in ("asc", "desc"):
        raise CallError("bad_request", f"{names['order']} must be asc or desc", param=names["order"])
    after, last = query.get(names.get("after", ""), ""), 0
    if after:
        last = owned.found(services, call, rules.family, after, names["after"]).id
    wanted = {name: query[name] for name in rules.filters if name in query}
    items: list[dict[str, Any]] = []
    while len(items) <= size:
        rows = kept.page(
            services.db, call.account.token_id, rules.family, size + 1, after=last, newest=order == "desc"
        )  # fmt: skip
        shown = [row.facts["shown"] for row in rows if row.facts.get("shown")]
        items += [item for item in shown if all(item.get(name) == value for name, value in wanted.items())]
        if len(rows) <= size:
            break
        last = rows[-1].id
    body = rules.listed([], items[:size], len(items) > size)
    return Reply(200, [("content-type", JSON)], dumps(body))


def _seen(services: Services, call: KeptCall, rules: KeptRules, resource: KeptThing, body: dict[str, Any]) -> None:
    """Note what an answer says of a thing, and what else it makes the caller's own."""
    if call.endpoint.method == "DELETE":
        services.db.write(lambda connection: kept.change(connection, resource, deleted_at=int(time.time())))
        return
    things = owned.also(call, call.attempts[-1], rules, body)
    owned.note(services, things)
    if at(body, rules.id) == resource.name and owned.shown(body) != resource.facts.get("shown"):
        after = replace(resource, facts={**resource.facts, "shown": owned.shown(body)})
        services.db.write(lambda connection: kept.change(connection, after))


def _rules(call: KeptCall) -> KeptRules:
    if call.format.kept is None:
        raise CallError("internal", f"the format {call.format.name} says nothing of what it keeps")
    return call.format.kept
