"""A call is made at another channel too: unseen and unpaid by the caller, with a row of its own for the operator."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from engine.ledger.proof import verify
from engine.settings import Settings
from engine.storage.database import open_database
from tests.relay import plain
from tests.relay.failing import CHARGED, COST, USED, Site, answer, example
from tests.relay.scripted import Say
from tests.support import PATIENCE, until

pytestmark = pytest.mark.xdist_group("mirror")
REHEARSE = {"headers": {"x-rehearse": "yes"}}


@pytest.fixture(scope="module", params=["openai.chat", "anthropic.messages"])
def site(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("mirror"), example("rehearsal"), formats=("openai.chat", request.param))
    yield made
    made.close()


def rows(site: Site) -> list[Any]:
    """All rows of calls that nobody asked for."""
    with closing(sqlite3.connect(site.gateway.data / "gatewright.db")) as db:
        db.row_factory = sqlite3.Row
        return db.execute("SELECT * FROM logs WHERE request_id LIKE '%-shadow' ORDER BY id").fetchall()


def mirrored(site: Site, reply: Any) -> Any:
    """The row of the call that mirrors another."""
    wanted = f"{reply.headers['x-request-id']}-shadow"
    until(lambda: any(row["request_id"] == wanted for row in rows(site)))
    return next(row for row in rows(site) if row["request_id"] == wanted)


@pytest.mark.parametrize("streamed", [False, True])
def test_the_other_channel_has_the_same_request_and_the_operator_its_cost(site: Site, streamed: bool) -> None:
    site.play()
    reply = site.ask(streamed=streamed, **REHEARSE)
    assert "first:Hello" in reply.text
    assert "second:" not in reply.text
    row = site.row(reply)
    assert (row.quota, row.input, row.output) == (CHARGED["first"], *USED["first"])
    assert row.other["admin_info"]["use_channel"] == ["first"]
    assert row.other["admin_info"]["cost"] == COST["first"]
    shadow = mirrored(site, reply)
    other = json.loads(shadow["other"])
    assert (shadow["quota"], shadow["user_id"], shadow["token_id"], shadow["username"]) == (0, 0, 0, "")
    assert (shadow["prompt_tokens"], shadow["completion_tokens"]) == USED["second"]
    assert other["admin_info"]["cost"] == COST["second"]
    assert other["admin_info"]["mirrors"] == reply.headers["x-request-id"]
    assert other["channel"] == "second"
    assert site.asked == (1, 1)
    sent = site.upstreams["second"].got[0].json
    assert "River?" in json.dumps(sent)
    assert bool(sent.get("stream")) is streamed


def test_the_caller_does_not_wait_for_it_nor_does_its_failure_matter(site: Site) -> None:
    go = threading.Event()

    def held(say: Say) -> None:
        go.wait(PATIENCE)
        say.whole(plain.error(site.formats["second"]), 503)

    site.play(second=held)
    before = len(rows(site))
    reply = site.ask(**REHEARSE)
    assert "first:Hello" in reply.text
    assert not go.is_set()
    until(lambda: site.asked == (1, 1))
    go.set()
    shadow = mirrored(site, reply)
    assert (shadow["quota"], shadow["type"]) == (0, 5)
    assert len(rows(site)) == before + 1


def test_one_that_breaks_off_is_told_as_such_in_its_row_alone(site: Site) -> None:
    opening = [plain.wire(event) for event in plain.opening(site.formats["second"], USED["second"])]

    def cut(say: Say) -> None:
        say.events(*opening, plain.wire(plain.speech(site.formats["second"], ("x",))[0]), end=False)
        raise OSError

    site.play(second=cut)
    reply = site.ask(streamed=True, **REHEARSE)
    assert site.row(reply).quota == CHARGED["first"]
    shadow = mirrored(site, reply)
    assert shadow["quota"] == 0
    assert json.loads(shadow["other"])["stream_status"]["end_reason"] == "cut"


def test_other_calls_are_made_once_and_no_more_than_some_at_once_are_mirrored(site: Site) -> None:
    site.play()
    site.ask()
    site.ask(model="other", **REHEARSE)
    go = threading.Event()

    def held(say: Say) -> None:
        go.wait(PATIENCE)
        answer("second", say, site.formats["second"])

    site.play(second=held)
    for _ in range(40):
        assert "first:Hello" in site.ask(**REHEARSE).text
    until(lambda: site.asked[1] == 32)
    time.sleep(0.3)
    assert site.asked == (40, 32)
    before = len(rows(site))
    go.set()
    until(lambda: len(rows(site)) >= before + 32)


def test_the_books_agree_and_nobody_paid_for_it(site: Site) -> None:
    site.play()
    replies = [site.ask(streamed=number % 2 == 0, **REHEARSE) for number in range(6)]
    for reply in replies:
        mirrored(site, reply)
    db, journal = open_database(Settings(data=site.gateway.data)), site.gateway.data / "journal"
    try:
        until(lambda: not verify(db, db, journal).differences, words=lambda: verify(db, db, journal))
    finally:
        db.close()
    with closing(sqlite3.connect(site.gateway.data / "gatewright.db")) as raw:
        used, count, logged, asked = raw.execute(
            "SELECT (SELECT sum(used_quota) FROM users), (SELECT sum(request_count) FROM users),"
            " sum(quota), count(*) FROM logs WHERE type = 2 AND user_id > 0"
        ).fetchone()
    assert (used, count) == (logged, asked)


def test_answers_that_are_kept_are_those_that_the_caller_had(site: Site) -> None:
    """Responses: what the second says must not be what a later request goes on from."""
    site.play()
    reply = site.gateway.post("/v1/responses", {"model": "m", "input": "River?"}, headers={"x-rehearse": "yes"})
    first = reply.json()["id"]
    mirrored(site, reply)
    site.play()
    body = {"model": "m", "input": "And then?", "previous_response_id": first}
    assert site.gateway.post("/v1/responses", body).status_code == 200
    sent = json.dumps(site.upstreams["first"].got[0].json)
    assert "first:Hello" in sent
    assert "second:" not in sent
