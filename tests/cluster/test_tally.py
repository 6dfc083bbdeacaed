"""What processes say of themselves now is added up, and a dead one's word is forgotten."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from engine.cluster.tally import Tally


def _says(path: Path, amount: int, ready: Connection) -> None:
    tally = Tally(path)
    tally.add(amount)
    ready.send(True)
    time.sleep(60)


def started(path: Path, amount: int) -> BaseProcess:
    """A process that says an amount, until it is killed."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_says, args=(path, amount, there))
    process.start()
    assert here.poll(30)
    return process


def killed(process: BaseProcess) -> None:
    process.kill()
    process.join()


def test_the_living_are_added_up_and_the_dead_are_not(tmp_path: Path) -> None:
    own = Tally(tmp_path / "open")
    own.add(1)
    first, second = (started(tmp_path / "open", amount) for amount in (20, 300))
    assert own.total() == 321
    killed(first)
    assert own.total() == 301
    own.add(-1)
    killed(second)
    assert own.total() == 0
    own.close()


def test_a_cell_that_a_dead_process_left_begins_anew(tmp_path: Path) -> None:
    killed(started(tmp_path / "open", 7))
    own = Tally(tmp_path / "open")
    assert own.total() == 0
    own.close()
