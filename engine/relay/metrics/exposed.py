"""``/metrics``: all counts of the machine, and what its processes say of themselves now.

``Exposition`` reads what workers write, in whichever process it stands; the one beside the workers tells it, and a
worker that is asked passes its words on to who may have them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import falcon

from engine.relay.metrics.series import HELP, NAMES, OF_MACHINE, OF_WORKERS, THOUSANDTHS, name
from engine.transport import local
from engine.transport.connection import Handle
from engine.transport.faults import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.cluster.aside import Aside
    from engine.cluster.counters import Counters
    from engine.cluster.tally import Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SOCKET = "metrics.sock"
_HEAD = b"GET /metrics HTTP/1.1\r\nhost: gatewright\r\nconnection: close\r\n\r\n"


class Exposition:
    """See the module. Workers are known by their rows of the tally, which the next of them take again."""

    def __init__(self, counters: Counters, tally: Tally, aside: Aside) -> None:
        self._counters, self._tally, self._aside = counters, tally, aside

    def text(self) -> str:
        """All of it."""
        by_metric: dict[str, list[tuple[str, int]]] = {}
        for series, count in sorted({**self._counters.all(), **self._gauges()}.items()):
            metric, _, labels = series.partition("{")
            by_metric.setdefault(metric, []).append((labels, count))
        return "\n".join(line for metric, rows in by_metric.items() for line in _lines(metric, rows)) + "\n"

    def _gauges(self) -> dict[str, int]:
        rows, now = self._tally.rows(), time.time()
        gauges = {metric: sum(row[place] for row in rows.values()) for place, metric in OF_MACHINE}
        for place, metric in OF_WORKERS:
            gauges |= {name(metric, str(row)): numbers[place] for row, numbers in rows.items()}
        gauges["gatewright_channels_aside"] = sum(entry.until > now for entry in self._aside.names().values())
        return gauges


class MetricsPage:
    """``/metrics``, for those who send an administrator's key as a bearer token.

    ``path`` gives the socket of the process beside the workers; nothing: it is told here.
    """

    def __init__(self, told: Exposition, path: Callable[[], str], may: Callable[[falcon.Request], bool]) -> None:
        self._told, self._path, self._may = told, path, may

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Tell all counts of this machine."""
        if not self._may(req):
            resp.status = 401
            resp.set_header("www-authenticate", "Bearer")
            resp.media = {"error": "send an administrator's API key as a bearer token"}
            return
        path = self._path()
        try:
            text = local.send(path, _HEAD, b"", Handle()).read().decode() if path else self._told.text()
        except TransportError:
            resp.status = 503
            resp.set_header("retry-after", "1")
            resp.media = {"error": "the process for metrics is being started; ask again in a second"}
            return
        resp.content_type = CONTENT_TYPE
        resp.text = text


def _lines(metric: str, rows: list[tuple[str, int]]) -> Iterator[str]:
    kind, words = HELP.get(metric, ("counter", "See the documentation."))
    yield f"# HELP {metric} {words}"
    yield f"# TYPE {metric} {kind}"
    if kind != "histogram":
        for labels, count in rows:
            shown = f"{count // 1000}.{count % 1000:03}" if metric in THOUSANDTHS else str(count)
            yield f"{metric}{'{' if labels else ''}{labels} {shown}"
        return
    counted, total = dict(rows), 0
    for bound in NAMES:
        total += counted.get(f'le="{bound}"}}', 0)
        yield f'{metric}_bucket{{le="{bound}"}} {total}'
    yield f"{metric}_sum {counted.get('sum', 0) / 1000:g}"
    yield f"{metric}_count {total}"
