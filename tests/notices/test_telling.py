"""Who is told of an event, by what people chose and the limit says; on each engine."""

from __future__ import annotations

import time
from typing import Any

import pytest

from engine.accounts.users import change_user
from engine.notices.ground import reachable
from engine.notices.telling import TO_PERSON, TO_WEBHOOK, Limit, Teller
from engine.storage.rows.work import outbox, webhooks
from engine.storage.rows.work.outbox import Message
from engine.storage.values import ROOT
from tests.notices.conftest import Place

HOOK = {"notify_type": "webhook", "webhook_url": "https://a.example/x"}
NEVER = Limit(0, 600)


def tell(place: Place, event: str, user: int = 0, limit: Limit = NEVER, **values: Any) -> list[Message]:
    """What an event comes to."""
    place.db.write(lambda connection: outbox.happened(place.db, connection, event, values, user))
    before = {one.message for one in waiting(place)}
    (message,) = [one for one in waiting(place) if one.kind == outbox.EVENT]
    outcome = Teller(place.db, place.ground, limit).tell(message)
    assert outcome.sent
    assert outcome.settled
    return [one for one in waiting(place) if one.message not in before]


def waiting(place: Place) -> list[Message]:
    """The first of each target; tests tell one thing at a time."""
    return outbox.due(place.db, int(time.time()) + 5, (), 100)


def test_a_person_is_told_of_its_own_affairs_and_operators_of_theirs(place: Place) -> None:
    ann, root = place.person("ann", **HOOK), place.person("root", role=ROOT, **HOOK)
    place.person("bob", **HOOK)
    (message,) = tell(place, "balance.low", ann.id, units=3, threshold=9)
    assert (message.kind, message.target, message.about) == (TO_PERSON, f"user:{ann.id}", "balance.low")
    assert message.body["values"] == {"units": 3, "threshold": 9}
    (message,) = tell(place, "channel.aside", channel=7, name="c", reason="status 401")
    assert message.target == f"user:{root.id}"
    assert [one for one in waiting(place) if one.kind == outbox.EVENT] == []


def test_each_chooses_what_to_be_told_of(small: Place) -> None:
    ann = small.person("ann", notice_off=["balance.low"], **HOOK)
    root = small.person("root", role=ROOT, **HOOK)
    assert tell(small, "balance.low", ann.id) == []
    assert tell(small, "release.changed") == []  # not told unless chosen
    small.set(root.id, notice_on=["release.changed"])
    assert len(tell(small, "release.changed")) == 1
    assert tell(small, "no.such.event", ann.id) == []
    assert tell(small, "balance.low", 999) == []


def test_who_can_not_be_reached_is_not_told(small: Place) -> None:
    ann = small.person("ann")
    assert not reachable(small.ground(), ann)  # mail is the usual way, and there is no server
    small.options["SMTPServer"] = "127.0.0.1"
    assert not reachable(small.ground(), ann)  # and no address
    small.set(ann.id, notification_email="ann@example.org")
    assert reachable(small.ground(), small.of(ann.id))
    for setting in (
        {"notify_type": "webhook"},
        {"notify_type": "pigeon"},
        {"notify_type": "gotify", "gotify_url": "u"},
    ):
        small.set(ann.id, **setting)
        assert tell(small, "balance.low", ann.id) == []
    small.set(ann.id, **HOOK)
    change_user(small.db, "ann", enabled=False)
    assert tell(small, "balance.low", ann.id) == []


def test_a_kind_has_its_limit_in_a_window(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = place.person("ann", **HOOK)

    def told(event: str = "balance.low") -> int:
        there = tell(place, event, ann.id, Limit(2, 600))
        for one in there:
            outbox.sent(place.db, one)
        return len(there)

    assert [told() for _ in range(4)] == [1, 1, 0, 0]
    assert told("payment.in") == 1
    later = time.time() + 601
    monkeypatch.setattr("engine.notices.telling.time.time", lambda: later)
    assert [told() for _ in range(3)] == [1, 1, 0]


def test_webhooks_listen_to_what_they_name(place: Place) -> None:
    rows = [("all", "*", 1), ("one", "payment.in channel.aside", 1), ("off", "*", 0), ("other", "channel.back", 1)]
    ids = {
        name: webhooks.add(
            place.db, {"name": name, "url": "https://h.example", "secret": "s", "events": events, "enabled": enabled}
        )
        for name, events, enabled in rows
    }
    ann = place.person("ann")
    there = tell(place, "payment.in", ann.id, order="O1", units=500_000)
    assert {one.target for one in there} == {f"webhook:{ids['all']}", f"webhook:{ids['one']}"}
    assert {one.kind for one in there} == {TO_WEBHOOK}
    assert there[0].body["values"] == {"order": "O1", "units": 500_000, "user": {"id": ann.id, "username": "ann"}}


def test_an_event_that_two_processes_take_becomes_one_message(place: Place) -> None:
    ann = place.person("ann", **HOOK)
    place.db.write(lambda connection: outbox.happened(place.db, connection, "balance.low", {}, ann.id))
    (message,) = waiting(place)
    teller = Teller(place.db, place.ground, NEVER)
    teller.tell(message)
    teller.tell(message)
    (told,) = waiting(place)
    outbox.sent(place.db, told)
    assert waiting(place) == []
