"""The embedded store: expiry, bound, spaces, and counters that stay exact with several processes."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.cluster.store import EmbeddedStore, StoreError

ROOT = Path(__file__).parents[2]


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(tmp_path / "state.db", limit_bytes=2_000_000, clock=clock)
    yield made
    made.close()


def test_values_come_back_until_their_time(store: EmbeddedStore, clock: Clock) -> None:
    space = store.space("a")
    space.put("k", b"\x00v", ttl=10)
    space.put("forever", b"w")
    assert space.get("k") == b"\x00v"
    clock.now += 10
    assert space.get("k") is None
    assert space.get("forever") == b"w"
    assert space.keys() == ["forever"]


def test_spaces_do_not_meet(store: EmbeddedStore) -> None:
    one, two = store.space("one"), store.space("two")
    one.put("k", b"1")
    assert two.get("k") is None
    two.put("k", b"2")
    one.clear()
    assert (one.get("k"), two.get("k")) == (None, b"2")


def test_delete_tells_whether_there_was_something(store: EmbeddedStore, clock: Clock) -> None:
    space = store.space("a")
    space.put("k", b"v", ttl=5)
    assert space.delete("k")
    assert not space.delete("k")
    space.put("k", b"v", ttl=5)
    clock.now += 6
    assert not space.delete("k")


def test_a_counter_lives_from_its_first_step(store: EmbeddedStore, clock: Clock) -> None:
    space = store.space("a")
    assert space.incr("n", ttl=10) == 1
    clock.now += 9
    assert space.incr("n", 5, ttl=10) == 6
    assert space.get("n") == b"6"
    clock.now += 1
    assert space.incr("n", 2, ttl=10) == 2
    space.put("n", b"40")
    assert space.incr("n", -1) == 39


def test_compare_and_set(store: EmbeddedStore, clock: Clock) -> None:
    space = store.space("a")
    assert space.cas("k", None, b"1", ttl=10)
    assert not space.cas("k", None, b"2")
    assert not space.cas("k", b"0", b"2")
    assert space.cas("k", b"1", b"2", ttl=10)
    clock.now += 11
    assert not space.cas("k", b"2", b"3")
    assert space.cas("k", None, b"3")
    space.incr("n", 7)
    assert space.cas("n", b"7", b"8")
    assert space.incr("n") == 9


def test_the_oldest_give_way_when_the_bound_is_reached(store: EmbeddedStore, tmp_path: Path) -> None:
    space = store.space("a")
    for number in range(2000):
        space.put(str(number), os.urandom(4000))
    assert space.get("1999") is not None
    assert space.get("0") is None
    kept = space.keys(5000)
    assert 100 < len(kept) < 600
    assert [int(key) for key in kept] == list(range(1999, 1999 - len(kept), -1))
    assert (tmp_path / "state.db").stat().st_size < 4_000_000


def test_what_is_past_its_time_is_swept(store: EmbeddedStore, clock: Clock) -> None:
    space = store.space("a")
    for number in range(200):
        space.put(str(number), b"v", ttl=1)
    clock.now += 100
    for _ in range(300):
        space.incr("n")
    assert store.run("SELECT count(*) FROM entries", ()) == [(1,)]


def test_a_counter_is_exact_with_several_processes_and_after_fork(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "state.db")
    store.space("a").incr("n")
    code = (
        "import sys\nfrom pathlib import Path\nfrom engine.cluster.store import EmbeddedStore\n"
        "space = EmbeddedStore(Path(sys.argv[1])).space('a')\n"
        "for _ in range(400): space.incr('n')\n"
        "won = sum(space.cas(f'k{i}', None, b'x') for i in range(100))\nprint(won)\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "state.db")], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    won = sum(int(process.communicate(timeout=60)[0]) for process in started)
    assert won == 100
    child = os.fork()
    if not child:
        for _ in range(100):
            store.space("a").incr("n")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert store.space("a").get("n") == b"1301"
    store.close()


def _opens(directory: Path, together: Any) -> None:
    for number in range(40):
        together.wait()
        EmbeddedStore(directory / f"{number}.db").close()


def test_processes_that_make_the_file_together_all_have_it(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(4)
    processes = [spawn.Process(target=_opens, args=(tmp_path, together)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4


def test_a_ruined_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"no database at all" * 1000)
    store = EmbeddedStore(tmp_path / "state.db")
    store.space("a").put("k", b"v")
    assert store.space("a").get("k") == b"v"
    store.close()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        EmbeddedStore(tmp_path / "file" / "state.db")
