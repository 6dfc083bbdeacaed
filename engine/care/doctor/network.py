"""The way out: who is believed about callers, and whether the hosts of channels can be reached."""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from engine.care.doctor.site import Finding, Site, error, warning
from engine.transport.egress import Guard
from engine.transport.faults import TransportError

_SECONDS = 5
_AT_ONCE = 8
_APART = 60


def proxies_of_callers(site: Site) -> Iterator[Finding]:
    """Not everybody is believed."""
    for network in site.settings.trusted_proxies:
        if network.prefixlen == 0:
            what = f"TRUSTED_PROXIES holds {network}: every caller may say that it calls from elsewhere"
            yield warning("proxies", what, "set TRUSTED_PROXIES to the addresses of your proxies")


def upstreams(site: Site) -> Iterator[Finding]:
    """Names resolve, addresses are open, connections and TLS work, clocks agree; no channel with a proxy is tried."""
    if site.channels is None or site.asked.offline:
        return
    bases = sorted({channel.base_url for channel in site.channels.table.channels if not channel.proxy})
    places = {(parts.scheme, parts.hostname or "", parts.port) for base in bases if (parts := urlsplit(base))}
    guard = Guard(site.settings.egress_allow)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for finding in pool.map(lambda place: _reached(site, guard, *place), sorted(places, key=str)):
            if finding is not None:
                yield finding


def _reached(site: Site, guard: Guard, scheme: str, host: str, port: int | None) -> Finding | None:
    number = port or (443 if scheme == "https" else 80)
    try:
        address = guard.check(host, number)[0]
    except TransportError as fault:
        if fault.kind == "dns":
            what = f"the name {host} of an upstream does not resolve"
            return error("DNS", what, f"getent hosts {host}; correct the base URL, or this machine's /etc/resolv.conf")
        return error("egress", str(fault), f"set GATEWRIGHT_EGRESS_ALLOW={host}:{number} if that is meant")
    try:
        return _asked(scheme, host, number, address, insecure=site.settings.tls_insecure_skip_verify)
    except ssl.SSLCertVerificationError as fault:
        return error("TLS", f"the certificate of {host} is not good: {fault.verify_message}",
                     "update ca-certificates, or correct the base URL")  # fmt: skip
    except (OSError, http.client.HTTPException) as fault:
        how = f"curl -v {scheme}://{host}:{number}/ ; open it in the firewall, or give the channel a proxy"
        return error("egress", f"{host} port {number} can't be reached: {fault}", how)


def _asked(scheme: str, host: str, port: int, address: str, *, insecure: bool) -> Finding | None:
    """Ask for anything; the answer's date tells how its clock differs."""
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((address, port), _SECONDS) as plain:
        sealed = context.wrap_socket(plain, server_hostname=host) if scheme == "https" else plain
        try:
            sealed.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = http.client.HTTPResponse(sealed)
            answer.begin()
            date = answer.headers.get("Date")
            answer.close()
        finally:
            sealed.close()
    moment = email.utils.parsedate_to_datetime(date).timestamp() if date else time.time()
    if abs(moment - time.time()) > _APART:
        what = f"this machine's clock and that of {host} are {abs(moment - time.time()):.0f} s apart"
        return error("clock", what, "timedatectl set-ntp true; then timedatectl status")
    return None
