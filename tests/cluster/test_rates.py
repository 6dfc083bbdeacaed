"""Counts in a time: no stretch of it sees more than the most, whoever asks; what is under way is given back."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine.cluster.rates import Ask, Rates, Seen
from engine.cluster.redis import Redis, RedisError, address
from engine.cluster.shared_rates import SharedRates
from engine.cluster.veil import Veil
from tests.support import PATIENCE, free_port, missing, until


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rates(tmp_path: Path, clock: Clock) -> Iterator[Rates]:
    made = Rates(tmp_path / "rates", clock)
    yield made
    made.close()


def test_no_stretch_of_the_time_sees_more_than_the_most(rates: Rates, clock: Clock) -> None:
    """A caller that never stops asking, twenty times a second for ten minutes."""
    taken = []
    for _ in range(12_000):
        if rates.take([Ask("a", 50, 60)]).full < 0:
            taken.append(clock.now)
        clock.now += 0.05
    assert max(sum(1 for at in taken if start <= at < start + 60) for start in taken) == 50
    assert len(taken) >= 9 * 50, "and what is allowed is nearly used"


def test_all_are_taken_or_none_and_the_wait_is_until_there_is_room(rates: Rates, clock: Clock) -> None:
    small, large = Ask("small", 2, 60), Ask("large", 10, 3600)
    assert [rates.take([large, small]).full for _ in range(3)] == [-1, -1, 1]
    assert rates.take([Ask("large", 10, 3600)]).left == [7], "the refused one took nothing"
    wait = rates.take([Ask("small", 2, 60)]).wait
    clock.now += wait - 0.01
    assert rates.take([Ask("small", 2, 60)]).full == 0
    clock.now += 0.02
    assert rates.take([Ask("small", 2, 60)]).full == -1


def test_how_counts_stand_is_told_and_nothing_is_taken(rates: Rates, clock: Clock) -> None:
    ask, other, under_way = Ask("a", 10, 60, 3), Ask("b", 10, 60), Ask("p", 2, 0)
    assert rates.look([ask, other, under_way]) == [Seen(), Seen(), Seen()]
    rates.take([ask, under_way])
    seen = rates.look([ask, other, under_way])
    assert [one.used for one in seen] == [3, 0, 1]
    assert 60 < seen[0].until - clock.now <= 65
    assert rates.take([ask]).left == [4]
    clock.now = seen[0].until
    assert rates.look([ask]) == [Seen()]


def test_an_amount_is_settled_and_one_above_the_most_goes_alone(rates: Rates) -> None:
    first = Ask("t", 100, 60, 90)
    assert rates.take([first]).left == [10]
    assert rates.take([Ask("t", 100, 60, 20)]).full == 0
    rates.settle([first], [15])
    assert rates.take([Ask("t", 100, 60, 20)]).left == [65]
    alone = Ask("big", 100, 60, 5000)
    assert rates.take([alone]).full == -1
    assert rates.take([Ask("big", 100, 60, 1)]).full == 0
    rates.settle([alone], [30])
    assert rates.take([Ask("big", 100, 60, 1)]).left == [69]


def test_what_is_settled_late_counts_from_then_on(rates: Rates, clock: Clock) -> None:
    ask = Ask("t", 100, 60, 10)
    rates.take([ask])
    clock.now += 300
    rates.settle([ask], [90])
    assert rates.take([Ask("t", 100, 60, 30)]).full == 0


def test_what_is_under_way_is_given_back_and_a_dead_process_gives_its_part_back(tmp_path: Path, rates: Rates) -> None:
    held = [Ask("p", 2, 0), Ask("n", 10, 60)]
    assert rates.take(held).left == [1, 9]
    fork = multiprocessing.get_context("spawn").Process(target=_holds, args=(tmp_path / "rates",))
    fork.start()
    fork.join()
    assert rates.take([Ask("p", 2, 0)]).full == 0
    rates.sweep()
    assert rates.take([Ask("p", 2, 0)]).full == -1
    rates.settle(held, [0, 1])
    assert rates.take([Ask("p", 2, 0)]).full == -1


def _holds(path: Path) -> None:
    Rates(path).take([Ask("p", 2, 0)])
    os._exit(9)


def _asks(path: Path, results: multiprocessing.Queue[int]) -> None:
    rates = Rates(path)
    results.put(sum(rates.take([Ask("shared", 500, 3600), Ask("other", 10**6, 60)]).full < 0 for _ in range(400)))


def test_several_processes_together_take_the_most_and_no_more(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[int] = context.Queue()
    processes = [context.Process(target=_asks, args=(tmp_path / "rates", results)) for _ in range(3)]
    for process in processes:
        process.start()
    taken = [results.get(timeout=PATIENCE) for _ in processes]
    for process in processes:
        process.join()
    results.close()
    results.join_thread()
    assert sum(taken) == 500


def test_ten_times_as_many_names_as_there_is_room_for_stay_within_their_bounds(tmp_path: Path, rates: Rates) -> None:
    size = (tmp_path / "rates").stat().st_size
    for number in range(40_000):
        assert rates.take([Ask(f"n{number}", 5, 60)]).left == [4]
    assert (tmp_path / "rates").stat().st_size == size


class Server:
    """A Redis of our own, to be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.program = shutil.which("redis-server") or missing("redis-server")
        self.port, self.folder = free_port(), folder
        self.url = f"redis://:pass%20word@127.0.0.1:{self.port}/3"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        words = ["--port", str(self.port), "--save", "", "--dir", str(self.folder), "--requirepass", "pass word"]
        self.process = subprocess.Popen([self.program, *words], stdout=subprocess.DEVNULL)
        redis = Redis(self.url)

        def answers() -> bool:
            with suppress(RedisError):
                redis.run(("PING",))
                return True
            return False

        until(answers, every=0.02)
        redis.close()

    def stop(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.stop()


def machines(server: Server, folder: Path, number: int = 2) -> list[SharedRates]:
    own = [Rates(folder / f"machine-{each}" / "rates") for each in range(number)]
    return [SharedRates(Redis(server.url), rates, Veil(b"k" * 32)) for rates in own]


def test_machines_together_take_the_most_and_no_more(server: Server, tmp_path: Path) -> None:
    both = machines(server, tmp_path)
    taken = [0, 0]

    def ask(machine: int) -> None:
        for _ in range(50):
            asks = [Ask("calls", 300, 3600), Ask("tokens", 10**9, 60, 7), Ask("at once", 10**6, 0)]
            if both[machine].take(asks).full < 0:
                taken[machine] += 1
                both[machine].settle(asks, [1, 5, 0])

    threads = [threading.Thread(target=ask, args=(number % 2,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 300
    assert min(taken) > 0
    assert both[0].take([Ask("tokens", 10**9, 60, 0)]).left == [10**9 - 300 * 5]
    assert both[1].take([Ask("at once", 1, 0)]).full == -1, "all have left"
    for machine in both:
        machine.close()


def test_what_counts_without_redis_counts_with_it(server: Server, tmp_path: Path) -> None:
    first, second = machines(server, tmp_path)
    one, two = Ask("p", 2, 0), Ask("t", 100, 60, 90)
    assert first.take([one, two]).left == [1, 10]
    assert second.take([Ask("p", 2, 0), Ask("t", 100, 60, 20)]).full == 1
    assert [seen.used for seen in second.look([one, two])] == [1, 90]
    first.sweep()
    first.settle([one, two], [0, 10])
    assert second.take([Ask("p", 2, 0), Ask("t", 100, 60, 20)]).left == [1, 70]
    verdict = second.take([Ask("t", 100, 60, 80)])
    assert verdict.full == 0
    assert 50 < verdict.wait < 70
    for machine in (first, second):
        machine.close()


def test_while_redis_is_away_each_machine_counts_and_it_is_told_once(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.cluster.shared_rates._AGAIN", 0.0)
    (machine,) = machines(server, tmp_path, 1)
    before = Ask("p", 1, 0)
    assert machine.take([before, Ask("a", 3, 3600)]).full == -1
    server.stop()
    machine.settle([before], [0])
    assert [machine.take([Ask("a", 3, 3600)]).full for _ in range(4)] == [-1, -1, -1, 0]
    assert len(caplog.records) == 1, caplog.text
    assert "pass word" not in caplog.text
    server.start()
    assert machine.take([Ask("a", 3, 3600)]).full == -1
    assert [record.message for record in caplog.records][1:] == ["Redis is back: limits are counted there again"]
    machine.close()


@pytest.mark.parametrize("url", ["http://a", "redis://", "redis://a:b", "redis://a/b", "unix://"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        address(url)
