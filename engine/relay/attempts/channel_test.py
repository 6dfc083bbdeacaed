"""A test of a channel: it, whatever its state, is called as if there were no other, with the very key that is tested.

The call goes the way of any other, is charged and logged as one, and says of the channel what any other would; unless
it is ``quiet``: then a failure changes nothing, as the channel is switched off already.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.relay.attempts.health import HealthRules
from engine.routing.channel import LiveChannel, OneKeyChannel
from engine.routing.channels import from_row
from engine.routing.table import Table

if TYPE_CHECKING:
    from engine.relay.snapshot import Snapshot
    from engine.storage.rows.channels import ChannelRow


@dataclass(frozen=True, slots=True)
class ChannelTest:
    """What the call of a test begins with, in the place of a worker's current snapshot."""

    snapshot: Snapshot
    left_out: tuple[str, ...] = ()
    beside: None = None
    """No other release is asked for."""


def channel_test(snapshot: Snapshot, row: ChannelRow, key: str | None, *, asks_usage: bool, quiet: bool) -> ChannelTest:
    """See the module. ``key``: of several the one to be tested; None: one that is switched on, as it comes.

    Raises LookupError or TransportError where the channel can't be called as it is set up.
    """
    if key is not None and row.multi is not None:
        row = dataclasses.replace(row, multi=dataclasses.replace(row.multi, disabled=frozenset()))
    channel = from_row(snapshot.program, row, snapshot.options, asks_usage=asks_usage)
    if key is not None and row.multi is not None:
        members = {field.name: getattr(channel, field.name) for field in dataclasses.fields(LiveChannel) if field.init}
        channel = OneKeyChannel(**members, only=key)
    health = HealthRules() if quiet else snapshot.health
    table = Table([channel], [row.id], set())
    return ChannelTest(dataclasses.replace(snapshot, table=table, health=health, hedge=None, channel_test=True))
