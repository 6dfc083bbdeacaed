"""What a Policy says of single meanings: how long an account is set aside, that it is switched off, who is told."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from engine.cluster.aside import Aside
from engine.cluster.store import EmbeddedStore
from engine.relay.attempts.health import Health, health_rules
from engine.relay.upstream.failure import UpstreamFailure
from engine.routing.channel import LiveChannel
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.rows.work import outbox
from engine.storage.tables.outbox import outbox as messages
from tests.relay import plain
from tests.relay.failing import Site, example
from tests.relay.scripted import Say
from tests.relay.test_aside_by_hand import ANSWER, Rows, several
from tests.support import until

pytestmark = pytest.mark.xdist_group("meanings")
THREE = """
---
apiVersion: gatewright/v1
kind: Policy
metadata: {name: three}
spec: {breaker: {failures: 3, window: 60, coolDown: 60, longest: 600}}
"""
STATUS = {"a": 402, "c": 401, "e": 503, "g": 401}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rows]:
    listed = (
        {"key": "a", "models": "quota", "priority": 5},
        {"key": "b", "models": "quota"},
        {"key": "c", "models": "auth", "priority": 5},
        {"key": "d", "models": "auth"},
        {"key": "e", "models": "busy", "priority": 5},
        {"key": "f", "models": "busy"},
        several("g h", models="several"),
    )
    made = Rows(tmp_path_factory.mktemp("meanings"), example("by-meaning") + THREE, *listed)

    def script(say: Say) -> None:
        status = STATUS.get(say.arrived.headers["authorization"].removeprefix("Bearer "), 200)
        say.whole(ANSWER if status == 200 else plain.error("openai.chat", status=status), status)

    made.upstream.script = script
    yield made
    made.close()


@pytest.mark.parametrize(
    ("model", "keys"),
    [("quota", "a b b b b"), ("auth", "c d d d d"), ("busy", "e f e f e f f")],
    ids=["set aside at the first", "switched off at the first", "as all others"],
)
def test_a_meaning_has_its_own_rule(rows: Rows, model: str, keys: str) -> None:
    rows.upstream.got.clear()
    assert [rows.ask(model).status_code for _ in range(4)] == [200] * 4
    assert " ".join(rows.keys) == keys


def test_what_is_switched_off_is_so_in_the_database_and_of_several_keys_one(rows: Rows) -> None:
    rows.upstream.got.clear()
    assert [rows.ask("several").status_code for _ in range(4)] == [502, 200, 200, 200]
    assert rows.keys == ["g", "h", "h", "h"]

    def states() -> Any:
        with closing(sqlite3.connect(rows.gateway.data / "gatewright.db")) as db:
            return db.execute("SELECT id, status, channel_info FROM channels WHERE id IN (1, 3, 7)").fetchall()

    until(lambda: '"multi_key_status_list"' in str(states()[2][2]), words=states)
    assert [status for _, status, _ in states()] == [1, 3, 1]


def test_a_channel_of_a_document_is_set_aside_instead(tmp_path: Path) -> None:
    site = Site(tmp_path, example("by-meaning"))
    try:
        site.play(lambda say: say.whole(plain.error("openai.chat", status=401), 401))
        assert "second:Hello" in site.ask().text
        assert "second:Hello" in site.ask().text
        assert site.asked == (1, 2)
    finally:
        site.close()


def test_operators_are_told_each_time_and_once_a_minute_at_most(tmp_path: Path) -> None:
    db = open_database(Settings(data=tmp_path))
    store = EmbeddedStore(tmp_path / "state.db")
    now = [time.time()]
    store.clock = lambda: now[0]
    aside = Aside(store.space("aside"), store.space("failures"), tmp_path / "aside", lambda: now[0])
    health = Health(aside, db, 1.0)
    meanings = {"upstream_quota": {"failures": 1, "coolDown": 10, "tell": True}, "timeout": {"failures": 1}}
    rules = health_rules({"breaker": {"meanings": meanings}}, {})
    provider: Any = SimpleNamespace(name="p", formats={}, base_url="http://x")
    channel = LiveChannel(0, "first", provider, (), frozenset({"m"}), ("default",))
    attempt: Any = SimpleNamespace(channel=channel, secret=None)

    def told() -> list[str]:
        with db.read() as connection:
            chosen = select(messages.c.body).where(messages.c.about == "channel.aside", messages.c.kind == outbox.EVENT)
            return list(connection.execute(chosen).scalars())

    def fails(meaning: str) -> None:
        health.failed(rules, attempt, UpstreamFailure({"meaning": meaning, "message": "no credit"}))

    fails("timeout")
    assert channel.mark in aside.names()
    health.worked(attempt)
    fails("upstream_quota")
    until(lambda: len(told()) == 1)
    assert '"name":"first"' in told()[0]
    assert "set aside until 2" in told()[0]
    fails("upstream_quota")
    health.worked(attempt)
    fails("upstream_quota")
    now[0] += 61
    fails("upstream_quota")
    until(lambda: len(told()) > 1)
    fails("upstream_quota")
    now[0] += 61
    fails("upstream_quota")
    until(lambda: len(told()) > 2)
    assert len(told()) == 3, "each minute's first; though it never answered in between"
    store.close()
    db.close()
