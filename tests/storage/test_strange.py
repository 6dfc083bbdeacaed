"""A database that a program made which nobody knows here is refused at the start, and nothing is added to it."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect, text

from engine.errors import Invalid
from engine.settings import Settings
from engine.storage.database import connect, open_database
from engine.storage.dsn import resolve


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["CREATE TABLE users (id INTEGER)"], "table users lacks password, role, status, username"),
        (["CREATE TABLE logs (id INTEGER)"], "there is no table users"),
    ],
)
def test_another_programs_tables_are_left_alone(empty: Settings, statements: list[str], words: str) -> None:
    theirs = connect(resolve(empty.sql_dsn, "", empty.data))
    theirs.write(lambda connection: [connection.execute(text(one)).rowcount for one in statements])
    with pytest.raises(Invalid, match=words):
        open_database(empty)
    with theirs.read() as connection:
        assert len(inspect(connection).get_table_names()) == 1
    theirs.close()


def test_tables_of_other_names_are_no_hindrance(empty: Settings) -> None:
    theirs = connect(resolve(empty.sql_dsn, "", empty.data))
    theirs.write(lambda connection: connection.execute(text("CREATE TABLE articles (id INTEGER)")).rowcount)
    theirs.close()
    open_database(empty).close()
