"""A row of the ``channels`` table as a channel of the relay's. What a row asks for works, or the row is refused.

``from_row`` raises LookupError that names the column. Columns that no call depends on (names, times, balances, tags)
are not looked at; nor are members that tune what is not there (``UNUSED``). What the columns of single providers mean
(``other``, members of ``settings``, ``config``) is said by their documents: ``parameters`` and ``unsupported``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from engine.filters.patterns import pattern
from engine.hub import thoughts
from engine.routing.channel import LiveChannel, circle
from engine.routing.overrides.compiled import Overrides, overrides_of
from engine.routing.spoken.declared import declared
from engine.routing.upstream_profile import NEVER_UP
from engine.routing.when import Hours
from engine.transport import auth
from engine.transport.wire import header_name

if TYPE_CHECKING:
    from engine.program import Program, Provider
    from engine.storage.rows.channels import ChannelRow

UNUSED = {
    "setting.http_protocol": "upstreams are spoken to in HTTP/1.1",
    "setting.http2_connection_shards": "upstreams are spoken to in HTTP/1.1",
    "settings.disable_task_polling_sleep": "there are no tasks",
}
_GUARDED = (
    (("service_tier",), "allow_service_tier"),
    (("inference_geo",), "allow_inference_geo"),
    (("speed",), "allow_speed"),
    (("safety_identifier",), "allow_safety_identifier"),
    (("stream_options", "include_obfuscation"), "allow_include_obfuscation"),
)
"""What goes up to a row's provider only where its ``settings`` allow it: it may cost more, or tell of the caller."""
_EVERY, _PATTERNS = "*", ("re:", "regex:")
_OWN_CONNECTION = frozenset(
    {"sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions"}
    | {"proxy-connection"}
)


def from_row(program: Program, row: ChannelRow, *, raw: bool = False) -> LiveChannel:
    """See the module. ``raw``: bodies go up as the caller wrote them, whatever the row says."""
    names = program.legacy.get((row.numbering, row.type))
    if names is None:
        raise LookupError(f"no provider document states channel type {row.type} in channelTypes.{row.numbering}")
    if row.faults:
        raise LookupError(f"can't be read: {', '.join(row.faults)}")
    if (start := circle(row.model_mapping)) is not None:
        raise LookupError(f"its model_mapping leads from {start[:80]!r} in a circle")
    provider, base_url = _meant(program, fitting(program, names, row.keys[0] if row.keys else ""), row)
    routes = None
    if (columns := (provider.routed.get("rows") or {}).get(row.numbering)) is not None:
        own = declared(program, provider, told(row, columns[0]), columns[0])
        provider, routes, base_url = own.provider, own.routes, own.base_url or base_url
    for column in provider.unsupported.get(row.numbering, ()):
        if told(row, column):
            raise LookupError(f"its {column} asks for what the provider document {provider.name} can't do")
    raw = raw or _switch(row, "pass_through_body_enabled")
    if raw:
        provider = dataclasses.replace(provider, patches=())
    instruction, instructs = _instruction(program, provider, row)
    parameters, by_model = _parameters(provider, row)
    return LiveChannel(
        id=row.id,
        name=row.name,
        provider=provider,
        keys=_keys(provider, row),
        models=frozenset(row.models),
        groups=row.groups,
        priority=row.priority,
        weight=row.weight,
        thinking=thoughts.CONTENT if _switch(row, "thinking_to_content") else None,
        base_url=base_url.rstrip("/"),
        routes=routes,
        model_mapping={} if raw else row.model_mapping,
        status_mapping=row.status_code_mapping,
        overrides=Overrides() if raw else overrides_of(row.param_override),
        headers=_headers(row),
        passed=_passed(row),
        unsent=unsent(program),
        without=() if raw else _without(row),
        unasked=frozenset() if raw else _unasked(program, provider),
        parameters=parameters,
        by_model=by_model,
        proxy=_text(row, "proxy") or provider.proxy or "",
        instruction="" if raw else instruction,
        instructs=instructs,
        retold=_switch(row, "force_format"),
        asks_usage=not raw,
        tag=row.tag,
        hours=_hours(row),
        aside_until=row.aside_until,
        asked_again=row.asked_again,
        auto_ban=row.auto_ban,
        polling=bool(row.multi and row.multi.mode == "polling"),
    )


def _meant(program: Program, provider: Provider, row: ChannelRow) -> tuple[Provider, str]:
    """The provider that a row's address means, and the address itself; refuses one that can't be called."""
    meant = provider.bases.get(row.base_url.rstrip("/"))
    if meant is not None:
        provider = program.providers[meant]
    if provider.closed:
        raise LookupError(provider.closed)
    return provider, provider.base_url if meant is not None or not row.base_url else row.base_url


def _keys(provider: Provider, row: ChannelRow) -> tuple[str, ...]:
    """The row's keys that are switched on."""
    if row.multi is None:
        return _elsewhere(provider, row) or tuple(row.keys)
    keys = tuple(key for index, key in enumerate(row.keys) if index not in row.multi.disabled)
    if not keys and auth.carries_secret(provider.auth):
        raise LookupError("none of its keys is switched on (channel_info)")
    return keys


