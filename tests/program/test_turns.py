"""Long mappings give way to other greenlets, and are bounded as before: in how many steps they may take."""

from __future__ import annotations

import subprocess
import sys

import orjson
import pytest

from engine import paths, program
from engine.compiler import compile_set, read_set
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


@pytest.fixture(scope="module")
def formats():
    sources, shared, _ = read_set([paths.SPECS])
    return program.load(compile_set(sources, shared).artefact).formats


def test_a_long_mapping_gives_way():
    subprocess.run([sys.executable, "-c", LONG], cwd=ROOT, check=True, timeout=120)


TEXT = "the quick brown fox jumps over the lazy dog. " * 540_000
"""24 MB: writing it as JSON and putting it in takes more than a million steps."""
CALL = {"id": "c1", "name": "f", "input": {"text": TEXT}}
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": TEXT}]}


@pytest.mark.parametrize(
    "block",
    [{"type": "tool_use", **CALL}, {"type": "server_tool_use", **CALL}, RESULT],
    ids=lambda block: block["type"],
)
@pytest.mark.parametrize("target", ["openai.chat", "openai.responses", "anthropic.messages", "gemini.generateContent"])
def test_a_long_text_goes_wherever_a_short_one_goes(formats, block, target):
    role = "user" if block is RESULT else "assistant"
    messages = [{"role": "user", "content": "hi"}, {"role": role, "content": [block]}]
    body = {"model": "m", "max_tokens": 5, "messages": messages}
    ctx = {"request_id": "r", "now": 0, "asked": "m", "model": "m", "format": "f", "target": target, "provider": "p"}
    hub = formats["anthropic.messages"].decode_request([], body, {}, {}, {}, ctx)
    size = len(orjson.dumps(formats[target].encode_request([], hub, ctx)))
    assert size > len(TEXT) or (block["type"] == "server_tool_use" and target != "anthropic.messages")


def test_what_a_mapping_may_take_grows_with_what_it_is_given():
    for text, more in (("", 0), ("t" * 16_000_000, 1_000_000)):
        budget = [0, 0, {"text": text}, None]
        budget[0] = -1
        if more:
            operations.spent(budget)
            assert more - 2 <= sum(budget) <= more + 2
        budget[:] = [-1, 0]
        with pytest.raises(MappingError, match="send fewer or shorter"):
            operations.spent(budget)


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
