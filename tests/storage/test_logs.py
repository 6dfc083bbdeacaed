"""Log rows in log tables of every age and engine."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

from sqlalchemy import text

from engine.storage.database import Database
from engine.storage.rows.log_rows import ERROR, LogRow, apply


def row(number: int, **more: Any) -> LogRow:
    made: LogRow = {"user_id": 1, "model_name": "m", "request_id": f"r{number}", "prompt_tokens": number}
    made.update(more)  # type: ignore[typeddict-item]
    return made


def rows(db: Database) -> list[dict[str, Any]]:
    with db.read() as connection:
        return [dict(found) for found in connection.execute(text("SELECT * FROM logs ORDER BY id")).mappings()]


def test_rows_arrive_with_all_their_columns(db: Database) -> None:
    other = {"frt": 12, "release": "abc", "conversion": ["a", "b"], "losses": [["top_k", "no such field"]]}
    full = row(1, username="李", group="g", is_stream=True, use_time=3, type=ERROR, ip="::1", other=other)
    db.write(partial(apply, db=db, rows=[full, row(2)]))
    first, second = rows(db)
    assert (first["username"], first["group"], bool(first["is_stream"]), first["type"]) == ("李", "g", True, 5)
    assert json.loads(first["other"]) == other
    assert abs(first["created_at"] - time.time()) < 5
    assert (second["type"], second["token_id"], second["other"], bool(second["is_stream"])) == (2, 0, "", False)


def test_what_a_column_does_not_hold_is_cut(db: Database) -> None:
    db.write(partial(apply, db=db, rows=[row(1, username="nul\0 and " + "long" * 200)]))
    assert len(rows(db)[0]["username"]) == 191


def test_a_thousand_rows_are_several_statements(db: Database) -> None:
    db.write(partial(apply, db=db, rows=[row(number) for number in range(1000)]))
    assert sorted(found["prompt_tokens"] for found in rows(db)) == list(range(1000))


def test_without_an_other_column_it_goes_to_the_side_table(lite: Database) -> None:
    db = lite
    db.write(lambda connection: connection.exec_driver_sql("ALTER TABLE logs DROP COLUMN other").rowcount)
    db.look()
    db.write(partial(apply, db=db, rows=[row(1, other={"frt": 7}), row(2)]))
    with db.read() as connection:
        kept = connection.execute(text("SELECT request_id, other FROM gatewright_log_extra")).all()
    assert [tuple(found) for found in kept] == [("r1", '{"frt":7}')]
    assert len(rows(db)) == 2
