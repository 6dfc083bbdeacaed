"""What accounting costs: CPU per request with and without group commit, and what a lone request waits for it.

One process under gevent, as a worker is: 32 callers that each hold, wait for an upstream of 8 ms, settle and journal,
while the committer writes to SQLite. What the callers cost without accounting is subtracted. Measured twice: with
300 us of other work for each request, as relaying is, which is what the bound is for; and in a worker that does
nothing else, whose commits find fewer calls waiting and so cost more for each.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.accounts.keys import create_key  # noqa: E402
from engine.accounts.users import create_user  # noqa: E402
from engine.cluster.holds import Holds  # noqa: E402
from engine.ledger import commit  # noqa: E402
from engine.ledger.commit import Ledger  # noqa: E402
from engine.ledger.proof import verify  # noqa: E402
from engine.ledger.reserve import Reserves  # noqa: E402
from engine.ledger.terms import Terms  # noqa: E402
from engine.relay.ingress.ids import fresh_id  # noqa: E402
from engine.settings import Settings  # noqa: E402
from engine.storage.database import Database, open_database  # noqa: E402
from engine.storage.rows.log_rows import LogRow  # noqa: E402
from engine.storage.rows.posting import Entry  # noqa: E402

TERMS = Terms()
UPSTREAM = 0.008
RELAYING = 300e-6
OTHER = {
    "request_path": "/v1/chat/completions", "release": "0123456789abcdef", "admin_info": {"use_channel": ["bench"]},
    "frt": 12, "channel": "bench", "usage": {"input_fresh": 200, "input_total": 200, "output_text": 150, "total": 350},
    "usage_source": "upstream", "model_ratio": "1", "group_ratio": "1", "completion_ratio": "1", "model_price": -1,
    "price": {"rule": "bench", "place": "bench.yaml:12", "usd": "0.0007", "lines": [
        {"bucket": "input", "units": 200, "price": "2", "amount": "0.0004"},
        {"bucket": "output", "units": 150, "price": "2", "amount": "0.0003"}]},
}  # fmt: skip


class Worker:
    """The parts of a worker that account."""

    def __init__(self, db: Database, data: Path, user: int, token: int) -> None:
        self.holds = Holds(data / "holds")
        self.ledger = Ledger(db, data / "journal", self.holds)
        self.reserves = Reserves(db, self.holds, away=lambda: self.ledger.away)
        self.user, self.token = user, token
        self.ledger.start()

    def begin(self) -> Any:
        """What a call does before it is sent."""
        self.ledger.ready()
        return self.reserves.hold(self.user, self.token, 4_500, TERMS)

    def end(self, held: Any, request: str) -> None:
        """What it does before its last bytes leave."""
        row = LogRow(
            user_id=self.user, username="payer", token_id=self.token, token_name="k", model_name="bench-model",
            channel_id=0, type=2, content="", quota=350, prompt_tokens=200, completion_tokens=150, use_time=0,
            is_stream=False, group="default", ip="", request_id=request, upstream_request_id="u", created_at=1,
            other=dict(OTHER),
        )  # fmt: skip
        held.settle(350)
        self.ledger.put(Entry(request, 1_790_000_000, self.user, self.token, 0, 350, True, "upstream", row))

    def close(self) -> None:
        """Commit what waits."""
        assert self.ledger.close(60)
        self.holds.close()


def burn(seconds: float) -> None:
    """Work of a relay's kind: Python that holds the interpreter."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        json.dumps(OTHER)


def load(worker: Worker | None, callers: int, each: int, other: float) -> float:
    """CPU seconds of so many callers with so many requests each; with the commits that they cause."""

    def caller() -> None:
        for _ in range(each):
            held = worker.begin() if worker else None
            gevent.sleep(UPSTREAM)
            if other:
                burn(other)
            if worker:
                worker.end(held, fresh_id())

    before = time.process_time()
    gevent.joinall([gevent.spawn(caller) for _ in range(callers)])
    if worker:
        assert worker.ledger.flush(60)
    return time.process_time() - before


def main() -> None:
    """Measure and print, and say whether the bounds are held."""
    callers, each = 32, 150
    with tempfile.TemporaryDirectory() as text:
        data = Path(text)
        db = open_database(Settings(data=data))
        user = create_user(db, "payer", "a long password", quota=10**12)
        token = create_key(db, user, "k", quota=10**12).token_id
        worker = Worker(db, data, user, token)
        load(worker, callers, 20, 0)
        found = {}
        for other, where in ((RELAYING, "busy"), (0.0, "idle")):
            bare = min(load(None, callers, each, other) for _ in range(3))
            for label, size in (("group commit", 512), ("a commit each", 1)):
                commit.GROUP = size
                spent = min(load(worker, callers, each, other) for _ in range(3)) - bare
                found[where, label] = spent / (callers * each)
                print(
                    f"accounting, 32 concurrent on SQLite, {where} worker, {label}:"
                    f" {found[where, label] * 1e6:6.1f} us CPU/request"
                )
        commit.GROUP = 512
        lone = []
        for _ in range(300):
            started = time.perf_counter()
            held = worker.begin()
            middle = time.perf_counter()
            gevent.sleep(0.002)
            again = time.perf_counter()
            worker.end(held, fresh_id())
            lone.append(middle - started + time.perf_counter() - again)
        lone.sort()
        print(
            f"accounting, a lone request waits {statistics.median(lone) * 1e6:.0f} us (p99 {lone[-4] * 1e6:.0f} us),"
            f" journal line {len(json.dumps(OTHER))} bytes of details"
        )
        worker.close()
        assert verify(db, db, data / "journal").agrees
        db.close()
    over = found["busy", "group commit"] > 80e-6 or statistics.median(lone) > 1e-3
    print(f"bounds (80 us of CPU in a busy worker, 1 ms for a lone request): {'EXCEEDED' if over else 'held'}")


if __name__ == "__main__":
    main()
