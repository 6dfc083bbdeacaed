"""Calls before upstreams that fail and by callers that leave, while processes are killed; then book against account.

Each call is judged alone: what its caller had, what the upstream counted for it, and what is booked. Due, by the
default Policy: a whole answer as the upstream counted it, at the price of the channel that gave it; words before a
failure or before the caller left, as the upstream told or as they are counted here; the input of a caller who left
before the first byte; nothing for what failed before a word. A call whose process was killed meanwhile may be missing
or charged its input, never twice.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from tests.soak.failing import BEFORE, EARLY, INSIDE, PER_WORD, SPOKEN, FailingUpstream
from tests.soak.site import SPEC, Site
from tests.soak.upstream import INPUT, WORDS

MODES = (
    *["whole"] * 8, *["stream"] * 12, "fail", *BEFORE, *INSIDE[:3], "silent",
    "early", "leave", "leave", "last",
)  # fmt: skip
"""One in five meets an upstream that fails, one in eight is left."""
DEAR = 3
"""The second channel costs so many times the first."""
LIMITS = "  auth: {{scheme: none}}\n  timeouts: {{connect: 5, firstByte: 20, idle: 3}}\n"
AWAY = """---
apiVersion: gatewright/v1
kind: Policy
metadata: {{name: counted}}
spec: {{ledger: {{databaseAway: {{exposure: 1000000000}}}}}}
"""
"""All calls are of one key: what they may cost together has to fit while a database is away, or few would go on."""
BACK = 5.0
"""Seconds after a database server was ready in which workers notice, and commit what waited."""
REFUSED_AWAY = 0.01
"""The most of all calls that may be refused because a database is away: those of workers that know no key yet."""
LATE = 3.0
"""Seconds after its caller saw the end in which a call may still be lost with its process."""


@dataclass
class Call:
    """What became of one call. ``outcome``: done, part (words, then an error), refused, left, lost (the connection
    broke). ``words`` is what its caller had."""

    number: int
    mode: str
    stream: bool
    told: bool
    outcome: str = "lost"
    words: int = 0
    status: int = 0
    refusal: str = ""
    begin: float = 0.0
    end: float = 0.0


class FireSite(Site):
    """A site whose upstream fails, and whose calls are known by their model's name."""

    upstream_kind = FailingUpstream
    upstream: FailingUpstream
    spec = (
        SPEC.replace("  auth: {{scheme: none}}\n", LIMITS)
        .replace("models: [counted]", "models: ['*']")
        .replace(
            "spec:\n  models: [{{names: [counted]",
            f"spec:\n  channels: {{{{b: {DEAR}}}}}\n  models: [{{{{match: 'counted-.*'",
        )
        + AWAY
    )

    def fire(self, call: Call) -> Call:
        """One call to its end, or until it is left."""
        call.begin = time.monotonic()
        try:
            if call.mode == "early":
                self._early(call)
            else:
                self._ask(call)
        except (requests.RequestException, ValueError, OSError):
            call.outcome = "lost"
        call.end = time.monotonic()
        return call

    def body(self, call: Call) -> dict[str, object]:
        """The request of a call."""
        text = f"n={call.number:06d} {call.mode}{' told' if call.told else ''}"
        return {"model": f"counted-{call.number}", "messages": [{"role": "user", "content": text}],
                "max_tokens": 20_000, "stream": call.stream}  # fmt: skip

    def _ask(self, call: Call) -> None:
        headers = {"authorization": f"Bearer {self.key}"}
        with self._post(self.body(call), headers, call.stream) as answer:
            call.status = answer.status_code
            if call.status != 200:
                call.outcome, call.refusal = "refused", answer.text
            elif not call.stream:
                call.words = json.loads(answer.content)["choices"][0]["message"]["content"].count("word")
                call.outcome = "done"
            else:
                self._read(call, answer)

    @staticmethod
    def _read(call: Call, answer: requests.Response) -> None:
        text = b""
        for piece in answer.iter_content(None):
            text += piece
            call.words = text.count(b'"word ')
            finished = b'"finish_reason": "stop"' in text
            if (call.mode == "leave" and call.words > 2) or (call.mode == "last" and finished):
                call.outcome = "left"
                return
        if b"data: [DONE]" in text:
            call.outcome = "done"
        elif b'"error"' in text:
            call.outcome = "part"

    def _early(self, call: Call) -> None:
        """Leave while the upstream works, before it has said a byte."""
        body = json.dumps(self.body(call)).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", self.port), 10) as sock:
            sock.sendall(head.encode() + body)
            sock.settimeout(EARLY / 6)
            try:
                answer = sock.recv(64)  # before the upstream has spoken this is a refusal, if it is anything
            except TimeoutError:
                call.outcome = "left"
                return
        call.status = int(answer[9:12] or 0)
        call.outcome = "refused" if answer else "lost"

    def away_during(self, begin: float, end: float) -> bool:
        """Whether a database was away, or its return not yet noticed, at any time between two moments."""
        return any(gone < end and begin < back + BACK for gone, back in self.outages)

    def booked(self) -> dict[int, list[Row]]:
        """What is charged, by the call's number."""
        with self.db.read() as connection, self.log_db.read() as logs:
            ledger = connection.exec_driver_sql(
                "SELECT request_id, quota, source FROM gatewright_ledger WHERE source <> ''"
            )
            charged = {str(request): (int(quota), str(source)) for request, quota, source in ledger}
            found: dict[int, list[Row]] = {}
            for request, model, other in logs.exec_driver_sql("SELECT request_id, model_name, other FROM logs"):
                if request in charged and str(model).startswith("counted-"):
                    quota, source = charged[request]
                    row = Row(quota, source, json.loads(other).get("channel", ""))
                    found.setdefault(int(str(model).removeprefix("counted-")), []).append(row)
        return found


