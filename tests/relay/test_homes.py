"""Refresh tokens that are good for one use: whoever renews writes the next one down, and nobody uses one twice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from engine import compiler, paths
from engine.cluster.store import EmbeddedStore
from engine.errors import Unavailable
from engine.program import Provider
from engine.relay.attempts.homes import ChannelHome
from engine.routing.channel import LiveChannel
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.releases import secrets
from engine.storage.tables import core
from engine.storage.vault import CHANNEL_KEY, PREFIX
from engine.transport.auth import Tokens
from engine.transport.faults import TransportError
from tests.databases import server_database
from tests.upstreams.codex import Subscription
from tests.upstreams.strict import RefusedError


@pytest.fixture(scope="module")
def provider() -> Provider:
    sources, shared, _ = compiler.read_set([paths.SPECS])
    return compiler.compile_set(sources, shared).program().providers["codex"]


@pytest.fixture(scope="module", params=["sqlite", "mysql", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    tmp_path = tmp_path_factory.mktemp("homes")
    if request.param == "sqlite":
        made = open_database(Settings(data=tmp_path, crypto_secret="a secret"))
        yield made
        made.close()
        return
    with server_database(request.param, tmp_path) as settings:
        made = open_database(Settings(data=tmp_path, sql_dsn=settings.sql_dsn, crypto_secret="a secret"))
        yield made
        made.close()


@pytest.fixture
def account() -> Iterator[Subscription]:
    made = Subscription()
    yield made
    made.upstream.close()


def channel(db: Database, provider: Provider, key: str, which: int, **more: Any) -> ChannelHome:
    """A channel's row, and where its credential is kept."""
    plain = {"id": which, "type": 57, "status": 1, "models": "m", "group": "default", "name": "c"}
    values = {**plain, "key": db.vault.seal(key, CHANNEL_KEY), **more}
    db.write(lambda connection: connection.execute(insert(core.channels).values(**values)).rowcount)
    return ChannelHome(db, LiveChannel(which, "c", provider, (key,), frozenset({"m"}), ("default",)))


def stored(db: Database, which: int) -> str:
    with db.read() as connection:
        return str(connection.execute(select(core.channels.c.key).where(core.channels.c.id == which)).scalar())


def asks(account: Subscription) -> Any:
    """What carries an exchange, without a socket."""

    def sent(method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes]:
        time.sleep(account.delay)
        try:
            return 200, json.dumps(account.renewed(json.loads(body))).encode()
        except RefusedError as ex:
            return ex.status, json.dumps(ex.body).encode()

    return sent


def test_many_at_once_renew_once_and_the_next_one_is_written_sealed(
    db: Database, provider: Provider, account: Subscription, tmp_path: Path
) -> None:
    key = account.key(expired="2020-01-01T00:00:00+08:00")
    home, account.delay = channel(db, provider, key, 1), 0.05
    stores = [EmbeddedStore(tmp_path / f"machine{number}.db") for number in range(2)]
    workers = [Tokens(stores[number % 2].space("tokens")) for number in range(6)]
    got: list[str] = []

    def ask(one: Tokens) -> None:
        got.append(one.get(provider.auth, key, "", asks(account), home))

    for turn in (1, 2):
        threads = [threading.Thread(target=ask, args=(one,)) for one in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == [f"at-{turn}"] * 6
        assert (account.uses, account.lost) == (turn, False)
        got.clear()
        for one in workers:  # the provider ends it early: each finds out by itself
            one.spoil(provider.auth, key, f"at-{turn}")
    for store in stores:
        store.close()
    held = stored(db, 1)
    assert held.startswith(PREFIX)
    members = json.loads(db.vault.open(held, CHANNEL_KEY))
    assert (members["access_token"], members["refresh_token"], members["id_token"]) == ("at-2", "rt-2", "id-2")
    assert (members["account_id"], members["email"]) == ("acc-1", "a@x.example")
    assert members["expired"] > members["last_refresh"] > "2026"


def test_what_could_not_be_written_is_written_by_the_next_who_comes(
    db: Database, provider: Provider, account: Subscription, tmp_path: Path
) -> None:
    key = account.key(expired="2020-01-01T00:00:00Z")
    home, store = channel(db, provider, key, 2), EmbeddedStore(tmp_path / "state.db")

    class Away(ChannelHome):
        def replace(self, old: str, new: str) -> bool:
            raise Unavailable("the database is away")

    away = Away(db, LiveChannel(2, "c", provider, (key,), frozenset({"m"}), ("default",)))
    first = Tokens(store.space("tokens"))
    assert first.get(provider.auth, key, "", asks(account), away) == "at-1"
    assert db.vault.open(stored(db, 2), CHANNEL_KEY) == key
    assert Tokens(store.space("tokens")).get(provider.auth, key, "", asks(account), home) == "at-1"
    assert json.loads(db.vault.open(stored(db, 2), CHANNEL_KEY))["refresh_token"] == "rt-1"
    first.spoil(provider.auth, key, "at-1")
    assert first.get(provider.auth, key, "", asks(account), home) == "at-2"
    assert (account.uses, account.lost) == (2, False)
    store.close()


def test_a_credential_of_several_and_one_that_an_operator_set_meanwhile(
    db: Database, provider: Provider, account: Subscription
) -> None:
    other = json.dumps({"account_id": "acc-2", "access_token": "x", "refresh_token": "rt-x"})
    key = account.key(expired="2020-01-01T00:00:00Z")
    listed = json.dumps([json.loads(other), json.loads(key)])
    home = channel(db, provider, listed, 3, channel_info={"is_multi_key": True})
    stands = json.dumps(json.loads(key), separators=(",", ":"))
    assert Tokens().get(provider.auth, stands, "", asks(account), home) == "at-1"
    first, second = json.loads(db.vault.open(stored(db, 3), CHANNEL_KEY))
    assert (first["access_token"], second["refresh_token"]) == ("x", "rt-1")
    where = core.channels.c.id == 3
    mine = db.vault.seal(other, CHANNEL_KEY)
    db.write(lambda c: c.execute(update(core.channels).where(where).values(key=mine, channel_info=None)).rowcount)
    with pytest.raises(TransportError) as caught:
        Tokens().get(provider.auth, stands, "", asks(account), home)
    assert "replaced meanwhile" in str(caught.value)
    assert account.uses == 1


def test_a_secret_of_the_database_is_renewed_too_and_its_end_is_told(
    db: Database, provider: Provider, account: Subscription
) -> None:
    key = account.key(expired="2020-01-01T00:00:00Z")
    secrets.put(db, "CODEX", key)
    declared = LiveChannel(0, "c", provider, (key,), frozenset({"m"}), ("default",), secret_name="CODEX")
    home = ChannelHome(db, declared)
    assert Tokens().get(provider.auth, key, "", asks(account), home) == "at-1"
    assert json.loads(secrets.one(db, "CODEX") or "")["refresh_token"] == "rt-1"
    with pytest.raises(TransportError) as caught:  # without a place to write to nothing is renewed
        Tokens().get(provider.auth, key, "", asks(account))
    assert "has ended" in str(caught.value)
    account.refresh = "revoked"
    tokens = Tokens()
    tokens.spoil(provider.auth, key, "at-1")
    with pytest.raises(TransportError) as caught:
        tokens.get(provider.auth, key, "", asks(account), home)
    assert "refresh_token_reused" in str(caught.value)
    assert "rt-1" not in str(caught.value)
