"""Two machines under load: two masters in network namespaces of their own, over one PostgreSQL and one Redis.

    python -m tests.soak.machines        (root, iproute2, PostgreSQL, redis-server; two minutes)

A limit holds to the call under 500 parallel callers; a channel that is switched off on one machine is not asked by the
other a second later; a machine that is killed under load takes with it the calls in its hands alone; Redis is stopped
and started under load. Ends with `machines: N of N`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests
from sqlalchemy import func, insert, select

from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows.log_rows import CONSUME
from engine.storage.tables import core
from tests.cluster.test_rates import Server as Redis
from tests.relay import plain
from tests.relay.scripted import Say, Upstream
from tests.soak.servers import Server
from tests.support import ROOT, Running, compiled

MOST, CALLERS, ASKED = 300, 500, 700
PORT = 3000
NET = "10.79"
DOCUMENTS = f"""
apiVersion: gatewright/v1
kind: Policy
metadata: {{name: zz}}
spec:
  breaker: {{failures: 0}}
  unpriced: allow
  rateLimits: {{all: {{requests: {MOST}, per: hour, when: {{models: ["^limited$"]}}}}}}
"""
SECRETS = {"SESSION_SECRET": "of both machines, as it must be", "CRYPTO_SECRET": "of both machines as well"}


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


class Forward:
    """What listens where both machines reach it, and hands on to a server on loopback."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server = socket.create_server((f"{NET}.1.1", 0), backlog=512)
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                taken, _ = self._server.accept()
                try:
                    onward = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    taken.close()
                    continue
                for pair in ((taken, onward), (onward, taken)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Machine:
    """A network namespace with a gateway of two workers in it."""

    def __init__(self, number: int, folder: Path, env: dict[str, str], stack: ExitStack) -> None:
        self.space, self.data = f"gatewright-{os.getpid()}-{number}", folder / f"machine-{number}"
        self.base = f"http://{NET}.{number}.2:{PORT}"
        self._env = {**env, "NODE_NAME": f"machine-{number}"}
        link = f"gw{os.getpid() % 10000}-{number}"
        run("ip", "netns", "add", self.space)
        stack.callback(run, "ip", "netns", "del", self.space)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.space)
        run("ip", "addr", "add", f"{NET}.{number}.1/24", "dev", link)
        run("ip", "link", "set", link, "up")
        inside = ("ip", "-n", self.space)
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "addr", "add", f"{NET}.{number}.2/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "route", "add", "default", "via", f"{NET}.{number}.1")
        (self.data / "specs").mkdir(parents=True)
        (self.data / "specs" / "zz.yaml").write_text(DOCUMENTS, encoding="utf-8")
        compiled(self.data)

    def start(self, env: dict[str, str] | None = None) -> None:
        self._env.update(env or {})
        words = ["ip", "netns", "exec", self.space, sys.executable, "-m", "engine.cli", "serve", "--port", str(PORT)]
        words += ["--data", str(self.data), "--workers", "2", "--bind", self.base.split("/")[2].rpartition(":")[0]]
        self.running = Running(words, self._env, ROOT)
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert self.running.process.poll() is None, self.running.output
            with suppress(requests.RequestException):
                if requests.get(f"{self.base}/readyz", timeout=2).status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready in time:\n{self.running.output}")

    def kill(self) -> None:
        """As a power cut does: all processes of its namespace at once."""
        listed = subprocess.run(["ip", "netns", "pids", self.space], capture_output=True, text=True, check=True)
        for pid in listed.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self.running.process.wait()


@dataclass
class Load:
    """Callers that ask until they are told to stop; each asks one machine, and the next where that is gone."""

    site: Site
    parallel: int = 16
    stop: threading.Event = field(default_factory=threading.Event)
    answered: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    """Machine, and what came."""

    def __enter__(self) -> Load:
        self._pool = ThreadPoolExecutor(self.parallel)
        self._lock = threading.Lock()
        self._done = [self._pool.submit(self._call, number) for number in range(self.parallel)]
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for done in self._done:
            done.result()
        self._pool.shutdown()

    def _call(self, number: int) -> None:
        at = number % 2
        while not self.stop.is_set():
            try:
                reply = self.site.ask(at, "plain")
                told = "" if reply.status_code == 200 else f"{reply.status_code} {reply.text[:200]}"
                refused = False
            except requests.ConnectionError as ex:
                told, refused = str(ex), "refused" in str(ex) or "timed out" in str(ex)
            with self._lock:
                if not told:
                    self.answered += 1
                elif not refused:  # a connection that nobody took is no call; a balancer asks elsewhere
                    self.failed.append((at, told))
            if told:
                at = 1 - at


