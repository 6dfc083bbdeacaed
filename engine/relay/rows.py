"""A row of the ``channels`` table as a channel of the relay's. What a row asks for works, or the row is refused.

``from_row`` raises LookupError that names the column. Columns that no call depends on (names, times, balances, tags)
are not looked at; nor are members that tune what is not there (``UNUSED``). What the columns of single providers mean
(``other``, members of ``settings``, ``config``) is said by their documents: ``parameters`` and ``unsupported``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.hub import thoughts
from engine.relay.table import LiveChannel
from engine.transport import auth
from engine.transport.wire import header_name

if TYPE_CHECKING:
    from engine.program import Program, Provider
    from engine.storage.channels import ChannelRow

UNUSED = {
    "setting.http_protocol": "upstreams are spoken to in HTTP/1.1",
    "setting.http2_connection_shards": "upstreams are spoken to in HTTP/1.1",
    "settings.disable_task_polling_sleep": "there are no tasks",
    "settings.upstream_model_update_*": "lists of models are not updated by the gateway",
}
_GUARDED = (
    (("service_tier",), "allow_service_tier"),
    (("inference_geo",), "allow_inference_geo"),
    (("speed",), "allow_speed"),
    (("safety_identifier",), "allow_safety_identifier"),
    (("stream_options", "include_obfuscation"), "allow_include_obfuscation"),
)
"""What goes up to a row's provider only where its ``settings`` allow it: it may cost more, or tell of the caller."""
_PATTERNS = ("*", "re:", "regex:")


def from_row(program: Program, row: ChannelRow) -> LiveChannel:
    """See the module."""
    name = program.legacy.get((row.numbering, row.type))
    if name is None:
        raise LookupError(f"no provider document states channel type {row.type} in channelTypes.{row.numbering}")
    if row.faults:
        raise LookupError(f"can't be read: {', '.join(row.faults)}")
    if "operations" in row.param_override:
        raise LookupError(
            "its param_override has operations, which are not supported yet; write them as requestPatches"
        )
    provider = program.providers[name]
    for column in provider.unsupported.get(row.numbering, ()):
        if told(row, column):
            raise LookupError(f"its {column} asks for what the provider document {name} can't do")
    raw = _switch(row, "pass_through_body_enabled")
    if raw:
        provider = dataclasses.replace(provider, patches=())
    disabled = row.multi.disabled if row.multi else frozenset()
    keys = tuple(key for index, key in enumerate(row.keys) if index not in disabled)
    if row.multi and not keys and auth.carries_secret(provider.auth):
        raise LookupError("none of its keys is switched on (channel_info)")
    instruction, instructs = _instruction(program, provider, row)
    return LiveChannel(
        id=row.id,
        name=row.name,
        provider=provider,
        keys=keys,
        models=frozenset(row.models),
        groups=row.groups,
        priority=row.priority,
        weight=row.weight,
        thinking=thoughts.CONTENT if _switch(row, "thinking_to_content") else None,
        base_url=(row.base_url or provider.base_url).rstrip("/"),
        model_mapping={} if raw else row.model_mapping,
        status_mapping=row.status_code_mapping,
        overrides={} if raw else row.param_override,
        headers=_headers(row),
        without=() if raw else _without(row),
        parameters=_parameters(provider, row),
        proxy=_text(row, "proxy") or provider.proxy or "",
        instruction="" if raw else instruction,
        instructs=instructs,
        retold=_switch(row, "force_format"),
        asks_usage=not raw,
        polling=bool(row.multi and row.multi.mode == "polling"),
    )


def told(row: ChannelRow, column: str) -> str:
    """What a column says, or a member of one (``settings.NAME``): its text; empty where that is nothing."""
    name, _, member = column.partition(".")
    value = getattr(row, _ATTRIBUTES.get(name, name))
    if member:
        value = value.get(member)
    if isinstance(value, bool):
        return "true" if value else ""
    return value.strip() if isinstance(value, str) else json.dumps(value) if value else ""


_ATTRIBUTES = {"open_ai_organization": "organization"}


def _switch(row: ChannelRow, member: str) -> bool:
    value = row.setting.get(member)
    if value is not None and not isinstance(value, bool):
        raise LookupError(f"its setting.{member} must be true or false")
    return value is True


def _text(row: ChannelRow, member: str) -> str:
    value = row.setting.get(member)
    if value is not None and not isinstance(value, str):
        raise LookupError(f"its setting.{member} must be a text")
    return (value or "").strip()


def _instruction(program: Program, provider: Provider, row: ChannelRow) -> tuple[str, str]:
    """The row's text for the model, and how it meets a request's own; each program has its column and its way."""
    own, instructs = _text(row, "system_prompt"), "missing"
    if own and _switch(row, "system_prompt_override"):
        instructs = "before"
    if not own and row.system_prompt.strip():
        own, instructs = row.system_prompt, "instead"
    if own and not all(program.formats[name].instruct for name in provider.formats):
        raise LookupError("its system prompt can't be told: a format of its provider does not say where one stands")
    return own, instructs


def _headers(row: ChannelRow) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in row.header_override.items():
        if name.startswith(_PATTERNS):
            raise LookupError(f"its header_override has the pattern {name!r}, which is not supported; name the headers")
        text = value if isinstance(value, str) else json.dumps(value)
        if not text:
            continue
        if not text.isprintable() or not text.isascii():
            raise LookupError(f"its header_override for {name!r} holds a character that can't be sent")
        headers[header_name(name)] = text
    return headers


def _without(row: ChannelRow) -> tuple[tuple[str, ...], ...]:
    paths = [path for path, allowed in _GUARDED if row.settings.get(allowed) is not True]
    return (*paths, ("store",)) if row.settings.get("disable_store") is True else tuple(paths)


def _parameters(provider: Provider, row: ChannelRow) -> Mapping[str, str]:
    values: dict[str, Any] = {}
    for name, parameter in provider.parameters.items():
        said = (told(row, column) for column in parameter.rows.get(row.numbering, ()))
        values[name] = parameter.value(next(filter(None, said), ""))
        if not values[name].isprintable() or not values[name].isascii():
            raise LookupError(f"its {', '.join(parameter.rows[row.numbering])} holds a character that can't be sent")
    return values
