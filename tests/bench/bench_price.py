"""What a charge costs: CPU of finding a rule, of charging by it, and of the log row's words; targets stand beside."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from engine.compiler import compile_set  # noqa: E402
from engine.compiler.documents import load  # noqa: E402
from engine.ledger.pricing.book import Book  # noqa: E402

ROUNDS = 20_000
USAGE: dict[str, Any] = {
    "input_fresh": 1200, "cache_read": 3000, "output_text": 300, "reasoning": 150,
    "input_total": 4200, "output_total": 450, "total": 4650, "calls": {},
}  # fmt: skip
OPTIONS = {"ModelRatio": '{"by-ratio": 1.25}', "CompletionRatio": '{"by-ratio": 4}', "GroupRatio": '{"vip": 0.8}'}
TARGET = 10.0


def microseconds(work: Callable[[], Any]) -> float:
    """CPU of one run, the best of five."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(ROUNDS):
            work()
        best = min(best, (time.process_time() - began) / ROUNDS * 1e6)
    return best


def main() -> int:
    """Print the table; 1 if the plain charge is over its target."""
    result = compile_set(load.read(ROOT / "specs" / "prices", 0)[0], [])
    book = Book(result.program(), OPTIONS)
    plain, tiered, conditional, ratio = (
        book.find(name) for name in ("gpt-4o", "claude-haiku-5-5", "gpt-5.5", "by-ratio")
    )
    who: dict[str, Any] = {"group": "vip", "user_group": "default", "channel": "c", "now": 1.8e9, "request": {}}
    charge = book.charge(plain, USAGE, **who)
    rows: list[tuple[str, Callable[[], Any], float | None]] = [
        ("find a rule", lambda: book.find("gpt-4o"), 2.0),
        ("charge, four buckets", lambda: book.charge(plain, USAGE, **who), TARGET),
        ("charge, tiers", lambda: book.charge(tiered, USAGE, **who), TARGET),
        ("charge, conditions on the request", lambda: book.charge(conditional, USAGE, **who), TARGET),
        ("charge, ratios of the options", lambda: book.charge(ratio, USAGE, **who), TARGET),
        ("estimate for a reservation", lambda: book.estimate(plain, input_tokens=1000, max_tokens=500, **who), TARGET),
        ("words for the log row", charge.other, None),
    ]
    missed = 0
    for name, work, target in rows:
        took = microseconds(work)
        missed += target is not None and took > target
        print(f"{name:<36}{took:7.2f} us" + (f"   target {target:g}" if target else ""))
    began = time.perf_counter()
    Book(result.program(), OPTIONS)
    print(f"{'a new book':<36}{(time.perf_counter() - began) * 1e3:7.2f} ms")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
