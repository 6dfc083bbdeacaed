"""Makes what is the same of all calls to one channel in one format.

PERF: made at the first call and kept with the channel, so that a call only copies. Knows no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine import __version__
from engine.routing.profile import HeaderFilter, Pairs, UpstreamProfile
from engine.transport.leg import Timeouts

if TYPE_CHECKING:
    from engine.program import Format
    from engine.routing.attempt import Attempt
    from engine.routing.channel import LiveChannel
    from engine.routing.request import RoutedCall

NEVER_UP = frozenset(
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


def upstream_profile(limits: Timeouts, call: RoutedCall, attempt: Attempt, *, same: bool) -> UpstreamProfile:
    """Return an attempt's profile; ``same``: the caller's bytes pass through, so its headers mean something up there.

    ``limits`` are the operator's time limits, which hold where neither its Route nor the provider has its own.
    """
    profiles, route = attempt.channel.profiles, attempt.timeouts
    key = (attempt.format.name, call.format.name if same else "", call.stream, "" if route is None else route.route)
    profile = profiles.get(key)
    if profile is None:
        times = time_limits(limits, attempt.channel.provider.timeouts)
        if route is not None:
            times = time_limits(times, route.declared)
        profile = profiles[key] = _made(
            times, attempt.channel, attempt.format, call.format if same else None, call.stream
        )
    return profile


def _made(times: Timeouts, channel: LiveChannel, spoken: Format, asked: Format | None, stream: bool) -> UpstreamProfile:
    provider = channel.provider
    # A format without streams answers whole, however long that takes, also to who wants a stream.
    stream = stream and spoken.stream is not None
    hop = provider.formats[spoken.name]
    usual = {
        "content-type": "application/json",
        "accept": "text/event-stream" if stream else "application/json",
        "user-agent": f"gatewright/{__version__}",
    }
    unless_sent = _filled(channel, provider.headers.get("set") or {})
    above = _filled(channel, {**hop.headers, **hop.stream_headers} if stream else hop.headers)
    up = asked.headers.get("forward") or () if asked is not None else ()
    back = spoken.headers.get("return") or () if asked is not None else ()
    return UpstreamProfile(
        path=channel.path(hop.stream_path if stream else hop.path),
        timeouts=times.of_streams() if stream else replace(times, first_token=0.0),
        forward=HeaderFilter([*(provider.headers.get("forward") or ()), *up], NEVER_UP),
        back=HeaderFilter([*(provider.headers.get("return") or ()), *back], _NEVER_BACK),
        _usual=usual,
        _hop=above,
        _unless_sent=unless_sent,
        _plain={**unless_sent, **usual, **above},
    )


def _filled(channel: LiveChannel, headers: Mapping[str, Any]) -> Pairs:
    """The headers to send; one whose parameters come to nothing is not sent."""
    texts = {name.lower(): (str(value), channel.filled(str(value))) for name, value in headers.items()}
    return {name: filled for name, (text, filled) in texts.items() if filled or not text}


def time_limits(base: Timeouts, declared: Mapping[str, Any]) -> Timeouts:
    """The time limits that a document declares, and where it declares none those of ``base``; seconds, 0 = none."""
    return Timeouts(
        connect=declared.get("connect", base.connect),
        first_byte=declared.get("firstByte", base.first_byte),
        idle=declared.get("idle", base.idle),
        total=declared.get("total", base.total),
        streamed=declared.get("streamFirstByte", base.streamed),
        first_token=declared.get("firstToken", base.first_token),
    )
