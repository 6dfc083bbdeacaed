"""Real agents through the gateway: each reads a file by its own tool through a provider of each wire format.

    python -m tests.agents.run [--agent NAME] [--format NAME] [--keep]

Installs the agents from npm into ``.agents`` (once), cuts the network off but for loopback where the machine allows
it, starts the demo upstream and a gateway, and prints a table. Ends with 1 if a run fails.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.agents.agents import AGENTS, Agent, Place, environment
from tests.agents.evidence import Evidence, calls, gather
from tests.support import ROOT, Gateway, Running

HERE = Path(__file__).parent
INSTALLED = ROOT / ".agents"
FORMATS = {
    "openai.chat": "demo-openai-thinking",
    "openai.responses": "demo-responses-thinking",
    "anthropic.messages": "demo-claude-thinking",
    "gemini.generateContent": "demo-gemini-thinking",
}
UNSIGNED = ("openai.chat",)  # its wire has no word for signatures, so its upstream gives none
LONGEST = 120


def install() -> None:
    """The agents at the versions of the lock file; nothing to do when they are there."""
    INSTALLED.mkdir(exist_ok=True)
    names = ("package.json", "package-lock.json")
    if all((INSTALLED / n).is_file() and (INSTALLED / n).read_bytes() == (HERE / n).read_bytes() for n in names):
        return
    for name in reversed(names):
        (INSTALLED / name).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as fresh:
        for name in names:
            shutil.copy(HERE / name, fresh)
        print("installing the agents from npm (about 750 MB) ...", flush=True)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=fresh, check=True)
        shutil.rmtree(INSTALLED / "node_modules", ignore_errors=True)
        shutil.move(Path(fresh) / "node_modules", INSTALLED / "node_modules")
    for name in names:  # last, as the sign that all is there
        shutil.copy(HERE / name, INSTALLED / name)


def cut_off() -> None:
    """Go on in a network of our own that has loopback alone, if this machine lets us."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        print("unshare does not work here: the agents keep the network", flush=True)
        return
    sys.stdout.flush()
    again = [sys.executable, "-m", "tests.agents.run", *sys.argv[1:], "--inside"]
    os.chdir(ROOT)
    os.execvp("unshare", ["unshare", "-rn", *again])


def raise_loopback() -> None:
    """``ip link set lo up``, which not every machine has."""
    up, set_flags = 0x1, 0x8914
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up))


@dataclass
class Outcome:
    """One run: what the agent said, and what the upstream saw."""

    agent: str
    format: str
    code: int | None
    answered: bool
    seconds: float
    evidence: Evidence
    said: str

    @property
    def signed(self) -> str:
        if self.format in UNSIGNED:
            return "none given" if not self.evidence.given else "given?"
        if not self.evidence.given:
            return "NOT GIVEN"
        back = len(self.evidence.given) - len(self.evidence.missing)
        return f"{back} of {len(self.evidence.given)}"

    @property
    def ok(self) -> bool:
        signed = self.format in UNSIGNED or bool(self.evidence.given)
        fine = self.code == 0 and self.answered and self.evidence.read and not self.evidence.refused
        return fine and signed and not self.evidence.missing


