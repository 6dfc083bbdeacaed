"""``split``: a share of the callers goes to each of some channels first, and each caller always to the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from engine.routing.strategies.tier import Dividing, first

if TYPE_CHECKING:
    from engine.routing.channel import LiveChannel
    from engine.routing.request import RoutedCall
    from engine.routing.strategies.tier import Scene, Tier


class Split(Dividing):
    """``shares``: parts by the name of a channel or its tag; ``rest`` is any other. ``by``: what makes a caller one."""

    def __init__(self, shares: Mapping[str, float], by: Sequence[str] = ("key",)) -> None:
        self._names = list(shares)
        self._bounds = list(accumulate(shares.values()))
        self._by = tuple(by)

    def divide(self, tier: Tier, scene: Scene) -> list[Tier]:
        """The channels of the caller's share first."""
        name = self._share(scene.call)
        scene.said.append(f"split sends it to {name}")
        return first(tier, (self, name), lambda channel: self._is(channel, name))

    def _is(self, channel: LiveChannel, name: str) -> bool:
        named = {channel.name, channel.tag}
        return named.isdisjoint(self._names) if name == "rest" else name in named

    def _share(self, call: RoutedCall) -> str:
        text = "\0".join([_value(call, name) for name in self._by])
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
        point = int.from_bytes(digest, "big") / 2**64 * self._bounds[-1]
        return next(name for name, bound in zip(self._names, self._bounds, strict=True) if point < bound)


def _value(call: RoutedCall, name: str) -> str:
    if name.startswith("header:"):
        return call.headers.get(name[7:].lower(), "")
    account = call.account
    if name == "model":
        return call.asked
    if name == "address" or account is None:
        return call.ip
    return str(account.user_id if name == "user" else account.token_id)


STRATEGY = Split
