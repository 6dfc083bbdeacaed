"""A running gateway for tests: the real command in its own process, with its own data directory and documents."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
import requests

from engine import paths
from engine.compiler.cache import load_or_compile, standing_file
from engine.settings import Settings
from engine.storage.database import open_database
from tests import leftovers
from tests.forking import Forked

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0
"""Seconds that a test waits for what has to come: one that passes never uses them up, on however slow a machine."""
# Tests' models have no prices; `priced=True` leaves this out.
UNPRICED = "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: tests-unpriced}\nspec: {unpriced: allow}\n"
FORGETS = "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: tests-breaker}\nspec: {breaker: {failures: 0}}\n"
"""What one test does to an account is not remembered in the next."""
FRUGAL = {"SQL_MAX_IDLE_CONNS": "1", "GATEWRIGHT_STOP_IDLE": "0"}
"""A database server takes 100 connections, and tests run gateways side by side. No balancer is in front of one."""


def missing(what: str) -> NoReturn:
    """Say that the machine lacks what a test needs: a failure with CI=true, elsewhere a skip."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def until(
    true: Callable[[], T], seconds: float = PATIENCE, every: float = 0.05, words: Callable[[], object] | None = None
) -> T:
    """Return the first true value. AssertionError once patience ends: the last value, and what ``words`` tells then."""
    end = time.monotonic() + seconds
    while True:
        late = time.monotonic() > end  # before it is looked at: the last look is after the end
        if value := true():
            return value
        assert not late, f"still {value!r} after {seconds:g} s" + (f": {words()}" if words else "")
        time.sleep(every)


