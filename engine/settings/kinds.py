"""How the text of a setting becomes a value: one reader per type, used by the table alone.

A reader takes the stripped text and gives the value, or raises ``ValueError`` whose words say what was expected.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

TRUE = frozenset(("1", "t", "true", "yes", "on"))
FALSE = frozenset(("0", "f", "false", "no", "off"))
_LIBRARY_ZONE = re.compile(r":.+|/.+|(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]+>)[+-]?\d.*")
"""``CST-8``, ``:Europe/Berlin``, a file: for the system's library to read."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_EGRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\](?P<mask>/\d+)?|(?P<four>[0-9.]+(?:/\d+)?))(?::(?P<port>\d+))?")

_REDIS = re.compile(
    r"rediss?://([^@/\s]*@)?([^@/:\[\]\s]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/\d*)?|unix://([^@/\s]*@)?/\S+"
)


@dataclass(frozen=True, slots=True)
class SettingKind:
    """A type of setting: its name on the page, and the reader of its text."""

    name: str
    read: Callable[[str], object]


def switch(text: str) -> bool:
    """The one parser of booleans."""
    lower = text.lower()
    if lower in TRUE:
        return True
    if lower in FALSE:
        return False
    raise ValueError("expected true or false")


def _whole(low: int, high: int, expected: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,15}", text) or not low <= int(text) <= high:
            raise ValueError(f"expected {expected}")
        return int(text)

    return read


def items(text: str) -> list[str]:
    """The items of a list: commas or blanks stand between them."""
    return [item for item in re.split(r"[,\s]+", text) if item]


def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """A list of addresses and CIDRs; ``none`` alone is the empty list."""
    names = items(text)
    if [item.lower() for item in names] == ["none"]:
        return ()
    try:
        return tuple(ipaddress.ip_network(item, strict=False) for item in names)
    except ValueError as error:
        raise ValueError(f"expected addresses or CIDRs, or none ({error})") from None


def egress(text: str) -> tuple[str, ...]:
    """A list of CIDR or address, each with a port if wanted; checked here, read again by the egress guard."""
    parts = items(text)
    for item in parts:
        match = _EGRESS.fullmatch(item)
        network = item if match is None else match["four"] or match["six"] + (match["mask"] or "")
        try:
            ipaddress.ip_network(network)
            if match is not None and int(match["port"] or 0) > 65535:
                raise ValueError
        except ValueError:
            raise ValueError(f"expected such as 10.0.0.0/8, 127.0.0.1:9000 or [fd00::]/8:443, found {item!r}") from None
    return tuple(parts)


def names(text: str) -> tuple[str, ...]:
    """A list of names of environment variables."""
    parts = items(text)
    for item in parts:
        if not _NAME.fullmatch(item):
            raise ValueError(f"expected names of environment variables, found {item!r}")
    return tuple(parts)


def zone(text: str) -> str:
    """A time zone by its name in the zone database, or in the forms that the system's library takes besides."""
    if not _LIBRARY_ZONE.fullmatch(text):
        try:
            ZoneInfo(text)
        except (ValueError, ZoneInfoNotFoundError, OSError):
            raise ValueError("expected a time zone such as UTC, Europe/Berlin or Asia/Shanghai") from None
    return text


def secret(text: str) -> str:
    """A secret of the operator's own; the text that sample files carry is refused."""
    if text == "random_string":
        raise ValueError("expected a secret of your own, found the sample text 'random_string'")
    return text


def redis(text: str) -> str:
    """The address of a Redis; what it can't be is told without its secret."""
    if not _REDIS.fullmatch(text):
        raise ValueError("expected redis://[user:password@]host[:port][/database], rediss://... or unix:///path")
    return text


def first_start(text: str) -> str:
    """How a fresh database gets its root."""
    if text not in ("login", "open"):
        raise ValueError("expected login or open")
    return text


def forced(text: str) -> str:
    """A switch that may be left alone: ``true``, ``false``, or nothing."""
    return str(switch(text)).lower() if text else ""


def header(text: str) -> str:
    """The name of a header that a proxy adds."""
    if not _HEADER.fullmatch(text) or text.lower() in ("authorization", "cookie", "host", "forwarded"):
        raise ValueError("expected the name of a header of the proxy's own, such as X-Remote-User")
    return text


def shared(text: str) -> str:
    """A secret that two programs share."""
    if len(secret(text)) < 16:
        raise ValueError("expected 16 characters or more")
    return text


TEXT = SettingKind("text", str)
PATH = SettingKind("path", lambda text: Path(text).expanduser())
SWITCH = SettingKind("boolean", switch)
PORT = SettingKind("port", _whole(1, 65535, "a port from 1 to 65535"))
COUNT = SettingKind("number", _whole(0, 10**12, "a whole number, 0 or more"))
POSITIVE = SettingKind("number > 0", _whole(1, 10**12, "a whole number, 1 or more"))
NETWORKS = SettingKind("list of CIDR", networks)
EGRESS = SettingKind("list of CIDR[:port]", egress)
NAMES = SettingKind("list of names", names)
SECRET = SettingKind("secret", secret)
SHARED = SettingKind("secret", shared)
HEADER = SettingKind("name of a header", header)
ZONE = SettingKind("time zone", zone)
REDIS = SettingKind("address of a Redis", redis)
FIRST_START = SettingKind("login or open", first_start)
FORCED = SettingKind("boolean or empty", forced)
