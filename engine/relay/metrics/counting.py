"""Counts calls as they end, and says what is under way now. Written to by each worker, read by ``exposed``."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from engine.relay.metrics.series import BOUNDS, ENTRIES, NAMES, OPEN, STREAMS, WAITING, name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.cluster.counters import Counters
    from engine.cluster.tally import Tally
    from engine.ledger.pricing.book import Charge
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt, Outcome

log = logging.getLogger(__name__)
_SUM = "{sum"
"""What the sum of a histogram stands under, beside its bounds."""
_Histogram = tuple[tuple[tuple[str, str], ...], tuple[str]]
"""Under what a histogram counts: by each of the bounds, and the sum."""


def _histogram(metric: str) -> _Histogram:
    return tuple((metric, bound) for bound in NAMES), (metric + _SUM,)


_CALL_SECONDS, _FIRST_BYTE_SECONDS = map(_histogram, ("gatewright_call_seconds", "gatewright_first_byte_seconds"))
_KINDS = (
    (("gatewright_tokens_total", "input"), "input_total"),
    (("gatewright_tokens_total", "output"), "output_total"),
    (("gatewright_tokens_total", "cache_read"), "cache_read"),
    (("gatewright_tokens_total", "cache_write"), "cache_write"),
    (("gatewright_tokens_total", "reasoning"), "reasoning"),
)
_STREAM_STALLS, _WORKER_STALLS = ("gatewright_stalls_total", "stream"), ("gatewright_stalls_total", "worker")
_MOST = 8192


class Cells(dict[tuple[str, ...], int]):
    """Where a metric with the values of its labels is counted. PERF: written once, found without a call of ours."""

    def __init__(self, counters: Counters) -> None:
        super().__init__()
        self._counters = counters

    def __missing__(self, series: tuple[str, ...]) -> int:
        if len(self) >= _MOST:
            self.clear()
        at = self[series] = self._counters.place(name(*series))
        return at


class Metrics:
    """The counts of one machine, as one worker adds to them. ``tally`` has what each says of itself now."""

    def __init__(self, counters: Counters, tally: Tally) -> None:
        self._counters, self._cells, self._tally = counters, Cells(counters), tally
        self._lost = 0

    def began(self, call: Call) -> None:
        """A call is under way. PERF: a write to memory, two for a stream."""
        call.open = True
        self._tally.add(1, OPEN)
        if call.stream:
            self._tally.add(1, STREAMS)

    def over(self, call: Call) -> None:
        """It is no more, whatever became of it."""
        if call.open:
            call.open = False
            self._tally.add(-1, OPEN)
            if call.stream:
                self._tally.add(-1, STREAMS)

    def waits(self, more: int) -> None:
        """So many more calls wait for a channel with room."""
        self._tally.add(more, WAITING)

    def stands(self, entries: int, lost: int) -> None:
        """What this worker's journal holds that no database has, and how many exchanges it lost; every second."""
        self._tally.set(entries, ENTRIES)
        more, self._lost = lost - self._lost, lost
        if more:
            self._add([(self._cells["gatewright_captures_lost",], more)], "what was lost")

    def stalled(self, times: int) -> None:
        """Pieces of work held up this worker."""
        self._add([(self._cells[_WORKER_STALLS], times)], "what held up a worker")

    def ended(self, call: Call, outcome: Outcome, error: Mapping[str, Any] | None, charge: Charge | None) -> None:
        """A call is over. Never raises."""
        self._add(self._amounts(call, outcome, error, charge), f"call {call.request_id}")

    def _add(self, amounts: list[tuple[int, int]], what: str) -> None:
        try:
            self._counters.add(amounts)
        except (OSError, ValueError):
            log.exception("%s is not counted", what)

    def _amounts(
        self, call: Call, outcome: Outcome, error: Mapping[str, Any] | None, charge: Charge | None
    ) -> list[tuple[int, int]]:
        cells, usage = self._cells, outcome.usage
        amounts = [(cells["gatewright_calls_total", call.format.name, error["meaning"] if error else "ok"], 1)]
        for attempt in call.attempts:
            amounts += self._attempt(attempt)
        for series, bucket in _KINDS if usage else ():
            tokens = usage.get(bucket)
            if tokens:
                amounts.append((cells[series], int(tokens)))
        if charge is not None and charge.quota:
            amounts += [(cells["gatewright_charged_units_total", bucket], part) for bucket, part in _money(charge)]
        if call.limited is not None and not call.limited.asks and call.limited.rules:
            amounts.append((cells["gatewright_limited_total", call.limited.rules[0].name], 1))
        if call.waited:
            amounts.append((cells["gatewright_waited_total",], 1))
        self._observe(amounts, _CALL_SECONDS, time.monotonic() - call.started)
        if outcome.first_byte is not None:
            self._observe(amounts, _FIRST_BYTE_SECONDS, outcome.first_byte - call.started)
        return amounts

    def _attempt(self, attempt: Attempt) -> list[tuple[int, int]]:
        outcome = attempt.outcome
        failed = outcome.error if not outcome.lost else None
        meaning = failed["meaning"] if failed else ""
        amounts = [(self._cells["gatewright_attempts_total", attempt.channel.name, meaning], 1)]
        if meaning == "timeout" and outcome.first_byte is not None:
            amounts.append((self._cells[_STREAM_STALLS], 1))
        return amounts

    def _observe(self, amounts: list[tuple[int, int]], histogram: _Histogram, seconds: float) -> None:
        bounds, total = histogram
        cells = self._cells
        amounts += ((cells[bounds[bisect_left(BOUNDS, seconds)]], 1), (cells[total], int(seconds * 1000 + 0.5)))


def _money(charge: Charge) -> list[tuple[str, int]]:
    """Thousandths of units by bucket: each has its line's part of the whole, which they add up to."""
    left = charge.quota * 1000
    lines = [(line["bucket"], float(line["amount"])) for line in charge.lines if line["amount"] > 0]
    if not lines:
        return [("other", left)]
    total, parts = sum(amount for _, amount in lines), []
    for bucket, amount in lines[:-1]:
        part = min(left, round(charge.quota * 1000 * amount / total))
        parts.append((bucket, part))
        left -= part
    return [*parts, (lines[-1][0], left)]
