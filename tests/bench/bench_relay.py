"""What the gateway costs: CPU per same-format request, latency that it adds, CPU per chunk of a stream in place.

wrk and nginx are load and upstream of requests, small programs of our own those of streams. One worker is pinned to
one core, load and upstream to the other; CPU is read from the operating system. Targets: 300 us per request, also with
breaker, three limits and metrics; a chunk that is translated costs at most 25 us more than one that passes through.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import Gateway, Running, free_port

ANSWER = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "bench-model",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x" * 700}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350},
}  # fmt: skip
REQUEST = {"model": "bench-model", "messages": [{"role": "user", "content": "y" * 900}]}
SECONDS = 5
SPEC = """
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: bench}}
spec:
  baseUrl: http://127.0.0.1:{port}
  formats: {{{format}: {{path: {path}}}}}
  auth: {{scheme: none}}
  models: [bench-model]
"""
LIMITS = """
---
apiVersion: gatewright/v1
kind: Policy
metadata: {name: zz-bench}
spec:
  breaker: {failures: 3, window: 60, coolDown: 10}
  rateLimits:
    key: {by: [key], requests: 100000000, per: minute}
    user: {by: [user, model], tokens: 1000000000, per: day}
    address: {by: [address], parallel: 1000}
"""
"""A breaker and three limits: one of each kind. Metrics are always on."""


def nginx(directory: Path, port: int) -> Running:
    """A fixed answer from nginx."""
    body = json.dumps(ANSWER).replace("'", "")
    config = directory / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {directory}/pid; error_log stderr error;"
        "events { worker_connections 1024; }"
        f"http {{ access_log off; keepalive_requests 10000000; client_body_temp_path {directory}/b;"
        f"proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u;"
        f"scgi_temp_path {directory}/s; server {{ listen 127.0.0.1:{port}; location / {{"
        f"default_type application/json; return 200 '{body}'; }} }} }}"
    )
    return Running(["taskset", "-c", "1", "nginx", "-p", str(directory), "-c", str(config)])


def workers(gateway: Gateway) -> list[int]:
    """The processes that serve: those that hold the listening socket and are no master, watcher or demo."""
    text = gateway.output
    return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", text)]


def gateway_to(data: Path, port: int, more: str = "") -> Gateway:
    """A gateway to an upstream on that port, which speaks chat."""
    return Gateway(
        data,
        specs={"bench.yaml": SPEC.format(port=port, format="openai.chat", path="/v1/chat/completions") + more},
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{port}"},
    )


def pinned(gateway: Gateway) -> int:
    """The one worker, on the first core, once the gateway serves."""
    gateway.ready()
    pid = workers(gateway)[0]
    os.sched_setaffinity(pid, {0})
    return pid


def cpu(pid: int) -> float:
    """User plus system seconds of a process, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def wrk(url: str, key: str, directory: Path, connections: int, seconds: int = SECONDS) -> dict[str, float]:
    """Load it; requests, requests/s, latencies in ms."""
    script = directory / "post.lua"
    script.write_text(
        "wrk.method='POST'\n"
        f"wrk.body='{json.dumps(REQUEST)}'\n"
        f"wrk.headers['authorization']='Bearer {key}'\nwrk.headers['content-type']='application/json'\n"
    )
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += ["--latency", "-s", str(script), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def ms(name: str) -> float:
        value, unit = re.search(rf"{name}\s+([\d.]+)(us|ms|s)\b", text).groups()
        return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]

    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return {
        "requests": int(re.search(r"(\d+) requests in", text)[1]),
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "p50": ms("50%"),
        "p99": ms("99%"),
        "bad": int(bad[1]) if bad else 0,
    }


STREAMS, ROUNDS = 50, 8
LOADS = {
    "2,500 chunks/s": (80, 0.02, b""),
    "10,000 chunks/s": (250, 0.005, b""),
    "10,000 chunks/s, each padded anew": (250, 0.005, b',"obfuscation":"%016x"'),
}
"""Chunks of each stream, seconds between them, and what each of them has of its own."""
UPSTREAM = """
import asyncio, random, sys
COUNT, PAUSE, PADDING = int(sys.argv[2]), float(sys.argv[3]), sys.argv[4].encode()
HEAD = b'HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n'
def framed(members):
    data = b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"bench-model",%b}\\n\\n' % members
    return b'%x\\r\\n%b\\r\\n' % (len(data), data)
def chunk():
    padding = PADDING % random.getrandbits(64) if PADDING else b''
    return framed(b'"choices":[{"index":0,"delta":{"content":"one word "},"finish_reason":null}]' + padding)
END = (framed(b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]') +
       framed(b'"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":5,"total_tokens":10}') +
       b'e\\r\\ndata: [DONE]\\n\\n\\r\\n0\\r\\n\\r\\n')
async def serve(reader, writer):
    while head := await reader.readuntil(b'\\r\\n\\r\\n'):
        length = next(int(l.split(b':')[1]) for l in head.lower().split(b'\\r\\n') if l.startswith(b'content-length'))
        await reader.readexactly(length)
        writer.write(HEAD)
        for _ in range(COUNT):
            writer.write(chunk()); await asyncio.sleep(PAUSE)
        writer.write(END)
async def main():
    async with await asyncio.start_server(serve, '127.0.0.1', int(sys.argv[1])) as server:
        await server.serve_forever()
asyncio.run(main())
"""
MODEL = "bench-model"
PROMPT = {"role": "user", "content": "go"}
CALLERS = {
    "openai.chat": ("/v1/chat/completions", {"model": MODEL, "messages": [PROMPT], "stream": True}),
    "openai.responses": ("/v1/responses", {"model": MODEL, "input": "go", "stream": True}),
    "anthropic.messages": ("/v1/messages", {"model": MODEL, "messages": [PROMPT], "max_tokens": 9, "stream": True}),
    "gemini.generateContent": (
        f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "go"}]}]},
    ),
}


