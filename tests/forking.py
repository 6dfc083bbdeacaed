"""A process that has imported what ``gatewright serve`` imports, and forks a gateway whenever a test wants one.

A start costs 8 s of the processors, of which half go to imports and vocabularies; the suite starts some hundred. What
is forked sets up environment, directory, output and process group as a new process has them, and then runs the very
command. One server for each test process; a connection to it is one gateway: words and the output's descriptor go in,
its number comes back, and its exit code when it has ended.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

_MOST = 1 << 17
"""Bytes of a request: arguments and environment."""


class Forked:
    """The process of ``python -m engine.cli ...``, used as ``subprocess.Popen`` is."""

    def __init__(self, command: list[str], env: Mapping[str, str], cwd: Path) -> None:
        self.args = command
        self.returncode: int | None = None
        reader, writer = os.pipe()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._server.connect(_address(os.getpid()))
            request = json.dumps({"words": command[3:], "env": dict(env), "cwd": str(cwd)}).encode()
            socket.send_fds(self._server, [request], [writer])
        finally:
            os.close(writer)
        self.stdout: IO[str] = open(reader, encoding="utf-8", errors="replace")  # noqa: SIM115
        self.pid = int(self._server.recv(64))

    def poll(self) -> int | None:
        """The exit code, once it has ended."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. ``subprocess.TimeoutExpired`` if it goes on for so many seconds."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._server.settimeout(timeout)
            try:
                self.returncode = int(self._server.recv(64) or -signal.SIGKILL)
            except (BlockingIOError, TimeoutError):
                return None
            self._server.close()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """To the process, if it is there."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


@cache
def _address(pid: int) -> str:
    """Where this process's server listens; a fork has one of its own."""
    name = f"\0gatewright-tests-{pid}-{time.monotonic_ns()}"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forking", name[1:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        cwd=Path(__file__).parents[1],
        start_new_session=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n", "the server of gateways did not start"
    atexit.register(server.communicate)
    return name


def main(name: str) -> None:
    """The server: ends with its standard input."""
    import gc

    gc.disable()
    from gevent import monkey

    monkey.patch_all()
    import engine.server.starting
    from engine.settings import Settings

    gc.enable()
    engine.server.starting.building.warm(Settings())
    Server(monkey.get_original, name).run()


class Server:
    """Uses what gevent replaced: its loop must not run in a process that forks."""

    def __init__(self, original: Any, name: str) -> None:
        self._select, self._waitpid, self._fork = (
            original("select", "select"),
            original("os", "waitpid"),
            original("os", "fork"),
        )
        self._socket = original("socket", "socket")
        self._listener = self._socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind("\0" + name)
        self._listener.listen(64)
        self._running: dict[int, tuple[int, Any]] = {}
        """Process and connection, by the descriptor that tells the process's end."""

    def run(self) -> None:
        """Fork until standard input ends."""
        print("ready", flush=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        while True:
            readable, _, _ = self._select([0, self._listener.fileno(), *self._running], [], [])
            for each in readable:
                if each == 0:
                    return
                if each in self._running:
                    self._ended(each)
                else:
                    self._begin()

    def _ended(self, descriptor: int) -> None:
        pid, connection = self._running.pop(descriptor)
        os.close(descriptor)
        code = os.waitstatus_to_exitcode(self._waitpid(pid, 0)[1])
        try:
            connection.send(str(code).encode())
        except OSError:
            pass  # nobody asks any more
        connection.close()

    def _begin(self) -> None:
        connection = self._socket(fileno=self._listener._accept()[0])  # accept() would give one of gevent's
        data, descriptors, _, _ = socket.recv_fds(connection, _MOST, 1)
        pid = self._fork()
        if pid == 0:
            self._listener.close()
            for descriptor, (_, other) in self._running.items():
                os.close(descriptor)
                other.close()
            connection.close()
            _become(json.loads(data), descriptors[0])
        os.close(descriptors[0])
        connection.send(str(pid).encode())
        self._running[os.pidfd_open(pid)] = pid, connection


def _become(request: Any, output: int) -> None:
    """Be the command, in the process that was forked for it."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.argv = ["gatewright", *request["words"]]
    code = 1
    try:
        from engine.cli import main as command

        command()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
