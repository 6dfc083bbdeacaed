"""Model lists and single models, in the caller's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.jsonbytes import dumps
from engine.relay.call import Call, Reply
from engine.relay.dialect import JSON
from engine.relay.ingress import body as ingress
from engine.relay.ingress.identify import identify

if TYPE_CHECKING:
    from engine.relay.services import Services

_CREATED = 1626777600
"""The date that the reference gives every model; clients only show it."""


def list_models(services: Services, call: Call, environ: dict[str, Any]) -> Reply:
    """Answer with every model that the key may ask for."""
    speaker = call.format
    if speaker.models_list is None:
        raise CallError("not_found", f"{speaker.name} has no list of models")
    names = _visible(services, call)
    return _json(speaker.models_list([], [_model(call, name) for name in names], call.ctx()))


def get_model(services: Services, call: Call, environ: dict[str, Any]) -> Reply:
    """Answer with one model, if the key may ask for it (a name that an alias reads counts)."""
    speaker = call.format
    if speaker.model_get is None:
        raise CallError("not_found", f"{speaker.name} shows no single models")
    name = ingress.asked_model(call, call.endpoint)
    visible = _visible(services, call)
    if name not in visible and set(visible).isdisjoint(call.snapshot.aliases.read(name).names):
        raise CallError(
            "not_found", f"the model {name!r} is not known to this key", param="model", code="model_not_found"
        )
    return _json(speaker.model_get([], _model(call, name), call.ctx()))


def _visible(services: Services, call: Call) -> list[str]:
    account = call.account = identify(call, services.keys)
    names = call.snapshot.table.models(call.snapshot.groups.groups(account))
    limits = account.model_limits
    return names if limits is None else [name for name in names if name in limits]


def _model(call: Call, name: str) -> dict[str, Any]:
    """What a list says of a model: ``traits`` are those that Model documents say of the one that is meant."""
    traits = call.program.models.traits(call.snapshot.aliases.read(name).name)
    return {"id": name, "created": _CREATED, "owned_by": "gatewright", "traits": traits}


def _json(body: Any) -> Reply:
    return Reply(200, [("content-type", JSON)], dumps(body))