def awaited(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread of its own: in the main one Playwright's loop may run, and no second one can beside it."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


_PORTS = itertools.count(os.getpid() * 997)
"""Each process of a run begins elsewhere."""


def free_port() -> int:
    """Return a loopback port that nobody listens on.

    From below those that the kernel gives by itself: a start takes seconds until it listens, and a connection or a
    server of another test would have the port by then.
    """
    while True:
        port = 10_000 + next(_PORTS) % 20_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def deaf_port() -> Iterator[int]:
    """A loopback port that refuses connections; it is held meanwhile, so that no other test listens there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


class Running:
    """A process whose output is kept, ended with the test."""

    def __init__(self, command: list[str], env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> None:
        self.lines: list[str] = []
        self.process = self._start(command, {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}, cwd)
        self._strike = leftovers.process(self.process.pid)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _start(self, command: list[str], env: dict[str, str], cwd: Path) -> subprocess.Popen[str] | Forked:
        pipe, both = subprocess.PIPE, subprocess.STDOUT
        return subprocess.Popen(command, stdout=pipe, stderr=both, text=True, env=env, cwd=cwd, start_new_session=True)

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        """What it has said so far."""
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """Return the first match of ``pattern`` in the output."""

        def told() -> re.Match[str] | bool | None:
            over = self.process.poll() is not None
            if over:
                self._reader.join(5)
            return re.search(pattern, self.output, re.MULTILINE) or over

        found = until(told, timeout, 0.02, lambda: self.output)
        assert isinstance(found, re.Match), f"no {pattern!r} in:\n{self.output}"
        return found

    def stop(self, sig: int = signal.SIGTERM, timeout: float = 15.0) -> int:
        """End it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self._strike()
        self._reader.join(5)
        return self.process.returncode


def compiled(data: Path) -> None:
    """Put the artefact of the shipped and these own documents where a start looks for it.

    A test's process keeps what does not change between sets, so that this takes a tenth of what the gateway would.
    """
    for directory in (data, data / "programs", data / "programs" / "cache"):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    before, work = os.umask(0o077), standing_file(data / "programs" / "cache")
    try:
        if not work.exists():
            os.link(_standing(), work)
        load_or_compile([paths.SPECS, data / "specs"], data / "programs" / "cache")
    finally:
        os.umask(before)


@cache
def _standing() -> Path:
    """What the shipped documents come to, so that no gateway's compiler does it again."""
    directory = _directory()
    load_or_compile([paths.SPECS], directory)
    return standing_file(directory)


def _directory() -> Path:
    """A directory that goes with this process."""
    directory = Path(tempfile.mkdtemp(prefix="gatewright-tests-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def migrated(data: Path) -> None:
    """Put a database without rows where a first start would make it: half a second less for each gateway."""
    if not (data / "gatewright.db").exists():
        shutil.copy(_migrated(), data)


@cache
def _migrated() -> Path:
    directory = _directory()
    open_database(Settings(data=directory)).close()
    return directory / "gatewright.db"


class Gateway(Running):
    """``gatewright serve`` on a free port. ``specs`` are documents by file name.

    A gateway in which one piece of work held up a worker fails its tests at the end, unless ``may_stall``.
    """

    def __init__(
        self,
        data: Path,
        *,
        specs: Mapping[str, str] | None = None,
        demo: bool = False,
        priced: bool = False,
        workers: int = 1,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        cwd: Path = ROOT,
        may_stall: bool = False,
    ) -> None:
        self.data = data
        self.may_stall = may_stall
        self.port = port or free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        for name, text in (specs or {}).items():
            self.write_spec(name, text)
        self.write_spec("breaker.yaml", FORGETS)
        if not priced:
            self.write_spec("unpriced.yaml", UNPRICED)
        compiled(data)
        if not {"SQL_DSN", "SQLITE_PATH"} & {name for name, value in (env or {}).items() if value}:
            migrated(data)
        command = [sys.executable, "-m", "engine.cli", "serve", "--port", str(self.port), "--data", str(data)]
        command += ["--workers", str(workers), "--bind", "127.0.0.1"] + (["--demo"] if demo else [])
        super().__init__(command, {"CI_GATEWAY": "1", **FRUGAL, **(env or {})}, cwd)
        self.key = ""

    def _start(self, command: list[str], env: dict[str, str], cwd: Path) -> subprocess.Popen[str] | Forked:
        return Forked(command, env, cwd) if cwd == ROOT else super()._start(command, env, cwd)

    def ready(self) -> Gateway:
        """Wait until it serves, and take the first key."""
        until(self._serves, words=lambda: self.output)
        self.key = (self.data / "first.key").read_text().strip()
        return self

    def _serves(self) -> bool:
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output}"
        with suppress(requests.ConnectionError, requests.Timeout):
            return requests.get(f"{self.base}/readyz", timeout=10).status_code == 200
        return False

    def stop(self, sig: int = signal.SIGTERM, timeout: float = 15.0) -> int:
        """End it and return its exit code."""
        code = super().stop(sig, timeout)
        stalls = [line for line in self.lines if "held up this worker" in line]
        assert self.may_stall or not stalls, "\n".join(stalls)
        return code

    def write_spec(self, name: str, text: str) -> None:
        """Write a document into the gateway's own spec directory, whole at once."""
        directory = self.data / "specs"
        directory.mkdir(parents=True, exist_ok=True)
        fresh = directory / f".{name}.new"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(directory / name)

    def cpu(self) -> float:
        """Seconds of the processors that all of its processes took so far."""
        family, seconds = [self.process.pid], 0.0
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        for pid in family:
            family += [child for child, parent in parents.items() if parent == pid]
        for pid in family:
            with suppress(OSError):
                times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
                seconds += sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
        return seconds

    def root(self) -> dict[str, str]:
        """Headers of the administrator of the first start, signed in anew."""
        name, password = (self.data / "first.login").read_text().split()
        body = {"username": name, "password": password}
        answer = requests.post(f"{self.base}/api/user/login", json=body, timeout=PATIENCE).json()
        return {"authorization": f"Bearer {answer['data']['access_token']}"}

    def post(self, path: str, body: object, **kwargs: object) -> requests.Response:
        """POST JSON with the first key."""
        headers = {"authorization": f"Bearer {self.key}", **kwargs.pop("headers", {})}  # type: ignore[dict-item]
        return requests.post(self.base + path, json=body, headers=headers, timeout=PATIENCE, **kwargs)  # type: ignore[arg-type]


class Lasting:
    """What lives as long as the run and signs in by tokens that are good for minutes: before each test, if need be."""

    _since = float("-inf")

    def fresh(self) -> None:
        """Sign in."""
        raise NotImplementedError

    def keep_fresh(self) -> None:
        """Sign in again where the last time is long ago."""
        if time.monotonic() - self._since > 300:
            self.fresh()
            self._since = time.monotonic()


@contextmanager
def serving(gateway: Gateway) -> Iterator[None]:
    """A gateway from when it is ready to its end; whatever went wrong meanwhile, it told no traceback."""
    try:
        gateway.ready()
        yield
    finally:
        gateway.stop()
        assert "Traceback" not in gateway.output, gateway.output
