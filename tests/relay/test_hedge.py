"""A second channel beside a slow one: the first answer wins, the other is closed, the books have the cost of both."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import requests

from tests.relay import plain
from tests.relay.failing import CHARGED, COST, USED, Play, Site, answer, example, stream, wants_stream, words
from tests.relay.scripted import Say, leave
from tests.support import PATIENCE, until

pytestmark = pytest.mark.xdist_group("hedge")
FORMATS = [("openai.chat", "anthropic.messages"), ("gemini.generateContent", "openai.chat")]


@pytest.fixture(scope="module", params=FORMATS)
def site(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("hedge"), example("hedge"), formats=request.param)
    yield made
    made.close()


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same where the caller pays for what lost."""
    made = Site(tmp_path_factory.mktemp("paid"), example("hedge").replace("loser: free", "loser: input"))
    yield made
    made.close()


def silent(say: Say) -> None:
    """Nothing, until the caller has closed the connection."""
    say.wait_until_left(PATIENCE)
    raise OSError


def headed(site: Site) -> Play:
    """The head and the opening of a stream, and then nothing."""

    def play(say: Say) -> None:
        opening = [plain.wire(event) for event in plain.opening(site.formats["first"], USED["first"])]
        if wants_stream(say) or "stream" in say.arrived.path:
            say.events(*opening, end=False)
        silent(say)

    return play


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_the_second_answers_and_is_charged_and_the_first_is_closed(site: Site, streamed: bool, begun: bool) -> None:
    site.play(headed(site) if begun else silent)
    reply = site.ask(streamed=streamed)
    assert reply.status_code == 200
    assert "second:Hello" in reply.text
    assert "first:" not in reply.text
    assert site.asked == (1, 1)
    assert site.upstreams["first"].got[0].left.wait(PATIENCE)
    row = site.row(reply)
    assert (row.quota, row.input, row.output) == (CHARGED["second"], *USED["second"])
    told = row.other["admin_info"]
    assert row.other["channel"] == "second"
    assert told["use_channel"] == ["first", "second"]
    ((name, cost),) = told["lost"]
    assert name == "first"
    assert float(cost) > 0, "its input went up"
    assert float(told["cost"]) == pytest.approx(float(cost) + 0.00007)
    assert not told.get("failed")


@pytest.mark.parametrize("streamed", [False, True])
def test_the_first_may_still_win(site: Site, streamed: bool) -> None:
    """It answers when the second has been asked and says nothing."""
    asked = threading.Event()

    def slow(say: Say) -> None:
        asked.wait(PATIENCE)
        answer("first", say, site.formats["first"]) if site.formats["first"] != FORMATS[1][0] else gemini(say)

    def second(say: Say) -> None:
        asked.set()
        silent(say)

    site.play(slow, second)
    reply = site.ask(streamed=streamed)
    assert "first:Hello" in reply.text
    row = site.row(reply)
    assert (row.quota, row.input, row.output) == (CHARGED["first"], *USED["first"])
    assert row.other["admin_info"]["use_channel"] == ["second", "first"]
    assert row.other["admin_info"]["lost"][0][0] == "second"
    assert site.upstreams["second"].got[0].left.wait(PATIENCE)


def gemini(say: Say) -> None:
    """The first one's answer in a format whose path says whether it is a stream."""
    if "streamGenerate" in say.arrived.path:
        say.events(*stream("first", FORMATS[1][0]))
    else:
        say.whole(plain.whole(FORMATS[1][0], "".join(words("first")), USED["first"]))


def test_a_fast_answer_is_not_helped(site: Site) -> None:
    site.play(gemini if site.formats["first"] == FORMATS[1][0] else None)
    row = site.row(site.ask())
    assert row.quota == CHARGED["first"]
    assert site.asked == (1, 0)
    assert "lost" not in row.other["admin_info"]


def test_other_calls_wait_for_their_channel(site: Site) -> None:

    def play(say: Say) -> None:
        time.sleep(1)
        gemini(say) if site.formats["first"] == FORMATS[1][0] else answer("first", say, site.formats["first"])

    site.play(play)
    assert "first:Hello" in site.ask(model="other").text
    assert site.asked == (1, 0)


