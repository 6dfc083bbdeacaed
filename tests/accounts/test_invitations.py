"""Who invites and who is invited gets what the options say, in databases of every age."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from engine.accounts import invitations, users
from engine.errors import Conflict, GatewrightError, NotFound
from engine.ledger.proof import verify
from engine.settings import Settings
from engine.storage.database import Database, connect, open_database
from engine.storage.dsn import resolve
from engine.storage.rows.posting import Entry, post
from tests.storage import takeover

PASSWORD = "long enough"
OPTIONS = "INSERT INTO options VALUES ('QuotaForInviter', '700000'), ('QuotaForInvitee', '200')"


def one(db: Database, sql: str) -> tuple[object, ...]:
    with db.read() as connection:
        return tuple(connection.execute(text(sql)).one())


def test_an_invitation_rewards_both_and_rewards_become_balance(db: Database, tmp_path: Path) -> None:
    db.write(lambda connection: connection.execute(text(OPTIONS)).rowcount)
    ann = users.create_user(db, "ann", PASSWORD, quota=1000)
    row = {"user_id": ann, "token_id": 0, "request_id": "r", "quota": 1}
    db.write(lambda c: len(post(c, db, [Entry("r", 1, ann, 0, 0, 1, True, "upstream", row)])))
    code = str(one(db, f"SELECT aff_code FROM users WHERE id = {ann}")[0])
    bob = users.create_user(db, "bob", PASSWORD, quota=5, invited_by=code)
    assert one(db, f"SELECT quota, inviter_id FROM users WHERE id = {bob}") == (205, ann)
    asked = f"SELECT quota, aff_count, aff_quota, aff_history FROM users WHERE id = {ann}"
    assert one(db, asked) == (999, 1, 700_000, 700_000)
    for amount, why in ((100, "from 500000 quota units"), (800_000, "has 700000 quota units of rewards")):
        with pytest.raises(GatewrightError, match=why):
            invitations.transfer(db, ann, amount)
    assert invitations.transfer(db, "ann", 600_000) == invitations.Moved(600_000, 600_999, 100_000)
    assert one(db, asked) == (600_999, 1, 100_000, 700_000)
    with pytest.raises(Conflict, match="has 100000"):
        invitations.transfer(db, ann)
    users.create_user(db, "cid", PASSWORD, invited_by=code)
    assert invitations.transfer(db, ann) == invitations.Moved(800_000, 1_400_999, 0)
    assert verify(db, db, tmp_path / "none").agrees


def test_a_new_user_begins_with_what_the_option_says_unless_told(db: Database) -> None:
    assert users.create_user(db, "zoe", PASSWORD)
    db.write(lambda c: c.execute(text("INSERT INTO options VALUES ('QuotaForNewUser', '900')")).rowcount)
    users.create_user(db, "ann", PASSWORD)
    users.create_user(db, "bob", PASSWORD, quota=0)
    found = [one(db, f"SELECT quota FROM users WHERE username = '{name}'")[0] for name in ("zoe", "ann", "bob")]
    assert found == [0, 900, 0]


@pytest.mark.parametrize("code", ["", "nobody"])
def test_a_code_that_nobody_has_makes_no_user(lite: Database, code: str) -> None:
    ann = users.create_user(lite, "ann", PASSWORD)
    lite.write(
        lambda c: c.execute(text(f"UPDATE users SET aff_code = '{code and 'NOBODY'}' WHERE id = {ann}")).rowcount
    )
    if not code:
        assert users.create_user(lite, "bob", PASSWORD, invited_by="") == ann + 1
        return
    with pytest.raises(NotFound, match="invitation code"):
        users.create_user(lite, "bob", PASSWORD, invited_by=code)
    assert one(lite, "SELECT COUNT(*) FROM users") == (1,)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_an_older_database_gives_the_reward_at_once(empty: Settings, sheets: Path) -> None:
    raw = connect(resolve(empty.sql_dsn, "", empty.data))
    takeover.build(raw, "one-api-0.6", sheets, "http://127.0.0.1:9", 0)
    raw.close()
    db = open_database(empty)
    db.write(lambda connection: connection.execute(text(OPTIONS)).rowcount)
    before = one(db, "SELECT quota FROM users WHERE id = 2")[0]
    users.create_user(db, "bob", PASSWORD, invited_by="af2")
    assert one(db, "SELECT quota FROM users WHERE id = 2") == (int(str(before)) + 700_000,)
    with pytest.raises(Conflict, match="keeps no rewards"):
        invitations.transfer(db, 2)
    db.close()
