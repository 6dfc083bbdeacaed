"""Databases on each engine, the shipped Notice documents, and what notices stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine import paths
from engine.accounts.people import Person
from engine.accounts.users import create_user
from engine.catalogue import options
from engine.compiler import compile_set, read_set
from engine.notices.ground import Ground
from engine.program.outside.notices import Notice
from engine.storage.database import Database
from engine.storage.rows import people
from engine.transport.egress import Guard
from engine.transport.leg import Pool
from tests.relay.scripted import Upstream


@pytest.fixture(scope="session")
def documents() -> dict[str, Notice]:
    sources, shared_sources, faults = read_set([paths.SPECS / "notices"])
    assert not faults
    result = compile_set(sources, shared_sources)
    assert not result.faults
    return {one.name: one for one in result.program().notices}


@dataclass
class Place:
    """A database with people, and options that a test changes."""

    db: Database
    notices: dict[str, Notice]
    options: dict[str, str] = field(default_factory=dict)

    def ground(self) -> Ground:
        return Ground(self.notices, self.options, lambda name: options.value_of(self.options, name))

    def person(self, name: str, role: int = 1, quota: int = 0, email: str = "", **setting: Any) -> Person:
        which = create_user(self.db, name, "long enough", role=role, quota=quota, email=email)
        self.set(which, **setting)
        return self.of(which)

    def of(self, which: int) -> Person:
        row = people.by_id(self.db, which)
        assert row is not None
        return Person(row)

    def set(self, which: int, **setting: Any) -> None:
        from engine.accounts.people import put_setting

        put_setting(self.db, self.of(which), setting)


@pytest.fixture
def place(db: Database, documents: dict[str, Notice]) -> Place:
    return Place(db, dict(documents))


@pytest.fixture
def small(lite: Database, documents: dict[str, Notice]) -> Place:
    """The same on SQLite only."""
    return Place(lite, dict(documents))


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(Guard(["127.0.0.1"]))
    yield made
    made.close()


Waiting = Callable[[], list[Any]]
