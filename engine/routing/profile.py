"""What is the same of all calls to one channel in one format: headers, those handed on and back, time limits. Data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.transport.leg import Timeouts

Pairs = dict[str, str]


@dataclass(frozen=True, slots=True)
class RouteTimeouts:
    """The time limits that a Route declares for its calls: seconds by the names that documents have for them."""

    route: str
    declared: Mapping[str, Any]


class HeaderFilter:
    """Headers by listed names; a ``*`` at the end of one means any that begin so."""

    __slots__ = ("_exact", "_never", "_prefixes")

    def __init__(self, names: Iterable[str], never: frozenset[str]) -> None:
        lowered = dict.fromkeys(name.lower() for name in names)
        self._never = never
        self._exact = tuple(name for name in lowered if not name.endswith("*") and name not in never)
        self._prefixes = tuple(name[:-1] for name in lowered if name.endswith("*"))

    def of(self, headers: Mapping[str, str]) -> Pairs:
        """Those of ``headers``, which are in lower case."""
        pairs = {name: headers[name] for name in self._exact if name in headers} if self._exact else {}
        if self._prefixes:
            never, prefixes = self._never, self._prefixes
            pairs |= {key: value for key, value in headers.items() if key.startswith(prefixes) and key not in never}
        return pairs


@dataclass(frozen=True, slots=True)
class UpstreamProfile:
    """See the module. ``path`` has ``{model}`` where the model's name goes."""

    path: str
    timeouts: Timeouts
    forward: HeaderFilter
    back: HeaderFilter
    _usual: Pairs
    _hop: Pairs
    _unless_sent: Pairs
    _plain: Pairs

    def headers(self, sent: Mapping[str, str]) -> Pairs:
        """The headers of a call whose caller sent these."""
        forwarded = self.forward.of(sent)
        if not forwarded:
            return self._plain.copy()
        return {**self._unless_sent, **self._usual, **forwarded, **self._hop}
