"""Channels of the database: limits and breakers of each key, set aside by hand, and by their hours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from sqlalchemy import insert

from engine.compiler import compile_set, read_set
from engine.paths import SPECS
from engine.routing.channels import build
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.tables import core
from tests.relay import plain
from tests.relay.failing import example
from tests.relay.scripted import Say, Upstream
from tests.support import PATIENCE, ROOT, Gateway, until

pytestmark = pytest.mark.xdist_group("aside")
BREAKER = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: zz}
spec:
  breaker: {failures: 1, window: 60, coolDown: 1, longest: 1, on: [overloaded]}
  retries: {times: 3}
"""
ANSWER = plain.whole("openai.chat", "ok")


class Rows:
    """A gateway over channels that are rows, and one upstream that tells them by their keys."""

    def __init__(self, data: Any, documents: str, *rows: dict[str, Any], workers: int = 1) -> None:
        self.upstream = Upstream()
        self.upstream.script = lambda say: say.whole(ANSWER)
        db = open_database(Settings(data=data))
        for number, row in enumerate(rows, 1):
            usual = {
                "id": number,
                "type": 1,
                "status": 1,
                "key": f"k{number}",
                "group": "default",
                "name": f"c{number}",
            }
            values = {**usual, "base_url": self.upstream.base, **row}
            db.write(lambda c, values=values: c.execute(insert(core.channels).values(**values)).rowcount)
        db.close()
        env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{self.upstream.port}"}
        self.gateway = Gateway(data, specs={"zz.yaml": documents}, env=env, workers=workers).ready()

    def ask(self, model: str) -> requests.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "River?"}], "max_tokens": 10}
        return self.gateway.post("/v1/chat/completions", body, headers={"connection": "close"})

    @property
    def keys(self) -> list[str]:
        """The keys that requests came with, in order."""
        return [arrived.headers["authorization"].removeprefix("Bearer ") for arrived in self.upstream.got]

    def command(self, *words: str) -> Any:
        """What ``gatewright channel`` says."""
        done = subprocess.run(
            [sys.executable, "-m", "engine.cli", "channel", *words, "--json"],
            capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE, check=False,
            env={**os.environ, "GATEWRIGHT_DATA": str(self.gateway.data)},
        )  # fmt: skip
        return json.loads(done.stdout)

    def close(self) -> None:
        self.gateway.stop()
        self.upstream.close()
        assert "Traceback" not in self.gateway.output, self.gateway.output


def several(keys: str, **more: Any) -> dict[str, Any]:
    """A row of several keys, in turns."""
    info = {"is_multi_key": True, "multi_key_size": len(keys.split()), "multi_key_mode": "polling"}
    return {"key": "\n".join(keys.split()), "channel_info": info, **more}


def span(first: int, last: int) -> str:
    """Hours from so many hours after now to so many."""
    now = time.time()
    return "-".join(time.strftime("%H:%M", time.localtime(now + 3600 * hours)) for hours in (first, last))


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rows]:
    rows = several("a b", models="counted"), several("c d", models="parallel")
    made = Rows(tmp_path_factory.mktemp("limited"), example("keys"), *rows, workers=2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rows]:
    listed = (
        several("e f", models="several"),
        {"key": "g", "models": "by-hand"},
        {"key": "h", "models": "by-hand,alone", "priority": 5},
        {"key": "i", "models": "night", "priority": 9, "settings": json.dumps({"hours": span(2, 3)})},
        {"key": "j", "models": "night", "settings": json.dumps({"hours": span(-2, 2)})},
        {"key": "k", "models": "closed", "settings": json.dumps({"hours": span(2, 3)})},
    )
    made = Rows(tmp_path_factory.mktemp("rows"), BREAKER, *listed)
    yield made
    made.close()


def test_each_key_has_a_count_of_its_own_for_all_workers(limited: Rows) -> None:
    limited.upstream.got.clear()
    with ThreadPoolExecutor(6) as pool:
        statuses = Counter(pool.map(lambda _: limited.ask("counted").status_code, range(12)))
    assert statuses == {200: 6, 429: 6}
    assert Counter(limited.keys) == {"a": 3, "b": 3}, "the next key that has room, whosever turn it is"


