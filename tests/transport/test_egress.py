"""Which addresses are refused, in which spelling ever, and that what was checked is what is connected to."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from engine.transport.egress import Guard, parse_allowed
from engine.transport.faults import TransportError

PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "168.63.129.16",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "fec0::1",
    "2001:db8::1",
    "100::1",
    "2001::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
ODD = [
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "017700000001",
    "127.0.0.1.",
    "0x7F.0x0.0.1",
    "3232235777",
    "010.0.0.1",
    "1.1",
]


def answers(*addresses: str) -> Any:
    return lambda *_, **__: [(0, 0, 0, "", (address, 0)) for address in addresses]


def kind_of(call: Any) -> str:
    with pytest.raises(TransportError) as caught:
        call()
    return caught.value.kind


@pytest.mark.parametrize("address", PRIVATE)
def test_a_special_address_is_refused_as_literal_and_behind_a_name(address: str) -> None:
    assert kind_of(lambda: Guard().check(address, 443)) == "refused_address"
    assert kind_of(lambda: Guard(resolve=answers(address)).check("name.test", 443)) == "refused_address"
    assert kind_of(lambda: Guard().check_literal(address, 443)) == "refused_address"


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_let_through(address: str) -> None:
    assert ip_address(Guard().check(address, 443)[0]) == ip_address(address)
    assert Guard(resolve=answers(address)).check("name.test", 443) == (address,)


@pytest.mark.parametrize("spelling", ODD)
def test_odd_spellings_of_addresses_are_refused(spelling: str) -> None:
    guard = Guard(["0.0.0.0/0"])
    assert kind_of(lambda: guard.check(spelling, 80)) == "refused_address"


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    guard = Guard(resolve=answers("8.8.8.8", "10.0.0.1"))
    assert kind_of(lambda: guard.check("name.test", 443)) == "refused_address"


def test_the_setting_opens_networks_and_single_ports() -> None:
    guard = Guard(["10.0.0.0/8", "127.0.0.1:9000", "[::1]:9000", " ", "fd00::/8"])
    assert guard.check("10.1.2.3", 1) == ("10.1.2.3",)
    assert guard.check("127.0.0.1", 9000) == ("127.0.0.1",)
    assert guard.check("::1", 9000) == ("::1",)
    assert guard.check("fd12::1", 5) == ("fd12::1",)
    assert guard.check("::ffff:10.0.0.1", 1)
    for host, port in (("127.0.0.1", 9001), ("127.0.0.2", 9000), ("::1", 80), ("192.168.0.1", 80)):
        assert kind_of(lambda host=host, port=port: guard.check(host, port)) == "refused_address"


@pytest.mark.parametrize(
    "entry", ["10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0.0/8:x", "10.0.0.0/8:70000", "[::1"]
)
def test_an_unsound_entry_of_the_setting_is_told(entry: str) -> None:
    with pytest.raises(ValueError, match="is no network: expected such as"):
        parse_allowed(entry)


def test_a_name_is_looked_up_once_for_a_while() -> None:
    asked = []
    now = [0.0]

    def resolve(*_: Any, **__: Any) -> Any:
        asked.append(1)
        return answers("8.8.8.8", "8.8.8.8", "8.8.4.4")()

    guard = Guard(resolve=resolve, ttl=30, clock=lambda: now[0])
    assert guard.check("name.test", 443) == guard.check("name.test", 443) == ("8.8.8.8", "8.8.4.4")
    assert len(asked) == 1
    now[0] = 31
    guard.check("name.test", 443)
    assert len(asked) == 2


def test_a_name_that_turns_private_is_refused_at_its_next_look_up() -> None:
    now = [0.0]
    turns = iter(["8.8.8.8", "127.0.0.1"])
    guard = Guard(resolve=lambda *_, **__: answers(next(turns))(), ttl=5, clock=lambda: now[0])
    assert guard.check("name.test", 443) == ("8.8.8.8",)
    now[0] = 6
    assert kind_of(lambda: guard.check("name.test", 443)) == "refused_address"


def test_a_name_that_does_not_resolve_is_a_dns_fault() -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise OSError("no such name")

    assert kind_of(lambda: Guard(resolve=fails).check("name.test", 443)) == "dns"
    assert kind_of(lambda: Guard(resolve=answers()).check("name.test", 443)) == "dns"


def test_what_was_checked_holds_while_the_resolver_is_down_but_not_once_it_is_refused() -> None:
    now = [0.0]
    turns = iter([["8.8.8.8"], None, ["10.0.0.1"], None])

    def resolve(*_: Any, **__: Any) -> Any:
        turn = next(turns)
        if turn is None:
            raise OSError("resolver down")
        return answers(*turn)()

    guard = Guard(resolve=resolve, ttl=30, clock=lambda: now[0])
    assert guard.check("name.test", 443) == ("8.8.8.8",)
    now[0] = 31
    assert guard.check("name.test", 443) == ("8.8.8.8",)
    now[0] = 40
    assert kind_of(lambda: guard.check("name.test", 443)) == "refused_address"
    assert kind_of(lambda: guard.check("name.test", 443)) == "dns"


def test_localhost_is_refused_where_somebody_else_resolves() -> None:
    assert kind_of(lambda: Guard().check_literal("localhost", 80)) == "refused_address"
    Guard().check_literal("name.test", 80)
