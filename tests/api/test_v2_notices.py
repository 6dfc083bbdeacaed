"""What people choose to be told of, webhooks, and dead letters, over ``/api/v2``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine import paths
from engine.accounts import first_start, users
from engine.catalogue.options import value_of
from engine.compiler import compile_set, read_set
from engine.notices import Notices
from engine.notices.ground import Ground
from engine.notices.telling import Limit
from engine.outbox import posting
from engine.settings import Settings
from engine.storage.rows import people
from engine.storage.rows.work import outbox, webhooks
from engine.transport.egress import Guard
from engine.transport.leg import Pool
from tests.api.test_management import PASSWORD, Site
from tests.api.test_v2 import Asking
from tests.relay.scripted import Upstream

SECRET = "whsec_" + "A" * 32


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    sources, shared, _ = read_set([paths.SPECS / "notices"])
    documents = {one.name: one for one in compile_set(sources, shared).program().notices}
    one, pool = Site(Settings(data=tmp_path, login_limit=False)), Pool(Guard(["127.0.0.1"]))
    worker = one.worker
    worker.notices = Notices(
        worker.db,
        pool,
        lambda: Ground(documents, worker.options, partial(value_of, worker.options)),
        Limit(2, 600),
    )
    first_start.make_root(worker.db, "root", PASSWORD)
    users.create_user(worker.db, "ann", PASSWORD)
    users.create_user(worker.db, "adam", PASSWORD, role=10)
    yield one
    pool.close()
    worker.db.close()


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


def patch(asking: Asking, body: Any, tag: str = "*") -> Any:
    return asking("PATCH", "/me/notices", body, if_match=tag)


def test_a_way_is_chosen_with_what_it_needs_and_tried(site: Site, receiver: Upstream) -> None:
    ann = Asking(site, "ann")
    read = ann("GET", "/me/notices")
    assert read.json["way"] == "email"
    ways = {way["name"]: way for way in read.json["ways"]}
    assert next(iter(ways)) == "email"
    assert ways["gotify"]["needs"] == ["gotify_url", "gotify_token"]
    assert not ways["telegram"]["offered"]  # the operator has no bot
    setting = {"gotify_url": receiver.base, "gotify_token": "hidden token", "gotify_priority": 3}
    body = {"way": "gotify", "threshold": 7000, "events": {"login.new_place": False}, "setting": setting}
    done = patch(ann, body, read.headers["etag"])
    assert done.status_code == 200, done.text
    assert "hidden token" not in done.text
    assert done.json["setting"]["gotify_token"] is True
    assert (done.json["threshold"], done.json["events"]["login.new_place"]) == (7000, False)
    assert done.json["events"]["balance.low"] is True
    assert patch(ann, {"threshold": 1}, read.headers["etag"]).status_code == 412
    row = people.by_login(site.worker.db, "ann")
    assert row is not None
    receiver.script = lambda say: say.whole({"id": 1})
    assert ann("POST", "/me/notices/test").json == {"sent": True, "error": ""}
    assert receiver.got[0].headers["x-gotify-key"] == "hidden token"
    receiver.script = lambda say: say.whole({}, 401)
    assert ann("POST", "/me/notices/test").json == {"sent": False, "error": "answered with status 401"}
    old = site.ask("GET", "/api/user/self", authorization=f"Bearer {ann.token}").json["data"]["setting"]
    assert '"notify_type":"gotify"' in old.replace(" ", "")
    assert patch(ann, {"setting": {"gotify_token": ""}}).json["setting"]["gotify_token"] is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"way": "pigeon"}, "way"),
        ({"way": "webhook"}, "webhook_url"),
        ({"way": "telegram", "setting": {"telegram_chat_id": "1"}}, "TelegramBotToken"),
        ({"setting": {"webhook_url": "ftp://x"}}, "webhook_url"),
        ({"setting": {"webhook_url": "http://"}}, "webhook_url"),
        ({"setting": {"webhook_url": "https://a.example/\n"}}, "webhook_url"),
        ({"setting": {"webhook_url": "https://" + "a" * 3000}}, "webhook_url"),
        ({"setting": {"notification_email": "x"}}, "notification_email"),
        ({"setting": {"gotify_priority": "5"}}, "gotify_priority"),
        ({"setting": {"gotify_priority": -1}}, "gotify_priority"),
        ({"setting": {"role": 100}}, "setting.role"),
        ({"events": {"channel.aside": True}}, "events"),
        ({"events": {"balance.low": 1}}, "events.balance.low"),
        ({"threshold": 0}, "threshold"),
        ({"threshold": 10**30}, "threshold"),
        ({"wya": "x"}, "wya"),
    ],
)
def test_a_choice_that_leads_nowhere_is_told_and_not_kept(site: Site, body: Any, field: str) -> None:
    ann = Asking(site, "ann")
    before = ann("GET", "/me/notices").json
    answer = patch(ann, body)
    assert answer.status_code == 400, answer.text
    assert answer.json["field"] == field
    assert ann("GET", "/me/notices").json == before


def test_operators_choose_of_operators_events_too(site: Site) -> None:
    root = Asking(site, "root")
    answer = patch(root, {"events": {"release.changed": True, "channel.aside": False}}).json
    assert (answer["events"]["release.changed"], answer["events"]["channel.aside"]) == (True, False)


def test_a_webhook_from_its_making_to_its_end(site: Site, receiver: Upstream) -> None:
    root = Asking(site, "root")
    body = {"name": "shop", "url": f"{receiver.base}/in", "events": ["payment.in", "channel.aside"]}
    made = root("POST", "/webhooks", body, idempotency_key="w1")
    assert made.status_code == 201, made.text
    secret, path = made.json["secret"], made.headers["location"].removeprefix("/api/v2")
    assert secret.startswith("whsec_")
    assert root("POST", "/webhooks", body, idempotency_key="w1").json["id"] == made.json["id"]
    read = root("GET", path)
    assert read.json == {name: value for name, value in made.json.items() if name != "secret"}
    assert [row["name"] for row in root("GET", "/webhooks").json["items"]] == ["shop"]
    receiver.script = lambda say: say.whole({})
    assert root("POST", f"{path}/test").json == {"sent": True, "error": ""}
    (got,) = receiver.got
    at = int(got.headers["webhook-timestamp"])
    good = posting.signed(secret, got.headers["webhook-id"], at, got.body)
    assert got.headers["webhook-signature"] == dict(good)["webhook-signature"]
    assert got.json["type"] == "notice.test"
    changed = root("PATCH", path, {"enabled": False, "secret": SECRET, "events": ["*"]}, if_match=read.headers["etag"])
    assert (changed.status_code, changed.json["enabled"], changed.json["events"]) == (200, False, ["*"])
    assert SECRET not in changed.text
    assert webhooks.secret_of(site.worker.db, webhooks.listed(site.worker.db)[0]) == SECRET
    assert root("PATCH", path, {"name": "x"}, if_match=read.headers["etag"]).status_code == 412
    assert root("DELETE", path, if_match=changed.headers["etag"]).status_code == 204
    assert root("GET", path).status_code == 404


def test_webhooks_secrets_are_in_no_trail(site: Site) -> None:
    root = Asking(site, "root")
    root("POST", "/webhooks", {"name": "a", "url": "https://a.example/", "secret": SECRET})
    told = site.ask("GET", "/api/v2/audit", authorization=f"Bearer {root.token}").text
    assert "webhooks" in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "nonsense"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"events": ["no.such"]}, "events"),
        ({"events": []}, "events"),
        ({"secret": "short"}, "secret"),
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"enabled": 1}, "enabled"),
    ],
)
def test_a_webhook_that_can_not_be_is_told(site: Site, change: Any, field: str) -> None:
    root = Asking(site, "root")
    answer = root("POST", "/webhooks", {"name": "a", "url": "https://a.example/", **change})
    assert (answer.status_code, answer.json["field"]) == (400, field)
    assert root("GET", "/webhooks").json["items"] == []


def test_webhooks_have_an_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST", 2)
    root = Asking(site, "root")
    statuses = [root("POST", "/webhooks", {"name": "a", "url": "https://a.example/"}).status_code for _ in range(3)]
    assert statuses == [201, 201, 409]


def test_writing_webhooks_is_no_right_that_administrators_begin_with(site: Site) -> None:
    adam = Asking(site, "adam")
    assert adam("GET", "/webhooks").status_code == 200
    assert adam("POST", "/webhooks", {"name": "a", "url": "https://a.example/"}).status_code == 403


def test_dead_letters_are_seen_sent_again_and_dropped(site: Site) -> None:
    db, adam = site.worker.db, Asking(site, "adam")
    for name in ("one", "two"):
        db.write(lambda c, name=name: outbox.put(db, c, "webhook", "webhook:9", "payment.in", {"values": {"n": name}}))
    (first,) = outbox.due(db, 2**40, (), 5)
    outbox.claim(db, first, 1)
    outbox.failed(db, first, "answered with status 500", None)
    (letter,) = adam("GET", "/dead-letters").json["items"]
    known = {"id": first.id, "message": first.message, "about": "payment.in", "tries": 1}
    assert known.items() <= letter.items()
    assert (letter["error"], letter["body"]) == ("answered with status 500", {"values": {"n": "one"}})
    path = f"/dead-letters/{first.id}"
    assert adam("GET", path).json == letter
    assert adam("POST", f"{path}/again").status_code == 204
    assert adam("GET", "/dead-letters").json["items"] == []
    again = dataclasses.replace(first, tries=0)
    outbox.claim(db, again, 1)
    outbox.failed(db, again, "no", None)
    assert adam("DELETE", path).status_code == 204
    for method, there in (("GET", path), ("POST", f"{path}/again"), ("DELETE", path), ("DELETE", "/dead-letters/2")):
        assert adam(method, there).status_code == 404  # the second waits, and is none
