"""What counting tokens costs, and how long it holds up the streams of a worker.

A greenlet that wants to run each millisecond stands for the streams: its longest wait beyond that is the stall.
"""

from __future__ import annotations

# ruff: noqa: E402 - as in a worker, the patching comes first
from gevent import monkey

monkey.patch_all()

import time
from collections.abc import Callable

import gevent
import yaml

from engine import paths
from engine.ledger.counting.tokens import Counter

RULES = list(yaml.safe_load((paths.SPECS / "policies" / "counting.yaml").read_text())["spec"]["counting"].values())
ENGLISH = "The quick brown fox jumps over the lazy dog, and 12 other things happen. "
TEXTS = {
    "4 kB of English": ENGLISH * (4096 // len(ENGLISH)),
    "1 MB of English": ENGLISH * (1_000_000 // len(ENGLISH)),
    "1 MB of Chinese": "今天天气很好，我们去公园散步。" * 22_000,
    "a million blanks": " " * 1_000_000,
}
WAYS = {"o200k_base": "gpt-4o", "cl100k_base": "gpt-4", "weights": "llama-3"}


def stalled(work: Callable[[], object], times: int = 3) -> tuple[float, float]:
    """(CPU seconds, longest stall in seconds) of the quickest run of some."""
    runs = []
    for _ in range(times):
        waits: list[float] = []

        def tick(waits: list[float] = waits) -> None:
            while True:
                before = time.perf_counter()
                gevent.sleep(0.001)
                waits.append(time.perf_counter() - before - 0.001)

        ticker = gevent.spawn(tick)
        gevent.sleep(0.05)
        waits.clear()
        before = time.process_time()
        work()
        spent = time.process_time() - before
        gevent.sleep(0)
        ticker.kill()
        runs.append((spent, max(waits, default=0.0)))
    return min(runs)[0], min(stall for _, stall in runs)


def main() -> None:
    counter = Counter((paths.VOCABULARIES,), RULES)
    for title, text in TEXTS.items():
        for way, model in WAYS.items():
            found = counter.answer(model, [{"type": "text", "text": text}])
            spent, stall = stalled(
                lambda model=model, text=text: counter.answer(model, [{"type": "text", "text": text}])
            )
            said = f"{found.tokens:8} tokens, {found.how}"
            print(f"{title:17} {way:12} {spent * 1000:7.2f} ms of CPU, stall {stall * 1000:6.2f} ms, {said}")
    rule = counter._rule("gpt-4o")
    spent, stall = stalled(lambda: (rule.tokens(TEXTS["1 MB of English"]), gevent.sleep(0)))
    print(f"for comparison    on the loop  {spent * 1000:7.2f} ms of CPU, stall {stall * 1000:6.2f} ms")


if __name__ == "__main__":
    main()
