"""Tokens for credentials: exchanged once for all, renewed before their end, sealed where they are shared."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from engine.cluster.store import EmbeddedStore
from engine.transport.auth import Tokens, apply, public, secrets, unfit
from engine.transport.faults import TransportError

AUTH: dict[str, Any] = {
    "scheme": "query",
    "name": "access_token",
    "key": {"parts": ["id", "secret"]},
    "exchange": {
        "url": "/oauth/token",
        "form": {"grant_type": "client_credentials", "client_id": "{id}", "client_secret": "{secret}"},
        "token": "data.token",
        "lifetime": "data.seconds",
        "early": 10,
    },
}
BASE = "https://h.test/v1"


class Server:
    """Gives tokens, each of them another."""

    def __init__(self, seconds: Any = 3600, status: int = 200) -> None:
        self.calls: list[tuple[str, str, dict[str, str], bytes]] = []
        self.seconds, self.status, self.slow = seconds, status, 0.0
        self.answer: Any = None

    def __call__(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes]:
        self.calls.append((method, url, dict(headers), body))
        time.sleep(self.slow)
        answer = (
            self.answer
            if self.answer is not None
            else {"data": {"token": f"t{len(self.calls)}", "seconds": self.seconds}}
        )
        return self.status, json.dumps(answer).encode()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(tmp_path / "state.db")
    yield made
    made.close()


def test_the_call_is_the_declared_one_and_the_token_goes_in_its_place() -> None:
    server = Server()
    token = Tokens().get(AUTH, "i 1|s&2", BASE, server)
    ((method, url, headers, body),) = server.calls
    assert (method, url) == ("POST", f"{BASE}/oauth/token")
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["i 1"],
        "client_secret": ["s&2"],
    }
    assert apply(AUTH, "i 1|s&2", [], BASE, token=token)[0] == f"{BASE}?access_token=t1"


@pytest.mark.parametrize("part", ["query", "json"])
def test_a_call_has_its_words_in_the_query_or_as_json(part: str) -> None:
    rule = {
        "url": "https://t.test/x?a=1",
        "method": "GET",
        part: {"key": "{id}"},
        "headers": {"X-Key": "{secret}"},
        "token": "data.token",
    }
    server = Server()
    Tokens().get({**AUTH, "exchange": rule}, "i|s", BASE, server)
    ((method, url, headers, body),) = server.calls
    assert (method, headers["x-key"]) == ("GET", "s")
    assert (url, body) == (
        ("https://t.test/x?a=1&key=i", b"") if part == "query" else ("https://t.test/x?a=1", b'{"key":"i"}')
    )


def test_workers_share_what_one_of_them_asked_for(store: EmbeddedStore) -> None:
    server = Server()
    server.slow = 0.2
    workers = [Tokens(store.space("tokens")) for _ in range(6)]
    got: list[str] = []
    threads = [
        threading.Thread(target=lambda one=one: got.append(one.get(AUTH, "i|s", BASE, server))) for one in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == ["t1"] * 6
    assert len(server.calls) == 1
    assert workers[0].held(AUTH, "i|s") == "t1"


def test_nothing_of_a_token_or_its_credential_is_shared_in_the_clear(store: EmbeddedStore, tmp_path: Path) -> None:
    server = Server()
    server.answer = {"data": {"token": "very-secret-token", "seconds": 60}}
    Tokens(store.space("tokens")).get(AUTH, "some-id|some-secret", BASE, server)
    rows = store.run("SELECT key, value FROM entries", ())
    assert rows
    assert not any(word in repr(rows) for word in ("very-secret", "some-id", "some-secret"))
    assert Tokens(store.space("tokens")).get(AUTH, "some-id|some-secret", BASE, server) == "very-secret-token"
    with pytest.raises(TransportError):
        Tokens(store.space("tokens")).get(AUTH, "some-id|other-secret", BASE, Server(status=401))


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_renewed_before_its_end_and_while_it_holds_nobody_waits(tmp_path: Path) -> None:
    clock, server = Clock(), Server(seconds=100)
    store = EmbeddedStore(tmp_path / "state.db", clock=clock)
    first, second = (Tokens(store.space("tokens"), clock) for _ in range(2))
    assert first.get(AUTH, "i|s", BASE, server) == "t1"
    clock.now += 89
    assert first.held(AUTH, "i|s") == "t1"
    clock.now += 2
    assert first.held(AUTH, "i|s") is None
    begun, go_on = threading.Event(), threading.Event()

    def slowly(*call: Any) -> tuple[int, bytes]:
        begun.set()
        go_on.wait(30)
        return server(*call)

    renewing = threading.Thread(target=first.get, args=(AUTH, "i|s", BASE, slowly))
    renewing.start()
    begun.wait(30)
    assert second.get(AUTH, "i|s", BASE, server) == "t1"  # the lease is the other's
    go_on.set()
    renewing.join()
    assert first.held(AUTH, "i|s") == "t2"
    assert second.get(AUTH, "i|s", BASE, server) == "t2"
    store.close()


def test_a_token_goes_on_where_no_other_can_be_had_before_its_end(tmp_path: Path) -> None:
    clock = Clock()
    store = EmbeddedStore(tmp_path / "state.db", clock=clock)
    tokens = Tokens(store.space("tokens"), clock)
    assert tokens.get(AUTH, "i|s", BASE, Server(seconds=100)) == "t1"
    clock.now += 95
    assert tokens.get(AUTH, "i|s", BASE, Server(status=503)) == "t1"
    clock.now += 6
    with pytest.raises(TransportError):
        tokens.get(AUTH, "i|s", BASE, Server(status=503))
    store.close()


def test_a_short_token_is_renewed_in_its_second_half() -> None:
    clock, server = Clock(), Server(seconds=12)
    tokens = Tokens(clock=clock)
    assert tokens.get(AUTH, "i|s", BASE, server) == "t1"
    clock.now += 5
    assert tokens.held(AUTH, "i|s") == "t1"
    clock.now += 2
    assert tokens.held(AUTH, "i|s") is None


def test_a_refused_token_is_forgotten_once_by_all(store: EmbeddedStore) -> None:
    server = Server()
    workers = [Tokens(store.space("tokens")) for _ in range(3)]
    assert {one.get(AUTH, "i|s", BASE, server) for one in workers} == {"t1"}
    for one in workers:  # each of them finds out by itself
        one.spoil(AUTH, "i|s", "t1")
        assert one.get(AUTH, "i|s", BASE, server) == "t2"
    assert len(server.calls) == 2


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (401, {"error": "invalid_client", "error_description": "no i|s"}, "status 401, invalid_client"),
        (400, {"error": {"status": "INVALID", "message": "i|s"}}, "status 400, INVALID"),
        (200, {"data": {}}, "status 200"),
        (200, {"data": {"token": "a\r\nb"}}, "status 200"),
        (200, [], "status 200"),
        (500, {"error": "something with s in it and more"}, "status 500"),
    ],
)
def test_a_refusal_says_why_and_nothing_of_the_credential(status: int, answer: Any, why: str) -> None:
    server = Server(status=status)
    server.answer = answer
    tokens = Tokens()
    for _ in range(2):
        with pytest.raises(TransportError) as caught:
            tokens.get(AUTH, "i|s", BASE, server)
        assert str(caught.value) == f"the provider gives no token for the channel's credential: {why}"
        assert (caught.value.kind, caught.value.meaning) == ("credential", "upstream_auth")
    assert len(server.calls) == 1, "it is not asked again at once"


@pytest.mark.parametrize("seconds", [None, "x", -1, 0, 1e30, {}])
def test_a_lifetime_that_means_nothing_is_the_usual_one(seconds: Any) -> None:
    tokens = Tokens()
    assert tokens.get(AUTH, "i|s", BASE, Server(seconds=seconds)) == "t1"
    assert tokens.held(AUTH, "i|s") == "t1"


ACCOUNT = {
    "scheme": "bearer",
    "key": {
        "json": True,
        "parts": ["email", "pem", "extra"],
        "least": 2,
        "public": ["email"],
        "defaults": {"extra": "e"},
    },
}


@pytest.mark.parametrize(
    "secret", ["x", "[]", '{"email": "a"}', '{"email": "a", "pem": 1}', '{"email": "", "pem": "x"}']
)
def test_a_json_credential_of_another_form_is_told(secret: str) -> None:
    assert unfit(ACCOUNT, secret) == "the channel's credential must be a JSON object with the members email, pem"


def test_parts_that_stand_in_addresses_hold_nothing_that_leads_elsewhere() -> None:
    assert unfit(ACCOUNT, '{"email": "a/../b", "pem": "x"}')
    assert unfit(ACCOUNT, '{"email": "a.b-1", "pem": "x\\ny"}') is None
    assert public(ACCOUNT, '{"email": "a.b-1", "pem": "x"}') == {"email": "a.b-1"}


def test_the_secret_parts_are_known_to_whoever_strikes_them_out() -> None:
    auth = {"key": {"parts": ["id", "secret", "region"], "public": ["region"]}}
    assert sorted(secrets(auth, "my-id-1|my-secret|us-east-1")) == [
        "my-id-1",
        "my-id-1|my-secret|us-east-1",
        "my-secret",
    ]
    assert secrets({"scheme": "bearer"}, "a|b") == ["a|b"]


def test_a_derived_word_follows_from_the_longest_beginning() -> None:
    derived = {"geo": {"from": "region", "begins": {"us-": "us.", "us-gov-": "us-gov.", "": "x."}}}
    auth = {"key": {"parts": ["id", "region"], "public": ["region"], "derived": derived}}
    told = [public(auth, f"i|{region}")["geo"] for region in ("us-east-1", "us-gov-west-1", "sa-east-1")]
    assert told == ["us.", "us-gov.", "x."]


def test_those_who_wait_for_a_refused_exchange_do_not_ask_one_after_the_other(store: EmbeddedStore) -> None:
    server, tokens, why = Server(status=401), Tokens(store.space("tokens")), list[str]()
    server.slow = 0.2

    def ask() -> None:
        try:
            tokens.get(AUTH, "i|s", BASE, server)
        except TransportError as ex:
            why.append(str(ex))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(why) == 6
    assert len(server.calls) == 1
