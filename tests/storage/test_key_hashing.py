"""Keys as keyed hashes: a database is turned over while it serves, and nothing that lies in it opens a door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from engine.accounts import key_report, keys, own_keys, users
from engine.errors import Conflict, Invalid
from engine.settings import Settings
from engine.storage import key_form, migrations, rotation
from engine.storage.database import Database, StorageError, open_database
from engine.storage.rows.accounts import find_key
from engine.storage.tables.core import tokens
from engine.storage.tables.own import facts
from engine.storage.upgrade import key_hashing

PASSWORD = "correct horse battery"


def bare(key: str) -> str:
    return key.removeprefix("sk-")


def column_of(db: Database, which: int) -> str:
    with db.read() as reader:
        return str(reader.execute(select(tokens.c.key).where(tokens.c.id == which)).scalar()).rstrip()


@pytest.fixture
def sealed(empty: Settings) -> Settings:
    return replace(empty, crypto_secret="a secret of the operator's")


@pytest.fixture
def served(sealed: Settings, request: pytest.FixtureRequest) -> Callable[..., Database]:
    """Opens the database once more, as another process does."""

    def opened(secret: str = sealed.crypto_secret) -> Database:
        db = open_database(replace(sealed, crypto_secret=secret))
        request.addfinalizer(db.close)
        return db

    return opened


def test_a_database_is_turned_over_while_it_serves(served: Callable[..., Database]) -> None:
    worker, command = served(), served()
    user = users.create_user(worker, "ann", PASSWORD)
    old = keys.create_key(worker, user, "old")
    gone = keys.create_key(worker, user, "gone")
    keys.revoke_key(worker, gone.token_id)
    short = own_keys.create(worker, user, {"name": "short"}, (), 10)
    worker.write(lambda c: c.execute(tokens.update().where(tokens.c.id == short["id"]).values(key="tiny")) and None)
    assert find_key(worker, bare(old.key)) is not None

    assert key_hashing.turn_over(command) == 3
    assert key_hashing.turn_over(command) == 0

    with worker.read() as reader:
        stored = [str(text).rstrip() for text in reader.execute(select(tokens.c.key)).scalars()]
    assert len(stored) == 3
    assert all(key_form.is_hash(text) and len(text) == 48 for text in stored)
    account = find_key(worker, bare(old.key))
    assert account is not None
    assert account.token_id == old.token_id
    assert find_key(worker, bare(gone.key)) is None
    assert find_key(worker, "tiny") is not None
    for process in (worker, served()):
        assert find_key(process, column_of(process, old.token_id)) is None
    assert column_of(worker, short["id"])[4:8] == "****"


def test_a_key_costs_one_read_known_or_not(served: Callable[..., Database], monkeypatch: pytest.MonkeyPatch) -> None:
    worker, command = served(), served()
    user = users.create_user(command, "ann", PASSWORD)
    made = keys.create_key(command, user, "k")
    reads = []
    run, read = worker.run, worker.read
    monkeypatch.setattr(worker, "run", lambda sql, values: reads.append(sql) or run(sql, values))
    monkeypatch.setattr(worker, "read", lambda: reads.append("read") or read())

    def asked(key: str) -> tuple[bool, int]:
        reads.clear()
        return find_key(worker, key) is not None, len(reads)

    assert asked(bare(made.key)) == (True, 1)
    assert asked("x" * 48) == (False, 1)
    key_hashing.turn_over(command)
    late = keys.create_key(command, user, "made a moment ago")
    assert asked(bare(late.key)) == (True, 2)  # this process learns of hashes
    assert asked(bare(made.key)) == (True, 1)
    assert asked("x" * 48) == (False, 1)


def test_what_is_made_afterwards_is_hashed_whoever_makes_it(served: Callable[..., Database]) -> None:
    late, command = served(), served()
    user = users.create_user(command, "ann", PASSWORD)
    first = keys.create_key(late, user, "first")
    key_hashing.turn_over(command)
    made = keys.create_key(late, user, "made")
    own = own_keys.create(late, user, {"name": "own"}, (), 10)
    for which, key in ((made.token_id, bare(made.key)), (own["id"], own["key"])):
        assert key_form.is_hash(column_of(late, which))
        assert column_of(late, which)[4:8] == key[-4:]
        account = find_key(served(), key)
        assert account is not None
        assert account.token_id == which
    assert key_report.find(late, own["key"]) is not None
    with pytest.raises(Conflict, match="kept as a hash"):
        own_keys.clear(own_keys.mine(late, user, own["id"]))
    renewed = own_keys.renew(late, user, own["id"])
    assert find_key(late, own["key"]) is None
    assert find_key(late, renewed["key"]) is not None
    assert keys.change_key(late, first.key, keys.KeyChange(enabled=False))
    assert keys.revoke_key(late, made.key)
    assert {info.key for info in keys.list_keys(late)} == {f"sk-...{renewed['key'][-4:]}", f"sk-...{first.key[-4:]}"}


def test_a_key_that_a_process_still_wrote_in_clear_counts_and_is_hashed_next_time(
    served: Callable[..., Database],
) -> None:
    worker, command = served(), served()
    user = users.create_user(worker, "ann", PASSWORD)
    key_hashing.turn_over(command)
    made = keys.create_key(worker, user, "k")
    clear = bare(made.key)
    worker.write(lambda c: c.execute(tokens.update().values(key=clear)) and None)
    assert find_key(worker, clear) is not None
    assert key_hashing.turn_over(command) == 1
    assert find_key(worker, clear) is not None


def test_the_secret_of_the_hashes_turns_with_crypto_secret(served: Callable[..., Database], sealed: Settings) -> None:
    db = served()
    made = keys.create_key(db, users.create_user(db, "ann", PASSWORD), "k")
    key_hashing.turn_over(db)
    assert rotation.status(db)[key_form.PLACE] == {"encrypted": 1}
    rotation.rotate(db, "another one", [sealed.crypto_secret])
    assert find_key(served("another one"), bare(made.key)) is not None
    with pytest.raises(StorageError, match="CRYPTO_SECRET is not the one"):
        find_key(served(sealed.crypto_secret), bare(made.key))


def test_it_needs_a_secret_and_shuts_older_versions_out(served: Callable[..., Database]) -> None:
    with pytest.raises(Invalid, match="CRYPTO_SECRET is not set"):
        key_hashing.turn_over(served(""))
    db = served()
    key_hashing.turn_over(db)
    with db.read() as reader:
        needs = reader.execute(select(facts.c.value).where(facts.c.name == migrations.NEEDS)).scalar()
    assert str(needs) >= "0018"
