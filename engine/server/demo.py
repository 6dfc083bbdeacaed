"""The demo upstream beside the workers: its process, its documents with the port that it got, and what to try.

Everything that is said about the demo lies in its own directory; here it is only started and filled in.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

from engine import paths
from engine.server.children import Child

_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


def choose_port(wanted: int) -> int:
    """``wanted`` if it is free on loopback, else any free port."""
    for port in (wanted if wanted <= 65_535 else 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no port of loopback is free for the demo upstream")


def write_specs(target: Path, port: int) -> None:
    """The demo's documents, naming the port at hand; files that are right already stay untouched."""
    source = paths.DEMO / "specs"
    target.mkdir(parents=True, exist_ok=True)
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(source.glob("*.yaml"))}
    for old in target.glob("*.yaml"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        text = _ADDRESS.sub(f"127.0.0.1:{port}", text)
        path = target / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            fresh = target / f".{name}.new"
            fresh.write_text(text, encoding="utf-8")
            os.replace(fresh, path)


def process(port: int) -> Child:
    """The demo upstream as a process to keep running."""

    def body(sender: int) -> None:
        os.set_inheritable(sender, True)  # its end tells the master that the demo has ended
        os.execv(sys.executable, [sys.executable, str(paths.DEMO), "--port", str(port)])  # noqa: S606

    return Child("demo upstream", body)


def lines_to_try(base: str, key: str) -> list[str]:
    """Calls that work as pasted, from the demo's own list."""
    try:
        text = (paths.DEMO / "try.txt").read_text(encoding="utf-8")
    except OSError:
        return []
    return [line.replace("{base}", base).replace("{key}", key) for line in text.splitlines() if line.strip()]
