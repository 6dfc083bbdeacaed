"""Reservations: no balance is spent twice, whoever else spends it, and none is lost with a process."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from engine.accounts import keys
from engine.cluster.holds import Holds, Want
from engine.cluster.store import EmbeddedStore, LastKnown
from engine.errors import CallError
from engine.ledger.reserve import Reserves, token_key, user_key
from engine.ledger.terms import Terms
from engine.relay.ingress.identify import KeyCache
from engine.storage.database import Query
from engine.storage.faults import DatabaseAway
from tests.ledger.books import book, prices

ROOT = Path(__file__).resolve().parents[2]
TERMS = Terms()


def admitted(reserves, books, amount, times):
    held = []
    for _ in range(times):
        try:
            held.append(reserves.hold(books.user, books.token, amount, TERMS))
        except CallError as error:
            if error.meaning != "quota":
                raise
    return held


def test_no_more_is_held_than_there_is(light):
    reserves = Reserves(light.db, light.holds)
    held = admitted(reserves, light, 10_000, 20)
    assert len(held) == 10
    held[0].settle()
    assert len(admitted(reserves, light, 10_000, 2)) == 1


def test_what_was_charged_counts_before_and_after_its_commit(light):
    reserves = Reserves(light.db, light.holds)
    ledger = light.ledger()
    for number, held in enumerate(admitted(reserves, light, 10_000, 10)):
        held.settle(9_000)
        ledger.put(light.entry(number, 9_000))
    assert len(admitted(reserves, light, 10_000, 5)) == 1, "90,000 are spent though no commit was made"
    ledger.start()
    assert ledger.close()
    assert light.state()[0] == 10_000
    assert admitted(reserves, light, 1, 1) == [], "one of 10,000 is still held"


def test_the_difference_is_given_back(light):
    reserves = Reserves(light.db, light.holds)
    ledger = light.ledger()
    ledger.start()
    for number in range(50):
        held = reserves.hold(light.user, light.token, 50_000, TERMS)
        held.settle(1_000)
        ledger.put(light.entry(number, 1_000))
    assert ledger.close()
    assert light.state()[0] == 50_000


def test_money_that_comes_in_is_seen_before_a_call_is_refused(light):
    reserves = Reserves(light.db, light.holds)
    held = admitted(reserves, light, 100_000, 1)
    assert len(held) == 1
    assert admitted(reserves, light, 100_000, 1) == []
    for table, column in (("users", "quota"), ("tokens", "remain_quota")):
        light.db.write(lambda c, t=table, n=column: c.exec_driver_sql(f"UPDATE {t} SET {n} = {n} + 100000").rowcount)
    assert len(admitted(reserves, light, 100_000, 1)) == 1


def test_a_policy_that_only_counts_refuses_nobody_for_the_account(light):
    reserves = Reserves(light.db, light.holds)
    light.db.write(lambda c: c.exec_driver_sql("UPDATE tokens SET unlimited_quota = 1").rowcount)
    assert reserves.hold(light.user, light.token, 10**9, Terms(enforce=False)).amount == 10**9


def test_a_database_that_is_away_leaves_each_key_its_exposure(light):
    reserves = Reserves(light.db, light.holds, away=lambda: True)
    terms = Terms(exposure=25_000)
    for _ in range(2):
        reserves.hold(light.user, light.token, 10_000, terms)
    with pytest.raises(CallError) as told:
        reserves.hold(light.user, light.token, 10_000, terms)
    assert told.value.meaning == "unavailable"
    assert "25000 units at most, and the 10000 that this one" in told.value.message
    with pytest.raises(CallError):
        reserves.hold(light.user, light.token, 1, Terms(serve_away=False))


DEAD = """
import os, sys
from pathlib import Path
from engine.cluster.holds import Holds, Want
Holds(Path(sys.argv[1])).take(int(sys.argv[2]), [Want(int(sys.argv[3])), Want(int(sys.argv[4]))], 20_000)
os._exit(1)
"""


def test_what_a_dead_process_held_is_no_exposure_while_the_database_is_away(light, tmp_path):
    holds = Holds(tmp_path / "counters")
    keys_of_call = [str(light.user), str(user_key(light.user)), str(token_key(light.token))]
    subprocess.run([sys.executable, "-c", DEAD, str(tmp_path / "counters"), *keys_of_call], cwd=ROOT, check=False)
    assert holds.held(light.user, token_key(light.token)) == 20_000
    reserves = Reserves(light.db, holds, away=lambda: True)
    assert reserves.hold(light.user, light.token, 10_000, Terms(exposure=25_000)).amount == 10_000
    holds.close()


HOLDER = """
import sys, time
from pathlib import Path
from engine.cluster.holds import Holds, Want
from engine.cluster.store import EmbeddedStore, LastKnown
holds = Holds(Path(sys.argv[1]))
taken = 0
for _ in range(int(sys.argv[3])):
    marks = holds.mark(7, 16), holds.mark(7, 17)
    wants = [Want(16, int(sys.argv[2]), marks[0]), Want(17, int(sys.argv[2]), marks[1])]
    taken += holds.take(7, wants, 1) is None
