"""Channels of documents and of the database become the relay's; whatever can't be used is left out, and says why.

Takes a Program, the rows of the database and a reader of secrets; gives a ``Table`` and the lines that say what was
left out. What a channel lacks to be called is found here and not by a call. Knows nothing of calls.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from engine.routing import rows
from engine.routing.channel import LiveChannel
from engine.routing.spoken.speech import Speech, speech
from engine.routing.table import Table
from engine.routing.upstream_profile import NEVER_UP
from engine.routing.when import Hours
from engine.storage.rows.work.paid import PaidIn
from engine.storage.values import ENABLED
from engine.transport import auth, proxied
from engine.transport.faults import TransportError
from engine.transport.url import parse_url

if TYPE_CHECKING:
    from engine.program import Channel, Program, Provider
    from engine.storage.rows.channels import ChannelRow

_BRACES = re.compile(r"\{[A-Za-z_]+\}")
"""What the credential, or the model, says of an address: put in by each call."""

_RENEWED = (
    "each renewal of its credential gives another, which has to be written down: keep it in the database "
    "(gatewright secret set NAME, and secretRef: {db: NAME}), or make it a channel of the console"
)

_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")

SecretReader = Callable[[Mapping[str, str], str], str]
"""Takes a secret's reference and the base URL that it would be sent to; gives the secret, or raises LookupError."""


@dataclass(frozen=True, slots=True)
class Built:
    """A table, and a line for each channel that is not in it though it is switched on."""

    table: Table
    left_out: tuple[str, ...]


def build(
    program: Program,
    listed: Iterable[ChannelRow],
    secrets: SecretReader,
    *,
    asks_usage: bool = True,
    options: Mapping[str, str] = MappingProxyType({}),
    keys_fit: bool = False,
    spent: Collection[str] = (),
    fits: Callable[[LiveChannel], None] | None = None,
) -> Built:
    """Return the table of all enabled channels. ``asks_usage``: streams are asked for usage whatever callers say.

    ``keys_fit``: the secrets are no real ones, and their form is not looked at. ``fits`` raises LookupError for a
    channel that is to be left out. ``spent`` are documents' channels whose accounts have nothing left: not asked.
    """
    raw = _raw(options)
    channels: list[LiveChannel] = []
    left_out: list[str] = []
    faulty: set[tuple[str, str]] = set()
    rules, values = speech(program, options), program.told(options)

    def add(name: str, make: Callable[[], LiveChannel], row: ChannelRow | None = None) -> None:
        try:
            channel = checked(make(), keys_fit=keys_fit)
            if fits is not None:
                fits(channel)
        except (LookupError, TransportError) as ex:
            left_out.append(f"channel {name} is left out: {ex.args[0] if ex.args else ex}")
            if row is not None:
                faulty.update((group, model) for group in row.groups for model in row.models)
            return
        channels.append(_told(channel, rules, values, row, asks_usage=asks_usage))

    for declared in program.channels:
        if declared.enabled:
            add(declared.name, partial(from_document, program, declared, secrets, values))
    _set_aside(channels, spent)
    channel_rows = list(listed)
    for row in channel_rows:
        if row.status == ENABLED:
            add(f"{row.name} (#{row.id})", partial(rows.from_row, program, row, raw=raw, values=values), row)
    return Built(Table(channels, [row.id for row in channel_rows], faulty), tuple(left_out))


def from_row(program: Program, row: ChannelRow, options: Mapping[str, str], *, asks_usage: bool = True) -> LiveChannel:
    """A channel of the database, whatever its state; raises LookupError or TransportError where it can't be called."""
    values = program.told(options)
    channel = checked(rows.from_row(program, row, raw=_raw(options), values=values))
    return _told(channel, speech(program, options), values, row, asks_usage=asks_usage)


def _raw(options: Mapping[str, str]) -> bool:
    return options.get("global.pass_through_request_enabled") == "true"


def _told(
    channel: LiveChannel, rules: Speech, values: Mapping[str, Any], row: ChannelRow | None, *, asks_usage: bool
) -> LiveChannel:
    """The channel with what policy and options say of it."""
    channel.carried = rules.of(channel.provider.formats, channel.id, row.type if row is not None else 0)
    channel.asks_usage = channel.asks_usage and asks_usage
    channel.model_headers = _model_headers(values.get(channel.provider.model_headers))
    return channel


