"""Channels of one rank, and what strategies may know of a call. Data, with what follows from it kept beside it."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Generic, Protocol, TypeVar

_BLIND = 4
"""Draws that may meet a channel which was drawn before; then what is left is weighed anew."""


class RankedChannel(Protocol):
    """What a strategy may know of a channel."""

    @property
    def mark(self) -> str:
        """What it is known by."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def tag(self) -> str:
        """What it has in common with others."""

    @property
    def models(self) -> frozenset[str]:
        """What it serves."""

    @property
    def priority(self) -> int:
        """The higher, the earlier."""

    @property
    def weight(self) -> int:
        """Its share among those of one priority."""


class RankedCall(Protocol):
    """What a strategy may know of a call."""

    @property
    def asked(self) -> str:
        """The model's name as the caller wrote it."""

    @property
    def kept(self) -> str | None:
        """The mark of the channel that answered what the call belongs to."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The caller's headers, by lower-case names."""

    @property
    def ip(self) -> str:
        """The caller's address."""

    @property
    def account(self) -> Any:
        """Whose call it is: ``user_id`` and ``token_id``; None where nobody is known."""


class ChannelPulse(Protocol):
    """How channels do, by their marks."""

    def latency(self, mark: str) -> float:
        """Seconds that a call more is likely to wait for its first byte; 0 where nobody knows."""

    def outstanding(self, mark: str) -> int:
        """Calls under way."""


C = TypeVar("C", bound=RankedChannel)


class Tier(Generic[C]):
    """Channels among which nothing decided yet. ``parts`` keeps how strategies divide it."""

    __slots__ = ("_cumulated", "channels", "parts")

    def __init__(self, channels: Sequence[C]) -> None:
        self.channels = tuple(channels)
        self.parts: dict[Any, list[Tier[C]]] = {}
        self._cumulated: list[int] | None = None

    def __len__(self) -> int:
        return len(self.channels)

    def __iter__(self) -> Iterator[C]:
        return iter(self.channels)

    def drawn(self, chance: random.Random) -> Iterator[C]:
        """All of it by weight, each once: the odds of each are its share of what was not drawn yet.

        Weight 0 beside other weights comes last; if all are 0, each counts the same. PERF: who needs the first three
        of 200 draws three times.
        """
        if len(self.channels) == 1:
            yield self.channels[0]
            return
        if self._cumulated is None:
            self._cumulated = list(accumulate(channel.weight for channel in self.channels))
        drawn: set[int] = set()
        cumulated, total = self._cumulated, self._cumulated[-1]
        if total:
            blind = 0
            while blind < _BLIND:
                channel = self.channels[bisect(cumulated, chance.random() * total)]
                if id(channel) in drawn:
                    blind += 1
                    continue
                drawn.add(id(channel))
                yield channel
        left = [channel for channel in self.channels if id(channel) not in drawn]
        while left:
            weights = [channel.weight for channel in left]
            channel = chance.choices(left, weights if any(weights) else None)[0]
            left.remove(channel)
            yield channel


@dataclass(slots=True)
class Scene:
    """What a strategy may know beside the channels. ``cost``: what a call costs the operator at a channel."""

    call: RankedCall
    chance: random.Random
    pulse: ChannelPulse
    cost: Callable[[Any], float]
    said: list[str] = field(default_factory=list)
    """What strategies decided, for who asks."""


class Strategy(Protocol):
    """One way to tell channels apart. A pure function of what it is given."""

    among: int
    """0: it divides. Else it ranks so many channels that were drawn, the best first."""

    def divide(self, tier: Tier[C], scene: Scene) -> list[Tier[C]]:
        """The tier in parts, the best first."""

    def rank(self, channel: RankedChannel, scene: Scene) -> float:
        """The less, the better."""


class Dividing:
    """A strategy that divides."""

    among = 0

    def rank(self, channel: RankedChannel, scene: Scene) -> float:
        """It ranks none."""
        return 0.0


class Ranking:
    """A strategy that ranks what was drawn."""

    among = 2

    def divide(self, tier: Tier[C], scene: Scene) -> list[Tier[C]]:
        """It divides nothing."""
        return [tier]


def grouped(tier: Tier[C], key: Any, value: Callable[[C], float]) -> list[Tier[C]]:
    """The tier by a value of its channels, the least first; kept under ``key``."""
    parts = tier.parts.get(key)
    if parts is None:
        table: dict[float, list[C]] = {}
        for channel in tier.channels:
            table.setdefault(value(channel), []).append(channel)
        parts = [Tier(table[number]) for number in sorted(table)] if len(table) > 1 else [tier]
        tier.parts[key] = parts
    return parts


def first(tier: Tier[C], key: Any, test: Callable[[C], bool]) -> list[Tier[C]]:
    """Those channels first of which something is so; kept under ``key``."""
    return grouped(tier, key, lambda channel: 0.0 if test(channel) else 1.0)
