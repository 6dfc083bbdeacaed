"""CPU per upstream call: the leg against urllib3 and requests, on gevent's sockets, against the same small server.

    python tests/bench/bench_leg.py [--calls 5000] [--json]

CPU is user plus system time of the calling process; the server is a process of its own. A call posts 4 kB and reads
1 kB; a piece is one event of a stream in a packet of its own.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
import requests  # noqa: E402
import urllib3  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.transport.egress import Guard  # noqa: E402
from engine.transport.framing import decoder, splitter  # noqa: E402
from engine.transport.leg import Pool  # noqa: E402

SERVER = r"""
import socket, sys
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Id: 1\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
EVENT = b'data: {"id":"c-1","choices":[{"index":0,"delta":{"content":"one word "},"finish_reason":null}]}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
import threading, time
def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more: return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        left = next((int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length")), 0)
        while len(data) < left: data += sock.recv(65536)
        data = data[left:]
        if b" /stream" in head:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(2000):
                sock.sendall(CHUNK); time.sleep(0.0002)
            sock.sendall(b"0\r\n\r\n")
        else:
            if b" /wait" in head: time.sleep(0.001)
            sock.sendall(ANSWER)
listener = socket.create_server(("127.0.0.1", 0)); print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
HEADERS = [("Content-Type", "application/json"), ("Authorization", "Bearer sk-" + "x" * 40), ("User-Agent", "bench")]
BODY = b"x" * 4096


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(call: Callable[[], object], calls: int) -> tuple[float, float]:
    """CPU and wall microseconds per call, the better of three rounds."""
    for _ in range(200):
        call()
    rounds = []
    for _ in range(3):
        cpu, wall = used(), time.perf_counter()
        for _ in range(calls):
            call()
        rounds.append(((used() - cpu) / calls * 1e6, (time.perf_counter() - wall) / calls * 1e6))
    return min(rounds)


def per_call(url: str, calls: int) -> dict[str, tuple[float, float]]:
    pool = Pool(Guard(["127.0.0.1"]))
    manager = urllib3.PoolManager()
    session = requests.Session()
    session.trust_env = False
    fields = dict(HEADERS)
    found = {
        "leg, answer after 1 ms, 32 at once": per_call_together(
            lambda: pool.send("POST", f"{url}/wait", HEADERS, BODY).read(), calls
        ),
        "leg, answer after 1 ms": measure(lambda: pool.send("POST", f"{url}/wait", HEADERS, BODY).read(), calls // 5),
        "leg": measure(lambda: pool.send("POST", url, HEADERS, BODY).read(), calls),
        "urllib3": measure(lambda: manager.request("POST", url, headers=fields, body=BODY).data, calls // 5),
        "requests": measure(lambda: session.post(url, headers=fields, data=BODY).content, calls // 5),
    }
    pool.close()
    return found


def per_call_together(call: Callable[[], object], calls: int, greenlets: int = 32) -> tuple[float, float]:
    """CPU and wall microseconds per call when many greenlets call at once; the better of three rounds."""

    def many() -> None:
        for _ in range(calls // greenlets):
            call()

    rounds = []
    for _ in range(3):
        cpu, wall = used(), time.perf_counter()
        gevent.joinall([gevent.spawn(many) for _ in range(greenlets)], raise_error=True)
        rounds.append(((used() - cpu) / calls * 1e6, (time.perf_counter() - wall) / calls * 1e6))
    return min(rounds)


def per_piece(url: str) -> dict[str, tuple[float, float]]:
    pool = Pool(Guard(["127.0.0.1"]))
    found = {}
    for name, reader in (
        ("piece alone", lambda piece: piece),
        ("piece split for passing through", splitter("sse").feed),
        ("piece decoded to events", decoder({"type": "sse", "done": "[DONE]"}).feed),
    ):
        pieces = 0
        cpu, wall = used(), time.perf_counter()
        for piece in pool.send("POST", f"{url}/stream", HEADERS, BODY).pieces():
            reader(piece)
            pieces += 1
        found[name] = ((used() - cpu) / pieces * 1e6, (time.perf_counter() - wall) / pieces * 1e6)
    pool.close()
    return found


def main() -> None:
    options = argparse.ArgumentParser(description="CPU per upstream call")
    options.add_argument("--calls", type=int, default=5000)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        found = per_call(url, chosen.calls) | per_piece(url)
    finally:
        server.kill()
        server.wait()
    if chosen.json:
        print(json.dumps({name: {"cpu_us": cpu, "wall_us": wall} for name, (cpu, wall) in found.items()}))
        return
    for name, (cpu, wall) in found.items():
        print(f"{name:34} {cpu:8.1f} us CPU {wall:8.1f} us wall")


if __name__ == "__main__":
    main()
