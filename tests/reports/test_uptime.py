"""How well models answered: what the service failed counts, what callers did wrong does not; and its revision."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from engine.errors import MEANINGS
from engine.reports import rollups, uptime
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.migrations import HEAD
from engine.storage.rows.api import passkeys
from engine.storage.rows.api.hours import DAY, HOUR
from engine.storage.rows.log_rows import CONSUME, ERROR, LogRow, apply

NOW = 1_800_000_000 // DAY * DAY + 5 * HOUR + 60


def _calls(db: Database, model: str, at: int, served: int, *errors: str) -> None:
    rows = [LogRow(model_name=model, created_at=at, type=CONSUME, other={}) for _ in range(served)]
    failed: list[dict[str, Any]] = [{"frt": 1, "error_type": meaning, "status_code": 1} for meaning in errors]
    rows += [LogRow(model_name=model, created_at=at, type=ERROR, other=other) for other in failed]
    db.write(lambda connection: apply(connection, db, rows))


def _summed(db: Database) -> None:
    for moment in (NOW, NOW + 60, NOW + 120):
        while rollups.follow(db, db, quota_data=False, now=moment):
            pass


def test_a_share_is_of_real_calls_by_hour_and_day_on_every_engine(empty: Settings) -> None:
    db = open_database(empty)
    try:
        callers = [name for name, meaning in MEANINGS.items() if not meaning.retry and meaning.status < 500]
        assert {"bad_request", "quota", "rate_limit"} <= {*callers}
        _calls(db, "m", NOW - 2 * DAY, 3, "overloaded")
        _calls(db, "m", NOW - HOUR, 1, "timeout", "internal", "upstream_auth", *callers)
        _calls(db, "hidden", NOW, 1)
        _summed(db)
        _calls(db, "fresh", NOW, 0, "cut")
        _calls(db, "m", NOW, 2)
        fresh, m = uptime.of_models(db, db, ["m", "fresh", "never"], NOW)
        assert (fresh.name, fresh.share, fresh.hours[-1]) == ("fresh", 0.0, 0.0)
        assert (m.name, m.share) == ("m", round(4 / 8, 5))
        assert (m.hours[-2:], m.hours[:-2]) == ((0.25, 1.0), (None,) * 22)
        assert (m.days[-3:], len(m.days)) == ((0.75, None, 0.25), 30)
    finally:
        db.close()


def test_no_more_models_are_told_than_the_bound(tmp_path: Any) -> None:
    db = open_database(Settings(data=tmp_path))
    try:
        names = [f"m{number:03}" for number in range(uptime.MODELS + 5)]
        for number, name in enumerate(names):
            _calls(db, name, NOW - HOUR, 1 + (number > 4))
        _summed(db)
        assert [one.name for one in uptime.of_models(db, db, names, NOW)] == names[5:]
        assert uptime.of_models(db, db, [], NOW) == []
    finally:
        db.close()


def test_an_older_database_gets_the_column_and_its_passkeys_are_taken_over(empty: Settings) -> None:
    db = open_database(empty)
    db.write(lambda connection: _older(connection))
    db.close()
    for _ in range(2):
        db = open_database(empty)
        try:
            _calls(db, "m", NOW, 1, "unknown")
            _summed(db)
            assert uptime.of_models(db, db, ["m"], NOW)[0].share == 0.5
            held = passkeys.of_user(db, 7)
            assert [(row["credential_id"], row["public_key"], row["sign_count"]) for row in held] == [
                ("_-8", "a2V5", 5)
            ]
            assert not passkeys.asked_for(db, 7)
            assert passkeys.by_credential(db, b"\xff\xef")
            with db.read() as reader:
                assert reader.execute(text("SELECT version_num FROM gatewright_alembic")).scalar() == HEAD
        finally:
            db.close()


def _older(connection: Any) -> int:
    for statement in (
        "DROP TABLE gatewright_passkeys",
        "ALTER TABLE gatewright_hours DROP COLUMN failed",
        "UPDATE gatewright_alembic SET version_num = '0011'",
        "INSERT INTO passkey_credentials (user_id, credential_id, public_key, sign_count)"
        " VALUES (7, '/+8=', 'a2V5', 5), (8, 'no base64!', 'a2V5', 0)",
    ):
        connection.execute(text(statement))
    return 0
