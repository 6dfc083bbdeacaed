"""Channels and options as revisions, on each database: who, when, from what to what; and back again."""

from __future__ import annotations

from typing import Any

import pytest

from engine.catalogue import options, revisions
from engine.errors import Conflict, NotFound
from engine.storage.database import Database
from engine.storage.releases import rows
from engine.storage.releases.acting import acting
from engine.storage.releases.documents import Author
from engine.storage.rows import channel_edits, channels
from engine.storage.rows import options as stored

ANN, BOB = Author(7, "ann"), Author(8, "bob")
KEY = "sk-secret-of-the-channel-0123456789"


def made(db: Database, **more: Any) -> int:
    row = {"name": "east", "type": 1, "key": KEY, "models": "a,b", "group": "default", "status": 1, "priority": 3}
    with acting(ANN):
        return channel_edits.put(db, [{**row, **more}])[0]


def test_a_channel_s_change_is_noted_and_undone(db: Database) -> None:
    which = made(db)
    first = rows.newest(db)
    with acting(BOB):
        channel_edits.change(db, {which: {"models": "a", "priority": 9, "key": "another-key-9876543210"}})
        channel_edits.change(db, {which: {"weight": 4}})
    channel_edits.tested(db, which, 1.0, "")  # by nothing of this is routed
    found = revisions.history(db, "channel", str(which))
    assert [(one["what"], one["username"]) for one in found] == [
        ("changed", "bob"),
        ("changed", "bob"),
        ("added", "ann"),
    ]
    assert {'-models: "a,b"', '+models: "a"', "-priority: 3", "+priority: 9"} <= set(found[1]["diff"].splitlines())
    assert not any(KEY in str(one) or "another-key" in str(one) for one in found)
    assert {line["member"]: line["username"] for line in revisions.blame(db, "channel", "east")}["priority"] == "bob"
    assert {line["member"]: line["username"] for line in revisions.blame(db, "channel", "east")}["group"] == "ann"
    with acting(ANN):
        undone = revisions.undo(db, found[1]["id"], user=7, values={})
    row = channel_edits.one(db, which)
    assert row is not None
    assert (row["models"], row["priority"], row["weight"]) == ("a,b", 3, 4)
    assert row["key"] == "another-key-9876543210"  # no secret is kept, so none comes back
    assert undone["username"] == "ann"
    with pytest.raises(Conflict, match="models, priority"):
        revisions.undo(db, found[1]["id"], user=7, values={})
    differing = revisions.diff(db, first, rows.newest(db))
    assert [(one["name"], one["what"]) for one in differing] == [(str(which), "changed")]
    assert "+weight: 4" in differing[0]["diff"]
    assert "-models" not in differing[0]["diff"]


def test_a_deleted_channel_comes_back_switched_off(db: Database) -> None:
    which = made(db, name="west")
    with acting(BOB):
        channel_edits.remove(db, channel_edits.by_ids([which]))
    removed = revisions.history(db, "channel", str(which))[0]
    assert (removed["what"], removed["username"], removed["title"]) == ("removed", "bob", "west")
    revisions.undo(db, removed["id"], user=7, values={})
    row = channel_edits.one(db, which)
    assert row is not None
    assert (row["name"], row["models"], row["status"], row["key"]) == ("west", "a,b", 2, "")
    revisions.undo(db, revisions.history(db, "channel", str(which))[0]["id"], user=7, values={})
    assert channel_edits.one(db, which) is None


def test_what_the_program_switches_off_by_itself_is_its_own(db: Database) -> None:
    which = made(db, name="failing")
    channels.disable(db, which, None, "it failed")
    last = revisions.history(db, "channel", str(which))[0]
    assert (last["user_id"], last["username"]) == (0, "gatewright")
    assert "status" in last["diff"]
    channels.enable(db, which, None)
    assert "status" in revisions.history(db, "channel", str(which))[0]["diff"]


def test_options_are_noted_put_back_and_reset(db: Database) -> None:
    with acting(ANN):
        options.put(db, {}, "RetryTimes", 2, 7)
        options.put(db, {}, "RetryTimes", 5, 7)
        options.put(db, {}, "RetryTimes", 5, 7)
        options.put(db, {}, "SMTPToken", "word-of-the-mail", 7)
    found = revisions.history(db, "option", "RetryTimes")
    assert [(one["before"], one["after"]) for one in found] == [("2", "5"), (None, "2")]
    revisions.undo(db, found[0]["id"], user=7, values={})
    assert stored.stored(db)["RetryTimes"] == "2"
    with pytest.raises(Conflict, match="changed again"):
        revisions.undo(db, found[0]["id"], user=7, values={})
    with acting(BOB):
        options.reset(db, ["RetryTimes"])
    assert revisions.history(db, "option", "RetryTimes")[0]["what"] == "removed"
    assert stored.last_changes(db)["RetryTimes"][1] == 8
    secret = revisions.history(db, "option", "SMTPToken")[0]
    assert "word-of-the-mail" not in str(secret)
    with pytest.raises(Conflict, match="secret"):
        revisions.undo(db, secret["id"], user=7, values={})
    with pytest.raises(NotFound):
        revisions.history(db, "option", "Nothing")
