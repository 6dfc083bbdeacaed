"""Translate: the caller's body becomes the provider's: the same bytes but for patches, or through the hub.

Refuses with 400 what the target can't take and whose loss would matter. Everything else that is lost goes into the
call's report. The caller's body is decoded once, however many channels are tried.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from engine.bounds import ITEMS
from engine.errors import CallError, MappingError, Refusal
from engine.hub import shape
from engine.hub.fold import fold_keys
from engine.hub.shape import Fetch
from engine.program.origins import Origins, own_path, path_text, trace
from engine.relay.splice import splice
from engine.relay.thread import spoken, told

if TYPE_CHECKING:
    from engine.relay.call import Attempt, Call, Report

Recall = Callable[[dict[str, Any]], dict[str, Any]]
_SETTLED = ("previous", "store")
"""What the gateway itself does for a format whose answers it keeps: no matter of the provider's."""


@dataclass(slots=True)
class Outbound:
    """What goes up. ``same`` when the caller's bytes pass through; ``memo`` maps shaped names and ids back."""

    body: bytes
    same: bool
    hub: dict[str, Any] | None = None
    memo: Any = None
    report: Report = field(default_factory=list)
    usage_added: bool = False
    """We asked for usage in the stream; the caller did not."""
    turned: bool = False
    """Its answer goes through the hub although the format is the same: its thinking is told another way."""


def translate(call: Call, attempt: Attempt, fetch: Fetch | None = None, recall: Recall | None = None) -> Outbound:
    """Return the bytes for one attempt. ``recall`` puts back what the caller's format could not hold."""
    if attempt.format.passthrough_as == call.format.passthrough_as:
        out = _through(call, attempt)
        out.turned = attempt.channel.thinking is not None or attempt.channel.retold
        if out.turned:
            out.hub = hub_or_nothing(call)
        return out
    hub = request_hub(call)
    return _across(call, attempt, recall(hub) if recall else hub, fetch)


def _through(call: Call, attempt: Attempt) -> Outbound:
    """Patch what has to differ; every other byte stays."""
    out = Outbound(b"", True)
    before: dict[str, Any] = call.body
    body = spoken(call, attempt, out.report)
    foreign = call.format.foreign
    if foreign is not None and any(mark in call.raw for mark in foreign.marks):
        body = {**body, **foreign.clean(out.report, body)}
    if attempt.model != call.asked and body.get("model") == call.asked:
        body = {**body, "model": attempt.model}
    if attempt.alias is not None:
        body = attempt.alias.patch(out.report, call.format.name, attempt.groups, body)
    body = _provider_patches(attempt, body, out.report)
    wanted = _usage_path(call, attempt)
    if wanted and not _held(body, wanted):
        body = _put(body, wanted, True)
        out.usage_added = True
    out.body = splice(call.raw, before, body)
    return out


def _across(call: Call, attempt: Attempt, hub: dict[str, Any], fetch: Fetch | None) -> Outbound:
    target = attempt.format
    out = Outbound(b"", False, report=list(call.report))
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
    try:
        shaped, out.memo = shape.shape(
            request, target.shape, ctx, out.report, fetch, native=native, reads=target.hub_reads
        )
        body = target.encode_request(out.report, shaped, ctx)
    except (Refusal, MappingError) as ex:
        raise _in_own_terms(call, ex) from ex
    wanted = _usage_path(call, attempt)
    if wanted:
        body = _put(body, wanted, True)
    body = _provider_patches(attempt, body, out.report)
    out.body = dumps(body)
    if out.report:
        out.report[:] = call.format.places.named(out.report, call.body, _spelled(call, call.body))
    return out


def _usage_path(call: Call, attempt: Attempt) -> tuple[str, ...] | None:
    """Where a stream is asked to tell its usage, if this call is one and the target has to be asked."""
    stream = attempt.format.stream
    if not call.stream or not stream or not stream.usage_request or not attempt.channel.asks_usage:
        return None
    return stream.usage_request.path