async def streamed(gateway: Gateway, pid: int, path: str, body: dict[str, object], chunks: int) -> float:
    """CPU seconds per chunk, with all streams in full flow: neither their beginnings nor their ends count."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
    head += f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(data)}\r\n\r\n"
    seen = 0
    due = [STREAMS * chunks // 8, STREAMS * chunks * 7 // 8]
    marks: list[tuple[int, float]] = []

    async def one() -> None:
        nonlocal seen
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head.encode() + data)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 OK" in answer[:20], answer + await reader.read()
        own = 0
        while piece := await reader.read(65536):
            own += (count := piece.count(b"one word"))
            seen += count
            if due and seen >= due[0]:
                due.pop(0)
                marks.append((seen, cpu(pid)))
        assert own >= chunks * 9 // 10, own  # some lie across two reads
        writer.close()

    await asyncio.gather(*(one() for _ in range(STREAMS)))
    (before, begun), (after, ended) = marks
    return (ended - begun) / (after - before)


def bench_streams() -> None:
    """CPU per chunk of many open streams, passed through and translated, under three loads."""
    for load, (chunks, pause, padding) in LOADS.items():
        with tempfile.TemporaryDirectory() as text:
            port = free_port()
            command = [sys.executable, "-c", UPSTREAM, str(port), str(chunks), str(pause), padding.decode()]
            upstream = Running(["taskset", "-c", "1", *command])
            gateway = gateway_to(Path(text) / "data", port)
            try:
                pid = pinned(gateway)
                os.sched_setaffinity(0, {1})
                found: dict[str, list[float]] = {caller: [] for caller in CALLERS}
                for _ in range(ROUNDS):  # in turns, so that a slow second of the machine is everyone's
                    for caller, call in CALLERS.items():
                        found[caller].append(1e6 * asyncio.run(streamed(gateway, pid, *call, chunks)))
            finally:
                gateway.stop()
                upstream.stop(signal.SIGTERM)
        passed = next(iter(found.values()))
        for caller, each in found.items():
            low, more, high = statistics.quantiles([one - other for one, other in zip(each, passed, strict=True)])
            told = f", {more:4.1f} us more than passed through ({low:.1f} to {high:.1f})" if each != passed else ""
            print(f"chunk in place, {load}, to {caller:23}: {statistics.median(each):4.1f} us CPU{told}")


def bench_same_format_relay(what: str = "relay, same format", more: str = "") -> None:
    """CPU per request with key check and log row, and the latency added to a lone request."""
    if not (shutil.which("wrk") and shutil.which("nginx")):
        print("bench_relay: wrk and nginx are not installed; apt-get install wrk nginx-light")
        return
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        os.chmod(directory, 0o755)
        port = free_port()
        upstream = nginx(directory, port)
        gateway = gateway_to(directory / "data", port, more)
        try:
            pid = pinned(gateway)
            url = f"{gateway.base}/v1/chat/completions"
            bare = f"http://127.0.0.1:{port}/v1/chat/completions"
            wrk(url, gateway.key, directory, 32, 2)
            for connections in (32, 1):
                begun = cpu(pid)
                found = wrk(url, gateway.key, directory, connections)
                spent = cpu(pid) - begun
                straight = wrk(bare, gateway.key, directory, connections, 2)
                print(
                    f"{what}, {connections:2} connections:"
                    f" {spent / found['requests'] * 1e6:6.0f} us CPU/request,"
                    f" {found['rate']:7.0f}/s, p50 {found['p50']:.2f} ms, p99 {found['p99']:.2f} ms"
                    f" (upstream alone p50 {straight['p50']:.2f} ms), not 2xx: {found['bad']:.0f}"
                )
        finally:
            gateway.stop()
            upstream.stop(signal.SIGTERM)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    bench_same_format_relay()
    bench_same_format_relay("with breaker, three limits, metrics", LIMITS)
    bench_streams()