class Site:
    """Both machines and what they share; ``keys`` are those of the channels that the upstream saw, in order."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.keys: list[str] = []
        self.upstream = Upstream(host="0.0.0.0")
        self.upstream.script = self._answer
        database = Server("postgresql", folder / "postgresql")
        stack.callback(database.close)
        self.redis = Redis(folder)
        stack.callback(self.redis.stop)
        stack.callback(self.upstream.close)
        self.db: Database = open_database(Settings(data=folder / "own", sql_dsn=database.dsn))
        stack.callback(self.db.close)
        base = f"http://{NET}.1.1:{self.upstream.port}"
        for number, priority in ((1, 9), (2, 1)):
            row = {"id": number, "type": 1, "status": 1, "key": f"k{number}", "group": "default", "name": f"c{number}",
                   "models": "limited,plain,both" if number == 1 else "plain,both", "base_url": base,
                   "priority": priority}  # fmt: skip
            self.db.write(lambda c, row=row: c.execute(insert(core.channels).values(**row)).rowcount)
        env = {"CI_GATEWAY": "1", "GATEWRIGHT_EGRESS_ALLOW": base.partition("//")[2], **SECRETS}
        self.machines = [Machine(number, folder, env, stack) for number in (1, 2)]
        sql = Forward(database.port)  # Redis listens everywhere
        place = {
            "SQL_DSN": database.dsn.replace(f"127.0.0.1:{database.port}", f"{NET}.1.1:{sql.port}"),
            "REDIS_CONN_STRING": self.redis.url.replace(f"127.0.0.1:{self.redis.port}", f"{NET}.1.1:{self.redis.port}"),
        }
        for machine in self.machines:
            machine.start(place)
            stack.callback(machine.kill)
        first = self.machines[0].data
        self.key = (first / "first.key").read_text().strip()
        name, password = (first / "first.login").read_text().split()
        login = requests.post(
            f"{self.machines[0].base}/api/user/login", json={"username": name, "password": password}, timeout=20
        )
        self.admin = {"authorization": f"Bearer {login.json()['data']['access_token']}"}

    def _answer(self, say: Say) -> None:
        self.keys.append(say.arrived.headers["authorization"].removeprefix("Bearer "))
        time.sleep(0.05)
        say.whole(plain.whole("openai.chat", "ok"))

    def ask(self, number: int, model: str) -> requests.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "River?"}], "max_tokens": 10}
        headers = {"authorization": f"Bearer {self.key}", "connection": "close"}
        url = f"{self.machines[number].base}/v1/chat/completions"
        return requests.post(url, json=body, headers=headers, timeout=60)


def limits(site: Site) -> str:
    """500 at once, half at each machine: as many get through as may, to the call."""
    with ThreadPoolExecutor(CALLERS) as pool:
        codes = [reply.status_code for reply in pool.map(lambda n: site.ask(n % 2, "limited"), range(ASKED))]
    for machine in site.machines:
        assert "by this machine alone" not in machine.running.output, "Redis did not answer within a second"
    counted = codes.count(200), codes.count(429), len(site.keys)
    assert counted == (MOST, ASKED - MOST, MOST), counted
    return f"{MOST} of {ASKED} calls of {CALLERS} callers answered, the others 429"


def switched_off(site: Site) -> str:
    """A channel that is switched off on the first machine: how long the second still asks it."""
    assert site.ask(1, "both").status_code == 200
    assert site.keys[-1] == "k1"
    began = time.monotonic()
    reply = requests.put(
        f"{site.machines[0].base}/api/channel/", json={"id": 1, "status": 2}, headers=site.admin, timeout=20
    )
    assert reply.json()["success"], reply.text
    told = time.monotonic()
    while site.ask(1, "both").status_code == 200 and site.keys[-1] == "k1":
        assert time.monotonic() - told < 10, "it is still asked"
    took = time.monotonic() - told
    assert took < 1, f"{took:.2f} s"
    return f"seen by the other machine {took:.2f} s after the answer ({told - began:.2f} s)"


def killed(site: Site) -> str:
    """The first machine is killed under load: what is lost is what it had in its hands."""
    with Load(site) as load:
        time.sleep(4)
        before = load.answered
        site.machines[0].kill()
        time.sleep(6)
    lost = [told for machine, told in load.failed if machine == 0]
    others = [told for machine, told in load.failed if machine == 1]
    assert not others, others[:3]
    assert len(lost) <= load.parallel // 2 + 1, lost
    assert load.answered > before > 0
    site.machines[0].start()
    return f"{len(lost)} calls lost in its hands, {load.answered} answered, none failed elsewhere"


def without_redis(site: Site) -> str:
    """Redis is stopped and started under load: no call fails, and both machines say once that it is away and back."""
    with Load(site) as load:
        time.sleep(2)
        site.redis.stop()
        time.sleep(4)
        site.redis.start()
        time.sleep(4)
    assert not load.failed, load.failed[:3]
    for machine in site.machines:
        machine.running.wait_for("Redis is back")
    return f"{load.answered} calls, none failed"


def books(site: Site) -> str:
    """Each call that its caller saw answered is in the books once."""
    query = select(func.count(), func.count(core.logs.c.request_id.distinct())).where(core.logs.c.type == CONSUME)
    end = time.monotonic() + 30
    answered, was = len(site.keys), -1
    while time.monotonic() < end:
        with site.db.read() as connection:
            rows, calls = connection.execute(query).one()
        if rows == was:
            break
        was = rows
        time.sleep(3)
    assert rows == calls, f"{rows} rows of {calls} calls"
    assert answered - Load.parallel <= rows <= answered, (rows, answered)
    return f"{rows} rows, {answered} calls at the upstream"


TRIALS: tuple[Callable[[Site], str], ...] = (limits, switched_off, killed, without_redis, books)


def main() -> int:
    """Run all, and print what each came to."""
    right = 0
    with tempfile.TemporaryDirectory(prefix="gatewright-machines-") as text, ExitStack() as stack:
        Path(text).chmod(0o755)
        site = Site(Path(text), stack)
        for trial in TRIALS:
            try:
                print(f"{trial.__name__}: {trial(site)}", flush=True)
                right += 1
            except AssertionError as ex:
                print(f"{trial.__name__}: WRONG: {ex}", flush=True)
        for machine in site.machines:
            assert "Traceback" not in machine.running.output, machine.running.output
    print(f"machines: {right} of {len(TRIALS)}")
    return int(right < len(TRIALS))


if __name__ == "__main__":
    sys.exit(main())