@pytest.mark.parametrize("streamed", [False, True])
def test_one_that_fails_beside_the_other_leaves_the_call_to_it(site: Site, streamed: bool) -> None:
    asked = threading.Event()

    def fails(say: Say) -> None:
        asked.wait(PATIENCE)
        say.whole(plain.error(site.formats["first"]), 503)

    def second(say: Say) -> None:
        asked.set()
        time.sleep(0.5)
        answer("second", say, site.formats["second"])

    site.play(fails, second)
    reply = site.ask(streamed=streamed)
    assert "second:Hello" in reply.text
    row = site.row(reply)
    assert row.quota == CHARGED["second"]
    assert row.other["admin_info"]["failed"] == [["first", "overloaded"]]
    assert "lost" not in row.other["admin_info"]


def test_when_both_fail_the_caller_has_one_error_and_pays_nothing(site: Site) -> None:
    asked = threading.Event()

    def fails(say: Say) -> None:
        asked.wait(PATIENCE)
        say.whole(plain.error(site.formats["first"]), 503)

    def second(say: Say) -> None:
        asked.set()
        time.sleep(0.5)
        say.whole(plain.error(site.formats["second"]), 503)

    site.play(fails, second)
    reply = site.ask()
    assert reply.status_code == 503
    row = site.row(reply)
    assert (row.quota, row.type) == (0, 5)
    assert len(row.other["admin_info"]["failed"]) == 2


@pytest.mark.parametrize("streamed", [False, True])
def test_a_caller_who_leaves_closes_both(site: Site, streamed: bool) -> None:
    site.play(silent, silent)
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "River?"}], "stream": streamed}
    leave(site.gateway, "/v1/chat/completions", json.dumps(body).encode(), lambda: site.asked == (1, 1))
    for upstream in site.upstreams.values():
        assert upstream.got[0].left.wait(PATIENCE)

    def row() -> Any:
        with closing(sqlite3.connect(site.gateway.data / "gatewright.db")) as db:
            return db.execute("SELECT quota, prompt_tokens, other FROM logs ORDER BY id DESC LIMIT 1").fetchone()

    until(lambda: "client_gone" in row()[2], words=row)
    quota, tokens, _ = row()
    assert quota == 2 * tokens > 0, "the input, once"


@pytest.mark.parametrize("streamed", [False, True])
def test_the_caller_pays_the_input_of_what_lost_where_a_policy_says_so(paid: Site, streamed: bool) -> None:
    paid.play(silent)
    row = paid.row(paid.ask(streamed=streamed))
    (lost,) = row.other["admin_info"]["lost"]
    tokens = round(float(lost[1]) * 1_000_000)
    assert tokens > 0
    assert row.quota == CHARGED["second"] + 2 * tokens, "4 dollars a million are 2 units a token"
    with closing(sqlite3.connect(paid.gateway.data / "gatewright.db")) as db:
        used, logged = db.execute(
            "SELECT (SELECT sum(used_quota) FROM users), (SELECT sum(quota) FROM logs WHERE type = 2)"
        ).fetchone()
    assert used == logged


def test_many_at_once_have_each_its_own_answer_and_charge(paid: Site) -> None:
    """Answers come now from the one, now from the other, in the same moment; each is booked by who gave it."""

    def first(say: Say) -> None:
        time.sleep(0.3)
        answer("first", say)

    paid.play(first)
    replies: list[requests.Response] = []
    threads = [threading.Thread(target=lambda n=n: replies.append(paid.ask(streamed=n % 2 == 0))) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 24
    for reply in replies:
        whose = "first" if "first:" in reply.text else "second"
        assert f"{whose}: there" in reply.text
        assert ("second:" in reply.text) != ("first:" in reply.text)
        row = paid.row(reply)
        assert row.other["channel"] == whose
        assert (row.input, row.output) == USED[whose]
        lost = row.other["admin_info"].get("lost", [])
        more = [USED[name][0] if cost == COST[name] else round(float(cost or 0) * 1_000_000) for name, cost in lost]
        assert row.quota == CHARGED[whose] + 2 * sum(more)
