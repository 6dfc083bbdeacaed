"""``split``: a share of the callers goes to each of some channels first, and each caller always to the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from engine.strategies.record import StrategyFault, StrategyRecord
from engine.strategies.tier import Dividing, first

if TYPE_CHECKING:
    from engine.strategies.tier import C, RankedCall, RankedChannel, Scene, Tier

_KEPT = 10_000
_LONGEST = 200
"""Characters of what is remembered: headers are the callers' own."""


class Split(Dividing):
    """``shares``: parts by the name of a channel or its tag; ``rest`` is any other. ``by``: what makes a caller one."""

    def __init__(self, shares: Mapping[str, float], by: Sequence[str] = ("key",)) -> None:
        self._names = list(shares)
        self._bounds = list(accumulate(shares.values()))
        self._by = tuple(by)
        self._known: dict[str, str] = {}
        """Shares of callers. PERF: most of them call again."""

    def divide(self, tier: Tier[C], scene: Scene) -> list[Tier[C]]:
        """The channels of the caller's share first."""
        name = self._share(scene.call)
        scene.said.append(f"split sends it to {name}")
        return first(tier, (self, name), lambda channel: self._is(channel, name))

    def _is(self, channel: RankedChannel, name: str) -> bool:
        named = {channel.name, channel.tag}
        return named.isdisjoint(self._names) if name == "rest" else name in named

    def _share(self, call: RankedCall) -> str:
        text = "\0".join([_value(call, name) for name in self._by])
        known = self._known.get(text)
        if known is not None:
            return known
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
        point = int.from_bytes(digest, "big") / 2**64 * self._bounds[-1]
        share = next(name for name, bound in zip(self._names, self._bounds, strict=True) if point < bound)
        if len(text) > _LONGEST:
            return share
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[text] = share
        return share


def _value(call: RankedCall, name: str) -> str:
    if name.startswith("header:"):
        return call.headers.get(name[7:].lower(), "")
    account = call.account
    if name == "model":
        return call.asked
    if name == "address" or account is None:
        return call.ip
    return str(account.user_id if name == "user" else account.token_id)


def _check(parameters: Mapping[str, Any]) -> StrategyFault | None:
    shares = parameters.get("shares")
    if not isinstance(shares, Mapping) or not shares:
        return None
    if any(isinstance(part, int | float) and part > 0 for part in shares.values()):
        return None
    return StrategyFault(("shares",), "the shares sum to nothing, so no caller goes anywhere", "a share above 0")


STRATEGY = StrategyRecord(
    "split",
    Split,
    "A share of the callers goes to each of some channels first, each caller always to the same.",
    {
        "shares": {
            "description": "Parts of a whole by names or tags of channels; `rest`: any other.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"description": "The part.", "type": "number", "minimum": 0},
        },
        "by": {
            "description": "What makes a caller one: key (the usual), user, address, model, or `header:NAME`.",
            "type": "array",
            "minItems": 1,
            "items": {
                "description": "One of these.",
                "type": "string",
                "pattern": "^(key|user|address|model|header:[A-Za-z0-9-]+)$",
            },
        },
    },
    required=("shares",),
    check=_check,
)
