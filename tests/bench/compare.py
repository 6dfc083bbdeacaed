"""Two checkouts side by side: CPU of a worker per request and per chunk, in interleaved pairs, and their medians.

python -m tests.bench.compare BASE_CHECKOUT [CHECKOUT] [--pairs 7] [--instructions]

Both run on this Python, so their dependencies are those of this environment. Load and upstream are small programs of
our own; with two processors or more the workers have the first, load and upstream the others. CPU is read from the
operating system; what matters is the median of the quotients. ``--instructions`` counts machine instructions instead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench import count
from tests.bench.bench_relay import SPEC, UPSTREAM, cpu, workers
from tests.support import ROOT, UNPRICED, Gateway, Running, free_port

CONNECTIONS, REQUESTS = 8, 1500
STREAMS, CHUNKS, PAUSE = 25, 160, 0.005
ANSWERS = """
import asyncio, json, sys
BODY = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "bench-model",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x" * 700}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350}}).encode()
HEAD = b'HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n' % len(BODY)
async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b'\\r\\n\\r\\n'):
            lines = head.lower().split(b'\\r\\n')
            length = next(int(line.split(b':')[1]) for line in lines if line.startswith(b'content-length'))
            await reader.readexactly(length)
            writer.write(HEAD + BODY)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
async def main():
    async with await asyncio.start_server(serve, '127.0.0.1', int(sys.argv[1])) as server:
        await server.serve_forever()
asyncio.run(main())
"""
TEXT = "y" * 900
LOADS = {
    "request, same format": ("/v1/chat/completions", {"messages": [{"role": "user", "content": TEXT}]}),
    "request, translated": ("/v1/messages", {"max_tokens": 500, "messages": [{"role": "user", "content": TEXT}]}),
}


@dataclass
class Side:
    """One checkout's gateways: before the upstream of whole answers, and before that of streams."""

    name: str
    whole: Gateway
    stream: Gateway


def start(stack: ExitStack, checkout: Path, name: str, ports: tuple[int, int]) -> Side:
    """Both gateways of a checkout, with one worker each, on the first processor."""
    made = []
    for port in ports:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewright-compare-")))
        spec = SPEC.format(port=port, format="openai.chat", path="/v1/chat/completions")
        env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{port}", "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
        gateway = Gateway(data, specs={"bench.yaml": spec, "u.yaml": UNPRICED}, priced=True, env=env, cwd=checkout)
        stack.callback(gateway.stop)
        gateway.ready()
        if (os.cpu_count() or 1) > 1:
            os.sched_setaffinity(workers(gateway)[0], {0})
        made.append(gateway)
    return Side(name, *made)


async def _ask(gateway: Gateway, path: str, body: dict[str, object], times: int) -> None:
    """So many requests over one connection, each to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1 << 20)
    data = json.dumps({"model": "bench-model", **body}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    for _ in range(times):
        writer.write(head.encode() + data)
        told = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert told.startswith(b"http/1.1 200"), told
        if b"chunked" in told:
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        else:
            await reader.readexactly(int(told.partition(b"content-length:")[2].split(b"\r\n")[0]))
    writer.close()


def _measured(gateway: Gateway, path: str, body: dict[str, object], connections: int, times: int) -> float:
    """CPU seconds of the worker."""

    async def load() -> None:
        await asyncio.gather(*(_ask(gateway, path, body, times) for _ in range(connections)))

    pid = workers(gateway)[0]
    before = cpu(pid)
    asyncio.run(load())
    return cpu(pid) - before


def measure(side: Side) -> dict[str, float]:
    """Microseconds of CPU by what was measured."""
    found = {}
    for name, (path, body) in LOADS.items():
        each = REQUESTS // CONNECTIONS
        found[name] = _measured(side.whole, path, body, CONNECTIONS, each) / (each * CONNECTIONS) * 1e6
        used = _measured(side.stream, path, {**body, "stream": True}, STREAMS, 1)
        found[name.replace("request", "chunk")] = used / (STREAMS * CHUNKS) * 1e6
    return found


def pairs(base: Path, change: Path, number: int) -> None:
    """Measure in turns, and print medians."""
    with ExitStack() as stack:
        ports = (free_port(), free_port())
        for port, program, arguments in zip(
            ports, (ANSWERS, UPSTREAM), ([], [str(CHUNKS), str(PAUSE), ""]), strict=True
        ):
            pinned = ["taskset", "-c", "1"] if (os.cpu_count() or 1) > 1 else []
            upstream = Running([*pinned, sys.executable, "-c", program, str(port), *arguments])
            stack.callback(upstream.stop)
        if (os.cpu_count() or 1) > 1:
            os.sched_setaffinity(0, range(1, os.cpu_count() or 2))
        rounds: list[dict[str, dict[str, float]]] = []
        for turn in range(number):
            # Processes of their own for each pair: how memory happens to lie in one makes a tenth of difference.
            with ExitStack() as started:
                sides = start(started, base, "base", ports), start(started, change, "change", ports)
                for side in sides:
                    measure(side)  # warm
                order = sides if turn % 2 == 0 else sides[::-1]
                rounds.append({side.name: measure(side) for side in order})
            print(f"pair {turn + 1}: " + told(rounds[-1]), flush=True)
    for name in rounds[0]["base"]:
        of = {side: statistics.median(each[side][name] for each in rounds) for side in ("base", "change")}
        quotient = statistics.median(each["change"][name] / each["base"][name] for each in rounds)
        print(f"{name}: {of['base']:.1f} us, now {of['change']:.1f} us of CPU; median of quotients {quotient:.3f}")


def told(pair: dict[str, dict[str, float]]) -> str:
    """One pair in a line."""
    return ", ".join(f"{name} {used:.1f} -> {pair['change'][name]:.1f}" for name, used in pair["base"].items())


def instructions(base: Path, change: Path) -> None:
    """Count in both checkouts, and print quotients."""
    found = {}
    for name, checkout in (("base", base), ("change", change)):
        done = subprocess.run(
            [sys.executable, str(Path(count.__file__).resolve()), "--checkout", str(checkout)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found[name] = json.loads(done.stdout.splitlines()[-1])
    for name, used in found["base"].items():
        now = found["change"][name]
        print(f"{name}: {used:,.0f} instructions, now {now:,.0f}: {now / used:.3f}")


def main() -> None:
    """Compare, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("change", type=Path, nargs="?", default=ROOT)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--instructions", action="store_true")
    chosen = parser.parse_args()
    base, change = chosen.base.resolve(), chosen.change.resolve()
    if chosen.instructions:
        instructions(base, change)
    else:
        pairs(base, change, chosen.pairs)


if __name__ == "__main__":
    main()
