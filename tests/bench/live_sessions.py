"""Live sessions on one worker: how much a relayed message waits for the gateway, and what it costs in CPU.

SESSIONS clients talk through a gateway to an upstream that sends each message back; RATE messages a second each, of
4 kB, up and down. The same is done without the gateway between; what is told is the difference of the percentiles. The
clients, the upstream and the gateway share the machine, so the highest rate that it holds is that of all three.

python -m tests.bench.live_sessions [--sessions 100] [--rate 10] [--seconds 20] [--steps]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import threading
import time
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve as serve_async

from tests.support import Gateway

DOCUMENT = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: echo}
extends: openai
spec:
  baseUrl: BASE
  credential: {secretRef: {file: echo}}
  models: [echo-1]
  price: [{names: [echo-1], tokens: {input: 1, output: 1}}]
"""
SOUND = "A" * 4_000
_WITHIN = 0.05


class Echo:
    """The upstream, in a process of its own: each message comes back."""

    def __init__(self) -> None:
        self.port = 0
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            asyncio.run(self._serve(write))
            os._exit(0)
        self.port = int(os.read(read, 16))

    @staticmethod
    async def _serve(write: int) -> None:
        async def back(socket: object) -> None:
            async for message in socket:  # type: ignore[attr-defined]
                await socket.send(message)  # type: ignore[attr-defined]

        async with serve_async(back, "127.0.0.1", 0, max_size=None) as server:
            os.write(write, str(next(iter(server.sockets)).getsockname()[1]).encode())
            await asyncio.get_running_loop().create_future()

    def close(self) -> None:
        """End it."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


async def _talk(url: str, headers: dict[str, str], rate: float, seconds: float, waits: list[float]) -> None:
    async with connect(url, additional_headers=headers, max_size=None, open_timeout=60) as socket:

        async def listen() -> None:
            async for text in socket:
                waits.append(time.perf_counter() - json.loads(text)["at"])

        listening = asyncio.create_task(listen())
        end, due = time.perf_counter() + seconds, time.perf_counter()
        while due < end:
            event = {"type": "input_audio_buffer.append", "audio": SOUND, "at": time.perf_counter()}
            await socket.send(json.dumps(event))
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await asyncio.sleep(1)
        listening.cancel()


async def _all(url: str, headers: dict[str, str], sessions: int, rate: float, seconds: float) -> list[float]:
    waits: list[float] = []
    await asyncio.gather(*(_talk(url, headers, rate, seconds, waits) for _ in range(sessions)))
    return sorted(waits)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _at(waits: list[float], share: float) -> float:
    return waits[min(len(waits) - 1, int(len(waits) * share))] * 1000


def measured(sessions: int, rate: float, seconds: float, *, steps: bool) -> None:
    """Print the figures."""
    echo = Echo()
    with tempfile.TemporaryDirectory(prefix="gatewright-live-") as text:
        data = Path(text) / "gateway"
        (data / "secrets").mkdir(parents=True)
        (data / "secrets" / "echo").write_text("key")
        env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{echo.port}"}
        specs = {"own.yaml": DOCUMENT.replace("BASE", f"http://127.0.0.1:{echo.port}")}
        gateway = Gateway(data, specs=specs, env=env, priced=True, may_stall=True)
        try:
            gateway.ready()
            worker = int(gateway.wait_for(r"Booting worker with pid: (\d+)")[1])
            headers = {"authorization": f"Bearer {gateway.key}"}
            straight = f"ws://127.0.0.1:{echo.port}/v1/realtime?model=echo-1"
            through = f"ws{gateway.base[4:]}/v1/realtime?model=echo-1"
            while True:
                bare = asyncio.run(_all(straight, {}, sessions, rate, seconds))
                before = _cpu(worker)
                waits = asyncio.run(_all(through, headers, sessions, rate, seconds))
                spent = (_cpu(worker) - before) / (2 * len(waits)) * 1e6
                added = _at(waits, 0.99) - _at(bare, 0.99)
                print(
                    f"{sessions} sessions, {rate:g} messages a second each way: {len(waits)} came back;"
                    f" p50 {_at(waits, 0.5):.1f} ms, p99 {_at(waits, 0.99):.1f} ms"
                    f" (without the gateway {_at(bare, 0.5):.1f} and {_at(bare, 0.99):.1f}): p99 {added:.1f} ms added;"
                    f" {spent:.0f} us of CPU a message; load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
                if not steps or _at(waits, 0.99) > _WITHIN * 1000:
                    return
                rate *= 1.5
        finally:
            gateway.stop()
            echo.close()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--steps", action="store_true", help="raise the rate until p99 is over 50 ms")
    chosen = parser.parse_args()
    assert threading.active_count() == 1
    measured(chosen.sessions, chosen.rate, chosen.seconds, steps=chosen.steps)


if __name__ == "__main__":
    main()
