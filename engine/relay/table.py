"""Which channel serves which model to which group: one look-up table of documents' and the database's channels.

Built (``channels``) when the program or the database's channels change, never per request. Knows nothing of calls.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engine.bounds import Kept
from engine.hub.usage import Plan

if TYPE_CHECKING:
    from engine.program import Format, Provider
    from engine.relay.way import Way

_KEPT = 10_000
_KEPT_IN_PATHS = "/?=&:@,-._~"
_NEAR = 3
"""By how many characters a name may be longer or shorter than one that it is taken for."""
_COMPARED = 64
"""How many names one is compared with (20 us each), and the longest that is."""
ANY = "*"
"""A channel that lists this serves every model of its groups that nobody else lists."""


@dataclass(slots=True)
class LiveChannel:
    """A channel as the relay uses it. ``keys`` are its secrets; ``id`` is 0 for one that a document declares."""

    id: int
    name: str
    provider: Provider
    keys: tuple[str, ...]
    models: frozenset[str]
    groups: tuple[str, ...]
    priority: int = 0
    weight: int = 1
    base_url: str = ""
    format: str | None = None
    thinking: str | None = None
    """What becomes of thinking in its answers: ``content``, ``fromContent``, or nothing."""
    model_mapping: Mapping[str, str] = field(default_factory=dict)
    status_mapping: Mapping[int, int] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Top-level members of the upstream body that are set last."""
    headers: Mapping[str, str] = field(default_factory=dict)
    without: tuple[tuple[str, ...], ...] = ()
    """Paths in the upstream body of what may not go up."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What stands for the words in braces in the provider's paths and headers."""
    proxy: str = ""
    instruction: str = ""
    """A text of the operator's own for the model; how it meets a request's own says ``instructs``."""
    instructs: str = "missing"
    """``missing``: only where the request has none; ``before``: before its own; ``instead``: in place of it."""
    retold: bool = False
    """Its answers are written anew, also where the caller's format is its own."""
    asks_usage: bool = True
    """Its streams are asked for their usage, whatever the caller said."""
    polling: bool = False
    turn: int = 0
    plans: dict[str, Plan] = field(default_factory=dict)
    """How usage is counted, by format; made at the first use."""
    ways: dict[tuple[str, str, bool], Way] = field(default_factory=dict)
    """What ``way`` keeps."""

    def key(self) -> str | None:
        """Return the next secret: by turns or by chance where there are several."""
        if len(self.keys) < 2:
            return self.keys[0] if self.keys else None
        if self.polling:
            self.turn += 1
            return self.keys[self.turn % len(self.keys)]
        return random.choice(self.keys)  # noqa: S311 - spreads load, guards nothing

    def filled(self, text: str) -> str:
        """Put the parameters into a text of the provider's."""
        for name, value in self.parameters.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def path(self, text: str) -> str:
        """Put the parameters into a path of the provider's."""
        for name, value in self.parameters.items():
            text = text.replace(f"{{{name}}}", quote(value, safe=_KEPT_IN_PATHS))
        return text

    def plan(self, spoken: Format) -> Plan:
        """Return how usage is counted in answers of a format."""
        plan = self.plans.get(spoken.name)
        if plan is None:
            plan = self.plans[spoken.name] = Plan(spoken.usage, self.provider.counts(spoken.name))
        return plan

    def mapped(self, model: str) -> str:
        """Follow the channel's model mapping from ``model``, through chains, once round a circle at most."""
        seen = {model}
        while (following := self.model_mapping.get(model)) and following not in seen:
            model = following
            seen.add(model)
        return model


class Table:
    """Channels by group and model, and what each group may see. ``unused`` are ids of channels that are not served."""

    def __init__(self, channels: Iterable[LiveChannel], known: Iterable[int] = ()) -> None:
        self.channels = list(channels)
        self.by_id = {channel.id: channel for channel in self.channels if channel.id}
        self.unused = frozenset(known) - self.by_id.keys()
        self._served: dict[str, dict[str, list[LiveChannel]]] = {}
        for channel in self.channels:
            for group in channel.groups:
                served = self._served.setdefault(group, {})
                for model in channel.models:
                    served.setdefault(model, []).append(channel)
        self._known: Kept[tuple[str, ...], tuple[LiveChannel, ...]] = Kept(_KEPT)

    def candidates(self, group: str, *models: str) -> tuple[LiveChannel, ...]:
        """Return the channels that serve any of these models to ``group``, each once, in no order."""
        known = self._known.get((group, *models))
        if known is not None:
            return known
        served = self._served.get(group, {})
        listed = [one for model in models for one in served.get(model) or served.get(ANY) or ()]
        channels = tuple({id(one): one for one in listed}.values())
        return self._known.keep((group, *models), channels) if channels else channels

    def models(self, groups: Iterable[str]) -> list[str]:
        """Return the names that these groups may ask for, sorted."""
        return sorted({model for group in groups for model in self._served.get(group, ()) if model != ANY})

    def nearest(self, groups: Iterable[str], model: str) -> str | None:
        """Return the most similar name that these groups may ask for, of those about as long; nothing for long ones."""
        if len(model) > _COMPARED:
            return None
        like = [name for name in self.models(groups) if abs(len(name) - len(model)) <= _NEAR]
        like.sort(key=lambda name: name[:1] != model[:1])
        return next(iter(difflib.get_close_matches(model, like[:_COMPARED], 1, 0.6)), None)


def draw(candidates: Sequence[LiveChannel], chance: random.Random) -> list[LiveChannel]:
    """Order channels for trying: higher priority first, within one priority drawn by weight without replacement.

    Weight 0 beside other weights comes last (the reference never draws it); all weights 0 is an even draw.
    """
    if len(candidates) < 2:
        return list(candidates)
    tiers: dict[int, list[LiveChannel]] = {}
    for channel in candidates:
        tiers.setdefault(channel.priority, []).append(channel)
    order: list[LiveChannel] = []
    for priority in sorted(tiers, reverse=True):
        tier = tiers[priority]
        while len(tier) > 1:
            total = sum(channel.weight for channel in tier)
            point = chance.random() * (total or len(tier))
            for channel in tier:
                point -= channel.weight if total else 1
                if point < 0:
                    break
            tier.remove(channel)
            order.append(channel)
        order += tier
    return order
