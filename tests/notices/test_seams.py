"""Where things happen: what happened is put into the outbox with it, once, and nothing is where nothing happened."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import insert

from engine.accounts import orders, sessions
from engine.errors import Conflict
from engine.storage.database import Database
from engine.storage.releases import documents
from engine.storage.releases.documents import Author, StoredDocument
from engine.storage.rows import channel_edits, channels
from engine.storage.rows.work import outbox
from engine.storage.tables import core
from engine.storage.values import DISABLED, ENABLED
from tests.notices.conftest import Place

HOME, AWAY = "192.0.2.7", "198.51.100.9"


def told(db: Database) -> list[tuple[str, int, dict[str, Any]]]:
    """What was put in since the last look."""
    there = []
    while found := outbox.due(db, int(time.time()) + 5, (), 10):
        for one in found:
            there.append((one.about, one.body["user"], one.body["values"]))
            outbox.sent(db, one)
    return there


def test_a_payment_that_comes_in_twice_is_told_once(place: Place) -> None:
    ann = place.person("ann")
    orders.place(place.db, {"user_id": ann.id, "amount": 10, "money": 1.0, "trade_no": "O1", "payment_method": "x"})
    row = orders.one(place.db, "O1")
    for status in (orders.PAID, orders.PAID, orders.REFUNDED):
        orders.settle(place.db, place.db, row, status, {})
    assert told(place.db) == [("payment.in", ann.id, {"order": "O1", "units": 5_000_000})]


def test_a_login_from_a_place_that_is_new(place: Place) -> None:
    ann = place.person("ann")

    def login(ip: str) -> list[Any]:
        sessions.begin(place.db, ann.row, "password", ip, "a browser")
        return told(place.db)

    assert login(HOME) == []  # the first of all
    assert login("192.0.2.200") == []  # the same network
    ((event, user, values),) = login(AWAY)
    assert (event, user, values["ip"], values["agent"]) == ("login.new_place", ann.id, AWAY, "a browser")
    assert login(AWAY) == []
    assert len(login("2001:db8:1::1")) == 1
    assert login("2001:db8:1:ffff::2") == []
    assert len(login("no address")) == 1


def _channel(db: Database, **columns: Any) -> int:
    values = {"name": "c", "key": "k1", "type": 1, "status": ENABLED, "group": "default", "models": "m", **columns}
    return int(db.write(lambda c: c.execute(insert(core.channels).values(values)).inserted_primary_key[0]))


def test_a_channel_that_is_set_aside_and_comes_back(place: Place) -> None:
    db, which = place.db, _channel(place.db)
    channels.disable(db, which, None, "status 401")
    channels.disable(db, which, None, "once more")
    assert told(db) == [("channel.aside", 0, {"channel": which, "name": "c", "reason": "status 401"})]
    channel_edits.change(db, {which: {"status": ENABLED}})
    assert told(db) == [("channel.back", 0, {"channel": which, "name": "c"})]
    channel_edits.change(db, {which: {"status": ENABLED}})
    channel_edits.change(db, {which: {"status": DISABLED}})
    channel_edits.change(db, {which: {"status": ENABLED}})  # off and on by hand: nobody has to be told
    assert told(db) == []


def test_what_answers_again_is_switched_on_unless_an_operator_switched_it_off(place: Place) -> None:
    db, which = place.db, _channel(place.db)
    channels.disable(db, which, None, "status 401")
    assert channels.enable(db, which, None)
    assert not channels.enable(db, which, None), "it is on"
    assert [one[0] for one in told(db)] == ["channel.aside", "channel.back"]
    (row,) = channels.load(db, which)
    assert (row.status, row.asked_again > 0) == (ENABLED, True)
    channel_edits.change(db, {which: {"status": DISABLED}})
    assert not channels.enable(db, which, None)
    info = {"is_multi_key": True, "multi_key_size": 3, "multi_key_status_list": {"2": DISABLED}}
    which = _channel(db, key="k1\nk2\nk3", channel_info=info)
    for key in ("k1", "k2"):
        channels.disable(db, which, key, "status 401")
    assert not channels.enable(db, which, "k3")
    assert channels.enable(db, which, "k2")
    (row,) = channels.load(db, which)
    assert row.multi is not None
    assert (row.status, row.multi.disabled, row.multi.by_itself) == (ENABLED, {0, 2}, {0})
    assert [one[0] for one in told(db)] == ["channel.aside", "channel.back"]


def test_one_key_of_several_sets_no_channel_aside(place: Place) -> None:
    db = place.db
    which = _channel(db, key="k1\nk2", channel_info={"is_multi_key": True, "multi_key_size": 2})
    channels.disable(db, which, "k1", "status 401")
    assert told(db) == []
    channels.disable(db, which, "k2", "status 403")
    assert [one[0] for one in told(db)] == ["channel.aside"]


def test_a_release_that_is_published_and_one_that_comes_too_late(place: Place) -> None:
    db, author = place.db, Author(7, "ann")
    change = [StoredDocument("Price", "p", "console", "text", "p.yaml", 1)]
    assert documents.publish(db, 0, change, author, message="why", source="abc") == 1
    with pytest.raises(Conflict):
        documents.publish(db, 0, change, author)
    values = {"release": 1, "by": "ann", "source": "abc", "message": "why", "changes": 1}
    assert told(db) == [("release.changed", 0, values)]


def test_nothing_fails_where_an_older_program_holds_the_schema(small: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = small.db.columns
    there = {name: columns for name, columns in before.items() if name != "gatewright_outbox"}
    monkeypatch.setattr(type(small.db), "columns", property(lambda _: there))
    ann = small.person("ann")
    for ip in (HOME, AWAY):
        sessions.begin(small.db, ann.row, "password", ip, "a")
    assert outbox.due(small.db, 2**40, (), 5) == []
    monkeypatch.undo()
    assert told(small.db) == []
