"""Channels of documents and of the database become the relay's; whatever can't be used is left out, and says why.

Takes a Program, the rows of the database and a reader of secrets; gives a ``Table`` and the lines that say what was
left out. What a channel lacks to be called is found here and not by a call. Knows nothing of calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from engine.relay import rows
from engine.relay.table import LiveChannel, Table
from engine.transport import auth, proxied
from engine.transport.faults import TransportError
from engine.transport.url import parse_url

if TYPE_CHECKING:
    from engine.program import Channel, Program, Provider
    from engine.storage.channels import ChannelRow

_ENABLED = 1
SecretReader = Callable[[Mapping[str, str], str], str]
"""Takes a secret's reference and the base URL that it would be sent to; gives the secret, or raises LookupError."""


@dataclass(frozen=True, slots=True)
class Built:
    """A table, and a line for each channel that is not in it though it is switched on."""

    table: Table
    left_out: tuple[str, ...]


def build(program: Program, listed: Iterable[ChannelRow], secrets: SecretReader, *, asks_usage: bool = True) -> Built:
    """Return the table of all enabled channels. ``asks_usage``: streams are asked for usage whatever callers say."""
    channels: list[LiveChannel] = []
    left_out: list[str] = []

    def add(name: str, make: Callable[[], LiveChannel]) -> None:
        try:
            channel = checked(make())
        except (LookupError, TransportError) as ex:
            left_out.append(f"channel {name} is left out: {ex.args[0] if ex.args else ex}")
            return
        channel.asks_usage = channel.asks_usage and asks_usage
        channels.append(channel)

    for declared in program.channels:
        if declared.enabled:
            add(declared.name, partial(from_document, program, declared, secrets))
    known = list(listed)
    for row in known:
        if row.status == _ENABLED:
            add(f"{row.name} (#{row.id})", partial(rows.from_row, program, row))
    return Built(Table(channels, [row.id for row in known]), tuple(left_out))


def from_document(program: Program, channel: Channel, secrets: SecretReader) -> LiveChannel:
    """A channel that a document declares; raises LookupError where its secret can't be had."""
    provider = program.providers[channel.provider]
    base_url = channel.base_url or provider.base_url
    reference = (channel.credential or provider.credential) if auth.carries_secret(provider.auth) else None
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
        parameters=_parameters(provider, channel.parameters),
        proxy=provider.proxy or "",
    )


def _parameters(provider: Provider, chosen: Mapping[str, str]) -> dict[str, str]:
    return {name: one.value(chosen.get(name, "")) for name, one in provider.parameters.items()}


def checked(channel: LiveChannel) -> LiveChannel:
    """The channel with the keys that can be sent; raises LookupError or TransportError where it can't be called."""
    parse_url(channel.base_url)
    if channel.proxy and (why := proxied.unfit(channel.proxy)) is not None:
        raise LookupError(why)
    faults = [auth.unfit(channel.provider.auth, key) for key in channel.keys or ("",)]
    channel.keys = tuple(key for key, fault in zip(channel.keys, faults, strict=False) if fault is None)
    if not channel.keys and (why := next(filter(None, faults), None)) is not None:
        raise LookupError(why)
    return channel
