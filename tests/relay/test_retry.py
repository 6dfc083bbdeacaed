"""The channel that failed is asked again, as the Policy of docs/routing.md says: how often, when, and what it costs."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.relay.failing import CHARGED, USED, Play, Site, answer, example
from tests.relay.plain import error
from tests.relay.scripted import Say, leave

pytestmark = pytest.mark.xdist_group("retry")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("retry"), example("again"))
    yield made
    made.close()


def failing(times: int, status: int, **headers: str) -> Play:
    """The first channel fails so many times, and then answers."""
    count = iter(range(times))

    def play(say: Say) -> None:
        if next(count, None) is None:
            answer("first", say)
        else:
            say.whole(error("openai.chat", "Slow down", status), status, **headers)

    return play


@pytest.mark.parametrize("streamed", [False, True])
def test_the_same_channel_answers_the_second_time_and_is_charged_once(site: Site, streamed: bool) -> None:
    site.play(failing(1, 529))
    began = time.monotonic()
    reply = site.ask(streamed=streamed)
    assert reply.status_code == 200
    assert "first:Hello" in reply.text
    assert time.monotonic() - began >= 0.1, "after as long as the Policy says"
    row = site.row(reply)
    assert (row.quota, row.input, row.output) == (CHARGED["first"], *USED["first"])
    assert row.other["admin_info"]["use_channel"] == ["first", "first"]
    assert row.other["admin_info"]["failed"] == [["first", "overloaded"]]
    assert site.asked == (2, 0)


def test_it_is_asked_as_often_as_its_meaning_allows_then_another_is(site: Site) -> None:
    site.play(failing(9, 529))
    reply = site.ask()
    assert "second:Hello" in reply.text
    assert site.asked == (3, 1), "two times more for the meaning overloaded"
    assert site.row(reply).quota == CHARGED["second"]
    site.play(failing(9, 404))
    assert "second:Hello" in site.ask().text
    assert site.asked == (1, 1), "nothing is said of this meaning"


def test_each_time_is_one_of_the_tries(site: Site) -> None:
    site.play(failing(9, 529), lambda say: say.whole(error("openai.chat", status=529), 529))
    assert site.ask().status_code == 529
    assert site.asked == (3, 1), "four tries in all"


def test_a_connection_that_breaks_off_is_made_once_more(site: Site) -> None:
    count = iter(range(1))

    def play(say: Say) -> None:
        if next(count, None) is None:
            answer("first", say)
        else:
            say.head(length=500)
            raise OSError

    site.play(play)
    assert "first:Hello" in site.ask().text
    assert site.asked == (2, 0)


def test_retry_after_is_waited_for_where_it_is_not_too_long(site: Site) -> None:
    site.play(failing(1, 429, retry_after="1"))
    began = time.monotonic()
    reply = site.ask()
    assert "first:Hello" in reply.text
    assert time.monotonic() - began >= 1
    assert site.asked == (2, 0)
    site.play(failing(1, 429, retry_after="30"))
    assert "second:Hello" in site.ask().text
    assert site.asked == (1, 1), "it asked for more than the Policy's longest"


def test_who_leaves_while_it_waits_pays_nothing_and_nobody_is_asked_again(site: Site) -> None:
    site.play(failing(9, 429, retry_after="2"))
    body = {"model": "m", "messages": [{"role": "user", "content": "River?"}], "user": "leaves"}

    def refused() -> bool:
        asked = site.asked == (1, 0)
        time.sleep(0.5 if asked else 0)  # the gateway has read it, and waits
        return asked

    leave(site.gateway, "/v1/chat/completions", json.dumps(body).encode(), refused)
    reply = site.ask(model="other")  # as long as the other would have waited
    time.sleep(0.5)
    assert site.asked == (3, 1), "one of the call whose caller left, two of the one after it"
    assert site.row(reply).quota == CHARGED["second"]
    with closing(sqlite3.connect(site.gateway.data / "gatewright.db")) as db:
        quotas = db.execute("SELECT quota FROM logs WHERE model_name = 'm' ORDER BY id DESC LIMIT 1").fetchone()
    assert quotas == (0,)
