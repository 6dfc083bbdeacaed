"""Real traffic: odds, a split, the beginning held back, and waiting; each call's charge and cost against the ledger."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
import requests

from engine.ledger.proof import verify
from engine.settings import Settings
from engine.storage.database import open_database
from tests.relay.failing import CHARGED, COST, USED, Site, answer, example, wants_stream
from tests.relay.scripted import Say
from tests.support import until

pytestmark = pytest.mark.xdist_group("traffic")
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Route
metadata: {name: by-odds}
spec: {when: {headers: {x-way: "^odds$"}}, strategies: [{weighted: {}}]}
---
apiVersion: gatewright/v1
kind: Route
metadata: {name: by-split}
spec:
  when: {headers: {x-way: "^split$"}}
  strategies: [{split: {shares: {first: 25, rest: 75}, by: ["header:x-who"]}}]
---
apiVersion: gatewright/v1
kind: Policy
metadata: {name: zz-waiting}
spec:
  waiting: {seconds: 60, calls: 50}
  rateLimits: {account: {by: [channel], parallel: 1, when: {headers: {x-way: "^wait$"}}}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("traffic"), example("hold"), DOCUMENTS)
    yield made
    made.close()


def ask(site: Site, way: str, **headers: str) -> requests.Response:
    reply = site.ask(headers={"x-way": way, **headers})
    assert reply.status_code == 200, reply.text
    return reply


def paid(site: Site, replies: list[requests.Response]) -> list[str]:
    """The channels of calls, whose rows and ledger entries say what those charge and cost, and no more."""
    channels = []
    for reply in replies:
        row = site.row(reply)
        (channel, *others) = reversed(row.other["admin_info"]["use_channel"])
        assert (row.quota, row.input, row.output) == (CHARGED[channel], *USED[channel])
        assert row.other["admin_info"]["cost"] == COST[channel], "what failed before told no usage"
        channels.append(channel)
        assert len(others) <= 1
    with closing(sqlite3.connect(site.gateway.data / "gatewright.db")) as db:
        for reply, channel in zip(replies, channels, strict=True):
            sql = "SELECT quota, cost, prompt_tokens, completion_tokens FROM gatewright_ledger WHERE request_id=?"
            entries = db.execute(sql, (reply.headers["x-request-id"],)).fetchall()
            billionths = int(Decimal(COST[channel]) * 10**9)
            assert entries == [(CHARGED[channel], billionths, *USED[channel])], "once, and the same"
    return channels


def test_calls_are_drawn_by_odds(site: Site) -> None:
    """Two channels of one weight, whatever their priority; 200 calls: five deviations are 35."""
    site.play()
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: ask(site, "odds"), range(200)))
    counts = Counter(paid(site, replies))
    assert abs(counts["first"] - 100) < 36, counts
    assert site.asked == (counts["first"], counts["second"])


def test_a_split_has_its_share_and_each_caller_one_place(site: Site) -> None:
    site.play()
    replies = {who: [ask(site, "split", **{"x-who": f"who {who}"}) for _ in range(2)] for who in range(60)}
    places = {who: set(paid(site, both)) for who, both in replies.items()}
    assert all(len(each) == 1 for each in places.values())
    first = sum(each == {"first"} for each in places.values())
    assert 2 <= first <= 30, f"a quarter of 60: {first}"


def test_a_stream_that_fails_while_it_is_held_back_costs_the_caller_nothing(site: Site) -> None:
    site.play(lambda say: say.events(b'data: {"error": {"message": "gone", "type": "server_error"}}\n\n'))
    replies = [site.ask(streamed=True, headers={"x-patience": "yes"}) for _ in range(4)]
    assert all("second:Hello" in reply.text and "error" not in reply.text for reply in replies)
    assert paid(site, replies) == ["second"] * 4
    assert site.asked == (4, 4)


def test_calls_wait_for_room_and_waiting_is_no_try(site: Site) -> None:
    """Two accounts that take one call at a time, eight callers at once: each account is never asked by two."""
    spans: list[tuple[str, float, float]] = []

    def slow(which: str) -> Any:
        def play(say: Say) -> None:
            assert not wants_stream(say)
            began = time.monotonic()
            time.sleep(0.15)
            spans.append((which, began, time.monotonic()))
            answer(which, say)

        return play

    site.play(slow("first"), slow("second"))
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: ask(site, "wait"), range(8)))
    assert Counter(paid(site, replies)).total() == 8
    told = [site.row(reply).other["admin_info"] for reply in replies]
    assert sum("waited" in each for each in told) >= 5, told
    assert all(len(each["use_channel"]) == 1 for each in told), "waiting is no try"
    for which in USED:
        alone = sorted(span[1:] for span in spans if span[0] == which)
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(alone)), alone


def test_the_books_agree(site: Site) -> None:
    db, journal = open_database(Settings(data=site.gateway.data)), site.gateway.data / "journal"
    try:
        until(lambda: not verify(db, db, journal).differences, words=lambda: verify(db, db, journal))
    finally:
        db.close()
