"""The outbox on each engine, to a real receiver: once put in it leaves, whatever dies, and what can't leave is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from engine.jobs import Lease
from engine.outbox import Outbox, Outcome, posting
from engine.outbox.sending import CLAIM, growing
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows.work import leases
from engine.storage.rows.work import outbox as rows
from engine.storage.rows.work.outbox import DEAD, MOST_TRIES, Message
from engine.transport.egress import Guard
from engine.transport.leg import Pool
from tests.relay.scripted import Say, Upstream
from tests.support import PATIENCE, until

SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw=="


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    upstream = Upstream()
    upstream.script = lambda say: say.whole({"ok": True})
    yield upstream
    upstream.close()


class Clock:
    """The time, which a test moves on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(Guard(["127.0.0.1"]))
    yield made
    made.close()


def sender(base: str, pool: Pool) -> Callable[[Message], Outcome]:
    def send(message: Message) -> Outcome:
        body = orjson.dumps(message.body)
        headers = [*posting.signed(SECRET, message.message, int(time.time()), body), ("content-type", "text/json")]
        return posting.call(pool, "POST", f"{base}/{message.target}", headers, body)[0]

    return send


def put(db: Database, target: str = "a", **body: Any) -> str | None:
    return db.write(lambda connection: rows.put(db, connection, "test", target, "test.event", body))


def lease(db: Database) -> Lease:
    fence = leases.take(db, "outbox", "tests", 600)
    assert fence is not None
    return Lease(db, "outbox", "tests", fence, 600)


