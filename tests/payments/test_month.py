"""A month of plans in counted time, on each engine: bought, reset, spent beyond, upgraded, over, refunded; the books of
every day are proved, and two machines do at once what is due."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from engine.accounts import orders, people
from engine.accounts.plans import buying, catalogue, lives, periods
from engine.errors import CallError, Conflict, Invalid
from engine.ledger import proof
from engine.ledger.funding import Funding
from engine.ledger.reserve import Reserves, purse_key, token_key
from engine.ledger.terms import Terms
from engine.payments import due
from engine.storage.rows.accounts import PLANS_ONLY, WALLET_FIRST, find_key
from engine.storage.rows.people import by_id
from tests.ledger.conftest import Books, books

__all__ = ["books"]
START = int(datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC).timestamp())
DAY, UNIT = 86_400, 500_000
GROUPS = frozenset({"default", "vip", "svip"})
OPTIONS = {"QuotaPerUnit": str(UNIT)}


class Month:
    """Books with a clock, and workers that remember nothing."""

    def __init__(self, books: Books, key: str) -> None:
        self.books, self.key, self.now, self.calls = books, key, START, 0
        books.db.zone = datetime.UTC
        self.reserves = Reserves(books.db, books.holds)
        self.funding = Funding(books.db, self.reserves, clock=lambda: self.now)
        self.ledger = books.ledger()
        self.ledger.start()

    def call(self, quota: int, estimate: int | None = None, model: str = "m") -> int:
        """A call of the key; the subscription that paid, 0 for the balance."""
        account = find_key(self.books.db, self.key)
        assert account is not None
        purses = self.funding.of(account, model) if account.funding else self.reserves
        held = purses.hold(account.user_id, account.token_id, estimate or quota, Terms())
        held.settle(quota)
        self.calls += 1
        self.ledger.put(self.books.entry(self.calls, quota, plan=held.plan, created_at=self.now))
        assert self.ledger.flush()
        return held.plan

    def spend(self, quota: int, times: int) -> list[int]:
        return [self.call(quota) for _ in range(times)]

    def night(self) -> None:
        """A day goes by; two machines look for what is due at the same moment, and the books are proved."""
        self.now += DAY
        gate = threading.Barrier(2)

        def machine(_: int) -> str:
            gate.wait()
            return due.work(self.books.db, None, self.now)

        with ThreadPoolExecutor(2) as machines:
            self.said = list(machines.map(machine, range(2)))
        self.prove()

    def prove(self) -> proof.Proof:
        result = proof.verify(self.books.db, self.books.db, self.books.data / "journal")
        assert result.agrees, result.differences
        return result

    @property
    def balance(self) -> int:
        return int(by_id(self.books.db, self.books.user)["quota"])  # type: ignore[index]

    @property
    def group(self) -> str:
        return str(by_id(self.books.db, self.books.user)["group"])  # type: ignore[index]

    def life(self, which: int) -> dict[str, Any]:
        return catalogue.subscription(self.books.db, which)


@pytest.fixture
def month(books: Books, monkeypatch: pytest.MonkeyPatch) -> Iterator[Month]:
    monkeypatch.setattr("engine.ledger.reserve._REMEMBER", 0.0)
    monkeypatch.setattr("engine.ledger.funding._REMEMBER", 0.0)
    key = books.sql(f"SELECT {books.db.dialect.identifier_preparer.quote('key')} FROM tokens")[0][0].strip()
    made = Month(books, key)
    for module in ("accounts.orders", "accounts.plans.buying", "accounts.plans.catalogue", "accounts.credit"):
        monkeypatch.setattr(f"engine.{module}.time.time", lambda: float(made.now))
    yield made
    made.ledger.close()


def plan(month: Month, title: str, **more: Any) -> int:
    return int(catalogue.create(month.books.db, {"title": title, **more}, GROUPS)["id"])


def bought(month: Month, which: int) -> int:
    buying.by_balance(month.books.db, month.books.user, which, UNIT)
    return int(catalogue.owned(month.books.db, month.books.user)[0]["id"])


def test_a_month(month: Month) -> None:
    books, db = month.books, month.books.db
    small = plan(month, "Small", price_amount=0.1, total_amount=1000, quota_reset_period="daily",
                 duration_unit="day", duration_value=10, upgrade_group="vip", max_purchase_per_user=1)  # fmt: skip
    assert month.spend(300, 1) == [0]  # nobody is asked for plans that there are none of
    one = bought(month, small)
    assert (month.balance, month.group) == (100_000 - 300 - 50_000, "vip")
    with pytest.raises(Conflict, match="1 times at most"):
        bought(month, small)
    wallet = month.balance
    for _ in range(5):  # two fit into the day's amount, the third goes over to the balance
        assert month.spend(400, 3) == [one, one, 0]
        wallet -= 400
        assert (month.balance, month.life(one)["amount_used"]) == (wallet, 800)
        month.night()
        assert sorted(month.said) == ["0 plans ended, 0 began anew", "0 plans ended, 1 began anew"]
        assert month.life(one)["amount_used"] == 0
        midnight = datetime.datetime.fromtimestamp(month.life(one)["next_reset_time"], datetime.UTC)
        assert (midnight.hour, midnight.timestamp() - month.now) == (0, DAY / 2)

    big = plan(month, "Big", price_amount=20, total_amount=2000, quota_reset_period="monthly", upgrade_group="svip",
               allow_wallet_overflow=False)  # fmt: skip
    order = {"user_id": books.user, "plan_id": big, "money": 20.0, "trade_no": "SUB1", "payment_provider": "epay"}
    orders.place(db, order)
    gate = threading.Barrier(4)

    def told(_: int) -> bool:
        row = orders.one(db, "SUB1")
        gate.wait()
        return orders.settle(db, db, row, orders.PAID, OPTIONS).changed

    with ThreadPoolExecutor(4) as many:
        assert sorted(many.map(told, range(4))) == [False, False, False, True]
    two = int(catalogue.owned(db, books.user)[0]["id"])
    assert (len(catalogue.owned(db, books.user)), month.balance, month.group) == (2, wallet, "svip")
    # what ends first pays first; and as one of the two is strict, the balance pays for neither
    assert month.spend(400, 6) == [one, one, two, two, two, two]
    assert month.spend(200, 3) == [one, two, two]
    with pytest.raises(CallError, match="plan has 0 units left"):
        month.call(1)
    assert month.balance == wallet

    for _ in range(5):
        month.night()
    assert (month.life(one)["status"], month.life(two)["status"]) == ("expired", "active")
    assert (month.group, month.life(two)["prev_user_group"]) == ("svip", "default")
    with pytest.raises(CallError):
        month.call(400)  # the month's amount of the strict one is spent

    assert orders.settle(db, db, orders.one(db, "SUB1"), orders.REFUNDED, OPTIONS).changed
    assert (month.life(two)["status"], month.group) == ("cancelled", "default")
    assert month.spend(400, 2) == [0, 0]
    assert month.balance == wallet - 800

    for _ in range(10):
        month.night()
    people.put_setting(db, people.Person(by_id(db, books.user) or {}), {"billing_preference": PLANS_ONLY})
    with pytest.raises(CallError, match="none is active"):
        month.call(1)
    result = month.prove()
    assert (result.calls, result.plans) == (month.calls, 2)
    used = books.sql(f"SELECT used_quota, request_count FROM users WHERE id = {books.user}")[0]
    assert used == (300 + 5 * 1200 + 2400 + 600 + 800, month.calls)
    assert books.sql("SELECT remain_quota FROM tokens")[0][0] == 100_000 - used[0]


def test_the_balance_first_and_a_plan_without_bounds(month: Month) -> None:
    books, db = month.books, month.books.db
    first = bought(month, plan(month, "All", price_amount=0.19))
    people.put_setting(db, people.Person(by_id(db, books.user) or {}), {"billing_preference": WALLET_FIRST})
    assert month.balance == 5000
    assert month.spend(3000, 2) == [0, first]
    assert month.call(2000) == 0
    assert month.spend(30_000, 2) == [first, first]
    # an answer that cost more than was held goes over the amount, and the books say so
    assert month.call(20_000, estimate=10) == first
    month.prove()


def test_who_has_a_plan_twice_leaves_its_group_when_the_last_ends(month: Month) -> None:
    terms = {"price_amount": 0, "duration_unit": "day", "upgrade_group": "vip", "allow_wallet_overflow": False}
    which = plan(month, "Twice", duration_value=2, **terms)
    bought(month, which)
    month.night()
    bought(month, which)
    month.night()
    assert month.group == "vip"
    month.night()
    assert month.group == "default"
    bought(month, plan(month, "Other", duration_value=1, **terms, downgrade_group="svip"))
    month.night()
    assert month.group == "svip"


def test_what_is_held_of_a_plan_is_held_once(month: Month) -> None:
    books = month.books
    one = bought(month, plan(month, "Held", price_amount=0.01, total_amount=1000))
    account = find_key(books.db, month.key)
    assert account is not None

    def hold() -> Any:
        return month.funding.of(account, "m").hold(books.user, books.token, 300, Terms())

    held = [hold() for _ in range(4)]
    assert [each.plan for each in held] == [one, one, one, 0]
    assert books.holds.held(books.user, purse_key(books.user, one)) == 900
    assert books.holds.held(books.user, token_key(books.token)) == 1200
    for each in held:
        each.settle()
    assert hold().plan == one


def test_a_plan_pays_for_its_models_as_they_were_agreed_to(month: Month) -> None:
    books, db = month.books, month.books.db
    which = plan(
        month, "Small", price_amount=0, total_amount=1000, models=["small-*", "tiny"], allow_wallet_overflow=False
    )
    one = bought(month, which)
    catalogue.change(db, which, {"models": ["big"], "title": "Other"}, GROUPS)
    assert catalogue.one(db, which)["models"] == ["big"]
    asked = ("small-1", "tiny", "big", "tiny-2", "asmall-1")
    assert [month.call(10, model=name) for name in asked] == [one, one, 0, 0, 0]
    with pytest.raises(CallError, match="plan has 980 units left"):
        month.call(990, model="tiny")  # it is strict, and the balance does not pay in its stead
    assert month.call(990, model="big") == 0
    people.put_setting(db, people.Person(by_id(db, books.user) or {}), {"billing_preference": PLANS_ONLY})
    with pytest.raises(CallError, match="none of its plans pays for big"):
        month.call(1, model="big")
    assert month.call(1, model="tiny") == one
    everything = catalogue.change(db, which, {"models": []}, GROUPS)
    assert catalogue.shown(everything)["models"] == []
    month.prove()
    for wrong in ("tiny", [""], ["a\nb"], ["x" * 256], [1], ["a"] * 101):
        with pytest.raises(Invalid):
            catalogue.change(db, which, {"models": wrong}, GROUPS)


@pytest.mark.parametrize("reset", ["by hand", "by hand, in its time"])
def test_a_reset_by_hand(month: Month, reset: str) -> None:
    books = month.books
    which = plan(month, "Hand", price_amount=0, total_amount=1000, quota_reset_period="custom",
                 quota_reset_custom_seconds=3600)  # fmt: skip
    one = bought(month, which)
    month.call(700)
    month.now += 1800
    advance = reset == "by hand"
    assert lives.reset(books.db, one, month.now, due=False, advance=advance)
    assert not lives.reset(books.db, one, month.now, due=True)
    life = month.life(one)
    assert (life["amount_used"], life["next_reset_time"]) == (0, START + 3600 + (1800 if advance else 0))
    month.call(900)
    month.prove()


def test_what_may_not_be(month: Month) -> None:
    books, db = month.books, month.books.db
    with pytest.raises(Conflict, match="costs 500000 units and the balance has 100000"):
        bought(month, plan(month, "Dear", price_amount=1))
    with pytest.raises(Conflict, match="not offered"):
        bought(month, plan(month, "Off", enabled=False))
    with pytest.raises(Conflict, match="can't be paid with the balance"):
        bought(month, plan(month, "Card", allow_balance_pay=False))
    assert (month.balance, catalogue.owned(db, books.user)) == (100_000, [])


BASE = int(datetime.datetime(2026, 1, 31, 10, tzinfo=datetime.UTC).timestamp())
ENDS: list[tuple[dict[str, Any], str]] = [
    ({"duration_unit": "month", "duration_value": 1}, "2026-03-03T10:00:00"),
    ({"duration_unit": "month", "duration_value": 12}, "2027-01-31T10:00:00"),
    ({"duration_unit": "year", "duration_value": 2}, "2028-01-31T10:00:00"),
    ({"duration_unit": "day", "duration_value": 3}, "2026-02-03T10:00:00"),
    ({"duration_unit": "hour", "duration_value": 5}, "2026-01-31T15:00:00"),
    ({"duration_unit": "custom", "custom_seconds": 90}, "2026-01-31T10:01:30"),
]


@pytest.mark.parametrize(("terms", "moment"), ENDS, ids=str)
def test_when_a_plan_ends(terms: dict[str, Any], moment: str) -> None:
    assert told(periods.ends(terms, BASE, datetime.UTC)) == moment


def told(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat()[:19]


RESETS: list[tuple[str, int, str]] = [
    ("daily", BASE, "2026-02-01T00:00:00"),
    ("weekly", BASE, "2026-02-02T00:00:00"),
    ("monthly", BASE, "2026-02-01T00:00:00"),
    ("custom", BASE, "2026-01-31T10:10:00"),
    ("custom", BASE + 1501, "2026-01-31T10:30:00"),
]


@pytest.mark.parametrize(("period", "now", "moment"), RESETS, ids=str)
def test_when_an_amount_begins_anew(period: str, now: int, moment: str) -> None:
    terms = {"quota_reset_period": period, "quota_reset_custom_seconds": 600}
    assert told(periods.next_reset(terms, BASE, BASE + 99 * DAY, now, datetime.UTC)) == moment
    assert periods.next_reset(terms, BASE, BASE + 60, now, datetime.UTC) == 0
    assert periods.next_reset({"quota_reset_period": "never"}, BASE, BASE + DAY, now, datetime.UTC) == 0
