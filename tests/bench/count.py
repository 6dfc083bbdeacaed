"""Machine instructions of a fixed request and a fixed chunk, counted by valgrind: the same at every run, to a few in a
thousand, whatever else the machine does.

python tests/bench/count.py [--checkout DIR] [--kind KIND ...]; some minutes for each kind. The last line is a JSON map.
valgrind comes from a package of that name.

A worker's own application is called in one process, as its server calls it, before an upstream in another process; what
the program costs until it serves is subtracted by counting a short run and a long one.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SHORT, LONG = 10, 30
"""Requests, or streams of chunks, in the two runs whose difference is taken."""
CHUNKS = 50
KINDS = {
    "request, same format": ("/v1/chat/completions", {}, False),
    "request, translated": ("/v1/messages", {"max_tokens": 500}, False),
    "chunk, same format": ("/v1/chat/completions", {}, True),
    "chunk, translated": ("/v1/messages", {"max_tokens": 500}, True),
}
SPEC = """
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: bench}}
spec:
  baseUrl: http://127.0.0.1:{port}
  formats: {{openai.chat: {{path: /v1/chat/completions}}}}
  auth: {{scheme: none}}
  models: [bench-model]
---
apiVersion: gatewright/v1
kind: Policy
metadata: {{name: bench}}
spec: {{unpriced: allow}}
"""


def upstream(port: int) -> None:
    """Answers fixed things; a stream's chunks come one by one, each when the last was taken."""
    from tests.relay import plain
    from tests.relay.scripted import Say, Upstream

    words = tuple(f"word{number:02} " for number in range(CHUNKS))
    answer, events = plain.whole("openai.chat", "x" * 700), plain.events("openai.chat", words)

    def script(say: Say) -> None:
        served.got.clear()
        say.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if say.arrived.json.get("stream"):
            say.events(*map(plain.wire, events), pause=0.004)
        else:
            say.whole(answer)

    served = Upstream(port=port)
    served.script = script
    print("ready", flush=True)
    sys.stdin.read()


def run(data: Path, kind: str, times: int) -> None:
    """In the process that is counted: call the application so often, and end at once."""
    from gevent import monkey

    monkey.patch_all()
    from engine import program, settings
    from engine.compiler.cache import load_or_compile
    from engine.server import building
    from engine.storage.database import open_database
    from engine.storage.people import first_start

    chosen = settings.load(data=data)
    if not (data / "key").exists():
        db = open_database(chosen)
        made = first_start(db)
        assert made is not None
        (data / "key").write_text(made.key)
        db.close()
    artefact, faults, _ = load_or_compile([path for _, path in chosen.spec_layers], data / "cache")
    assert artefact is not None, faults
    building.warm(chosen)
    _, app = building.relay(chosen, program.load(artefact), lambda: {"ok": True})
    path, more, stream = KINDS[kind]
    body = {"model": "bench-model", "messages": [{"role": "user", "content": "y" * 900}], **more, "stream": stream}
    text, key = json.dumps(body).encode(), (data / "key").read_text()
    ours, theirs = socket.socketpair()
    for _ in range(times):
        call(app, path, text, key, ours)
    theirs.close()
    os._exit(0)


def call(app: Any, path: str, text: bytes, key: str, sock: socket.socket) -> None:
    """One call, as the server's worker makes it."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST", "PATH_INFO": path, "RAW_URI": path, "QUERY_STRING": "", "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "x", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(text)), "HTTP_HOST": "x",
        "HTTP_AUTHORIZATION": f"Bearer {key}", "wsgi.input": io.BytesIO(text), "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr, "wsgi.version": (1, 0), "wsgi.multithread": True, "gunicorn.socket": sock,
    }  # fmt: skip
    told: list[str] = []
    answer = app(environ, lambda status, headers, *_: told.append(status))
    sent = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    assert told[0].startswith("200"), (told, sent)


def counted(checkout: Path, data: Path, port: int, kind: str, times: int) -> int:
    """Instructions of one run."""
    out = data / "callgrind.out"
    env = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
    env["GATEWRIGHT_EGRESS_ALLOW"] = f"127.0.0.1:{port}"
    command = [sys.executable, __file__, "--run", kind, "--times", str(times), "--data", str(data)]
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"] if times else []
    done = subprocess.run([*valgrind, *command], env=env, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    if not times:
        return 0
    summary = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
    assert summary
    return int(summary[1])


def count(checkout: Path, kinds: list[str]) -> dict[str, float]:
    """Instructions by what was counted."""
    found = {}
    root = Path(__file__).resolve().parents[2]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    serving = subprocess.Popen(
        [sys.executable, __file__, "--upstream", str(port)], env={**os.environ, "PYTHONPATH": str(root)}, cwd=root,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert serving.stdout
        assert serving.stdout.readline() == b"ready\n"
        for kind in kinds:
            stream = KINDS[kind][2]
            with tempfile.TemporaryDirectory(prefix="gatewright-count-") as text:
                data = Path(text)
                (data / "specs").mkdir()
                (data / "specs" / "bench.yaml").write_text(SPEC.format(port=port))
                counted(checkout, data, port, kind, 0)
                short, long = (counted(checkout, data, port, kind, times) for times in (SHORT, LONG))
            found[kind] = (long - short) / (LONG - SHORT) / (CHUNKS if stream else 1)
            print(f"{kind}: {found[kind]:,.0f} instructions", flush=True)
    finally:
        serving.terminate()
        serving.wait()
    return found


def main() -> None:
    """Count, and print a map."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    for name, kind in (("--run", str), ("--times", int), ("--data", Path), ("--upstream", int)):
        parser.add_argument(name, type=kind)
    chosen = parser.parse_args()
    if chosen.upstream:
        upstream(chosen.upstream)
    elif chosen.run:
        run(chosen.data, chosen.run, chosen.times)
    elif shutil.which("valgrind") is None:
        sys.exit("no valgrind on this machine: apt-get install valgrind")
    else:
        print(json.dumps(count(chosen.checkout.resolve(), chosen.kind or list(KINDS))))


if __name__ == "__main__":
    main()
