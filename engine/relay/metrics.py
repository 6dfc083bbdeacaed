"""Metrics: what calls came to, counted by all workers together, in the text form that Prometheus reads.

One line for each count, with bounded labels: formats, meanings, names of channels and limits; never a model that a
caller made up, a key or a user.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import falcon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from engine.cluster.counters import Counters
    from engine.cluster.tally import Tally
    from engine.relay.call import Call
    from engine.routing.attempt import Outcome

log = logging.getLogger(__name__)
_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_NAMES = (*(f"{bound:g}" for bound in _BOUNDS), "+Inf")
_HELP = {
    "gatewright_calls_total": ("counter", "Calls that ended, by the caller's format, and by what ended them."),
    "gatewright_attempts_total": ("counter", "Attempts by channel, and by what they failed by."),
    "gatewright_tokens_total": ("counter", "Tokens of calls, by kind."),
    "gatewright_charged_units_total": ("counter", "Units of quota that callers were charged."),
    "gatewright_limited_total": ("counter", "Calls that a limit refused, by its name."),
    "gatewright_waited_total": ("counter", "Calls that waited for a channel with room."),
    "gatewright_call_seconds": ("histogram", "From a call's arrival to its end."),
    "gatewright_first_byte_seconds": ("histogram", "From a call's arrival to its provider's first byte."),
    "gatewright_calls_open": ("gauge", "Calls that are under way now, of all workers of the machine."),
    "gatewright_channels_aside": ("gauge", "Channels and keys that are set aside now."),
    "gatewright_calls_waiting": ("gauge", "Calls of the answering worker that wait for a channel with room."),
    "gatewright_entries_waiting": ("gauge", "Finished calls of the answering worker that no database has yet."),
}
_SUM = "{sum"
"""What the sum of a histogram stands under, beside its bounds."""
_Histogram = tuple[tuple[tuple[str, str], ...], tuple[str]]
"""Under what a histogram counts: by each of the bounds, and the sum."""


def _histogram(metric: str) -> _Histogram:
    return tuple((metric, bound) for bound in _NAMES), (metric + _SUM,)


_CALL_SECONDS, _FIRST_BYTE_SECONDS = map(_histogram, ("gatewright_call_seconds", "gatewright_first_byte_seconds"))
_KINDS = (
    (("gatewright_tokens_total", "input"), "input_total"),
    (("gatewright_tokens_total", "output"), "output_total"),
    (("gatewright_tokens_total", "cache_read"), "cache_read"),
    (("gatewright_tokens_total", "reasoning"), "reasoning"),
)


class Cells(dict[tuple[str, ...], int]):
    """Where a metric with the values of its labels is counted. PERF: written once, found without a call of ours."""

    def __init__(self, counters: Counters) -> None:
        super().__init__()
        self._counters = counters

    def __missing__(self, series: tuple[str, ...]) -> int:
        if len(self) >= _MOST:
            self.clear()
        at = self[series] = self._counters.place(_name(*series))
        return at


class Metrics:
    """The counts of one machine, as one worker adds to them. ``under_way`` has the calls that are open now."""

    def __init__(self, counters: Counters, under_way: Tally) -> None:
        self._counters, self._cells = counters, Cells(counters)
        self._under_way = under_way

    def began(self, call: Call) -> None:
        """A call is under way. PERF: a write to memory."""
        call.open = True
        self._under_way.add(1)

    def over(self, call: Call) -> None:
        """It is no more, whatever became of it."""
        if call.open:
            call.open = False
            self._under_way.add(-1)

    def open(self) -> int:
        """Calls that are under way now, of all workers of this machine."""
        return self._under_way.total()

    def ended(self, call: Call, outcome: Outcome, error: Mapping[str, Any] | None, quota: int) -> None:
        """A call is over. Never raises."""
        try:
            self._counters.add(self._amounts(call, outcome, error, quota))
        except (OSError, ValueError):
            log.exception("call %s is not counted", call.request_id)

    def _amounts(
        self, call: Call, outcome: Outcome, error: Mapping[str, Any] | None, quota: int
    ) -> list[tuple[int, int]]:
        cells, usage = self._cells, outcome.usage
        amounts = [(cells["gatewright_calls_total", call.format.name, error["meaning"] if error else "ok"], 1)]
        for attempt in call.attempts:
            failed = attempt.outcome.error if not attempt.outcome.lost else None
            meaning = failed["meaning"] if failed else ""
            amounts.append((cells["gatewright_attempts_total", attempt.channel.name, meaning], 1))
        for series, bucket in _KINDS if usage else ():
            tokens = usage.get(bucket)
            if tokens:
                amounts.append((cells[series], int(tokens)))
        if quota:
            amounts.append((cells["gatewright_charged_units_total",], quota))
        if call.limited is not None and not call.limited.asks and call.limited.rules:
            amounts.append((cells["gatewright_limited_total", call.limited.rules[0].name], 1))
        if call.waited:
            amounts.append((cells["gatewright_waited_total",], 1))
        self._observe(amounts, _CALL_SECONDS, time.monotonic() - call.started)
        if outcome.first_byte is not None:
            self._observe(amounts, _FIRST_BYTE_SECONDS, outcome.first_byte - call.started)
        return amounts

    def _observe(self, amounts: list[tuple[int, int]], histogram: _Histogram, seconds: float) -> None:
        bounds, total = histogram
        cells = self._cells
        amounts += ((cells[bounds[bisect_left(_BOUNDS, seconds)]], 1), (cells[total], int(seconds * 1000 + 0.5)))

    def text(self, gauges: Mapping[str, int]) -> str:
        """All of it."""
        by_metric: dict[str, list[tuple[str, int]]] = {}
        for name, count in sorted({**self._counters.all(), **gauges}.items()):
            metric, _, labels = name.partition("{")
            by_metric.setdefault(metric, []).append((labels, count))
        return "\n".join(line for metric, rows in by_metric.items() for line in _lines(metric, rows)) + "\n"


_LABELS = {
    "gatewright_calls_total": ("format", "ended"),
    "gatewright_attempts_total": ("channel", "failed"),
    "gatewright_tokens_total": ("kind",),
    "gatewright_limited_total": ("limit",),
    "gatewright_call_seconds": ("le",),
    "gatewright_first_byte_seconds": ("le",),
}
_MOST = 8192


def _name(metric: str, *values: str) -> str:
    """How a metric with the values of its labels stands among the counts."""
    if not values:
        return metric
    pairs = zip(_LABELS[metric], values, strict=True)
    return metric + "{" + ",".join(f'{label}="{_label(value)}"' for label, value in pairs) + "}"


def _label(text: str) -> str:
    """A name as a label's value."""
    return text[:80].replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _lines(metric: str, rows: list[tuple[str, int]]) -> Iterator[str]:
    kind, words = _HELP.get(metric, ("counter", "See the documentation."))
    yield f"# HELP {metric} {words}"
    yield f"# TYPE {metric} {kind}"
    if kind != "histogram":
        for labels, count in rows:
            yield f"{metric}{'{' if labels else ''}{labels} {count}"
        return
    counted, total = dict(rows), 0
    for bound in _NAMES:
        total += counted.get(f'le="{bound}"}}', 0)
        yield f'{metric}_bucket{{le="{bound}"}} {total}'
    yield f"{metric}_sum {counted.get('sum', 0) / 1000:g}"
    yield f"{metric}_count {total}"


class MetricsPage:
    """``/metrics``, for those who send an administrator's key as a bearer token."""

    def __init__(
        self, metrics: Metrics, gauges: Callable[[], Mapping[str, int]], may: Callable[[falcon.Request], bool]
    ) -> None:
        self._metrics, self._gauges, self._may = metrics, gauges, may

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Tell all counts of this machine."""
        if not self._may(req):
            resp.status = 401
            resp.set_header("www-authenticate", "Bearer")
            resp.media = {"error": "send an administrator's API key as a bearer token"}
            return
        resp.content_type = "text/plain; version=0.0.4; charset=utf-8"
        resp.text = self._metrics.text(self._gauges())
