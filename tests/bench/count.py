"""Machine instructions of a fixed request and a fixed chunk, counted by valgrind: the same at every run, to a few in a
thousand, whatever else the machine does.

python tests/bench/count.py [--checkout DIR] [--kind KIND ...]; some minutes for each kind. The last line is a JSON map.
valgrind comes from a package of that name.

A worker's own application is called in one process, as its server calls it, before an upstream in another process; what
the program costs until it serves is subtracted by counting a short run and a long one.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

SHORT, LONG = 40, 240
"""Requests, or streams of chunks, in the two runs whose difference is taken."""
_WARM, _RUNS, _FEW = 5, 3, 10
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


def run(data: Path, kind: str, times: int, *, calls: bool = False) -> None:
    """In the process that is counted: call the application so often, and end at once.

    ``calls``: print as JSON what ``count_calls`` tells.
    """
    from gevent import monkey

    monkey.patch_all()
    from engine import program, settings

    try:
        from engine.accounts.first_start import first_start
    except ImportError:  # a checkout from before
        from engine.storage.people import first_start  # type: ignore[import-not-found,no-redef]
    from engine.compiler.cache import load_or_compile
    from engine.ledger import budgets
    from engine.ledger.committing import Committer

    try:
        from engine.relay.ingress import identify
    except ImportError:  # a checkout from before
        from engine.relay import identify  # type: ignore[attr-defined,no-redef]
    from engine.server import building
    from engine.storage.database import open_database

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
    # What hangs on the clock is left out: no entry is committed (the journal has it), nothing is looked up again.
    identify.REMEMBER = budgets._REMEMBER = 1e6
    Committer.start = lambda _: None  # type: ignore[method-assign]
    _, app = building.relay(chosen, program.load(artefact), lambda: {"ok": True})
    path, more, stream = KINDS[kind]
    # As the official SDKs write a body: without blanks.
    body = {"model": "bench-model", "messages": [{"role": "user", "content": "y" * 900}], **more, "stream": stream}
    text, key = json.dumps(body, separators=(",", ":")).encode(), (data / "key").read_text()
    ours, theirs = socket.socketpair()
    seen, cold = Counter[str](), Counter[str]()
    if calls:
        sys.setprofile(lambda _frame, event, what: cold.update([_seen(event, what)]))
    for _ in range(_WARM):
        call(app, path, text, key, ours)
    sys.setprofile(None)
    gc.collect()
    gc.freeze()
    if calls:
        sys.setprofile(lambda _frame, event, what: seen.update([_seen(event, what)]))
    elif times:  # only from here on valgrind counts
        os.system(f"callgrind_control --instr=on {os.getpid()} >/dev/null 2>&1")
    for _ in range(times):
        call(app, path, text, key, ours)
    if calls:
        sys.setprofile(None)
        told = {"calls": seen["call"] / times, "statements": seen["statement"], "cold": cold["statement"]}
        print(json.dumps(told), flush=True)
    theirs.close()
    os._exit(0)


def _seen(event: str, what: Any) -> str:
    statement = event == "c_call" and what.__name__ in ("execute", "executemany", "executescript")
    return "statement" if statement else event


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


def ran(checkout: Path, data: Path, port: int, kind: str, times: int, *more: str, under: Sequence[str] = ()) -> str:
    """What one run prints; ``under``: the command that runs it."""
    env = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
    env["GATEWRIGHT_EGRESS_ALLOW"] = f"127.0.0.1:{port}"
    command = [*under, sys.executable, __file__, "--run", kind, "--times", str(times), "--data", str(data), *more]
    done = subprocess.run(command, env=env, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def counted(checkout: Path, data: Path, port: int, kind: str, times: int) -> int:
    """Instructions of one run."""
    out = data / "callgrind.out"
    options = ("--instr-atstart=no", "--separate-threads=yes", f"--callgrind-out-file={out}")
    ran(checkout, data, port, kind, times, under=["valgrind", "--tool=callgrind", *options])
    summary = re.search(r"^(?:summary|totals): (\d+)", Path(f"{out}-01").read_text(), re.MULTILINE)
    assert summary
    return int(summary[1])


@contextmanager
def prepared(checkout: Path) -> Iterator[Callable[[], AbstractContextManager[tuple[Path, int]]]]:
    """The upstream runs meanwhile; what it gives, entered, is a fresh directory of data and the upstream's port."""
    root = Path(__file__).resolve().parents[2]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    serving = subprocess.Popen(
        [sys.executable, __file__, "--upstream", str(port)], env={**os.environ, "PYTHONPATH": str(root)}, cwd=root,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip

    @contextmanager
    def fresh() -> Iterator[tuple[Path, int]]:
        with tempfile.TemporaryDirectory(prefix="gatewright-count-") as text:
            data = Path(text)
            (data / "specs").mkdir()
            (data / "specs" / "bench.yaml").write_text(SPEC.format(port=port))
            ran(checkout, data, port, "request, same format", 0)
            yield data, port

    try:
        assert serving.stdout
        assert serving.stdout.readline() == b"ready\n"
        yield fresh
    finally:
        serving.terminate()
        serving.communicate()


def count_calls(checkout: Path, kind: str) -> dict[str, float]:
    """Functions of Python that one request calls, or one stream of ``CHUNKS`` chunks, and statements of a database.

    Given under ``calls`` (for each) and ``statements`` (of all that were counted); ``cold``: those of the first ones.
    """
    with prepared(checkout) as fresh, fresh() as (data, port):
        told: dict[str, float] = json.loads(ran(checkout, data, port, kind, _FEW, "--calls").splitlines()[-1])
        return told


def count(checkout: Path, kinds: list[str]) -> dict[str, float]:
    """Instructions by what was counted."""
    found = {}
    with prepared(checkout) as fresh:
        for kind in kinds:
            stream = KINDS[kind][2]
            with fresh() as (data, port):
                # The least of some runs: in others a thread opened its connection to the database meanwhile.
                short, long = (
                    min(counted(checkout, data, port, kind, times) for _ in range(_RUNS)) for times in (SHORT, LONG)
                )
            found[kind] = (long - short) / (LONG - SHORT) / (CHUNKS if stream else 1)
            print(f"{kind}: {found[kind]:,.0f} instructions", flush=True)
    return found


def main() -> None:
    """Count, and print a map."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--calls", action="store_true")
    for name, kind in (("--run", str), ("--times", int), ("--data", Path), ("--upstream", int)):
        parser.add_argument(name, type=kind)
    chosen = parser.parse_args()
    if chosen.upstream:
        upstream(chosen.upstream)
    elif chosen.run:
        run(chosen.data, chosen.run, chosen.times, calls=chosen.calls)
    elif shutil.which("valgrind") is None:
        sys.exit("no valgrind on this machine: apt-get install valgrind")
    else:
        print(json.dumps(count(chosen.checkout.resolve(), chosen.kind or list(KINDS))))


if __name__ == "__main__":
    main()
