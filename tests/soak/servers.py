"""Database servers of the soak's own, that may be killed: MariaDB and PostgreSQL, in a directory and on a port."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.support import free_port


class Server:
    """A server that can be killed and started again; ``dsn`` as Gatewright takes it."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._log = directory / "log"
        directory.mkdir(parents=True)
        self._user = {"mysql": "mysql", "postgresql": "postgres"}[kind]
        shutil.chown(directory, self._user)
        self.prepare()
        self.start()

    @property
    def dsn(self) -> str:
        """Where it is."""
        if self.kind == "mysql":
            return f"soak:soak@tcp(127.0.0.1:{self.port})/soak"
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    @staticmethod
    def _binary(name: str) -> str:
        found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))), None)
        assert found, f"{name} is not on this machine"
        return found

    def prepare(self) -> None:
        """Make an empty cluster."""
        data = self._directory / "data"
        if self.kind == "mysql":
            command = [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={data}",
                "--auth-root-authentication-method=normal",
            ]
            subprocess.run([*command, f"--user={self._user}"], check=True, capture_output=True)
            return
        self._run([self._binary("initdb"), "-D", str(data), "-A", "trust", "-U", "postgres"])

    def _run(self, command: list[str]) -> None:
        subprocess.run(command, check=True, capture_output=True, user=self._user, cwd=self._directory)

    def start(self) -> None:
        """Start it and wait until it answers."""
        data = str(self._directory / "data")
        if self.kind == "mysql":
            command = [self._binary("mariadbd"), "--no-defaults", f"--datadir={data}", f"--port={self.port}"]
            command += [
                "--bind-address=127.0.0.1",
                f"--socket={self._directory}/s.sock",
                f"--pid-file={self._directory}/pid",
            ]
        else:
            command = [self._binary("postgres"), "-D", data, "-p", str(self.port), "-k", str(self._directory)]
            command += ["-c", "listen_addresses=127.0.0.1"]
            (self._directory / "data" / "postmaster.pid").unlink(missing_ok=True)
        end = time.monotonic() + 60
        while not self._ready():
            assert time.monotonic() < end, f"{self.kind} does not start: {self._log.read_text()[-2000:]}"
            if self._process is None or self._process.poll() is not None:  # a child of the killed one may still end
                with self._log.open("ab") as log:
                    self._process = subprocess.Popen(
                        command, user=self._user, cwd=self._directory, stdout=log, stderr=log, start_new_session=True
                    )
            time.sleep(0.2)

    def _ready(self) -> bool:
        if self.kind == "mysql":
            sql = "CREATE DATABASE IF NOT EXISTS soak; CREATE USER IF NOT EXISTS soak@'127.0.0.1' IDENTIFIED BY 'soak';"
            sql += "GRANT ALL ON soak.* TO soak@'127.0.0.1';"
            command = ["mariadb", "--no-defaults", f"--socket={self._directory}/s.sock", "-uroot", "-e", sql]
        else:
            command = ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-c", "SELECT 1"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def hang(self) -> None:
        """Stop every process of it where it stands: connections stay open, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        pid = self._process.pid
        os.kill(pid, number)  # first: it makes no more children then
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(ProcessLookupError):  # PostgreSQL's are no members of its group
                os.kill(int(child), number)

    def kill(self) -> None:
        """Kill every process of it, as a power cut of the server would."""
        if self._process is not None:
            pid = self._process.pid
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            os.killpg(pid, signal.SIGKILL)
            for child in children:  # PostgreSQL's are no members of its group
                with suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
            self._process.wait()
            self._process = None
            time.sleep(0.2)

    def close(self) -> None:
        """End it for good."""
        self.kill()
