"""``gatewright serve`` from settings to a running server: port, database, demo, first key, and what is printed.

Called once, after ``monkey.patch_all()``.
"""

from __future__ import annotations

import errno
import json
import logging
import shlex
import socket
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from engine import __version__
from engine.accounts.first_start import first_start
from engine.errors import Conflict
from engine.releases.git import Remote
from engine.releases.pull import Puller
from engine.server import building, demo
from engine.server.application import Gateway
from engine.server.children import Child, ChildError, in_child
from engine.server.faults import StartError
from engine.settings import Settings
from engine.storage import migrations
from engine.storage.bounds import Bounds
from engine.storage.database import open_database
from engine.storage.logdb import open_logs
from engine.storage.releases.agreement import join, shared
from engine.storage.releases.machines import identity
from engine.storage.rows import budgets
from engine.transport.egress import Guard

KEY_FILE = "first.key"
LOGIN_FILE = "first.login"
"""Name and password of the administrator, where no terminal was there to show them."""


@dataclass
class First:
    """What only the first start knows: the administrator and a key."""

    username: str = ""
    password: str = ""
    key: str = ""


def serve(settings: Settings, *, with_demo: bool = False) -> None:
    """Run the server; comes back when it has stopped."""
    for warning in settings.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    settings.put_in_force()
    check_port(settings.bind, settings.port)
    make_directories(settings)
    extra_processes: list[Child] = []
    directories = [path for _, path in settings.spec_layers]
    if with_demo:
        port = demo.choose_port(settings.port + 1)
        specs = settings.data / "demo"
        demo.write_specs(specs, port)
        directories.insert(1, specs)
        settings = replace(settings, egress_allow=(*settings.egress_allow, f"127.0.0.1:{port}"))
        extra_processes.append(demo.process(port))
    if settings.git_url:
        extra_processes.append(Child("follower of a Git remote", puller(settings).run))
    first = First()
    bounds = Bounds(settings.sql_connect_timeout, settings.sql_read_timeout, settings.sql_write_timeout)
    Gateway(
        settings,
        directories,
        building.relay,
        extra_processes=extra_processes,
        before_fork=lambda: before_fork(settings, first),
        announce=lambda: announce(settings, first, with_demo),
        heavy=True,
        database=partial(open_database, settings, migrate=False, bounds=bounds),
    ).run()


def puller(settings: Settings) -> Puller:
    """The process that follows a Git remote; what is wrong with its settings is told at once."""
    remote = Remote(
        settings.git_url,
        settings.git_branch,
        settings.git_path.strip("/"),
        settings.git_token,
        settings.git_key,
        settings.git_hosts,
    )
    remote.check()
    guard, log = Guard(settings.egress_allow), logging.getLogger("gunicorn.error")
    return Puller(remote, settings.git_every, settings.data, settings.program_directory, guard, log)


def check_port(bind: str, port: int) -> None:
    """A port that is taken is told at once, not after a compile."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                why = f"port {port} is in use; stop what listens there or set PORT to another one"
            else:
                why = f"can't listen on {bind} port {port}: {error.strerror}"
            raise StartError(why) from None


def make_directories(settings: Settings) -> None:
    """The data directory and what lies in it."""
    if settings.data.exists() and not settings.data.is_dir():
        raise StartError(f"GATEWRIGHT_DATA: {settings.data} is a file; a directory is needed")
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if settings.specs is None:
            settings.spec_directory.mkdir(exist_ok=True)
        elif not settings.specs.is_dir():
            raise StartError(f"GATEWRIGHT_SPECS: {settings.specs} is no directory")
    except OSError as error:
        raise StartError(f"GATEWRIGHT_DATA: can't use {settings.data}: {error.strerror}") from None


def before_fork(settings: Settings, first: First) -> None:
    """What the master does while the documents are compiled."""
    building.warm(settings)
    bring_up(settings, first)


def bring_up(settings: Settings, first: First) -> None:
    """Create or upgrade the database, in a process of its own: migrations need modules that workers don't."""

    def work() -> bytes:
        master = not settings.is_slave
        db = open_database(settings, migrate=master)
        try:
            if not master:
                migrations.check(db)
            login = first_start(db) if master and settings.first_start == "login" else None
            budgets.follow_zone(db)
            logs = open_logs(settings, db, migrate=master)
            if logs is not db:
                logs.close()
            try:
                warnings, refused = join(db, identity(settings.program_directory), shared(settings)), ""
            except Conflict as error:
                warnings, refused = [], str(error)
        finally:
            db.close()
        words = [login.username, login.password, login.key] if login else []
        return json.dumps({"login": words, "warnings": warnings, "refused": refused}).encode()

    try:
        told = json.loads(in_child(work))
    except ChildError as error:
        raise StartError(f"the database can't be used: {error}") from None
    if told["refused"]:
        raise StartError(told["refused"])
    for warning in told["warnings"]:
        sys.stderr.write(f"warning: {warning}\n")
    if login := told["login"]:
        first.username, first.password, first.key = login
        _write(settings.data / KEY_FILE, first.key)
        if not sys.stdout.isatty():
            _write(settings.data / LOGIN_FILE, f"{first.username} {first.password}")


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text + "\n", encoding="ascii")


def announce(settings: Settings, first: First, with_demo: bool) -> None:
    """Say on stdout where the server is, the first login, and what to try.

    Login and key are shown where somebody looks; what a supervisor keeps gets the paths of their files alone.
    """
    watched = sys.stdout.isatty()
    host = "127.0.0.1" if settings.bind in ("0.0.0.0", "::") else settings.bind  # noqa: S104
    base = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    lines = [f"gatewright {__version__} at {base}, data in {settings.data}", f"console: {base}/console"]
    if first.key and not watched:
        lines += ["", f"first start: the login is in {settings.data / LOGIN_FILE}, a key in {settings.data / KEY_FILE}"]
    elif first.key:
        lines += [
            "",
            "first start: these are shown once",
            f"  administrator  {first.username}",
            f"  password       {first.password}",
            f"  key            {first.key}",
        ]
    tries = demo.lines_to_try(base, (watched and first.key) or kept_key(settings.data)) if with_demo else []
    if tries:
        lines += ["", "try it:", *tries]
    sys.stdout.write("\n".join(lines) + "\n\n")
    sys.stdout.flush()


def kept_key(data: Path) -> str:
    """How a shell finds the first key on later starts, without showing it again."""
    path = data / KEY_FILE
    return f"$(cat {shlex.quote(str(path.resolve()))})" if path.is_file() else "$GATEWRIGHT_KEY"
