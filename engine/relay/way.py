"""What is the same of all calls to one channel in one format: headers, those that are handed on and back, time limits.

PERF: made at the first call and kept with the channel, so that a call only copies. Knows no call and no secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine import __version__
from engine.transport.leg import Timeouts

if TYPE_CHECKING:
    from engine.program import Format
    from engine.relay.call import Attempt, Call
    from engine.relay.state import RelayState
    from engine.relay.table import LiveChannel

Pairs = dict[str, str]
_NEVER_UP = frozenset(
    {
        "authorization",
        "cookie",
        "proxy-authorization",
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
        "content-encoding",
        "content-type",
        "accept",
        "upgrade",
        "te",
        "trailer",
        "keep-alive",
        "expect",
    }
)
"""Client headers that never go up, whatever a document lists."""
_NEVER_BACK = frozenset({"set-cookie", "content-type", "content-length", "transfer-encoding"})


class Picked:
    """Headers by listed names; a ``*`` at the end of one means any that begin so."""

    __slots__ = ("_exact", "_never", "_prefixes")

    def __init__(self, names: Iterable[str], never: frozenset[str]) -> None:
        lowered = dict.fromkeys(name.lower() for name in names)
        self._never = never
        self._exact = tuple(name for name in lowered if not name.endswith("*") and name not in never)
        self._prefixes = tuple(name[:-1] for name in lowered if name.endswith("*"))

    def of(self, headers: Mapping[str, str]) -> Pairs:
        """Those of ``headers``, which are in lower case."""
        found = {name: headers[name] for name in self._exact if name in headers}
        if self._prefixes:
            never, prefixes = self._never, self._prefixes
            found |= {key: value for key, value in headers.items() if key.startswith(prefixes) and key not in never}
        return found


@dataclass(frozen=True, slots=True)
class Way:
    """See the module. ``path`` has ``{model}`` where the model's name goes."""

    path: str
    timeouts: Timeouts
    forward: Picked
    back: Picked
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


def way(state: RelayState, call: Call, attempt: Attempt, *, same: bool) -> Way:
    """Return an attempt's way; ``same``: the caller's bytes pass through, so its headers mean something up there."""
    ways, key = attempt.channel.ways, (attempt.format.name, call.format.name if same else "", call.stream)
    held = ways.get(key)
    if held is None:
        held = ways[key] = _made(state, attempt.channel, attempt.format, call.format if same else None, call.stream)
    return held


def _made(state: RelayState, channel: LiveChannel, spoken: Format, asked: Format | None, stream: bool) -> Way:
    provider = channel.provider
    hop = provider.formats[spoken.name]
    usual = {
        "content-type": "application/json",
        "accept": "text/event-stream" if stream else "application/json",
        "user-agent": f"gatewright/{__version__}",
    }
    unless_sent = _filled(channel, provider.headers.get("set") or {})
    above = _filled(channel, hop.headers)
    up = asked.headers.get("forward") or () if asked is not None else ()
    back = spoken.headers.get("return") or () if asked is not None else ()
    return Way(
        path=channel.path(hop.stream_path if stream else hop.path),
        timeouts=_timeouts(state, provider.timeouts),
        forward=Picked([*(provider.headers.get("forward") or ()), *up], _NEVER_UP),
        back=Picked([*(provider.headers.get("return") or ()), *back], _NEVER_BACK),
        _usual=usual,
        _hop=above,
        _unless_sent=unless_sent,
        _plain={**unless_sent, **usual, **above},
    )


def _filled(channel: LiveChannel, headers: Mapping[str, Any]) -> Pairs:
    """The headers to send; one whose parameters come to nothing is not sent."""
    texts = {name.lower(): (str(value), channel.filled(str(value))) for name, value in headers.items()}
    return {name: filled for name, (text, filled) in texts.items() if filled or not text}


def _timeouts(state: RelayState, own: Mapping[str, Any]) -> Timeouts:
    """The provider's own timeouts before those of the operator's Policy before the settings'; seconds, 0 = none."""
    declared: dict[str, Any] = {**state.policy_timeouts, **own}
    base = state.timeouts
    return Timeouts(
        connect=declared.get("connect", base.connect),
        first_byte=declared.get("firstByte", base.first_byte),
        idle=declared.get("idle", base.idle),
        total=declared.get("total", base.total),
    )