def test_each_key_is_asked_by_so_many_at_once(limited: Rows) -> None:
    limited.upstream.got.clear()
    held = []

    def script(say: Say) -> None:
        held.append(say)
        until(lambda: len(held) >= 2)
        say.whole(ANSWER)

    limited.upstream.script = script
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda _: limited.ask("parallel"), range(2)))
    limited.upstream.script = lambda say: say.whole(ANSWER)
    assert [reply.status_code for reply in replies] == [200, 200]
    assert sorted(limited.keys) == ["c", "d"]


def test_a_key_is_set_aside_by_itself_and_is_back_although_the_other_is_well(rows: Rows) -> None:
    def script(say: Say) -> None:
        bad = say.arrived.headers["authorization"].endswith("e")
        say.whole(plain.error("openai.chat", status=503), 503) if bad else say.whole(ANSWER)

    rows.upstream.got.clear()
    rows.upstream.script = script
    assert sorted(rows.ask("several").status_code for _ in range(2)) == [200, 503], "no other channel serves it"
    rows.upstream.got.clear()
    assert [rows.ask("several").status_code for _ in range(5)] == [200] * 5
    assert set(rows.keys) == {"f"}
    rows.upstream.script = lambda say: say.whole(ANSWER)
    time.sleep(1.3)
    assert [rows.ask("several").status_code for _ in range(6)] == [200] * 6
    assert {"e", "f"} == set(rows.keys), "it was tried when its time was over"


def test_a_channel_that_is_set_aside_by_hand_is_not_asked_until_it_is_said_again(rows: Rows) -> None:
    rows.upstream.got.clear()
    rows.ask("by-hand")
    assert rows.keys == ["h"]
    assert rows.command("aside", "3", "--minutes", "5")["done"]
    until(lambda: rows.ask("by-hand") and rows.keys[-1] == "g")
    refused = rows.ask("alone")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_available_channel")
    assert rows.command("again", "3") == {"channel": 3, "until": 0, "done": True}
    until(lambda: rows.ask("by-hand") and rows.keys[-1] == "h")
    assert not rows.command("again", "99")["done"]


def test_what_a_breaker_holds_is_forgotten_when_an_operator_says_so(tmp_path: Any) -> None:
    long = BREAKER.replace("coolDown: 1, longest: 1", "coolDown: 500, longest: 600")
    made = Rows(tmp_path, long, {"key": "l", "models": "m", "priority": 5}, {"key": "n", "models": "m"})
    try:
        made.upstream.script = lambda say: (
            say.whole(plain.error("openai.chat", status=503), 503)
            if say.arrived.headers["authorization"].endswith("l")
            else say.whole(ANSWER)
        )
        assert [made.ask("m").status_code for _ in range(3)] == [200] * 3
        assert made.keys == ["l", "n", "n", "n"]
        made.upstream.script = lambda say: say.whole(ANSWER)
        made.command("again", "1")
        until(lambda: made.ask("m") and made.keys[-1] == "l")
    finally:
        made.close()


def test_a_route_says_the_hours_of_a_channel(tmp_path: Any) -> None:
    (tmp_path / "route.yaml").write_text(example("by-night"))
    sources, shared, _ = read_set([SPECS, tmp_path])
    result = compile_set(sources, shared)
    assert not result.faults
    table = build(result.program(), [], lambda reference, url: "SECRET", keys_fit=True).table
    (made,) = [channel for channel in table.channels if channel.name == "night-account"]
    noon, night = (time.mktime(time.strptime(f"2026-06-15 {hour}:00", "%Y-%m-%d %H:%M")) for hour in (12, 23))
    assert made.closed(noon) == noon + 10 * 3600
    assert made.closed(night) == 0
    (tmp_path / "route.yaml").write_text(example("by-night").replace("22:00", "25:00"))
    sources, shared, _ = read_set([SPECS, tmp_path])
    (fault,) = compile_set(sources, shared).faults
    assert "such as 22:00-06:00" in str(fault)


def test_a_channel_is_asked_in_its_hours_alone(rows: Rows) -> None:
    rows.upstream.got.clear()
    assert rows.ask("night").status_code == 200
    assert rows.keys == ["j"]
    assert rows.ask("closed").status_code == 503
