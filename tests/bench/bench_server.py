"""What a request costs the server leg: gunicorn's stock gevent worker beside the short one, bare WSGI and Falcon.

``python tests/bench/bench_server.py [--seconds 4]``. One worker, pinned to a processor where that can be done, 32
connections, 1 kB in and 1 kB out. CPU is the worker's user plus system time by the operating system's accounting.
Load comes from wrk if it is installed, else from a loader in this file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
BODY = json.dumps({"model": "some-model", "messages": [{"role": "user", "content": "x" * 940}]}).encode()
ANSWER = json.dumps({"id": "a", "text": "y" * 980}).encode()
CONNECTIONS = 32


def serve(port: int, kind: str, framework: str) -> None:
    """Run one worker of a kind until killed."""
    from gevent import monkey

    monkey.patch_all()
    from gunicorn.app.base import BaseApplication

    from engine.server.config import gunicorn_settings
    from engine.settings import Settings

    def bare(env: dict[str, Any], start: Any) -> list[bytes]:
        env["wsgi.input"].read()
        start("200 OK", [("content-type", "application/json"), ("content-length", str(len(ANSWER)))])
        return [ANSWER]

    def falcon_app() -> Any:
        import falcon

        class Resource:
            def on_post(self, req: Any, resp: Any) -> None:
                req.bounded_stream.read()
                resp.content_type = "application/json"
                resp.data = ANSWER

        app = falcon.App()
        app.add_route("/x", Resource())
        return app

    class Site(BaseApplication):  # type: ignore[misc]
        settings = Settings(port=port, bind="127.0.0.1", workers=1)

        def load_config(self) -> None:
            for key, value in gunicorn_settings(self.settings).items():
                self.cfg.set(key, value)
            if kind == "stock":
                self.cfg.set("worker_class", "gevent")
            self.cfg.set("loglevel", "error")

        def load(self) -> Any:
            return bare if framework == "bare" else falcon_app()

    Site().run()


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        text = subprocess.run(["ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
        parts = [float(part) for part in re.split(r"[-:]", text.strip())]
        return sum(part * scale for part, scale in zip(reversed(parts), (1, 60, 3600), strict=False))


def worker_of(master: int) -> int:
    """The one child of a master."""
    out = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return next(int(pid) for pid, parent in (line.split() for line in out.splitlines()) if int(parent) == master)


def load_by_wrk(port: int, seconds: float) -> tuple[int, float, float]:
    """Requests done, and the 50th and 99th percentile in ms."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        body = BODY.decode().replace("'", "")
        script.write(f"wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '{body}'\n")
        script.flush()
        out = subprocess.run(
            [
                "wrk",
                "-t1",
                f"-c{CONNECTIONS}",
                f"-d{max(round(seconds), 1)}s",
                "--latency",
                "-s",
                script.name,
                f"http://127.0.0.1:{port}/x",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    found = {name: re.search(rf"{name}\s+([\d.]+)(us|ms|s)\b", out) for name in ("50%", "99%")}
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    half, most = (float(hit[1]) * scale[hit[2]] if hit else 0.0 for hit in found.values())
    done = re.search(r"(\d+) requests in", out)
    if done is None or "Non-2xx" in out:
        raise RuntimeError(out)
    return int(done[1]), half, most


def load_by_threads(port: int, seconds: float) -> tuple[int, float, float]:
    """The same without wrk: a thread per connection, so that the loader is the slower side."""
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    end = time.monotonic() + seconds
    times: list[float] = []

    def run() -> None:
        with contextlib.closing(socket.create_connection(("127.0.0.1", port))) as sock:
            while time.monotonic() < end:
                began = time.perf_counter()
                sock.sendall(head + BODY)
                got = b""
                while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < len(ANSWER):
                    got += sock.recv(65536)
                times.append((time.perf_counter() - began) * 1000)

    threads = [threading.Thread(target=run) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    return len(times), times[len(times) // 2], times[len(times) * 99 // 100]


def measure(kind: str, framework: str, seconds: float) -> dict[str, float]:
    """CPU per request, requests per second and percentiles of one server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, __file__, "--serve", str(port), kind, framework]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), contextlib.closing(socket.create_connection(("127.0.0.1", port), 1)):
                break
            time.sleep(0.05)
        time.sleep(0.3)
        worker = worker_of(process.pid)
        if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
            os.sched_setaffinity(worker, {1})
            os.sched_setaffinity(0, {0})
        load = load_by_wrk if shutil.which("wrk") else load_by_threads
        load(port, 1)
        before, began = cpu_seconds(worker), time.monotonic()
        done, half, most = load(port, seconds)
        cpu, took = cpu_seconds(worker) - before, time.monotonic() - began
        return {"us": cpu / done * 1e6, "rps": done / took, "p50": half, "p99": most}
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        finally:
            process.kill()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--serve", nargs=3, metavar=("PORT", "KIND", "FRAMEWORK"))
    options = parser.parse_args()
    if options.serve:
        port, kind, framework = options.serve
        serve(int(port), kind, framework)
        return
    loader = "wrk" if shutil.which("wrk") else "threads"
    print(f"server leg, 1 worker, {CONNECTIONS} connections, 1 kB each way, load by {loader}")
    print(f"{'worker':8} {'app':8} {'CPU us/request':>15} {'requests/s':>12} {'p50 ms':>8} {'p99 ms':>8}")
    for kind in ("stock", "short"):
        for framework in ("bare", "falcon"):
            got = measure(kind, framework, options.seconds)
            print(
                f"{kind:8} {framework:8} {got['us']:15.1f} {got['rps']:12.0f} {got['p50']:8.2f} {got['p99']:8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