def test_what_is_put_in_leaves_once_and_signed(db: Database, receiver: Upstream, pool: Pool) -> None:
    ids = {put(db, f"t{number % 3}", number=number) for number in range(12)}
    assert Outbox(db, {"test": sender(receiver.base, pool)}).send(lease(db)) == "12 left, 0 did not"
    assert {arrived.headers["webhook-id"] for arrived in receiver.got} == ids
    assert [one.json["number"] for one in receiver.got if one.path == "/t1"] == [1, 4, 7, 10]
    for arrived in receiver.got:
        at = int(arrived.headers["webhook-timestamp"])
        assert dict(posting.signed(SECRET, arrived.headers["webhook-id"], at, arrived.body)).items() <= (
            arrived.headers.items()
        )
    assert rows.due(db, int(time.time()), (), 10) == []


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's own libraries."""
    headers = dict(
        posting.signed(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
        )
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert "webhook-signature" not in dict(posting.signed("", "a", 1, b""))


def test_what_a_transaction_does_not_commit_is_not_put_in(db: Database) -> None:
    def fails(connection: Any) -> None:
        assert rows.put(db, connection, "test", "a", "test.event", {}) is not None
        rows.happened(db, connection, "test.event", {"word": "x"}, 7)
        raise StatementError("the business failed")

    with pytest.raises(StatementError):
        db.write(fails)
    assert rows.due(db, int(time.time()), (), 10) == []


def test_a_failure_is_tried_again_less_and_less_often_and_then_is_a_dead_letter(
    db: Database, receiver: Upstream, pool: Pool
) -> None:
    receiver.script = lambda say: say.whole({}, 500)
    message, clock = put(db), Clock()
    which = rows.due(db, int(time.time()), (), 1)[0].id
    box, held = Outbox(db, {"test": sender(receiver.base, pool)}, clock=clock), lease(db)
    waits = []
    for number in range(1, MOST_TRIES + 1):
        box.send(held)
        assert len(receiver.got) == number
        box.send(held)  # too early
        assert len(receiver.got) == number
        row = rows.one(db, which)
        assert row is not None
        waits.append(row["next_at"] - clock())
        clock.ahead += max(waits[-1], 60) + 2
    assert row["state"] == DEAD
    assert row["error"] == "answered with status 500"
    assert all(8 * 3 ** min(tries, 7) * 0.99 - 2 < waits[tries] <= 21_600 * 1.2 for tries in range(MOST_TRIES - 1))
    assert {arrived.headers["webhook-id"] for arrived in receiver.got} == {message}
    receiver.script = lambda say: say.whole({})
    assert [one["message"] for one in rows.dead(db)] == [message]
    assert rows.again(db, row["id"])
    assert not rows.again(db, row["id"])
    box.send(held)
    assert len(receiver.got) == MOST_TRIES + 1
    assert rows.one(db, row["id"]) is None


def test_growth_has_a_bound_and_chance() -> None:
    assert [growing(tries, jitter=lambda: 0.5) for tries in (1, 2, 3, 9)] == [10, 30, 90, 21_600]
    assert {round(growing(1, jitter=lambda share=share: share)) for share in (0.0, 1.0)} == {8, 12}  # type: ignore[misc]
    assert growing(1, after=500) == 500
    assert growing(1, after=10**9) == 21_600


@pytest.mark.parametrize(
    ("status", "again"), [(302, False), (400, False), (401, False), (410, False), (404, True), (429, True), (503, True)]
)
def test_which_answers_are_worth_another_try(receiver: Upstream, pool: Pool, status: int, again: bool) -> None:
    receiver.script = lambda say: say.whole({}, status, location=f"{receiver.base}/other", retry_after="77")
    outcome, _ = posting.call(pool, "POST", receiver.base, [], b"{}")
    assert (outcome.sent, outcome.again, outcome.after) == (False, again, 77)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://169.254.169.254/latest", "ftp://x/", "nonsense"])
def test_an_address_that_may_not_be_called_is_a_dead_letter_at_once(lite: Database, url: str) -> None:
    pool = Pool(Guard())
    box = Outbox(lite, {"test": lambda message: posting.call(pool, "POST", url, [], b"{}")[0]})
    put(lite)
    box.send(lease(lite))
    (row,) = rows.dead(lite)
    assert "169" not in row["error"]
    assert rows.drop(lite, row["id"])
    assert rows.dead(lite) == []


def test_a_target_that_fails_or_hangs_holds_up_no_other(db: Database, receiver: Upstream, pool: Pool) -> None:
    free = threading.Event()

    def script(say: Say) -> None:
        if say.arrived.path == "/slow":
            free.wait(PATIENCE)
        say.whole({}, 500 if say.arrived.path == "/bad" else 200)

    receiver.script = script
    for target in ("slow", "bad"):
        for _ in range(20):
            put(db, target)
    box, told = Outbox(db, {"test": sender(receiver.base, pool)}), []
    thread = threading.Thread(target=lambda: told.append(box.send(lease(db))))
    thread.start()
    try:
        until(lambda: Counter(one.path for one in receiver.got) == {"/slow": 1, "/bad": 1})
        put(db, "fine")  # while the slow one is under way
        until(lambda: any(one.path == "/fine" for one in receiver.got))
    finally:
        free.set()
        thread.join(PATIENCE)
    assert told == ["21 left, 1 did not"]
    assert Counter(one.path for one in receiver.got) == {"/slow": 20, "/bad": 1, "/fine": 1}


def test_bounds_refuse_without_failing_who_tells(lite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_WAITING", 5)
    assert [put(lite) is not None for _ in range(7)] == [True] * 5 + [False] * 2
    assert put(lite, "other") is not None
    assert put(lite, "long", text="x" * 50_000) is None
    lite.write(lambda connection: rows.happened(lite, connection, "e", {"text": "y" * 9_000}))
    (event,) = [one for one in rows.due(lite, int(time.time()), (), 10) if one.kind == rows.EVENT]
    assert event.body == {"user": 0, "values": {"text": "y" * 500}}


def test_a_sender_that_breaks_and_a_kind_that_nobody_sends(lite: Database) -> None:
    def breaks(message: Message) -> Outcome:
        raise ValueError("a secret: hunter2")

    put(lite)
    lite.write(lambda connection: rows.put(lite, connection, "none", "b", "test.event", {}))
    assert Outbox(lite, {"test": breaks}).send(lease(lite)) == "0 left, 2 did not"
    told = {rows.one(lite, which)["error"] for which in (1, 2)}  # type: ignore[index]
    assert told == {"failed: ValueError", "nobody sends messages of the kind none"}


def test_two_processes_with_one_message(db: Database) -> None:
    put(db)
    (message,) = rows.due(db, int(time.time()), (), 10)
    soon = int(time.time()) + CLAIM
    assert [rows.claim(db, message, soon) for _ in range(2)] == [True, False]
    rows.failed(db, message, "late", soon)
    (later,) = rows.due(db, soon, (), 10)
    assert later.tries == 1
    assert rows.claim(db, later, soon)
    rows.failed(db, message, "of a try that was overtaken", None)  # says nothing any more
    assert rows.one(db, message.id)["state"] == rows.WAITING  # type: ignore[index]


_SENDER = """
import sys
from pathlib import Path
from engine.jobs import Runner
from engine.outbox import Outbox
from engine.settings import Settings
from engine.storage.database import open_database
from engine.transport.egress import Guard
from engine.transport.leg import Pool
from tests.outbox.test_sending import sender
db = open_database(Settings(data=Path(sys.argv[1]), sql_dsn=sys.argv[2]), migrate=False)
Runner(db, Outbox(db, {"test": sender(sys.argv[3], Pool(Guard(["127.0.0.1"])))}).jobs, seconds=2, look=0.05).run()
"""


def test_a_sender_killed_while_the_receiver_reads(
    opened: tuple[Settings, Database], receiver: Upstream, pool: Pool
) -> None:
    """The worst moment: the receiver has it, and nobody has noted that. It comes again, with the id of before."""
    settings, db = opened
    receiver.script = lambda say: say.wait_until_left(PATIENCE)  # type: ignore[assignment, return-value]
    message = put(db, word="once")
    command = [sys.executable, "-c", _SENDER, str(settings.data), settings.sql_dsn or "", receiver.base]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": "."}) as process:
        until(lambda: len(receiver.got) == 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    receiver.script = lambda say: say.whole({})
    until(lambda: leases.take(db, "outbox", "tests", 600) is not None)
    clock, held = Clock(), lease(db)
    box = Outbox(db, {"test": sender(receiver.base, pool)}, clock=clock)
    assert box.send(held) == "0 left, 0 did not"  # its claim holds
    clock.ahead = CLAIM + 1
    assert box.send(held) == "1 left, 0 did not"
    assert [one.headers["webhook-id"] for one in receiver.got] == [message, message]
    assert receiver.got[0].body == receiver.got[1].body
    assert box.send(held) == "0 left, 0 did not"


def test_a_message_that_kills_its_sender_ends(lite: Database) -> None:
    put(lite)
    clock = Clock()
    for _ in range(MOST_TRIES):
        (message,) = rows.due(lite, int(clock()), (), 1)
        assert rows.claim(lite, message, int(clock()) + CLAIM)  # and dies
        clock.ahead += CLAIM + 1
    Outbox(lite, {}, clock=clock).send(lease(lite))
    assert rows.dead(lite)[0]["error"] == "whoever tried last did not live to tell"
