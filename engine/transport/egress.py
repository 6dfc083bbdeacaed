"""Which addresses an outbound connection may go to.

Takes host and port, gives the addresses to connect to: resolved once and checked, so that a name can't change its
answer between check and connect. Private, local and special ranges are refused unless a setting opens them. Knows
nothing of HTTP, and nothing of documents: none of them can open an address. What the operator opened for upstreams is
in one guard, what callers may name in another.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from engine.transport.faults import TransportError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[..., list[tuple[Any, Any, Any, Any, tuple[Any, ...]]]]

_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        # A cloud's metadata service that lies in public space.
        "168.63.129.16/32",
        "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
        "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# What the C resolver takes for an IPv4 address: up to four decimal, octal or hexadecimal numbers.
_ODD_IPV4 = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]*|[0-9]+)){0,3}\.?\Z")
_CACHED = 4096
_STALE_SECONDS = 5.0


class Guard:
    """Resolves and checks. ``allow`` holds networks as ``CIDR`` or ``CIDR:port`` (IPv6 in brackets before a port)."""

    def __init__(
        self,
        allow: Iterable[str] = (),
        *,
        ttl: float = 30.0,
        seconds: float = 10.0,
        resolve: Resolve = socket.getaddrinfo,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allow = tuple(parse_allowed(entry) for entry in allow if entry.strip())
        self._ttl = ttl
        self._seconds = seconds
        # The standard one is looked up at each call: gevent may replace it after this module was imported.
        self._resolve = None if resolve is socket.getaddrinfo else resolve
        self._clock = clock
        self._cache: dict[tuple[str, int], tuple[float, tuple[str, ...]]] = {}

    def check(self, host: str, port: int) -> tuple[str, ...]:
        """Addresses of ``host`` that may be connected to, in the resolver's order; raises ``TransportError``."""
        entry = self._cache.get((host, port))
        now = self._clock()
        if entry is not None and entry[0] > now:
            return entry[1]
        if entry is not None:
            # One asks anew; who comes meanwhile, and all while the resolver is down, go on with what was checked.
            self._cache[host, port] = (now + _STALE_SECONDS, entry[1])
        try:
            addresses = self._look_up(host, port)
        except TransportError as fault:
            if entry is not None and fault.kind == "dns":
                return entry[1]
            self._cache.pop((host, port), None)
            raise
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        self._cache[host, port] = (now + self._ttl, addresses)
        return addresses

    def check_literal(self, host: str, port: int) -> None:
        """Refuse a host that is itself an address out of bounds; for ways on which somebody else resolves names."""
        address = literal(host)
        if address is not None and not self.allowed(address, port):
            raise self._refusal(host)
        if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
            self.check(host, port)

    def allowed(self, address: Address, port: int) -> bool:
        """Whether one address may be connected to."""
        address = _plain(address)
        for network, only in self._allow:
            if address.version == network.version and address in network and only in (0, port):
                return True
        return not any(address.version == network.version and address in network for network in _REFUSED)

    def _look_up(self, host: str, port: int) -> tuple[str, ...]:
        address = literal(host)
        if address is not None:
            if not self.allowed(address, port):
                raise self._refusal(host)
            return (str(address),)
        resolve = self._resolve or socket.getaddrinfo
        try:
            with time_limit(self._seconds):
                answers = resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as ex:
            raise TransportError("dns", f"the name {host!r} could not be resolved: {ex}") from None
        addresses = dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers)
        # One forbidden address among good ones is a trick or a mistake: none of them is used.
        if not all(self.allowed(ipaddress.ip_address(text), port) for text in addresses):
            raise self._refusal(host)
        if not addresses:
            raise TransportError("dns", f"the name {host!r} has no address")
        return tuple(addresses)

    @staticmethod
    def _refusal(host: str) -> TransportError:
        return TransportError(
            "refused_address",
            f"{host!r} is a private or special address, which a setting of the gateway has to open",
        )


def time_limit(seconds: float) -> AbstractContextManager[object]:
    """Ends a look-up on gevent with ``TimeoutError``; with threads the resolver's own limits must do."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("socket"):
        return nullcontext()
    limit: AbstractContextManager[object] = sys.modules["gevent"].Timeout(seconds, TimeoutError("no answer in time"))
    return limit


def literal(host: str) -> Address | None:
    """The address that ``host`` spells out, None for a name; odd spellings of IPv4 are refused."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if _ODD_IPV4.match(host):
        raise TransportError("refused_address", f"{host!r} is an unusual spelling of an address: write four numbers")
    return None


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where packets really go to that."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def parse_allowed(entry: str) -> tuple[Network, int]:
    """Network and port (0: any) of one entry of the setting; raises ``ValueError`` with what was expected."""
    text, port = entry.strip(), ""
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](/\d+)?(?::(\d+))?", text)
    if bracketed:
        text, port = bracketed[1] + (bracketed[2] or ""), bracketed[3] or ""
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
    try:
        number = int(port or 0)
        if not 0 <= number <= 65535:
            raise ValueError
        return ipaddress.ip_network(text), number
    except ValueError:
        raise ValueError(
            f"{entry!r} is no network: expected such as 10.0.0.0/8, 127.0.0.1:9000 or [fd00::]/8:443"
        ) from None
