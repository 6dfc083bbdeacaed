"""Model names read by the aliases of one program: which model is meant, and what the pattern caught.

An alias counts as the console's options say when the snapshot is made. One that is for some providers' channels reads
no name that callers ask for, but the one that goes up there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from engine.bounds import Kept

if TYPE_CHECKING:
    from engine.program import Alias, Program

_BOUND = 10_000


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model name read by an alias: ``name`` is the model meant, ``groups`` what the pattern caught.

    ``listed``: the name under which channels, prices and keys may list it, too; empty where there is none.
    """

    name: str
    alias: Alias | None = None
    groups: dict[str, str | None] | None = None
    listed: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Under what it may be listed beside the name that was asked for."""
        return (self.name, self.listed) if self.listed else (self.name,)


class AliasResolver:
    """Reads model names by the aliases of one program. PERF: 20 us of patterns a name, so readings are kept."""

    __slots__ = ("_above", "_aliases", "_known", "_owners", "program")

    def __init__(self, program: Program, texts: Mapping[str, str] = MappingProxyType({})) -> None:
        """``texts`` are the console's options, as they stand in the database."""
        self.program = program
        values = program.told(texts)
        self._aliases = tuple(replace(alias, options=values) for alias in program.aliases)
        self._owners = frozenset(name for alias in program.aliases for name in alias.providers)
        self._above: Kept[tuple[str, str], ResolvedModel] = Kept(_BOUND)
        self._known: Kept[str, ResolvedModel] = Kept(_BOUND)

    def read(self, asked: str) -> ResolvedModel:
        """Return how the first alias that matches reads ``asked``; the name itself where none does."""
        return self._known.get(asked) or self._read(asked)

    def keep(self, asked: str, reading: ResolvedModel) -> None:
        """Remember the reading of a name that is served; of what is refused nothing is remembered."""
        if asked not in self._known:
            self._known.keep(asked, reading)

    def above(self, name: str, provider: str) -> ResolvedModel:
        """Return how a name is read that a channel's mapping gives, or that goes up to this provider as it is."""
        owner = provider if provider in self._owners else ""
        known = self._above.get((name, owner))
        return known or self._above.keep((name, owner), self._read(name, owner))

    def reads_above(self, provider: str) -> bool:
        """Whether aliases are for this provider's channels."""
        return provider in self._owners

    def _read(self, name: str, provider: str = "") -> ResolvedModel:
        listed = ""
        for alias in self._aliases:
            if alias.providers and provider not in alias.providers:
                continue
            groups = alias.match(name)
            if groups is None or not alias.holds(groups):
                continue
            listed = listed or alias.listed(groups)
            if alias.listed_function is None or alias.model_function is not None:
                return ResolvedModel(alias.model(groups) or name, alias, groups, listed)
        return ResolvedModel(name, listed=listed)
