"""Resolve: the name asked for becomes routes: which alias it is, which base model that stands for, in which groups.

Refuses with 403 (not this key's model) and 404 (nobody serves it). Knows documents' aliases, not channels' odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.bounds import Kept
from engine.errors import CallError
from engine.relay.twins import names_of

if TYPE_CHECKING:
    from engine.program import Alias, Program
    from engine.relay.call import Call
    from engine.relay.table import Table


_BOUND = 10_000
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """A model name read by an alias: ``name`` is the model meant, ``groups`` what the pattern caught."""

    name: str
    alias: Alias | None = None
    groups: dict[str, str | None] | None = None


class Reader:
    """Reads model names by the aliases of one program. PERF: 20 us of patterns a name, so readings are kept."""

    __slots__ = ("_known", "names", "program")

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = names_of(program)
        """What members of requests are called, by format."""
        self._known: Kept[str, Reading] = Kept(_BOUND)

    def read(self, asked: str) -> Reading:
        """Return how the first alias that matches reads ``asked``; the name itself where none does."""
        return self._known.get(asked) or self._read(asked)

    def keep(self, asked: str, reading: Reading) -> None:
        """Remember the reading of a name that is served; of what is refused nothing is remembered."""
        if asked not in self._known:
            self._known.keep(asked, reading)

    def _read(self, asked: str) -> Reading:
        for alias in self.program.aliases:
            groups = alias.match(asked)
            if groups is not None:
                return Reading(alias.model(groups) or asked, alias, groups)
        return Reading(asked)


def shown(name: str) -> str:
    """A model's name as messages quote it: callers may send any text for one."""
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")


def resolve(call: Call, table: Table, groups: Sequence[str]) -> tuple[Reading, tuple[str, ...]]:
    """Return the reading of the model asked for, and the groups that serve it, of which the first is meant.

    A channel that is named in the key serves whatever it is asked for.
    """
    asked, account = call.asked, call.account
    reading = call.reader.read(asked)
    if call.pinned is not None:
        return reading, tuple(groups[:1])
    limits = account.model_limits if account is not None else None
    if limits is not None and asked not in limits and reading.name not in limits:
        raise CallError(
            "forbidden", f"this API key may not use the model {shown(asked)}", param="model", code="model_not_allowed"
        )
    serving = tuple(g for g in groups if table.candidates(g, asked, reading.name))
    if serving:
        call.reader.keep(asked, reading)
        return reading, serving
    near = table.nearest(groups, asked) if account is not None and account.spendable else None
    hint = f"; did you mean {near!r}?" if near else "; the models endpoint lists what there is"
    raise CallError(
        "not_found",
        f"no channel serves the model {shown(asked)} to this key's group{hint}",
        param="model",
        code="model_not_found",
    )
