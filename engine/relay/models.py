"""Model lists, single models and token counts, in the caller's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.relay import ingress
from engine.relay.admit import check_quota
from engine.relay.call import Call, Reply
from engine.relay.dialect import JSON
from engine.relay.identify import identify
from engine.relay.resolve import resolve
from engine.relay.thread import take_up
from engine.relay.translate import dumps, request_hub

if TYPE_CHECKING:
    from engine.relay.state import RelayState

_CREATED = 1626777600
"""The date that the reference gives every model; clients only show it."""


def list_models(state: RelayState, call: Call, environ: dict[str, Any]) -> Reply:
    """Answer with every model that the key may ask for."""
    speaker = call.format
    if speaker.models_list is None:
        raise CallError("not_found", f"{speaker.name} has no list of models")
    names = _visible(state, call)
    return _json(speaker.models_list([], [_model(name) for name in names], call.ctx()))


def get_model(state: RelayState, call: Call, environ: dict[str, Any]) -> Reply:
    """Answer with one model, if the key may ask for it (a name that an alias reads counts)."""
    speaker = call.format
    if speaker.model_get is None:
        raise CallError("not_found", f"{speaker.name} shows no single models")
    name = ingress.asked_model(call, call.endpoint)
    visible = _visible(state, call)
    if name not in visible and call.reader.read(name).name not in visible:
        raise CallError(
            "not_found", f"the model {name!r} is not known to this key", param="model", code="model_not_found"
        )
    return _json(speaker.model_get([], _model(name), call.ctx()))


def count_tokens(state: RelayState, call: Call, environ: dict[str, Any]) -> Reply:
    """Answer with the request's input tokens as they are counted here, and say where that is an estimate."""
    call.account = identify(call, state.keys, state.credentials(call.format), state.choices)
    elsewhere = ingress.take(state, call, environ)
    if elsewhere is not None:
        return elsewhere
    take_up(call, state.answers, state.settings.max_request_body)
    reading, _ = resolve(call, state.table, state.choices.groups(call.account))
    check_quota(call.account, state.terms)
    speaker = call.format
    if speaker.count_encode is None:
        raise CallError("not_found", f"{speaker.name} has no counting of tokens")
    found = state.counter.request(reading.name, request_hub(call))
    estimated = found.how != "counted"
    reply = _json(speaker.count_encode([], {"input": found.tokens, "estimate": estimated}, call.ctx()))
    reply.headers.append(("x-gatewright-count", "estimate" if estimated else "counted"))
    return reply


def _visible(state: RelayState, call: Call) -> list[str]:
    account = call.account = identify(call, state.keys, state.credentials(call.format), state.choices)
    names = state.table.models(state.choices.groups(account))
    limits = account.model_limits
    return names if limits is None else [name for name in names if name in limits]


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "created": _CREATED, "owned_by": "gatewright"}


def _json(body: Any) -> Reply:
    return Reply(200, [("content-type", JSON)], dumps(body))
