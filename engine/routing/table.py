"""Which channel serves which model to which group: one look-up table of documents' and the database's channels.

Built (``channels``) when the program or the database's channels change, never per request. Knows nothing of calls.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from engine.bounds import Kept
from engine.strategies.tier import Tier

if TYPE_CHECKING:
    from engine.routing.channel import LiveChannel

_KEPT = 10_000
_NEAR = 3
"""By how many characters a name may be longer or shorter than one that it is taken for."""
_COMPARED = 64
"""How many names one is compared with (20 us each), and the longest that is."""
ANY = "*"
"""A channel that lists this serves every model of its groups that nobody else lists."""


class Table:
    """Channels by group and model, and what each group may see. ``unused`` are ids of channels that are not served.

    ``faulty``: group and model of what channels with faults would serve.
    """

    def __init__(
        self, channels: Iterable[LiveChannel], known: Iterable[int] = (), faulty: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._faulty = frozenset(faulty)
        self.channels = list(channels)
        self.by_id = {channel.id: channel for channel in self.channels if channel.id}
        self.timed = any(channel.hours is not None or channel.aside_until for channel in self.channels)
        """Whether there are channels that may not be asked at some times."""
        self.unused = frozenset(known) - self.by_id.keys()
        self._served: dict[str, dict[str, list[LiveChannel]]] = {}
        for channel in self.channels:
            for group in channel.groups:
                served = self._served.setdefault(group, {})
                for model in channel.models:
                    served.setdefault(model, []).append(channel)
        self._known: Kept[tuple[str, ...], Tier[LiveChannel]] = Kept(_KEPT)

    def noted(self, number: int, mark: object) -> LiveChannel | None:
        """The channel that a row of ours names, by the number of its own row or else by its mark, if it is in use."""
        if number:
            return self.by_id.get(number)
        return next((channel for channel in self.channels if channel.mark == mark), None) if mark else None

    def known(self, group: str, *models: str, asked: str) -> Tier[LiveChannel] | None:
        """What ``candidates`` gave before. PERF: nearly every call asks for what another has asked for."""
        return self._known.get((group, asked, *models))

    def candidates(
        self, group: str, *models: str, asked: str = "", takes: Callable[[LiveChannel], bool] | None = None
    ) -> Tier[LiveChannel]:
        """Return the channels that serve any of these models to ``group``, each once, in no order.

        With ``asked``, only those of which ``takes`` says that they can take calls in the format of that name.
        """
        cached = self._known.get((group, asked, *models))
        if cached is not None:
            return cached
        served = self._served.get(group, {})
        listed = [channel for model in models for channel in served.get(model) or served.get(ANY) or ()]
        tier = Tier(
            [
                channel
                for channel in {id(channel): channel for channel in listed}.values()
                if takes is None or takes(channel)
            ]
        )
        return self._known.keep((group, asked, *models), tier) if tier else tier

    def lists(self, group: str, model: str) -> bool:
        """Whether a channel of a group names this model."""
        return model in self._served.get(group, ())

    def faulty(self, groups: Iterable[str], model: str) -> bool:
        """Whether a channel would serve this model to one of these groups, were it not left out for a fault in it."""
        return bool(self._faulty) and any((group, model) in self._faulty for group in groups)

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
