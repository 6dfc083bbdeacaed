"""Translate: the caller's body becomes the provider's: the same bytes but for patches, or through the hub.

Refuses with 400 what the target can't take and whose loss would matter. Everything else that is lost goes into the
call's report. The caller's body is decoded once, however many channels are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from engine.bounds import ITEMS
from engine.errors import CallError, MappingError, Refusal
from engine.hub import shape
from engine.hub.fold import fold_keys
from engine.hub.shape import Fetch
from engine.jsonbytes import dumps, holds
from engine.kinds.conversation.call import Converted
from engine.kinds.conversation.loss_places import in_callers_words
from engine.kinds.conversation.stored.thread import full_body, native_body
from engine.kinds.conversation.streamed.prefix import resumed
from engine.program import Foreign, Format
from engine.program.origins import Origins, trace
from engine.relay.ingress.body import check_schema
from engine.relay.upstream.patches import named, patched
from engine.relay.upstream.splice import splice

if TYPE_CHECKING:
    from engine.kinds.conversation.call import ConversationCall
    from engine.routing.attempt import Attempt, Report

Recall = Callable[["ConversationCall", dict[str, Any]], dict[str, Any]]
_SETTLED = ("previous", "store")
"""What the gateway itself does for a format whose answers it keeps: no matter of the provider's."""


def translate(
    call: ConversationCall, attempt: Attempt, fetch: Fetch | None = None, recall: Recall | None = None
) -> Converted:
    """Return the bytes for one attempt. ``recall`` puts back what the caller's format could not hold."""
    if call.said is not None:
        return _across(call, attempt, _going_on(call, attempt, call.said), fetch)
    if attempt.format.passthrough_as == call.format.passthrough_as and not _reshaped(call, attempt):
        out = _through(call, attempt)
        out.turned = attempt.channel.thinking is not None or attempt.channel.retold
        if out.turned:
            out.hub = hub_or_nothing(call)
        return out
    hub = request_hub(call)
    return _across(call, attempt, recall(call, hub) if recall else hub, fetch)


def _through(call: ConversationCall, attempt: Attempt) -> Converted:
    """Patch what has to differ; every other byte stays."""
    out = Converted(b"", True)
    before: dict[str, Any] = call.body
    body = before if call.thread is None else native_body(call, attempt, out.report)
    traits = call.snapshot.program.models.traits(attempt.model)
    for foreign in _foreign(call, attempt):
        if holds(call.raw, foreign.marks):
            body = {**body, **(foreign.clean(out.report, body, traits) or {})}
    body = named(call, attempt, body, out.report)
    body = _without_refused(attempt, body, traits, out.report)
    body = patched(attempt, body, out.report, traits, call.headers, options=call.snapshot.values)
    body = _closed(attempt, body, out.report)
    wanted = _usage_path(call, attempt) if call.stream else None
    if wanted and not _held(body, wanted):
        body = _put(body, wanted, True)
        out.usage_added = True
    out.body = splice(call.raw, before, body)
    return out


def _going_on(call: ConversationCall, attempt: Attempt, said: list[dict[str, Any]]) -> dict[str, Any]:
    """The request that asks for the rest of an answer that broke off."""
    tokens = call.snapshot.counter.answer(attempt.model, said).tokens
    return resumed(request_hub(call), said, attempt.format.continues, tokens)


def _reshaped(call: ConversationCall, attempt: Attempt) -> bool:
    """Whether the body holds what the provider's dialect of the caller's format, or the model, takes otherwise."""
    rules = attempt.format.reshaped
    if rules is None or not holds(call.raw, rules.marks):
        return False
    return bool(rules.when([], call.body, call.program.models.traits(attempt.model)))


def _foreign(call: ConversationCall, attempt: Attempt) -> list[Foreign]:
    """What the caller's format and the provider's dialect of it say of what other models made."""
    both = (call.format, attempt.format) if attempt.format is not call.format else (call.format,)
    return [spoken.foreign for spoken in both if spoken.foreign is not None]


def _kin(call: ConversationCall, target: Format) -> frozenset[str]:
    """The formats whose file ids a target knows: those of its own vendor's dialect."""
    return frozenset(name for name, spoken in call.program.formats.items() if spoken.dialect == target.dialect)


def _closed(attempt: Attempt, body: dict[str, Any], report: Report) -> dict[str, Any]:
    """The body without members that the provider's format does not know, where it says which it knows."""
    known = attempt.format.request_keys
    if not known or body.keys() <= known:
        return body
    report += [
        (key, "the provider does not know it") for key, value in body.items() if key not in known and value is not None
    ]
    return {key: value for key, value in body.items() if key in known}


def _without_refused(
    attempt: Attempt, body: dict[str, Any], traits: Mapping[str, Any], report: Report
) -> dict[str, Any]:
    """The body without what the model refuses: by the hub's names, wherever the format says it."""
    for name in traits.get("refuses", ()):
        for steps in attempt.format.places.of(name):
            if steps[0] in body:
                body = _taken_out(body, steps, report)
    return body


def _taken_out(body: dict[str, Any], steps: tuple[str, ...], report: Report) -> dict[str, Any]:
    """The body without what stands at a path of maps, which is told."""
    *above, last = steps
    holder: Any = body
    for key in above:
        holder = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(holder, dict) or holder.get(last) is None:
        return body
    report.append((".".join(steps), "this model does not take it"))
    less = {key: value for key, value in holder.items() if key != last}
    return _put(body, tuple(above), less) if above else less