def fitting(program: Program, names: tuple[str, ...], key: str) -> Provider:
    """Of the providers of one channel type the one whose form a key has; the first, where it has none's."""
    providers = [program.providers[name] for name in names]
    return next((provider for provider in providers if auth.unfit(provider.auth, key) is None), providers[0])


def _elsewhere(provider: Provider, row: ChannelRow) -> tuple[str, ...]:
    """The key of a row whose program keeps its parts in columns of their own; nothing where one of them is empty."""
    form = provider.auth.get("key") or {}
    parts = [told(row, column) for column in (form.get("rows") or {}).get(row.numbering, ())]
    return ((form.get("separator") or "|").join(parts),) if parts and all(parts) else ()


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


def _hours(row: ChannelRow) -> Hours | None:
    """When the row's channel may be asked: a member of ``settings`` that other programs do not know."""
    text = row.settings.get("hours") or ""
    try:
        return Hours.of(text) if text else None
    except (ValueError, AttributeError) as ex:
        raise LookupError(f"its settings.hours can't be read: {ex}") from None


def _instruction(program: Program, provider: Provider, row: ChannelRow) -> tuple[str, str]:
    """The row's text for the model, and how it meets a request's own; each program has its column and its way."""
    own, instructs = _text(row, "system_prompt"), "missing"
    if own and _switch(row, "system_prompt_override"):
        instructs = "before"
    if not own and row.system_prompt.strip():
        own, instructs = row.system_prompt, "instead"
    spoken = [program.formats[name] for name in provider.formats]
    if own and not all(wire_format.instruct for wire_format in spoken if wire_format.kind == "conversation"):
        raise LookupError("its system prompt can't be told: a format of its provider does not say where one stands")
    return own, instructs


def _headers(row: ChannelRow) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in row.header_override.items():
        if name == _EVERY or name.startswith(_PATTERNS):
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        if not text:
            continue
        if not text.isprintable() or not text.isascii():
            raise LookupError(f"its header_override for {name!r} holds a character that can't be sent")
        headers[header_name(name)] = text
    return headers


def _passed(row: ChannelRow) -> tuple[Callable[[str], bool], ...]:
    """Tests of header names, which are in lower case; patterns are read whatever their case."""
    tests: list[Callable[[str], bool]] = []
    for name in row.header_override:
        if name == _EVERY:
            tests.append(lambda name: True)
        elif name.startswith(_PATTERNS):
            try:
                tests.append(pattern(f"(?i:{name.partition(':')[2]})").found)
            except ValueError as ex:
                raise LookupError(f"its header_override has the pattern {name[:80]!r}: {ex}") from None
    return tuple(tests)


_TO_US = frozenset(("x-gatewright-debug", "x-gatewright-release", "x-gatewright-tags"))


def unsent(program: Program) -> frozenset[str]:
    """The caller's headers that no pattern sends up.

    Its credentials, wherever one may stand, those of its connection, and what it says to this gateway alone.
    """
    places = [place for spoken in program.formats.values() for place in spoken.credentials]
    places += (program.policy.get("tags") or {}).get("from") or []
    named = {place["header"].lower() for place in places if "header" in place}
    return NEVER_UP | _OWN_CONNECTION | _TO_US | named


def _unasked(program: Program, provider: Provider) -> frozenset[str]:
    """Where a stream is asked for its usage: providers refuse that in a request for none."""
    streams = [program.formats[name].stream for name in provider.formats]
    paths = [stream.usage_request.path for stream in streams if stream is not None and stream.usage_request is not None]
    return frozenset(path[0] for path in paths if len(path) > 1)


def _without(row: ChannelRow) -> tuple[tuple[str, ...], ...]:
    paths = [path for path, allowed in _GUARDED if row.settings.get(allowed) is not True]
    return (*paths, ("store",)) if row.settings.get("disable_store") is True else tuple(paths)


def _parameters(provider: Provider, row: ChannelRow) -> tuple[Mapping[str, str], Mapping[str, Mapping[str, str]]]:
    """What stands for the provider's parameters, and of those that differ by model what stands for each."""
    values: dict[str, Any] = {}
    by_model: dict[str, Mapping[str, str]] = {}
    for name, parameter in provider.parameters.items():
        text = next(filter(None, (told(row, column) for column in parameter.rows.get(row.numbering, ()))), "")
        table = _by_model(text) if parameter.by_model else None
        words = {
            model: parameter.value(word) for model, word in {"default": "", **(table or {"default": text})}.items()
        }
        if not all(word.isprintable() and word.isascii() for word in words.values()):
            raise LookupError(f"its {', '.join(parameter.rows[row.numbering])} holds a character that can't be sent")
        if table is None:
            values[name] = words["default"]
        else:
            by_model[name] = words
    return values, by_model


def _by_model(text: str) -> dict[str, str] | None:
    try:
        table = json.loads(text) if text.startswith("{") else None
    except ValueError:
        table = None
    if table is None:
        return None
    return {model: word for model, word in table.items() if isinstance(word, str)}
