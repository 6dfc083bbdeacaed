"""Small values that machines share: the same at both, one round trip with limits, unreadable for who looks at Redis."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cluster.announcements import Announcements
from engine.cluster.aside import Change
from engine.cluster.rates import Ask, Rates
from engine.cluster.redis import Link, Redis
from engine.cluster.shared_rates import SharedRates
from engine.cluster.shared_space import SharedSpace
from engine.cluster.store import EmbeddedStore
from engine.cluster.veil import Veil
from tests.cluster.test_rates import Server
from tests.support import until

VEIL = Veil(b"k" * 32)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.stop()


def spaces(server: Server, folder: Path, veil: Veil = VEIL) -> list[SharedSpace]:
    stores = [EmbeddedStore(folder / name / "state.db") for name in ("one", "two")]
    return [SharedSpace(Redis(server.url), store.space("bonds"), "bonds", veil) for store in stores]


def test_what_one_machine_notes_the_other_knows_and_the_last_one_holds(server: Server, tmp_path: Path) -> None:
    one, two = spaces(server, tmp_path)
    one.put("talk", b"a", 60)
    assert one.get("talk") == b"a", "at once where it was noted"
    until(lambda: two.get("talk") == b"a")
    two.put("talk", b"b", 60)
    until(lambda: one.get("talk") == b"b")
    one.put("talk", b"a", 60)
    until(lambda: two.get("talk") == b"a")
    one.put("short", b"c", 0.3)
    until(lambda: two.get("short") == b"c", every=0.01)
    until(lambda: two.get("short") is None)
    for space in (one, two):
        space.close()


def test_with_limits_it_is_one_round_trip_and_the_same_value_is_not_written_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = spaces(server, tmp_path)
    limits = SharedRates(Redis(server.url), Rates(tmp_path / "rates"), VEIL)
    one.put("talk", b"a", 60)
    until(lambda: two.get("talk") == b"a")
    limits.take([Ask("first", 9, 60)])
    trips: list[int] = []
    exchange = Link.exchange

    def counted(link: Link, commands: tuple[object, ...]) -> list[object]:
        trips.append(len(commands))
        return exchange(link, commands)

    monkeypatch.setattr(Link, "exchange", counted)
    for _ in range(20):
        verdict = limits.take([Ask("a", 99, 60), Ask("b", 99, 60)], one.question("talk"))
        assert one.get("talk", verdict.beside[0]) == b"a"
        one.put("talk", b"a", 60)
    assert trips == [2] * 20, "the question and the limits, and nothing else"
    for space in (one, two):
        space.close()
    limits.close()


def test_while_redis_is_away_each_machine_remembers_for_itself(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr("engine.cluster.shared_space._AGAIN", 0.05)
    one, two = spaces(server, tmp_path)
    one.put("before", b"a", 60)
    until(lambda: two.get("before") == b"a")
    server.stop()
    assert one.get("before") == b"a"
    assert two.get("before") is None, "it never noted it itself"
    one.put("meanwhile", b"b", 60)
    assert one.get("meanwhile") == b"b"
    until(lambda: len(caplog.records) == 2)
    server.start()
    until(lambda: two.get("meanwhile") == b"b")
    until(lambda: sum("Redis is back" in record.message for record in caplog.records) == 2)
    for space in (one, two):
        space.close()


def kept(server: Server) -> bytes:
    """All that stands in a Redis: names and values."""
    redis = Redis(server.url)
    readers = {b"string": "GET", b"stream": "XRANGE", b"hash": "HGETALL", b"zset": "ZRANGE"}
    told = []
    for name in redis.run(("KEYS", "*"))[0]:
        kind = redis.run(("TYPE", name))[0]
        ends = {b"stream": ("-", "+"), b"zset": (0, -1)}.get(kind, ())
        told.append(repr((name, redis.run((readers[kind], name, *ends))[0])))
    redis.close()
    return "\n".join(told).encode()


@pytest.mark.parametrize("hidden", [False, True])
def test_with_a_secret_no_name_can_be_read_in_redis(server: Server, tmp_path: Path, hidden: bool) -> None:
    veil = VEIL if hidden else Veil()
    (space, other), words = spaces(server, tmp_path, veil), (b"gpt-of-ours", b"the-account", b"the-talk", b"key-77")
    space.put("the-talk", b"the-account", 60)
    limits = SharedRates(Redis(server.url), Rates(tmp_path / "rates"), veil)
    limits.take([Ask("limit key-77 gpt-of-ours", 9, 60), Ask("at once key-77", 9, 0)])
    peers = Announcements(server.url, veil)
    peers.count("the-account", 60)
    peers.claim("the-account", 1.0, 60)
    peers.announce(Change("the-account", 1.0, 1, 2e9))
    until(lambda: other.get("the-talk") == b"the-account")
    text = kept(server)
    assert [word in text for word in words] == [not hidden] * 4, text
    assert text.count(b"gatewright:") >= 6
    for closing in (space, other, limits, peers):
        closing.close()


def test_what_another_secret_wrote_is_as_good_as_not_there(server: Server, tmp_path: Path) -> None:
    one, _ = spaces(server, tmp_path)
    place = "gatewright:x"
    assert VEIL.open(VEIL.seal(b"a", place), place) == b"a"
    assert Veil(b"o" * 32).open(VEIL.seal(b"a", place), place) is None
    assert VEIL.open(VEIL.seal(b"a", place), "gatewright:y") is None
    assert VEIL.open(b"plain", place) is None
    assert one.get("nothing") is None
    one.close()
