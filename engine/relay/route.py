"""Route: the channels to try for a call, in order, each with the format it is spoken to in and the model's name there.

Refuses with 503 when no channel can take the call. Draws by priority and weight; never the same channel twice.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import CallError
from engine.relay.call import Attempt
from engine.relay.resolve import Reading
from engine.relay.table import LiveChannel, Table, draw

if TYPE_CHECKING:
    from engine.program import Format, Program
    from engine.relay.call import Call

_chance = random.Random()  # noqa: S311 - spreads load, guards nothing


def attempts(call: Call, table: Table, reading: Reading, groups: Sequence[str], most: int) -> list[Attempt]:
    """Return the attempts for the call's model: in each of the groups at most ``most``; or the channel of the key."""
    if call.pinned is not None:
        return [_attempt(call, _pinned(table, call.pinned), reading, groups[0])]
    made: dict[int, Attempt] = {}
    for group in groups:
        candidates = table.candidates(group, call.asked, reading.name)
        fresh = [channel for channel in candidates if id(channel) not in made]
        for channel in draw(fresh, _chance)[:most]:
            made[id(channel)] = _attempt(call, channel, reading, group)
    if not made:
        raise CallError(
            "unavailable", f"no channel for the model {call.asked!r} is available", code="no_available_channel"
        )
    return list(made.values())


def _pinned(table: Table, channel: int) -> LiveChannel:
    """The channel that an administrator named in the key."""
    if channel in table.by_id:
        return table.by_id[channel]
    if channel in table.unused:
        raise CallError("forbidden", f"the channel {channel} that the API key names is disabled", code="access_denied")
    raise CallError("bad_request", f"the channel {channel} that the API key names is not there")


def _attempt(call: Call, channel: LiveChannel, reading: Reading, group: str) -> Attempt:
    """A channel that lists the suffixed name itself maps it first; what comes out is read for aliases."""
    if reading.alias is not None and call.asked in channel.models:
        reading = call.reader.read(channel.mapped(call.asked))
        model = reading.name
    else:
        model = channel.mapped(reading.name)
    spoken = format_for(call.program, channel, call.format)
    return Attempt(channel, spoken, model, reading.alias, reading.groups or {}, group)


def format_for(program: Program, channel: LiveChannel, asked: Format) -> Format:
    """Return the format to speak to a channel: the one it pins, else the caller's own if it can, else its first."""
    spoken = channel.provider.formats
    if channel.format:
        return program.formats[channel.format]
    if asked.name in spoken:
        return program.formats[asked.name]
    for name in spoken:
        if program.formats[name].passthrough_as == asked.passthrough_as:
            return program.formats[name]
    return program.formats[next(iter(spoken))]
