"""What the gateway costs: CPU per same-format request, latency that it adds, CPU per chunk of a stream in place.

wrk and nginx are load and upstream of requests, small programs of our own those of streams. One worker is pinned to
one core, load and upstream to the other; CPU is read from the operating system. Targets: 300 us per request; a chunk
that is translated costs at most 25 us more than one that passes through.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
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


def gateway_to(data: Path, port: int) -> Gateway:
    """A gateway to an upstream on that port, which speaks chat."""
    return Gateway(
        data,
        specs={"bench.yaml": SPEC.format(port=port, format="openai.chat", path="/v1/chat/completions")},
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{port}"},
    )


def pinned(gateway: Gateway) -> int:
    """The one worker, on the first core, once the gateway serves."""
    gateway.ready()
    pid = workers(gateway)[0]
    os.sched_setaffinity(pid, {0})
    return pid


def cpu(pid: int) -> float:
    """User plus system seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


STREAMS, SHORT, LONG, PAUSE, ROUNDS = 50, 50, 250, 0.02, 3
UPSTREAM = """
import asyncio, re, sys
CHUNK = (b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"bench-model","choices":'
         b'[{"index":0,"delta":{"content":"one word "},"finish_reason":null}]}\\n\\n')
END = (CHUNK.replace(b'{"content":"one word "}', b'{}').replace(b'null', b'"stop"') +
       b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"bench-model","choices":[],'
       b'"usage":{"prompt_tokens":5,"completion_tokens":5,"total_tokens":10}}\\n\\ndata: [DONE]\\n\\n')
HEAD = b'HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n'
framed = lambda data: b'%x\\r\\n%b\\r\\n' % (len(data), data)
async def serve(reader, writer):
    while head := await reader.readuntil(b'\\r\\n\\r\\n'):
        length = next(int(l.split(b':')[1]) for l in head.lower().split(b'\\r\\n') if l.startswith(b'content-length'))
        count = int(re.search(rb'n=([0-9]+)', await reader.readexactly(length))[1])
        writer.write(HEAD)
        for _ in range(count):
            writer.write(framed(CHUNK)); await asyncio.sleep(float(sys.argv[2]))
        writer.write(framed(END) + b'0\\r\\n\\r\\n')
async def main():
    async with await asyncio.start_server(serve, '127.0.0.1', int(sys.argv[1])) as server:
        await server.serve_forever()
asyncio.run(main())
"""
MODEL = "bench-model"
PROMPT = {"role": "user", "content": "n=COUNT"}
CALLERS = {
    "openai.chat": ("/v1/chat/completions", {"model": MODEL, "messages": [PROMPT], "stream": True}),
    "openai.responses": ("/v1/responses", {"model": MODEL, "input": "n=COUNT", "stream": True}),
    "anthropic.messages": ("/v1/messages", {"model": MODEL, "messages": [PROMPT], "max_tokens": 9, "stream": True}),
    "gemini.generateContent": (
        f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "n=COUNT"}]}]},
    ),
}


async def read_streams(port: int, key: str, path: str, body: dict[str, object], chunks: int) -> None:
    """Streams of so many chunks at once, each read to its end."""
    data = json.dumps(body).replace("COUNT", str(chunks)).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    head += f"connection: close\r\ncontent-length: {len(data)}\r\n\r\n"

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + data)
        answer = await reader.read()
        assert b" 200 OK" in answer[:20], answer[:500]
        assert answer.count(b"one word") >= chunks, answer[-500:]
        writer.close()

    await asyncio.gather(*(one() for _ in range(STREAMS)))


def bench_streams() -> None:
    """CPU per chunk of many open streams, passed through and translated; the best of the rounds."""
    with tempfile.TemporaryDirectory() as text:
        port = free_port()
        upstream = Running(["taskset", "-c", "1", sys.executable, "-c", UPSTREAM, str(port), str(PAUSE)])
        gateway = gateway_to(Path(text) / "data", port)
        try:
            pid = pinned(gateway)
            os.sched_setaffinity(0, {1})
            spent = {(caller, chunks): float("inf") for caller in CALLERS for chunks in (SHORT, LONG)}
            for _ in range(ROUNDS):  # in turns, so that a slow minute of the machine is everyone's
                for caller, chunks in spent:
                    begun = cpu(pid)
                    asyncio.run(read_streams(gateway.port, gateway.key, *CALLERS[caller], chunks))
                    spent[caller, chunks] = min(spent[caller, chunks], cpu(pid) - begun)
            # what a call costs beside its chunks is in the short ones, too
            per_chunk = 1e6 / STREAMS / (LONG - SHORT)
            found = {caller: (spent[caller, LONG] - spent[caller, SHORT]) * per_chunk for caller in CALLERS}
            passed = next(iter(found.values()))
            for caller, each in found.items():
                more = f", {each - passed:5.1f} us more than passed through" if each != passed else ""
                print(f"chunk in place, {STREAMS} streams, to {caller:23}: {each:5.1f} us CPU{more}")
        finally:
            gateway.stop()
            upstream.stop(signal.SIGTERM)


def bench_same_format_relay() -> None:
    """CPU per request with key check and log row, and the latency added to a lone request."""
    if not (shutil.which("wrk") and shutil.which("nginx")):
        print("bench_relay: wrk and nginx are not installed; apt-get install wrk nginx-light")
        return
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        os.chmod(directory, 0o755)
        port = free_port()
        upstream = nginx(directory, port)
        gateway = gateway_to(directory / "data", port)
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
                    f"relay, same format, {connections:2} connections:"
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
    bench_streams()
