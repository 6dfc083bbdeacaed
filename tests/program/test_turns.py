"""Long mappings give way to other greenlets, and are bounded as before: in how many steps they may take."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engine.errors import MappingError
from engine.filters import operations
from tests.support import ROOT

# A process of its own: in it sockets are gevent's, as in a worker.
LONG = """
from gevent import monkey; monkey.patch_all()
import gevent
from engine import paths, program
from engine.compiler import compile_set, read_set

sources, shared, _ = read_set([paths.SPECS])
made = program.load(compile_set(sources, shared).artefact)
turns = []

def beside():
    while True:
        turns.append(1)
        gevent.sleep(0)

gevent.spawn(beside)
gevent.sleep(0.01)
before = len(turns)
said = [{"type": "text", "text": "x"}] * 2
body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": said}] * 20_000}
ctx = {"request_id": "r", "now": 0, "asked": "m", "model": "m", "format": "f", "target": "t", "provider": "p"}
hub = made.formats["anthropic.messages"].decode_request([], body, {}, {}, {}, ctx)
assert len(hub["messages"]) == 20_000
assert len(turns) - before >= 3, len(turns) - before
"""


def test_a_long_mapping_gives_way():
    subprocess.run([sys.executable, "-c", LONG], cwd=ROOT, check=True, timeout=120)


def test_a_mapping_takes_slices_until_its_steps_are_used_up():
    budget = [operations.SLICE, operations.STEPS - operations.SLICE]
    for _ in range(operations.STEPS // 300):
        budget[0] -= 300
        if budget[0] < 0:
            operations.spent(budget)
    budget[0] -= 300
    with pytest.raises(MappingError, match="steps"):
        operations.spent(budget)
    whole = [operations.SLICE - 500_000, operations.STEPS - operations.SLICE]
    operations.spent(whole)
    assert sum(whole) == operations.STEPS - 500_000
    assert whole[0] >= 0