print(taken, flush=True)
time.sleep(60)
"""


def test_processes_share_one_balance_and_the_dead_hold_nothing(tmp_path):
    path = tmp_path / "holds"
    mine = Holds(path)
    others = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path), "100", "1000"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    try:
        taken = [int(other.stdout.readline()) for other in others]
        assert sum(taken) == 100
        assert mine.held(7, 16) == 100
        mark = mine.mark(7, 16)
        assert mine.take(7, [Want(16, 100, mark)], 1) == 0
    finally:
        for other in others:
            other.kill()
            other.communicate()
    assert mine.sweep() >= 1
    assert mine.held(7, 16) == 0
    assert mine.take(7, [Want(16, 100, mine.mark(7, 16))], 100) is None
    mine.close()


def test_what_a_dead_process_had_spent_counts_until_its_journal_is_replayed(tmp_path):
    path = tmp_path / "holds"
    mine = Holds(path)
    code = (
        "import os,sys;from pathlib import Path;from engine.cluster.holds import Holds;"
        "h=Holds(Path(sys.argv[1]));h.settle(7,(16,),0,40);os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)
    mark = mine.mark(7, 16)
    mine.sweep()
    assert mine.take(7, [Want(16, 100, mark)], 61) == 0
    mine.commit(7, 16, 40, orphan=True)
    assert mine.take(7, [Want(16, 60, mine.mark(7, 16))], 60) is None
    mine.close()


def test_slots_give_way_to_other_keys_when_nothing_is_open(tmp_path):
    mine = Holds(tmp_path / "holds")
    kept = mine.take(1, [Want(user_key(1))], 5)
    for number in range(2, 20_000):
        mine.take(number, [Want(token_key(number))], 1)
        mine.settle(number, (token_key(number),), 1, 0)
    assert kept is None
    assert mine.held(1, user_key(1)) == 5
    mine.close()


class Away:
    """A database that nobody reaches."""

    def __init__(self, db):
        self._db = db
        self.prepared = {}

    def __getattr__(self, name):
        return getattr(self._db, name)

    def query(self, chosen):
        return Query(self, chosen)

    def run(self, sql, values):
        raise DatabaseAway("away")


def test_a_worker_believes_what_another_knew_while_the_database_is_away(light, tmp_path):
    store = EmbeddedStore(tmp_path / "state.db")
    last = LastKnown(store.space("known"))
    bare = keys.create_key(light.db, light.user, "other").key[3:]
    for db in (light.db, Away(light.db)):
        cache, reserves = KeyCache(db, last), Reserves(db, light.holds, last=last)
        cache.patience = reserves.patience = 60
        account = cache.find(bare)
        assert (account.key, account.unlimited, account.user_quota) == (bare, True, 100_000)
        reserves.hold(light.user, light.token, 40_000, Terms())
    assert b"other" in store.space("known").get(hashlib.sha256(bare.encode()).hexdigest())
    assert bare.encode() not in (tmp_path / "state.db").read_bytes() + (tmp_path / "state.db-wal").read_bytes()
    with pytest.raises(CallError, match="balance"):
        reserves.hold(light.user, light.token, 40_000, Terms())  # what the others hold counts
    impatient = KeyCache(Away(light.db), last)
    with pytest.raises(DatabaseAway):
        impatient.find(bare)
    store.close()


def test_counters_hold_the_largest_amounts_and_lose_nothing(tmp_path: Path) -> None:
    mine = Holds(tmp_path / "holds")
    wants = [Want(16), Want(17)]
    assert mine.take(7, wants, 100) is None
    assert mine.take(7, wants, 2**62) == 0  # too much for a counter: refused, and nothing of it is held
    assert (mine.held(7, 16), mine.held(7, 17)) == (100, 100)
    mine.settle(7, (16, 17), 100, 2**70)
    assert (mine.held(7, 16), mine.held(7, 17)) == (0, 0)
    mine.settle(7, (16, 17), 0, 2**62)
    assert mine.open(7, 16) == mine.open(7, 17) == 2**60
    mine.commit(7, 16, 2**70)
    assert mine.open(7, 16) == 0


def test_a_charge_fits_into_every_database() -> None:
    made = book(prices("- {names: [m], tokens: {input: 2, output: 8}}"))
    huge = {"input_fresh": 10**30, "input_total": 10**30, "total": 10**30}
    assert made.charge(made.find("m"), huge, group="default").quota == 2**53 - 1
    assert made.estimate(made.find("m"), input_tokens=10**30, max_tokens=1, group="default") == 2**53 - 1
