"""This machine: the data directory, its disk, files of secrets, journals, the port."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import requests

from engine.care.doctor.site import Finding, Site, error, warning
from engine.ledger import journal
from engine.ledger.committing import REFUSED

_FULL, _NEARLY = 16 * 2**20, 512 * 2**20
_SPARE = 200
"""Descriptors for files, the database and upstreams, besides one for each connection."""


def directory(site: Site) -> Iterator[Finding]:
    """The data directory is one, and can be written to."""
    data = site.settings.data
    if data.exists() and not data.is_dir():
        yield error("data directory", f"{data} is a file", "set GATEWRIGHT_DATA to a directory")
        return
    if not data.exists():
        parent = next((path for path in data.absolute().parents if path.exists()), Path("/"))
        if not _writable(parent):
            yield error("data directory", f"{data} is not there and can't be made in {parent}", _own(data))
        return
    for place in (data, data / "journal", data / "programs"):
        if place.is_dir() and not _writable(place):
            yield error("data directory", f"no write right in {place}", _own(place))
    if (specs := site.settings.specs) is not None and not specs.is_dir():
        yield error("documents", f"GATEWRIGHT_SPECS: {specs} is no directory", f"mkdir -p {specs}")


def _own(path: Path) -> str:
    return f"install -d -o $(id -u -n) -m 700 {path} (as root), or set GATEWRIGHT_DATA to a place of your own"


def _writable(path: Path) -> bool:
    """Whether a file can be made there. A disk that is full is another matter."""
    try:
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError as fault:
        return fault.errno in (errno.ENOSPC, errno.EDQUOT)


def disk(site: Site) -> Iterator[Finding]:
    """Room for journals and the database."""
    data = site.settings.data
    if not data.is_dir():
        return
    free = shutil.disk_usage(data).free
    if free < _FULL:
        what = f"the disk of {data} is full ({free // 1024} KB left): no call begins while the journal can't be written"
        yield error("disk", what, f"free some room: du -xh --max-depth=2 {data} | sort -h")
    elif free < _NEARLY:
        yield warning(
            "disk", f"{free // 2**20} MB are left on the disk of {data}", "free some room, or set GATEWRIGHT_LOG_DAYS"
        )


def files(site: Site) -> Iterator[Finding]:
    """Secrets are for their owner alone; descriptors suffice."""
    data = site.settings.data
    own_files = [data / name for name in ("session.secret", "first.key", "first.login")]
    secrets = site.settings.secret_directory
    for path in [*own_files, *(sorted(secrets.rglob("*")) if secrets.is_dir() else [])]:
        if path.is_file() and path.stat().st_mode & 0o007:
            yield warning("secrets", f"{path} can be read by everybody on this machine", f"chmod 600 {path}")
    if (data / "first.login").is_file():
        what = f"the first password still lies in {data / 'first.login'}"
        yield warning("secrets", what, f"change it in the console, then rm {data / 'first.login'}")
    most, wanted = resource.getrlimit(resource.RLIMIT_NOFILE)[1], site.settings.max_connections + _SPARE
    if most != resource.RLIM_INFINITY and most < wanted:
        what = f"a process may open {most} files, and a worker takes {site.settings.max_connections} connections"
        yield warning("limits", what, f"ulimit -n {wanted} (systemd: LimitNOFILE={wanted})")


def journals(site: Site) -> Iterator[Finding]:
    """Nothing was refused, and nothing waits without anybody who books it."""
    place = site.settings.data / "journal"
    if not place.is_dir():
        return
    refused = place / REFUSED
    if refused.is_file() and (count := sum(1 for _ in journal.entries(refused))):
        what = f"{count} finished calls could not be booked; they lie in {refused}"
        yield error("journal", what, "gatewright ledger verify; the log says why each was refused")
    if site.running:
        return
    if count := sum(1 for path in journal.left_behind(place) for _ in journal.entries(path)):
        what = f"{count} finished calls lie in journals of processes that are dead, and no gateway runs"
        yield warning("journal", what, "gatewright serve: its start books them")


def port(site: Site) -> Iterator[Finding]:
    """The port is free, or ours."""
    chosen = site.settings
    family = socket.AF_INET6 if ":" in chosen.bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((chosen.bind, chosen.port))
            return
        except OSError as fault:
            if fault.errno != errno.EADDRINUSE:
                what = f"can't listen on {chosen.bind} port {chosen.port}: {os.strerror(fault.errno or 0)}"
                yield error("port", what, "set PORT above 1023, or GATEWRIGHT_BIND to an address of this machine")
                return
    site.running = _is_ours(f"http://{_address(chosen.bind)}:{chosen.port}/")
    if not site.running:
        what = f"port {chosen.port} is in use by another program"
        yield error("port", what, f"ss -ltnp 'sport = :{chosen.port}' names it; stop it, or set PORT to another one")


def _address(bind: str) -> str:
    if bind in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{bind}]" if ":" in bind else bind


def _is_ours(url: str) -> bool:
    try:
        return bool(requests.get(url, timeout=3).json().get("name") == "gatewright")
    except (requests.RequestException, ValueError, AttributeError):
        return False
