"""Resolve: the name asked for becomes routes: which alias it is, which base model that stands for, in which groups.

Refuses with 403 (not this key's model) and 404 (nobody serves it). Knows documents' aliases, not channels' odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import CallError
from engine.routing.candidates import candidates

if TYPE_CHECKING:
    from engine.routing.aliases import AliasResolver, ResolvedModel
    from engine.routing.request import RoutedCall
    from engine.routing.table import Table


_SHOWN = 200


def shown(name: str) -> str:
    """A model's name as messages quote it: callers may send any text for one."""
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")


def resolve(
    call: RoutedCall, aliases: AliasResolver, table: Table, groups: Sequence[str]
) -> tuple[ResolvedModel, tuple[str, ...]]:
    """Return the reading of the model asked for, and the groups that serve it, of which the first is meant.

    A channel that is named in the key serves whatever it is asked for.
    """
    asked, account = call.asked, call.account
    reading = aliases.read(asked)
    if call.pinned is not None:
        return reading, tuple(groups[:1])
    limits = account.model_limits if account is not None else None
    if limits is not None and asked not in limits and limits.isdisjoint(reading.names):
        raise CallError(
            "forbidden", f"this API key may not use the model {shown(asked)}", param="model", code="model_not_allowed"
        )
    serving = tuple(
        [group for group in groups if candidates(call, aliases.program, table, group, reading.names).channels]
    )
    if serving:
        aliases.keep(asked, reading)
        return reading, serving
    if any(table.candidates(group, asked, *reading.names) for group in groups):
        raise CallError(
            "not_found",
            f"no channel that serves the model {shown(asked)} to this key takes {call.format.name} requests; ask for"
            " it at an endpoint of its own kind, or for another model",
            param="model",
            code="model_not_found",
        )
    if table.faulty(groups, asked):
        raise CallError(
            "internal",
            f"the channel for the model {shown(asked)} can't be used as it is set up; the gateway's operator finds the"
            " reason in its log",
            code="channel_fault",
        )
    near = table.nearest(groups, asked) if account is not None and account.spendable else None
    hint = f"; did you mean {near!r}?" if near else "; the models endpoint lists what there is"
    raise CallError(
        "not_found",
        f"no channel serves the model {shown(asked)} to this key's group{hint}",
        param="model",
        code="model_not_found",
    )
