"""Caps of members, projects and tags: exact in the database, atomic between workers; what is left rolls over."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.accounts import people, users
from engine.accounts.budgets import set_budget
from engine.accounts.teams import keys, members, purposes, standing, teams
from engine.accounts.teams.keys import Purpose
from engine.cluster.store import EmbeddedStore
from engine.ledger import proof
from engine.ledger.budgets import Budgets, Exceeded
from engine.storage.rows import accounts, budgets
from engine.storage.rows.api import teams as rows
from engine.storage.rows.budgets import Budget, Use
from engine.storage.rows.people import by_id
from tests.ledger.conftest import Books, books
from tests.support import PATIENCE

__all__ = ["books"]
OPEN = frozenset({"default", "auto"})


class Lab:
    """A team of an owner and a member, on books of each engine."""

    def __init__(self, books: Books, store: EmbeddedStore) -> None:
        self.books, self.db, self.store = books, books.db, store
        self.owner = self.person(books.user)
        self.id = int(teams.create(self.db, self.owner, "lab")["id"])
        self.mia = self.person(users.create_user(self.db, "mia", "a long password", quota=0))
        self.member = int(members.invite(self.db, self.who(self.owner), "mia", "member")["id"])
        members.accept(self.db, self.mia, self.id)
        teams.move(self.db, self.who(self.owner), teams.PAY_IN, 50_000)

    def person(self, which: int) -> people.Person:
        return people.Person(by_id(self.db, which) or {})

    def who(self, person: people.Person) -> standing.Standing:
        return standing.of(self.db, person, self.id)

    def key(self, project: str | None = None, tags: tuple[str, ...] = ()) -> accounts.Account:
        body = {"name": "k", "unlimited_quota": True}
        row = keys.create(self.db, self.who(self.mia), body, Purpose(project, tags), OPEN, 100)
        account = accounts.find_key(self.db, row["key"])
        assert account is not None
        return account

    def cap(self, amount: int, holder: str = "member", which: int = 0, **more: int) -> Budget:
        budget = Budget(0, holder, which or self.member, "month", "quota", amount, 0, **more)
        set_budget(self.db, self.db, budget)
        return budget

    def worker(self) -> Budgets:
        return Budgets(self.db, self.store.space("budgets"))


@pytest.fixture
def lab(books: Books, tmp_path: Path) -> Iterator[Lab]:
    store = EmbeddedStore(tmp_path / "state.db")
    yield Lab(books, store)
    store.close()


def test_a_members_cap_holds_over_all_keys_workers_and_parallel_calls(lab: Lab) -> None:
    accounts_of = [lab.key() for _ in range(3)]
    lab.cap(1000)
    ledger = lab.books.ledger(beside=[lab.worker().book])
    ledger.start()
    workers, let_in = [lab.worker() for _ in range(4)], []

    def ask(number: int) -> None:
        account = accounts_of[number % 3]
        for turn in range(30):
            try:
                held = workers[number].check(account, quota=50, tokens=0, now=time.time())
            except Exceeded:
                continue
            workers[number].add(held, quota=40, tokens=0)
            let_in.append(1)
            ids = {"user_id": account.user_id, "token_id": account.token_id}
            ledger.put(lab.books.entry(number * 100 + turn, 40, **ids))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert ledger.flush(30)
    ledger.close()
    assert 23 <= len(let_in) <= 25  # 40 each; near the end one may not fit beside those under way
    cap = next(one for each in budgets.load(lab.db).values() for one in each if one.holder == "member")
    assert budgets.used(lab.db, cap, time.time()) == 40 * len(let_in)
    assert by_id(lab.db, lab.id)["quota"] == 50_000 - 40 * len(let_in)  # type: ignore[index]
    assert by_id(lab.db, lab.mia.id)["quota"] == 0  # type: ignore[index]
    result = proof.verify(lab.db, lab.db, lab.books.data / "journal")
    assert result.agrees, result.differences
    assert result.calls == len(let_in)


def test_a_key_that_is_made_a_moment_ago_is_bound_already(lab: Lab) -> None:
    lab.cap(100)
    worker = lab.worker()
    assert worker.check(lab.key(), quota=60, tokens=0, now=time.time()).parts
    with pytest.raises(Exceeded, match="the member's budget of 100 quota a month is filled by calls under way"):
        worker.check(lab.key(), quota=60, tokens=0, now=time.time())


def test_who_is_in_no_team_is_bound_by_what_was_before(lab: Lab) -> None:
    lab.cap(1)
    name = lab.db.dialect.identifier_preparer.quote("key")
    bare = lab.books.sql(f"SELECT {name} FROM tokens WHERE id = {lab.books.token}")[0][0].strip()
    account = accounts.find_key(lab.db, bare)
    assert account is not None
    assert lab.worker().check(account, quota=10**6, tokens=0, now=time.time()).parts == []


def test_projects_and_tags_bind_the_keys_that_are_counted_for_them(lab: Lab) -> None:
    owner = lab.who(lab.owner)
    project = purposes.add(lab.db, owner, "project", "crawler")["id"]
    tag = purposes.add(lab.db, owner, "tag", "night")["id"]
    plain, both = lab.key(), lab.key("crawler", ("night",))
    lab.cap(500, "project", project)
    lab.cap(100, "tag", tag)
    worker = lab.worker()
    assert worker.check(plain, quota=9999, tokens=0, now=time.time()).parts == []
    with pytest.raises(Exceeded, match="the tag's budget of 100"):
        worker.check(both, quota=101, tokens=0, now=time.time())
    uses = [Use(lab.id, both.token_id, 70, 0, int(time.time())), Use(lab.id, plain.token_id, 1, 0, int(time.time()))]
    lab.db.write(lambda connection: budgets.apply(connection, uses, lab.db.zone))
    used = {
        one.holder: budgets.used(lab.db, one, time.time()) for all_ in budgets.load(lab.db).values() for one in all_
    }
    assert used == {"project": 70, "tag": 70}
    lab.db.write(lambda connection: rows.drop_label(lab.db, connection, lab.id, "tag", tag))
    assert [one.holder for one in lab.worker().of(both)] == ["project"]


def test_what_was_left_rolls_over_as_far_as_it_may(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.db.zone = datetime.UTC
    clock = [datetime.datetime(2026, 3, 10, tzinfo=datetime.UTC).timestamp()]
    monkeypatch.setattr("engine.storage.rows.budgets.time.time", lambda: clock[0])
    account = lab.key()
    lab.cap(1000, rollover=50)

    def limit() -> int:
        (one,) = lab.worker().of(account)
        return one.limit(budgets.begins("month", clock[0], lab.db.zone))

    def spend(amount: int) -> None:
        use = Use(lab.id, account.token_id, amount, 0, int(clock[0]))
        lab.db.write(lambda connection: budgets.apply(connection, [use], lab.db.zone))

    def month(number: int) -> None:
        clock[0] = datetime.datetime(2026, number, 2, tzinfo=datetime.UTC).timestamp()

    assert limit() == 1000  # nothing was before it
    spend(800)
    month(4)
    assert limit() == 1200
    lab.cap(1000, rollover=50)  # set again, it goes on
    assert limit() == 1200
    spend(1100)
    month(5)
    assert limit() == 1000  # what was carried over was spent, and nothing of the month was left
    month(6)
    assert limit() == 1500  # all of May is left, half of it may come along
    with pytest.raises(Exceeded, match="budget of 1000 quota a month and 500 of the month before has 1500 left"):
        lab.worker().check(account, quota=1501, tokens=0, now=clock[0])


def test_a_budget_counts_what_the_keys_of_its_holder_used_before_it_was_set(lab: Lab) -> None:
    account = lab.key()
    ledger = lab.books.ledger()
    ledger.start()
    ids = {"user_id": account.user_id, "token_id": account.token_id}
    row = {"request_id": "r1", "quota": 70, "model_name": "m", "type": 2, "created_at": int(time.time()), **ids}
    ledger.put(lab.books.entry(1, 70, row=row, **ids))
    assert ledger.flush(30)
    ledger.close()
    cap = lab.cap(100)
    assert budgets.used(lab.db, cap, time.time()) == 70
