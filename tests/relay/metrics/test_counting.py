"""What is counted of a call: money by bucket to the last thousandth, tokens by kind, streams that fell silent."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.cluster.counters import Counters
from engine.cluster.tally import Tally
from engine.ledger.pricing.book import Charge
from engine.relay.metrics.counting import Metrics
from engine.relay.metrics.series import WIDTH
from engine.relay.services import counted
from engine.settings import Settings


def charge(quota: int, **lines: str) -> Charge:
    told = tuple({"bucket": bucket, "amount": Decimal(amount)} for bucket, amount in lines.items())
    return Charge(quota, Decimal(1), "", "", told)


def told(tmp_path: Path, *calls: tuple[Any, Any, Charge | None]) -> dict[str, str]:
    """What is told of calls: an attempt's error, usage and charge."""
    metrics = Metrics(Counters(tmp_path / "counts"), Tally(tmp_path / "gauges", WIDTH))
    for error, usage, charged in calls:
        outcome = SimpleNamespace(usage=usage, first_byte=time.monotonic(), error=error, lost=False)
        attempt = SimpleNamespace(channel=SimpleNamespace(name="c"), outcome=outcome)
        call: Any = SimpleNamespace(
            format=SimpleNamespace(name="f"), attempts=[attempt], limited=None, waited=0, started=0.0, request_id="r"
        )
        metrics.ended(call, outcome, error, charged)  # type: ignore[arg-type]  # what it reads of an outcome
    metrics.stalled(2)
    lines = [line.rpartition(" ") for line in counted(Settings(data=tmp_path)).text().splitlines()]
    return {name: value for name, _, value in lines if not name.startswith("#")}


def test_money_is_told_by_bucket_and_adds_up(tmp_path: Path) -> None:
    counts = told(
        tmp_path,
        (
            None,
            {"cache_write": 7, "cache_read": 0},
            charge(10, input="1", output="1", cache_write="1"),
        ),
        (None, {}, charge(5, fee="0.01")),
        (None, {}, charge(4)),
        (None, {}, charge(0, input="1")),
    )
    money = {name: value for name, value in counts.items() if name.startswith("gatewright_charged")}
    assert money == {
        'gatewright_charged_units_total{bucket="input"}': "3.333",
        'gatewright_charged_units_total{bucket="output"}': "3.333",
        'gatewright_charged_units_total{bucket="cache_write"}': "3.334",
        'gatewright_charged_units_total{bucket="fee"}': "5.000",
        'gatewright_charged_units_total{bucket="other"}': "4.000",
    }
    assert sum(map(Decimal, money.values())) == 19
    assert counts['gatewright_tokens_total{kind="cache_write"}'] == "7"
    assert 'gatewright_tokens_total{kind="cache_read"}' not in counts


def test_streams_that_fell_silent_and_work_that_held_up_a_worker_are_stalls(tmp_path: Path) -> None:
    counts = told(tmp_path, ({"meaning": "timeout"}, {}, None), ({"meaning": "overloaded"}, {}, None))
    assert counts['gatewright_stalls_total{what="stream"}'] == "1"
    assert counts['gatewright_stalls_total{what="worker"}'] == "2"
