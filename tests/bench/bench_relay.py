"""What the gateway costs: CPU per same-format request, latency that it adds, CPU per translated chunk.

wrk and nginx do the load and the upstream where they are there (they cost the worker nothing), else small programs of
our own. One worker is pinned to one core, load and upstream to the other; CPU is read from the operating system.
"""

from __future__ import annotations

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
        gateway = Gateway(
            directory / "data",
            specs={"bench.yaml": SPEC.format(port=port, format="openai.chat", path="/v1/chat/completions")},
            env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{port}"},
        )
        try:
            gateway.ready()
            pid = workers(gateway)[0]
            os.sched_setaffinity(pid, {0})
            url = f"{gateway.base}/v1/chat/completions"
            bare = f"http://127.0.0.1:{port}/v1/chat/completions"
            wrk(url, gateway.key, directory, 32, 2)
            for connections in (32, 1):
                before = cpu(pid)
                found = wrk(url, gateway.key, directory, connections)
                spent = cpu(pid) - before
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
