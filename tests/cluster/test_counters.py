"""Counts that grow together in several processes, outlive them, and stay within their file."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from engine.cluster.counters import LOST, Counters


def _adds(path: Path) -> None:
    counters = Counters(path)
    calls, tokens = counters.place("calls"), counters.place('tokens{kind="input"}')
    for _ in range(2000):
        counters.add([(calls, 1), (tokens, 3)])


def test_several_processes_count_together_and_what_they_counted_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_adds, args=(path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    counters = Counters(path)
    assert counters.all() == {"calls": 4000, 'tokens{kind="input"}': 12000}
    counters.close()


def test_names_without_room_are_counted_as_lost(tmp_path: Path) -> None:
    counters = Counters(tmp_path / "metrics")
    counters.add([(counters.place(f"name{number}"), 1) for number in range(5000)])
    counters.add([(counters.place("x" * 300), 2)])
    counts = counters.all()
    assert sum(counts.values()) == 5002
    assert counts[LOST] >= 2
    assert len(counts) <= 4096
    counters.close()
