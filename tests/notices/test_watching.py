"""What is noticed by looking: told once, and again only after it was well in between; on each engine."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import insert, update

from engine.accounts.keys import create_key
from engine.notices.watching import Watch
from engine.storage.releases import machines
from engine.storage.rows import budgets, people
from engine.storage.rows.budgets import KEY, QUOTA, USER, Budget, Use
from engine.storage.rows.work import outbox
from engine.storage.tables.core import tokens
from engine.storage.tables.ledger import ledger
from tests.notices.conftest import Place

DAY = 86_400


class Looking:
    """A look, and what it found: events with whose affair they are and their values."""

    def __init__(self, place: Place) -> None:
        self.place, self.ahead, self.calls = place, 0.0, 0
        self.watch = Watch(place.db, place.ground, clock=lambda: time.time() + self.ahead)

    def call(self, user: int, key: int = 0, at: float = 0) -> None:
        """A finished call is booked."""
        self.calls += 1
        row = {"request_id": f"r{self.calls}", "created_at": int(at or time.time() + self.ahead), "user_id": user}
        row |= {"token_id": key, "channel_id": 0, "quota": 1}
        self.place.db.write(lambda connection: connection.execute(insert(ledger).values(row)))

    def balance(self, user: int, units: int) -> None:
        self.place.db.write(lambda c: people.change(self.place.db, c, user, {"quota": units}))

    def key(self, which: int, **values: Any) -> None:
        self.place.db.write(lambda c: c.execute(update(tokens).where(tokens.c.id == which).values(values)))

    def see(self) -> list[tuple[str, int, dict[str, Any]]]:
        self.watch.look()
        self.watch.look_at_keys()
        return self.taken()

    def taken(self) -> list[tuple[str, int, dict[str, Any]]]:
        there: list[tuple[str, int, dict[str, Any]]] = []
        while found := outbox.due(self.place.db, int(time.time() + self.ahead) + 5, (), 100):
            for one in found:
                there.append((one.about, one.body["user"], one.body["values"]))
                outbox.sent(self.place.db, one)
        return there


def test_a_low_balance_is_told_once_until_it_is_topped_up(place: Place) -> None:
    looking = Looking(place)
    ann, bob = place.person("ann", quota=900), place.person("bob", quota=900, quota_warning_threshold=500)
    idle = place.person("idle", quota=1)
    assert looking.see() == []  # nobody has called
    looking.call(ann.id)
    looking.call(bob.id)
    told = ("balance.low", ann.id, {"units": 900, "threshold": 1000})
    assert looking.see() == [told]
    looking.call(ann.id)
    looking.balance(ann.id, 10)
    assert looking.see() == []
    looking.balance(ann.id, 5_000)  # a top-up, noticed without a call
    looking.balance(bob.id, 499)
    looking.call(bob.id)
    assert looking.see() == [("balance.low", bob.id, {"units": 499, "threshold": 500})]
    looking.balance(ann.id, 0)
    looking.call(ann.id)
    assert looking.see() == [("balance.low", ann.id, {"units": 0, "threshold": 1000})]
    place.options["QuotaRemindThreshold"] = "2000"
    looking.call(idle.id)
    assert [one[1] for one in looking.see()] == [idle.id]


def test_a_look_goes_on_where_the_last_one_ended(small: Place) -> None:
    """Also by another process, and for calls that were booked a little late."""
    first = Looking(small)
    ann, bob, old = (small.person(name, quota=1) for name in ("ann", "bob", "old"))
    first.see()
    second = Looking(small)
    second.ahead, second.calls = 300, 10
    second.call(ann.id, at=time.time() + 20)
    second.call(bob.id, at=time.time() - 30)
    second.call(old.id, at=time.time() - 3600)
    assert {one[1] for one in second.see()} == {ann.id, bob.id}


def test_a_key_near_its_end(place: Place) -> None:
    looking = Looking(place)
    ann = place.person("ann", quota=10**6, quota_warning_threshold=5_000)
    bounded = create_key(place.db, "ann", "bounded", quota=100_000).token_id
    small = create_key(place.db, "ann", "small", quota=100).token_id
    free = create_key(place.db, "ann", "free").token_id
    for key in (bounded, small, free):
        looking.call(ann.id, key)
    assert looking.see() == []
    looking.key(bounded, remain_quota=4_000, used_quota=96_000)
    looking.key(small, remain_quota=50, used_quota=50)  # less than the threshold, but half of it
    for key in (bounded, small, free):
        looking.call(ann.id, key)
    told = ("key.ending", ann.id, {"key": "bounded", "why": "quota", "units": 4_000})
    assert looking.see() == [told]
    looking.key(bounded, remain_quota=90_000)
    assert looking.see() == []
    looking.key(bounded, remain_quota=4_000)
    looking.call(ann.id, bounded)
    assert looking.see() == [told]


def test_a_key_whose_time_ends(place: Place) -> None:
    looking, now = Looking(place), int(time.time())
    ann = place.person("ann")
    create_key(place.db, "ann", "later", expires=now + 4 * DAY)
    create_key(place.db, "ann", "never")
    soon = create_key(place.db, "ann", "soon", expires=now + 2 * DAY).token_id
    told = ("key.ending", ann.id, {"key": "soon", "why": "time", "expires_at": now + 2 * DAY})
    assert looking.see() == [told]
    assert looking.see() == []
    looking.key(soon, expired_time=now + 30 * DAY)
    assert looking.see() == []
    looking.ahead = 28 * DAY
    assert [one[2]["key"] for one in looking.see()] == ["soon"]


def test_a_budget_at_its_two_bounds(place: Place) -> None:
    looking = Looking(place)
    ann = place.person("ann", quota=10**6)
    key = create_key(place.db, "ann", "k").token_id
    for holder, which in ((USER, ann.id), (KEY, key)):
        budgets.put(place.db, place.db, Budget(0, holder, which, "month", QUOTA, 1_000, 80))

    def use(units: int) -> None:
        there = [Use(ann.id, key, units, 0, int(time.time()))]
        place.db.write(lambda connection: budgets.apply(connection, there, place.db.zone))
        looking.call(ann.id, key)

    use(799)
    assert looking.see() == []
    use(1)
    there = looking.see()
    assert [(one[0], one[1], one[2]["name"], one[2]["percent"]) for one in there] == [
        ("budget.passed", ann.id, "ann", 80),
        ("budget.passed", ann.id, "k", 80),
    ]
    use(100)
    assert looking.see() == []
    use(100)
    assert [one[2]["percent"] for one in looking.see()] == [100, 100]
    use(100)
    assert looking.see() == []


def test_a_machine_that_refuses_documents(place: Place) -> None:
    looking = Looking(place)

    def report(ok: bool) -> None:
        faults = {"faults": [] if ok else ["Price/x: no"]}
        now = int(time.time())
        machines.report(place.db, machines.Machine("m1", "box", 3, "hash", ok, faults, now, now))

    report(True)
    assert looking.see() == []
    report(False)
    told = ("documents.refused", 0, {"machine": "box", "fault": "Price/x: no"})
    assert [looking.see(), looking.see()] == [[told], []]
    report(True)
    assert looking.see() == []
    report(False)
    assert looking.see() == [told]


def test_a_look_that_dies_before_its_end_tells_nothing_twice(place: Place) -> None:
    """Mark and event are one transaction: the next look finds both, or neither."""
    looking = Looking(place)
    ann = place.person("ann", quota=1)
    looking.call(ann.id)
    looking.watch.look()
    again = Watch(place.db, place.ground)
    again._balances({ann.id}, int(time.time()))  # as if the place of the first had been lost
    assert [one[0] for one in looking.taken()] == ["balance.low"]