@dataclass(frozen=True)
class Row:
    """One charge."""

    quota: int
    source: str
    channel: str


def order(count: int, seed: int) -> list[Call]:
    """The calls, the same for the same seed."""
    made = []
    for number in range(1, count + 1):
        chance = random.Random(seed * 1_000_003 + number)
        mode = chance.choice(MODES)
        stream = mode not in ("whole", "status", "close", "fail") or (mode != "whole" and number % 2 == 0)
        made.append(Call(number, mode, stream, stream and mode != "early" and chance.random() < 0.5))
    return made


def run(
    site: FireSite, calls: list[Call], *, threads: int = 16, chaos: Callable[[random.Random], None] | None = None,
    every: float = 1.0, seed: int = 1,
) -> list[Call]:  # fmt: skip
    """Make the calls; ``chaos`` is called about every so many seconds meanwhile."""
    chance, over = random.Random(seed), threading.Event()

    def trouble() -> None:
        while not over.wait(chance.uniform(0.3, 1.7) * every):
            if chaos is not None:
                chaos(chance)

    troubler = threading.Thread(target=trouble)
    troubler.start()
    with ThreadPoolExecutor(threads) as pool:
        made = list(pool.map(site.fire, calls))
    over.set()
    troubler.join()
    return made


def calibrated(site: FireSite) -> dict[str, int]:
    """What is charged in quiet for words that nobody told a usage for, by mode; one call of each, at the front."""
    calls = [Call(900_000 + number, mode, True, False) for number, mode in enumerate((*INSIDE, "early"))]
    for call in calls:
        site.fire(call)
    site.settle()
    time.sleep(EARLY)  # the caller who left is noticed when the upstream speaks, or before
    site.settle()
    rows = site.booked()
    found = {}
    for call in calls:
        assert len(rows.get(call.number, ())) == 1, f"{call} is booked as {rows.get(call.number)}"
        found[call.mode] = rows[call.number][0].quota
        assert 0 < found[call.mode] <= 3 * (INPUT + WORDS), (call, found[call.mode])
    return found


def due(site: FireSite, call: Call, quiet: dict[str, int]) -> tuple[int, int]:
    """The least and the most that may be charged for a call, in units."""
    attempts = site.upstream.attempts.get(call.number, [])
    whole = [attempt for attempt in attempts if attempt.whole]
    if call.outcome == "done":
        assert len(whole) == 1, f"{call}: the upstream tells {attempts}"
        exact = (whole[0].input + whole[0].output) * (DEAR if whole[0].channel == "b" else 1)
        return exact, exact
    if call.outcome == "refused":
        return 0, 0
    if call.mode == "early":  # one that left before it went up owes nothing
        return (quiet["early"] if attempts else 0), quiet["early"]
    if call.mode in INSIDE:
        exact = INPUT + PER_WORD * SPOKEN if call.told else quiet[call.mode]
        exact *= DEAR if attempts and attempts[-1].channel == "b" else 1  # the first failed before its words had left
        return exact, exact
    if call.mode in ("leave", "last"):
        least = INPUT + PER_WORD * call.words if call.told else INPUT
        return least, INPUT + max(call.number, PER_WORD * WORDS)
    return 0, DEAR * (INPUT + call.number)


def check(site: FireSite, calls: list[Call], quiet: dict[str, int]) -> str:
    """Compare each call's booking with what is due; gives a line of figures."""
    time.sleep(EARLY)  # the upstream notes an attempt at its end
    proof = site.settle()
    assert proof.agrees, proof.differences[:10]
    rows, faults = site.booked(), []
    sums: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    for call in calls:
        mine = rows.get(call.number, [])
        died = DEAR * len(json.dumps(site.body(call))) // 4  # a call that died is charged its input, by its bytes
        least, most = due(site, call, quiet)
        charged = sum(row.quota for row in mine)
        killed = any(begin - 0.5 < call.end + LATE and call.begin < end + 0.5 for begin, end in site.killed_at)
        sums[call.outcome] += 1
        if call.outcome == "refused":
            failed = call.mode in ("fail", *INSIDE) and "database" not in call.refusal
            refusals["an upstream that fails" if failed else str(call.status)] += 1
            if not failed and not site.away_during(call.begin, call.end):
                faults.append(f"{call} is refused though no database was away")
        if len(mine) > 1:
            faults.append(f"{call} is charged {len(mine)} times: {mine}")
        elif call.outcome == "done" and charged != least:
            faults.append(f"{call} is charged {charged}, the upstream counted {least}: {mine}")
        elif not least <= charged <= most and not (killed and call.outcome != "done" and charged <= max(most, died)):
            faults.append(f"{call} is charged {charged}, due are {least} to {most}: {mine}")
        if call.outcome == "done":
            sums["upstreams"] += least
            sums["books"] += charged
            sums["second"] += mine[0].channel == "b" if mine else 0
    assert not faults, f"{len(faults)} calls are charged wrongly:\n" + "\n".join(faults[:10])
    assert sums["books"] == sums["upstreams"]
    away = sums["refused"] - refusals["an upstream that fails"]
    assert away <= REFUSED_AWAY * len(calls), f"{away} calls were refused while a database was away: {dict(refusals)}"
    return (
        f"{sums['done']} answered ({sums['second']} by the second channel), upstreams counted {sums['upstreams']:,}"
        f" units for them and books say {sums['books']:,}; {sums['part']} broke off, {sums['left']} were left,"
        f" {sums['refused']} were refused ({dict(refusals)}), {sums['lost']} lost their connection;"
        f" killed: {dict(site.kills)}"
    )
