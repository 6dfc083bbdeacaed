"""Thousands of spoilt requests and spoilt answers through a real gateway: no 500, no stall, no trace, flat memory.

2,000 of each in the normal suite, 20,000 nightly; GATEWRIGHT_SEED gives other ones, GATEWRIGHT_FUZZ another number.
Every answer must be one that a client of the caller's dialect can read. A failure tells its smallest form.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.fuzz import answers, asking, verdict
from tests.fuzz.shrinking import shrunk
from tests.fuzz.site import Site
from tests.relay import plain

pytestmark = pytest.mark.xdist_group("fuzz")  # one worker's memory is watched over all of it
SEED = int(os.environ.get("GATEWRIGHT_SEED") or 1)
COUNT = int(os.environ.get("GATEWRIGHT_FUZZ") or (20_000 if os.environ.get("GATEWRIGHT_NIGHTLY") else 2_000))
PAIRS = [(fmt, target) for fmt in plain.FORMATS for target in plain.FORMATS]
EACH = COUNT // len(PAIRS)
STALL_MS = 100.0
"""CPU of the worker for one exchange; bodies here are far below 1 MB."""
GROWTH_MB = 24.0
"""Memory that a worker may gain in the second half of all exchanges: caches are filled in the first."""
ASKED: dict[str, Any] = {
    "openai.chat": {"messages": [{"role": "user", "content": "n=%d"}]},
    "openai.responses": {"input": "n=%d"},
    "anthropic.messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "n=%d"}]},
    "gemini.generateContent": {"contents": [{"role": "user", "parts": [{"text": "n=%d"}]}]},
}
Exchange = Callable[[], str | None]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    opened = Site(tmp_path_factory.mktemp("fuzz"))
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(scope="module")
def readings() -> list[float]:
    """The worker's memory after each pair's exchanges."""
    return []


def judged(site: Site, exchange: Exchange) -> str | None:
    """What is wrong with an exchange: its answer, or the time that it took."""
    before = site.worker_ms()
    try:
        wrong = exchange()
    except (OSError, ValueError) as error:
        wrong = f"no whole answer: {error!r}"
    used = site.worker_ms() - before
    if wrong is None and used > STALL_MS:
        wrong = f"{used:.0f} ms of the worker's CPU"
    return wrong


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("fmt", "target"), PAIRS)
def test_spoilt_requests(site: Site, readings: list[float], fmt: str, target: str) -> None:
    choose = random.Random(f"requests {fmt} {target} {SEED}")
    faults = []

    def exchange(body: Any) -> Exchange:
        def ask() -> str | None:
            status, kind, told = site.ask(fmt, target, body)
            return verdict.on(fmt, fmt == target, status, kind, told)

        return ask

    for number in range(EACH):
        story, body = asking.spoilt(fmt, f"m-{target}", choose)
        wrong = judged(site, exchange(body))
        if wrong:
            least = shrunk(body, lambda less, was=wrong: isinstance(less, dict) and _again(site, exchange(less), was))
            faults.append(f"{wrong}\n  request {number} ({story}), least: {_shown(least)}")
    readings.append(site.memory_mb())
    conclude(faults, "requests", fmt, target)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("fmt", "target"), PAIRS)
def test_spoilt_answers(site: Site, readings: list[float], fmt: str, target: str) -> None:
    choose = random.Random(f"answers {fmt} {target} {SEED}")
    faults = []

    def exchange(answer: answers.Answer, number: int) -> Exchange:
        body = json.loads(json.dumps(ASKED[fmt]).replace("%d", str(number)))

        def ask() -> str | None:
            site.answers[number] = answer
            try:
                status, kind, told = site.ask(fmt, target, body, stream=answer.stream)
            finally:
                del site.answers[number]
            return verdict.on(fmt, fmt == target, status, kind, told, answer.status)

        return ask

    for number in range(EACH):
        answer = answers.spoilt(target, bool(number % 2), choose)
        wrong = judged(site, exchange(answer, number))
        if wrong:
            least = shrunk(
                [*answer.parts],
                lambda parts, n=number, one=answer, was=wrong: _again(
                    site, exchange(replace(one, parts=tuple(parts), cut=None), n), was
                ),
            )
            told = f"status {answer.status}, type {answer.type!r}, stream {answer.stream}"
            faults.append(f"{wrong}\n  answer {number} ({answer.story}), {told}, least: {_shown(least)}")
    readings.append(site.memory_mb())
    conclude(faults, "answers", fmt, target)


def test_memory_stays_flat_meanwhile(readings: list[float]) -> None:
    if len(readings) < len(PAIRS):
        pytest.skip("not all exchanges were made in this process")
    half = max(readings[: len(readings) // 2])
    assert readings[-1] - half < GROWTH_MB, [round(each) for each in readings]


def test_the_log_has_no_trace(site: Site, readings: list[float]) -> None:
    time.sleep(2)  # the ledger writes behind
    said = site.gateway.output
    places = [place.start() for place in re.finditer("Traceback", said)]
    assert not places, f"seed {SEED}, {len(places)} traces, the first:\n{said[places[0] - 300 : places[0] + 3000]}"


def conclude(faults: list[str], what: str, fmt: str, target: str) -> None:
    """Fail for what is wrong."""
    told = f"seed {SEED}, {what}, {fmt} and {target}: {len(faults)} of {EACH}\n" + "\n".join(faults[:5])
    assert not faults, told


def _again(site: Site, exchange: Exchange, was: str) -> bool:
    """Whether a smaller case fails in the same way, by the first words."""
    wrong = judged(site, exchange)
    return wrong is not None and wrong[:12] == was[:12]


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, bytes) else json.dumps(value)
    return text if len(text) < 1500 else f"{text[:1500]}... ({len(text)} characters)"
