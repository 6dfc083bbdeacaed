"""Addresses of callers: who called through which proxies, whether one lies in a network, and from where who may call.

Imports nothing of ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

RELAY, MANAGEMENT, CONSOLE = "relay", "management", "console"
AREAS = (RELAY, MANAGEMENT, CONSOLE)
_ALLOW, _DENY = "allow", "deny"
_MEMBERS = frozenset({"area", "verdict", "network", "until", "note"})
_MOST, _LONGEST_NOTE = 1000, 200


def client_ip(remote: str, forwarded: str | None, trusted: tuple[Any, ...]) -> str:
    """Return the caller's address: the last forwarded hop that no trusted proxy added, else the socket's."""
    if not forwarded or not _trusted(remote, trusted):
        return remote
    for hop in reversed([part.strip() for part in forwarded.split(",")]):
        if not _trusted(hop, trusted):
            return hop if _is_address(hop) else remote
    return remote


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _trusted(text: str, trusted: tuple[Any, ...]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address.version == network.version and address in network for network in trusted)


def inside(ip: str, networks: Iterable[Any]) -> bool:
    """Whether an address lies in one of the networks; an IPv4 one may be written as IPv6 (``::ffff:a.b.c.d``)."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address.version == network.version and address in network for network in networks)


@dataclass(frozen=True, slots=True)
class NetworkRules:
    """From where an area may be called: networks with the moment at which each ends (Unix seconds, 0: never).

    Denied ones go before allowed ones. Where networks are allowed at all nobody else is, also after the last has ended.
    """

    denied: tuple[tuple[Any, int], ...] = ()
    allowed: tuple[tuple[Any, int], ...] = ()

    def admit(self, ip: str, now: float) -> bool:
        """Whether an address may call."""
        if inside(ip, (network for network, until in self.denied if not until or now < until)):
            return False
        return not self.allowed or inside(ip, (network for network, until in self.allowed if not until or now < until))


def network_rules(entries: Any) -> dict[str, NetworkRules]:
    """The rules of each area that has any, of a list of ``{area, verdict, network, until, note}``.

    Raises ``ValueError`` with words that name the entry at fault.
    """
    if not isinstance(entries, list) or len(entries) > _MOST:
        raise ValueError(f"a list of {_MOST} entries at most")
    areas: dict[str, dict[str, list[tuple[Any, int]]]] = {}
    for number, entry in enumerate(entries, 1):
        area, verdict, network, until = _entry(entry, f"entry {number}")
        areas.setdefault(area, {_DENY: [], _ALLOW: []})[verdict].append((network, until))
    return {area: NetworkRules(tuple(lists[_DENY]), tuple(lists[_ALLOW])) for area, lists in areas.items()}


def _entry(entry: Any, where: str) -> tuple[str, str, Any, int]:
    if not isinstance(entry, Mapping) or entry.keys() - _MEMBERS:
        raise ValueError(f"objects of area, verdict, network, until and note ({where})")
    for name, choices in (("area", AREAS), ("verdict", (_ALLOW, _DENY))):
        if entry.get(name) not in choices:
            raise ValueError(f"{name} {' or '.join(choices)} ({where})")
    until, note = entry.get("until") or 0, entry.get("note") or ""
    if isinstance(until, bool) or not isinstance(until, int) or not 0 <= until < 2**53:
        raise ValueError(f"until in Unix seconds, 0 for no end ({where})")
    if not isinstance(note, str) or len(note) > _LONGEST_NOTE:
        raise ValueError(f"a note of {_LONGEST_NOTE} characters at most ({where})")
    try:
        network = ipaddress.ip_network(str(entry.get("network")).strip(), strict=False)
    except ValueError:
        raise ValueError(f"a network such as 10.0.0.0/8 or an address ({where})") from None
    return entry["area"], entry["verdict"], network, until
