"""Route: the channels to try for a call, in order, each with the format it is spoken to in and the model's name there.

Refuses with 503 when no channel can take the call. The order is a Route's; never the same channel twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from operator import itemgetter
from typing import TYPE_CHECKING

from engine.errors import CallError
from engine.routing.aliases import AliasResolver, ResolvedModel
from engine.routing.attempt import Attempt
from engine.routing.candidates import candidates, format_for
from engine.routing.channel import LiveChannel
from engine.routing.choice import Choice
from engine.routing.order import Order, order_of
from engine.strategies.tier import Scene

if TYPE_CHECKING:
    from engine.routing.profile import RouteTimeouts
    from engine.routing.pulse import Pulse
    from engine.routing.request import RoutedCall
    from engine.routing.table import Table

_chance = random.Random()  # noqa: S311 - spreads load, guards nothing


@dataclass(slots=True)
class Choosing:
    """What choosing hangs on beside the call. ``back`` tells when a channel that is set aside may be asked again.

    ``tries``: how many channels a call may try; ``spare``: how many more are named in case some have no room.
    PERF: made for each call, so not frozen, which would cost as much as the rest of it.
    """

    aliases: AliasResolver
    table: Table
    orders: Sequence[Order]
    pulse: Pulse
    cost: Callable[[LiveChannel, str], float]
    tries: int
    spare: int = 0
    back: Callable[[LiveChannel], float] | None = None

    def away(self, channel: LiveChannel, group: str, aside: list[tuple[float, LiveChannel, str]]) -> bool:
        """Whether a channel is set aside; which are is noted."""
        until = self.back(channel) if self.back is not None else 0.0
        if until:
            aside.append((until, channel, group))
        return bool(until)


def attempts(
    choosing: Choosing, call: RoutedCall, reading: ResolvedModel, groups: Sequence[str]
) -> tuple[list[Attempt], Choice]:
    """Return the attempts for the call's model, in their order, and why these; or the channel of the key.

    A key that may leave its group has as many tries in each of the groups. None that is set aside is tried, but for
    the one that is back first where there is no other.
    """
    aliases, choice = choosing.aliases, Choice()
    if call.pinned is not None:
        return [_attempt(call, aliases, _pinned(choosing.table, call.pinned), reading, groups[0])], choice
    every_group = call.account is not None and call.account.cross_group_retry
    order, most = order_of(choosing.orders, call), choosing.tries + choosing.spare
    scene = Scene(call, _chance, choosing.pulse, lambda channel: choosing.cost(channel, call.asked), choice.said)
    choice.route, choice.strategies = order.name, order.names
    by_channel: dict[int, Attempt] = {}
    aside: list[tuple[float, LiveChannel, str]] = []
    for group in groups:
        tier = candidates(call, aliases.program, choosing.table, group, reading.names)
        choice.candidates[group] = tier.channels
        full = len(by_channel) + most if every_group else most
        for channel in order.channels(tier, scene) if len(by_channel) < full else ():
            if id(channel) in by_channel:
                continue
            choice.first = choice.first or channel
            if choosing.back is None or not choosing.away(channel, group, aside):
                by_channel[id(channel)] = _attempt(call, aliases, channel, reading, group, order.timeouts)
                if len(by_channel) >= full:  # what nobody needs is not even drawn
                    break
    if order.shadows:
        choice.shadow = _shadow(choosing, call, order, reading, groups[0])
    choice.aside = [(channel.name, until) for until, channel, _ in aside]
    tries = list(by_channel.values())
    # the time of a breaker is a guess, that of an operator an order
    others = [item for item in aside if not item[1].closed(call.now)] if not tries else []
    if others:
        until, channel, group = min(others, key=itemgetter(0))
        tries = [_attempt(call, aliases, channel, reading, group, order.timeouts)] if isfinite(until) else []
    if not tries:
        raise CallError(
            "unavailable", f"no channel for the model {call.asked!r} is available", code="no_available_channel"
        )
    return tries[:1] if call.bond is not None and call.bond.alone else tries, choice


def _shadow(choosing: Choosing, call: RoutedCall, order: Order, reading: ResolvedModel, group: str) -> Attempt | None:
    """What mirrors the call: of the first ``shadow`` that is for it, at a channel that can take it."""
    names = frozenset((call.asked, *reading.names))
    for condition, shadow in order.shadows:
        channel = shadow.drawn(choosing.table.channels, names, _chance) if condition.holds(call) else None
        if channel is None or (choosing.back is not None and choosing.back(channel)):
            continue
        model = channel.mapped(reading.name)
        if format_for(choosing.aliases.program, channel, call.format, call.speaks, model) is not None:
            return _attempt(call, choosing.aliases, channel, reading, group, order.timeouts)
    return None


def _pinned(table: Table, channel: int) -> LiveChannel:
    """The channel that an administrator named in the key."""
    if channel < 0:
        raise CallError("bad_request", "what follows the API key's second dash must be the number of a channel")
    if channel in table.by_id:
        return table.by_id[channel]
    if channel in table.unused:
        raise CallError("forbidden", f"the channel {channel} that the API key names is disabled", code="access_denied")
    raise CallError("bad_request", f"the channel {channel} that the API key names is not there")


def _attempt(
    call: RoutedCall,
    aliases: AliasResolver,
    channel: LiveChannel,
    reading: ResolvedModel,
    group: str,
    timeouts: RouteTimeouts | None = None,
) -> Attempt:
    """A channel that lists the name that was asked for maps it first; what comes out is read for aliases."""
    provider = channel.provider
    if reading.alias is not None and channel.models.isdisjoint((call.asked, reading.listed)):
        model = channel.mapped(reading.name)
    else:
        model = channel.mapped(call.asked)
        unmapped = model == call.asked
        if not unmapped or reading.alias is not None or aliases.reads_above(provider.name):
            reading = aliases.above(model, provider.name)
            model = channel.mapped(reading.name) if unmapped else provider.model_names.get(reading.name, reading.name)
    spoken = format_for(aliases.program, channel, call.format, call.speaks, model)
    if spoken is None:  # only a channel that the key names was not asked for this before
        raise CallError(
            "bad_request", f"the channel {channel.name!r} that the API key names takes no {call.format.name} requests"
        )
    for rule in channel.carried:
        if rule.holds(call.format.name, call.asked):
            other = aliases.program.formats[rule.spoken]
            spoken = other if call.speaks(call.format, other) else spoken
    attempt = Attempt(channel, spoken, model, reading.alias, reading.groups or {}, group, timeouts=timeouts)
    if call.bond is not None and call.bond.overrides:
        attempt.more = call.bond.overrides
    return attempt