class Site:
    """A demo upstream with a log, a gateway before it, and a scratch directory."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.log = scratch / "upstream.log"
        demo = [sys.executable, str(ROOT / "deploy" / "demo"), "--port", "0", "--pace", "2", "--log", str(self.log)]
        self.demo = Running(demo)
        port = self.demo.wait_for(r"demo upstream on http://127\.0\.0\.1:(\d+)")[1]
        sources = sorted((ROOT / "deploy" / "demo" / "specs").glob("*.yaml"))
        specs = {path.name: path.read_text(encoding="utf-8").replace(":3999", f":{port}") for path in sources}
        allowed = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{port}", "GATEWRIGHT_ACCESS_LOG": "true"}
        self.gateway = Gateway(scratch / "data", specs=specs, env={**allowed, "ERROR_LOG_ENABLED": "true"}).ready()

    def stop(self) -> None:
        self.gateway.stop()
        self.demo.stop()

    def run(self, agent: Agent, wire: str) -> Outcome:
        """One agent over one provider format."""
        room = self.scratch / f"{agent.name}-{wire}"
        home, work = room / "home", room / "work"
        home.mkdir(parents=True)
        work.mkdir()
        word = f"periwinkle{uuid4().hex[:8]}"
        note = work / "note.txt"
        note.write_text(f"{word}\n", encoding="utf-8")
        place = Place(home, self.gateway.base, self.gateway.key, FORMATS[wire])
        skip, lines, started = len(calls(self.log, 0)), len(self.gateway.lines), time.monotonic()
        code, said, noise = _start(
            agent.command(place, f"Read the file {note} with your tool and tell me the word in it."),
            environment(agent, place, INSTALLED / "node_modules" / ".bin"),
            work,
        )
        seconds = time.monotonic() - started
        (room / "said.txt").write_text(f"{said}\n--- stderr, code {code}\n{noise}", encoding="utf-8")
        time.sleep(0.2)
        found = gather(calls(self.log, skip), str(note), word)
        found.refused += [line for line in self.gateway.lines[lines:] if _failed(line)]
        return Outcome(agent.name, wire, code, word in said, seconds, found, said + noise)

    def losses(self) -> list[str]:
        """The loss reports of all calls, each kind once."""
        with closing(sqlite3.connect(self.scratch / "data" / "gatewright.db")) as db:
            rows = db.execute("select model_name, other, content from logs order by id").fetchall()
        return [f"{model}: {other} {content}" for model, other, content in rows]


def _failed(line: str) -> bool:
    """Whether a line of the gateway's access log tells of an error, or of a fault of its own."""
    words = line.split()
    told = [word for word in words if len(word) == 3 and word.isdigit()]
    return "Traceback" in line or ("ms" in line[-2:] and bool(told) and told[0] >= "400")


def _start(command: list[str], env: dict[str, str], cwd: Path) -> tuple[int | None, str, str]:
    with subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, noise = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            said, noise = process.communicate()
            return None, said, noise
    return process.returncode, said, noise


def table(outcomes: list[Outcome]) -> str:
    """One line for each run."""
    lines = [("agent", "provider format", "ok", "tool ran", "signatures back", "calls", "seconds")]
    for each in outcomes:
        ran = "yes" if each.evidence.read else "NO"
        numbers = (str(each.evidence.calls), f"{each.seconds:.1f}")
        lines.append((each.agent, each.format, "ok" if each.ok else "FAILED", ran, each.signed, *numbers))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _explain(each: Outcome) -> None:
    print(f"\n{each.agent} over {each.format}: exit code {each.code}, word told: {each.answered}")
    for line in each.evidence.refused:
        print(f"  refused: {line}")
    print("  " + each.said[-1500:].replace("\n", "\n  "))


def main() -> int:
    """Run what was asked for; all by default."""
    parser = argparse.ArgumentParser(prog="agents", description="Real agents through the gateway")
    parser.add_argument("--agent", choices=[agent.name for agent in AGENTS], action="append")
    parser.add_argument("--format", choices=list(FORMATS), action="append")
    parser.add_argument("--keep", action="store_true", help="leave the scratch directory, and say where it is")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if not chosen.inside:
        install()
        cut_off()
    else:
        raise_loopback()
    scratch = Path(tempfile.mkdtemp(prefix="agents-"))
    site = Site(scratch)
    outcomes = []
    try:
        for agent in (a for a in AGENTS if not chosen.agent or a.name in chosen.agent):
            for wire in chosen.format or FORMATS:
                outcomes.append(site.run(agent, wire))
                print(f"{agent.name} over {wire}: {'ok' if outcomes[-1].ok else 'FAILED'}", flush=True)
    finally:
        site.stop()
    for each in outcomes:
        if not each.ok:
            _explain(each)
    print(f"\n{table(outcomes)}")
    if chosen.keep:
        (scratch / "losses.txt").write_text("\n".join(site.losses()))
        (scratch / "gateway.txt").write_text(site.gateway.output)
        print(f"kept: {scratch}")
    else:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0 if outcomes and all(each.ok for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