def _across(call: ConversationCall, attempt: Attempt, hub: dict[str, Any], fetch: Fetch | None) -> Converted:
    target = attempt.format
    out = Converted(b"", False, report=list(call.report))
    if target.encode_request is None:
        raise CallError("bad_request", f"{target.name} can't take requests from {call.format.name}")
    ctx = call.ctx(attempt)
    request = {**hub, "model": attempt.model}
    if attempt.alias is not None:
        request = merge(request, attempt.alias.hub(out.report, attempt.groups, request))
    out.hub = request
    if call.thread is not None:
        request = {key: value for key, value in request.items() if key not in _SETTLED}
    native = (target.name, target.passthrough_as)
    lost: dict[str, Any] = {}
    try:
        shaped, out.memo = shape.shape(
            request,
            target.shape,
            ctx,
            out.report,
            fetch,
            native=native,
            kin=_kin(call, target),
            reads=target.hub_reads,
            lost=lost,
        )
        body = target.encode_request(out.report, shaped, ctx)
        if target.request_headers is not None:
            out.headers = target.request_headers(out.report, shaped) or None
    except (Refusal, MappingError) as ex:
        raise _in_own_terms(call, ex) from ex
    wanted = _usage_path(call, attempt)
    if wanted:
        body = _put(body, wanted, True)
    body = patched(attempt, body, out.report, ctx["traits"], options=call.snapshot.values)
    body = _closed(attempt, body, out.report)
    out.body = dumps(body)
    if out.report:
        read = call.read if call.read is not None else _spelled(call, call.body)
        out.report[:] = in_callers_words(call.format, out.report, call.body, read, hub, lost)
    return out


def _usage_path(call: ConversationCall, attempt: Attempt) -> tuple[str, ...] | None:
    """Where a stream is asked to tell its usage, if this call is one and the target has to be asked."""
    stream = attempt.format.stream
    if not call.stream or not stream or not stream.usage_request or not attempt.channel.asks_usage:
        return None
    return stream.usage_request.path


def request_hub(call: ConversationCall) -> dict[str, Any]:
    """Return the call's request as a canonical conversation, decoded at the first use."""
    if call.hub is not None:
        return call.hub
    source = call.format
    if source.decode_request is None:
        raise CallError("bad_request", f"{source.name} requests can't be carried to another format")
    body = _read(call)
    call.read = body
    _count(body)
    check_schema(call, body)
    _leftovers(call, body)
    try:
        hub: dict[str, Any] = source.decode_request(call.report, body, call.path, call.query, call.headers, call.ctx())
    except MappingError as ex:
        raise Origins(call.body, body).told(ex) from None
    hub["stream"] = call.stream
    call.hub = hub
    return hub


def _count(body: dict[str, Any]) -> None:
    """Refuse more items than can be mapped in a time that one caller may take: those of lists, and of lists in them."""
    for name, value in body.items():
        if isinstance(value, list):
            ITEMS.check(len(value), name)
            parts = (part for item in value if type(item) is dict for part in item.values() if type(part) is list)
            inner = sum(map(len, parts))
            ITEMS.check(inner, f"{name}[]")


def _read(call: ConversationCall) -> dict[str, Any]:
    """The body as decode reads it: the whole conversation, in the format's own spelling."""
    return _spelled(call, full_body(call))


def _spelled(call: ConversationCall, body: dict[str, Any]) -> dict[str, Any]:
    keys = call.format.keys
    folded: dict[str, Any] = fold_keys(body, keys) if keys else body
    return folded


def _in_own_terms(call: ConversationCall, error: Refusal | MappingError) -> Refusal:
    """A refusal of the conversation, told by the path in the caller's body."""
    decode = call.format.decode_request
    if decode is None:
        raise error
    origins = trace(call.body, _read(call), call.hub, decode, call.path, call.query, call.headers, call.ctx())
    stored = call.format.stored
    return origins.told(error, stored.field if stored and call.thread and call.thread.previous else None)


def hub_or_nothing(call: ConversationCall) -> dict[str, Any]:
    """Return the request as a conversation for who encodes an answer to it; empty where the hub can't say it all."""
    before = list(call.report)
    try:
        return request_hub(call)
    except CallError:
        return {}
    finally:
        call.report[:] = before


def _leftovers(call: ConversationCall, body: dict[str, Any]) -> None:
    """Every top-level field that decode doesn't read is reported, or refused: the meant always, others by policy."""
    source = call.format
    policy = call.program.policy.get("unknownFields", "drop")
    for key, value in body.items():
        if value is None or key in source.request_reads:
            continue
        if key in source.meant:
            raise Refusal(
                key, f"{source.name} has this field, but the provider of this model speaks another format; leave it out"
            )
        if key not in source.droppable and policy == "refuse":
            raise Refusal(
                key,
                "is not known to the gateway, and the provider of this model speaks another format; leave it out"
                " (under the Policy `unknownFields: drop` it is left out with a word)",
            )
        call.report.append((key, "dropped: another format can't carry it"))


def merge(base: dict[str, Any], patch: dict[str, Any] | None) -> dict[str, Any]:
    """Return ``base`` with ``patch`` merged in at every depth; null in the patch removes."""
    if not patch:
        return base
    merged = dict(base)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _held(body: dict[str, Any], path: tuple[str, ...]) -> bool:
    value: Any = body
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return bool(value)


def _put(body: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    key, *rest = path
    inner = body.get(key)
    return {**body, key: _put(inner if isinstance(inner, dict) else {}, tuple(rest), value) if rest else value}
