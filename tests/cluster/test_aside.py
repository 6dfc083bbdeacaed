"""What is set aside: counted together by all who share the file, back after a growing time, tried by one alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cluster.announcements import Announcements
from engine.cluster.aside import NEVER, Aside, BreakerRule
from engine.cluster.store import EmbeddedStore
from engine.cluster.veil import Veil
from tests.cluster.test_rates import Server
from tests.support import until

RULE = BreakerRule(failures=3, window=60, cool_down=10, longest=100)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(folder: Path, clock: Clock) -> Aside:
    """As another worker of the same machine opens it."""
    store = EmbeddedStore(folder / "state.db", clock=clock)
    return Aside(store.space("aside"), store.space("failures"), folder / "aside", clock)


def test_failures_of_several_workers_count_together_and_all_of_them_see_it(tmp_path: Path, clock: Clock) -> None:
    first, second = opened(tmp_path, clock), opened(tmp_path, clock)
    assert [first.failed("a", RULE), second.failed("a", RULE)] == [0, 0]
    until = first.failed("a", RULE)
    assert clock.now + 9 <= until <= clock.now + 11
    assert first.back("a") == second.back("a") == until
    assert second.back("b") == 0


def test_after_its_time_one_alone_tries_and_a_failure_doubles_the_time(tmp_path: Path, clock: Clock) -> None:
    first, second = opened(tmp_path, clock), opened(tmp_path, clock)
    for _ in range(3):
        first.failed("a", RULE)
    clock.now += 12
    assert [first.back("a") == 0, second.back("a") == 0, first.back("a") == 0] == [True, False, False]
    until = first.failed("a", RULE)
    assert clock.now + 18 <= until <= clock.now + 22
    assert second.back("a") == until


def test_what_works_again_is_forgotten(tmp_path: Path, clock: Clock) -> None:
    first, second = opened(tmp_path, clock), opened(tmp_path, clock)
    for _ in range(3):
        first.failed("a", RULE)
    clock.now += 12
    second.worked("a")
    assert first.back("a") == 0
    assert first.failed("a", RULE) == 0


def test_failures_further_apart_than_the_window_set_nothing_aside(tmp_path: Path, clock: Clock) -> None:
    one = opened(tmp_path, clock)
    for _ in range(6):
        assert one.failed("a", RULE) == 0
        clock.now += 31


def test_what_its_owner_asks_for_is_kept_up_to_the_longest(tmp_path: Path, clock: Clock) -> None:
    one = opened(tmp_path, clock)
    assert one.failed("a", RULE, wait=7) == clock.now + 7
    assert one.failed("b", RULE, wait=5000) == clock.now + RULE.longest


def test_what_is_switched_off_is_never_back_until_all_have_read_it(tmp_path: Path, clock: Clock) -> None:
    first, second = opened(tmp_path, clock), opened(tmp_path, clock)
    first.switch_off("a", 120)
    assert second.back("a") == NEVER
    clock.now += 121
    assert opened(tmp_path, clock).back("a") == 0


class Machine:
    """One of several that share a Redis; ``aside`` is what its only worker has."""

    def __init__(self, folder: Path, url: str) -> None:
        store = EmbeddedStore(folder / "state.db")
        self.announcements = Announcements(url, Veil(b"k" * 32))
        self.aside = Aside(store.space("aside"), store.space("failures"), folder / "aside", peers=self.announcements)
        self.announcements.follow(self.aside.apply)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def machines(server: Server, tmp_path: Path) -> Iterator[list[Machine]]:
    made = [Machine(tmp_path / name, server.url) for name in ("one", "two")]
    yield made
    for machine in made:
        machine.announcements.close()


def test_machines_count_together_and_share_one_probe(machines: list[Machine]) -> None:
    one, two = (machine.aside for machine in machines)
    short = BreakerRule(failures=3, window=60, cool_down=0.5, longest=100)
    assert [one.failed("a", short), two.failed("a", short)] == [0, 0]
    due = one.failed("a", short)
    assert due
    until(lambda: two.back("a") == due)
    until(lambda: time.time() > due)
    assert sorted(aside.back("a") == 0 for aside in (one, two, one, two)) == [False, False, False, True]
    longer = two.failed("a", short)
    assert longer > due
    until(lambda: one.back("a") == longer)
    one.worked("a")
    until(lambda: not two.names())
    assert two.failed("a", short) == 0, "its failures are forgotten, too"


def test_a_machine_that_begins_knows_what_the_others_have_set_aside(
    machines: list[Machine], server: Server, tmp_path: Path
) -> None:
    one = machines[0].aside
    due = one.failed("a", RULE, wait=50)
    one.failed("b", RULE, wait=50)
    one.worked("b")
    one.switch_off("c", 100)
    third = Machine(tmp_path / "three", server.url)
    until(lambda: set(third.aside.names()) == {"a", "c"})
    assert (third.aside.back("a"), third.aside.back("c")) == (due, NEVER)
    third.announcements.close()


def test_while_redis_is_away_each_machine_goes_on_alone_and_it_is_told_once(
    machines: list[Machine], server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = (machine.aside for machine in machines)
    caplog.set_level(logging.WARNING)
    server.stop()
    assert [one.failed("a", RULE) > 0 for _ in range(3)] == [False, False, True]
    assert two.back("a") == 0
    away = "channels are set aside by this machine alone"
    until(lambda: len(caplog.records) == 2)
    assert all(away in record.message for record in caplog.records), "each once"
    assert "pass word" not in caplog.text
    server.start()
    back = "Redis is back: what is set aside is told to all machines again"
    until(lambda: [record.message for record in caplog.records][2:] == [back, back])
    due = one.failed("b", RULE, wait=50)
    until(lambda: two.back("b") == due)
