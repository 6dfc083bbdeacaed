"""What services say of themselves is read once an hour, and their keys again when one is not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.identity.directory import Directory, Kept
from engine.identity.refused import LoginRefused
from engine.program.outside.logins import Login, LoginPerson
from engine.transport.egress import Guard
from engine.transport.leg import Pool
from engine.transport.limits import Limits
from tests.relay.scripted import Upstream

LOGIN = Login("mine", "Mine", LoginPerson(lambda *_: None, None, None, None, None, None))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    one = Upstream()
    yield one
    one.close()


@pytest.fixture
def pool() -> Iterator[Pool]:
    one = Pool(Guard(["127.0.0.1"]), Limits())
    yield one
    one.close()


def older(kept: Kept, seconds: float) -> None:
    """As if that much time had gone by."""
    for url, (at, answer) in list(kept.items()):
        kept[url] = (at - seconds, answer)


def test_new_keys_are_found_and_strangers_ask_for_none(upstream: Upstream, pool: Pool) -> None:
    rows: list[dict[str, Any]] = [{"kid": "a"}]
    upstream.script = lambda say: say.whole({"keys": rows})
    kept: Kept = {}
    directory = Directory(pool, kept)
    url = f"{upstream.base}/keys"
    assert directory.key(LOGIN, url, "a") == [{"kid": "a"}]
    assert directory.key(LOGIN, url, None) == [{"kid": "a"}]
    assert [directory.key(LOGIN, url, f"x{number}") for number in range(5)] == [[]] * 5
    assert len(upstream.got) == 1
    rows[:] = [{"kid": "b"}]
    assert directory.key(LOGIN, url, "a") == [{"kid": "a"}]
    older(kept, 61)
    assert directory.key(LOGIN, url, "b") == [{"kid": "b"}]
    assert len(upstream.got) == 2
    older(kept, 3601)
    assert directory.key(LOGIN, url, "a") == []
    assert len(upstream.got) == 3


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b"<html>", b"{" * 70_000, b" " * 300_000])
def test_what_is_no_configuration_is_told_and_not_kept(upstream: Upstream, pool: Pool, body: bytes) -> None:
    upstream.script = lambda say: say.whole(body)
    kept: Kept = {}
    with pytest.raises(LoginRefused, match="can't be asked who you are"):
        Directory(pool, kept).key(LOGIN, f"{upstream.base}/keys", "a")
    assert kept == {}


def test_addresses_inside_the_network_are_not_asked() -> None:
    with pytest.raises(LoginRefused, match="no address that may be called"):
        Directory(Pool(Guard([]), Limits()), {}).key(LOGIN, "http://127.0.0.1:1/keys", "a")
