"""Which channels can take a call, and the format that each is spoken to in: kept with the channel, for one release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.program import Format, Program
    from engine.routing.channel import LiveChannel
    from engine.routing.request import RoutedCall
    from engine.routing.table import Table
    from engine.strategies.tier import Tier

Speaks = Callable[["Format", "Format"], bool]
"""Whether a call in the first format can go to a provider that is spoken to in the second."""


def candidates(call: RoutedCall, program: Program, table: Table, group: str, names: Sequence[str]) -> Tier[LiveChannel]:
    """Return the channels that serve the model asked for to a group, and can take the call.

    ``names``: the model that is meant by it, and what else it may be listed under, which counts where nobody lists it.
    """
    spoken, model, asked = call.format, names[0], call.asked
    if len(names) > 1:
        own = table.lists(group, asked) or table.lists(group, model) or not table.lists(group, names[1])
        asked, names = (asked, names[:1]) if own else (names[1], names[1:])
    known = table.known(group, asked, *names, asked=spoken.name)
    return known or table.candidates(
        group, asked, *names, asked=spoken.name,
        takes=lambda channel: format_for(program, channel, spoken, call.speaks, channel.mapped(model)) is not None,
    )  # fmt: skip


def format_for(program: Program, channel: LiveChannel, asked: Format, speaks: Speaks, model: str) -> Format | None:
    """Return the format to speak to a channel for a call in the format ``asked``; nothing where it can't take such.

    That is the one that the channel pins, else the caller's own, else one of its family, else the provider's first;
    of those in which it serves models of this one's vendor. ``model`` is its name up there.
    """
    if channel.routes is not None:
        name = next((one.spoken for one in channel.routes if one.holds(asked.name, model)), None)
        return program.formats[name] if name is not None and speaks(asked, program.formats[name]) else None
    hops, named = channel.provider.formats, channel.vendors
    if named is None:
        named = channel.vendors = frozenset(vendor for hop in hops.values() for vendor in hop.vendors)
    vendor = str(program.models.traits(model).get("vendor", "")) if named else ""
    key = (asked.name, vendor)
    if key in channel.spoken:
        return channel.spoken[key]
    serves = {name for name, hop in hops.items() if (vendor in hop.vendors if vendor in named else not hop.vendors)}
    offered = [program.formats[name] for name in hops if name in serves]
    offered.sort(key=lambda offer: (offer.name != asked.name, offer.passthrough_as != asked.passthrough_as))
    pinned = [program.formats[channel.format]] if channel.format else []
    spoken = next((offer for offer in (*pinned, *offered) if speaks(asked, offer)), None)
    channel.spoken[key] = spoken
    return spoken
