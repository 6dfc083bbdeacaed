"""Trials and canaries on each database: one at a time, counted once with the charges, ended with the release."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import text

from engine.errors import Conflict, NotFound
from engine.storage.database import Database
from engine.storage.releases import canaries, documents, trials
from engine.storage.releases.canaries import DROPPED, NEW, OLD, PROMOTED
from engine.storage.releases.documents import Author, StoredDocument
from engine.storage.releases.trials import Trial
from engine.storage.rows.posting import Entry, post

ANN = Author(7, "ann")
CHANGE = StoredDocument("Price", "house", "console", "text 🙂")


def trial(name: str = "abc", seconds: int = 3600) -> Trial:
    return Trial(name, "a trial", 0, ANN, (CHANGE,), int(time.time()) + seconds, 3)


def entry(id_: str, arm: str, token: int, failed: bool, ms: int | None, losses: int, tokens: int, quota: int) -> Entry:
    measures = [1, arm, failed, ms, losses]
    row = {
        "prompt_tokens": tokens,
        "completion_tokens": 0,
        "token_id": token,
        "other": {"admin_info": {"canary": measures}},
    }
    return Entry(id_, 1, 0, token, 0, quota, not failed, "upstream", row)  # type: ignore[arg-type]


def test_calls_are_counted_once_in_the_transaction_of_their_charges(db: Database) -> None:
    calls = [
        entry("a", NEW, 5, False, 100, 2, 1000, 30),
        entry("b", NEW, 5, True, None, 0, 0, 0),
        entry("c", NEW, 6, False, 0, 0, 10, 7),
        entry("d", OLD, 5, False, 200, 1, 3_000_000_000, 9),
    ]
    plain = Entry("e", 1, 0, 5, 0, 1, True, "upstream", {"token_id": 5, "other": {"admin_info": {}}})

    def booked(group: list[Entry]) -> None:
        def work(connection):
            canaries.count(connection, post(connection, db, group, doubt=True))

        db.write(work)

    booked([calls[0], plain])
    booked(calls)  # as a journal that is replayed: the first is there
    sums = canaries.counts(db, 1)
    assert [(key["calls"], key["errors"], key["timed"], key["losses"]) for key in sums[NEW]] == [
        (2, 1, 1, 2),
        (1, 0, 1, 0),
    ]
    first = sums[NEW][0]
    assert (first["losses2"], first["tokens2"], first["quota_tokens"], first["quota2"]) == (4, 1e6, 30_000, 900)
    assert first["log_ms"] == pytest.approx(math.log(100), abs=1e-6)
    assert sums[OLD][0]["tokens2"] == pytest.approx(9e18)
    assert canaries.counts(db, 2) == {NEW: [], OLD: []}


def test_one_canary_runs_and_a_release_ends_it(db: Database) -> None:
    with pytest.raises(NotFound, match="there is no trial abc"):
        canaries.begin(db, "abc", "", {}, 0, ANN)
    trials.begin(db, trial(seconds=60))
    later = int(time.time()) + 7200
    assert canaries.begin(db, "abc", "a trial", {"share": 0.5}, later, ANN) == 1
    assert trials.one(db, "abc").until == later
    assert trials.one(db, "abc").changes[0].text == "text 🙂"
    with pytest.raises(Conflict, match="canary 1 runs: promote or drop it first"):
        canaries.begin(db, "abc", "", {}, 0, ANN)
    with pytest.raises(Conflict, match="canary 1 runs by the trial"):
        trials.begin(db, trial())
    running = canaries.running(db)
    assert running is not None
    assert canaries.looked(db, running, 1, {"state": "open"})
    assert not canaries.looked(db, running, 1, {"state": "worse"}, dropped="twice")  # another process made this look
    refused = partial(canaries.released, db, 9, ANN)
    with pytest.raises(Conflict, match="canary 9 does not run any more; nothing was published"):
        documents.publish(db, 0, [CHANGE], ANN, also=refused)
    assert documents.head(db) == 0
    documents.publish(db, 0, [CHANGE], ANN, also=partial(canaries.released, db, 1, ANN))
    assert [(one.number, one.state, one.reason) for one in canaries.newest(db)] == [(1, PROMOTED, "release 1")]
    assert canaries.running(db) is None
    assert canaries.begin(db, "abc", "another", {}, 0, ANN) == 2
    documents.publish(db, 1, [replace(CHANGE, text="x")], ANN, also=partial(canaries.released, db, None, ANN))
    ended = canaries.one(db, 2)
    assert (ended.state, ended.reason) == (DROPPED, "release 2 of ann came meanwhile, and with it another base")
    with db.read() as connection:
        count = connection.execute(text("SELECT COUNT(*) FROM gatewright_outbox WHERE about = 'canary.ended'")).scalar()
    assert count == 2


def test_so_many_trials_run_and_none_after_its_end(db: Database) -> None:
    trials.begin(db, trial("old", seconds=-1))
    assert trials.listed(db) == [] == list(trials.marks(db))
    for number in range(trials.MOST):
        trials.begin(db, trial(f"t{number}"))
    with pytest.raises(Conflict, match="8 trials run, as many as may at a time: end one first"):
        trials.begin(db, trial("one more"))
    trials.begin(db, trial("t3"))  # in the place of the one that is there
    assert trials.end(db, "t0") == 1
    assert trials.end(db, "t0") == 0
    assert (
        [one[0] for one in trials.marks(db)] == [one.id for one in trials.listed(db)] == [f"t{n}" for n in range(1, 8)]
    )
    with pytest.raises(NotFound):
        trials.one(db, "t0")