def _model_headers(value: Any) -> dict[str, dict[str, str]]:
    """Headers by model of an option's value; what can't be sent, or says who calls, is left out."""
    table: dict[str, dict[str, str]] = {}
    for model, headers in value.items() if isinstance(value, Mapping) else ():
        for name, said in headers.items() if isinstance(headers, Mapping) else ():
            text = ",".join(item for item in (said if isinstance(said, list) else [said]) if isinstance(item, str))
            lowered = name.strip().lower()
            if (
                text
                and text.isascii()
                and text.isprintable()
                and _HEADER.fullmatch(lowered)
                and lowered not in NEVER_UP
            ):
                table.setdefault(str(model), {})[lowered] = text
    return table


def from_document(
    program: Program, channel: Channel, secrets: SecretReader, values: Mapping[str, Any] = MappingProxyType({})
) -> LiveChannel:
    """A channel that a document declares; raises LookupError where its secret can't be had."""
    provider = program.providers[channel.provider]
    base_url = channel.base_url or provider.base_url
    reference = (channel.credential or provider.credential) if auth.carries_secret(provider.auth) else None
    kept = str((reference or {}).get("secretRef", reference or {}).get("db", ""))  # type: ignore[union-attr]
    if reference and not kept and auth.renews(provider.auth):
        raise LookupError(_RENEWED)
    return LiveChannel(
        id=0,
        name=channel.name,
        provider=provider,
        keys=(secrets(reference, base_url),) if reference else (),
        models=frozenset(channel.models or provider.models) | frozenset(channel.model_mapping),
        groups=channel.groups,
        priority=channel.priority,
        weight=channel.weight,
        base_url=base_url,
        format=channel.format,
        thinking=channel.thinking,
        model_mapping=channel.model_mapping,
        cost_factor=channel.cost_factor,
        hours=Hours.of(channel.hours) if channel.hours else None,
        paid=_paid(channel),
        parameters=_parameters(provider, channel.parameters),
        by_model=_by_option(provider, channel.parameters, values),
        proxy=provider.proxy or "",
        secret_name=kept,
        unsent=rows.unsent(program),
    )


def _parameters(provider: Provider, chosen: Mapping[str, str]) -> dict[str, str]:
    return {name: parameter.value(chosen.get(name, "")) for name, parameter in provider.parameters.items()}


def _set_aside(channels: Iterable[LiveChannel], spent: Collection[str]) -> None:
    for channel in channels:
        if channel.paid is not None and channel.paid.set_aside and not channel.id and channel.name in spent:
            channel.aside_until = math.inf


def _paid(channel: Channel) -> PaidIn | None:
    try:
        return PaidIn.of(channel.balance) if channel.balance else None
    except ValueError as ex:
        raise LookupError(f"its balance can't be read: {ex}") from None


def _by_option(
    provider: Provider, chosen: Mapping[str, str], values: Mapping[str, Any]
) -> dict[str, Mapping[str, str]]:
    """The parameters that an option of the console says, of which the channel says nothing."""
    said = {
        name: (parameter, rows.by_option(values.get(parameter.option)))
        for name, parameter in provider.parameters.items()
        if parameter.option and not chosen.get(name)
    }
    return {name: {"default": parameter.default, **table} for name, (parameter, table) in said.items() if table}


def checked(channel: LiveChannel, *, keys_fit: bool = False) -> LiveChannel:
    """The channel with the keys that can be sent; raises LookupError or TransportError where it can't be called."""
    channel.base_url = channel.path(channel.base_url)
    parse_url(_BRACES.sub("x", channel.base_url))
    if channel.proxy and (why := proxied.unfit(channel.proxy)) is not None:
        raise LookupError(why)
    if keys_fit:
        return channel
    faults = [auth.unfit(channel.provider.auth, key) for key in channel.keys or ("",)]
    channel.keys = tuple(key for key, fault in zip(channel.keys, faults, strict=False) if fault is None)
    if not channel.keys and (why := next(filter(None, faults), None)) is not None:
        raise LookupError(why)
    return channel