def request_hub(call: Call) -> dict[str, Any]:
    """Return the call's request as a canonical conversation, decoded at the first use."""
    if call.hub is not None:
        return call.hub
    source = call.format
    if source.decode_request is None:
        raise CallError("bad_request", f"{source.name} requests can't be carried to another format")
    body = _read(call)
    _count(body)
    _validate(call, body)
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


def _read(call: Call) -> dict[str, Any]:
    """The body as decode reads it: the whole conversation, in the format's own spelling."""
    return _spelled(call, told(call))


def _spelled(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    keys = call.format.keys
    folded: dict[str, Any] = fold_keys(body, keys) if keys else body
    return folded


def _in_own_terms(call: Call, error: Refusal | MappingError) -> Refusal:
    """A refusal of the conversation, told by the path in the caller's body."""
    decode = call.format.decode_request
    if decode is None:
        raise error
    found = trace(call.body, _read(call), call.hub, decode, call.path, call.query, call.headers, call.ctx())
    stored = call.format.stored
    return found.told(error, stored.field if stored and call.thread and call.thread.previous else None)


def hub_or_nothing(call: Call) -> dict[str, Any]:
    """Return the request as a conversation for who encodes an answer to it; empty where the hub can't say it all."""
    before = list(call.report)
    try:
        return request_hub(call)
    except CallError:
        return {}
    finally:
        call.report[:] = before


def _validate(call: Call, body: dict[str, Any]) -> None:
    schema = call.format.request_schema
    try:
        if schema is None or schema.is_valid(body):
            return
        fault = next(iter(schema.iter_errors(body)))
    except ValueError:  # the validator's own bound on depth
        raise RecursionError from None
    path = path_text(own_path(call.body, body, tuple(fault.instance_path)))
    raise CallError(
        "bad_request", f"{path or 'the body'}: {_short(fault.message)}", param=path or None, code="invalid_type"
    )


def _short(message: str, most: int = 300) -> str:
    """Validators print the value at fault first, and it may be long: keep the end, which says what is wrong."""
    return message if len(message) <= most else "..." + message[-most:]


def _leftovers(call: Call, body: dict[str, Any]) -> None:
    """Every top-level field that decode doesn't read is either declared droppable, and reported, or refused."""
    source = call.format
    policy = call.program.policy.get("unknownFields", "refuse")
    for key, value in body.items():
        if value is None or key in source.request_reads:
            continue
        if key not in source.droppable and policy == "refuse":
            raise Refusal(
                key,
                f"{source.name} has this field, but the provider of this model speaks another format; leave it out",
            )
        call.report.append((key, "dropped: another format can't carry it"))


def _provider_patches(attempt: Attempt, body: dict[str, Any], report: Report) -> dict[str, Any]:
    channel = attempt.channel
    for patch in channel.provider.patches:
        if patch.format not in (None, attempt.format.name, attempt.format.passthrough_as):
            continue
        if patch.applies(attempt.model, body, attempt.format.name):
            report += [(path[0], "the provider does not take it") for path in patch.drop if path[0] in body]
            body = patch.apply(report, attempt.model, body, attempt.format.name)
    instruct = attempt.format.instruct
    if channel.instruction and instruct is not None:
        body = {**body, **(instruct(report, body, channel.instruction, channel.instructs) or {})}
    for path in channel.without:
        if path[0] in body:
            body = _less(body, path, report)
    return {**body, **channel.overrides} if channel.overrides else body


def _less(body: dict[str, Any], path: tuple[str, ...], report: Report) -> dict[str, Any]:
    """The body without a member, which is reported; lists are not looked into."""
    key, *rest = path
    inner = body.get(key)
    if not rest:
        report.append((key, "this channel does not send it up"))
        return {name: value for name, value in body.items() if name != key}
    if not isinstance(inner, dict) or rest[0] not in inner:
        return body
    less = _less(inner, tuple(rest), report)
    return {**body, key: less} if less else {name: value for name, value in body.items() if name != key}


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


def dumps(value: Any) -> bytes:
    """Return JSON bytes; what the fast serialiser refuses (lone surrogates) is written escaped."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):
        return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
