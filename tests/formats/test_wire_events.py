"""Streams of all formats, their events spoilt, mixed up and cut, leave an orderly answer or an error.

The events of recorded streams go through each format's decoder; the assembler's invariants are those of
tests/hub/test_assembler_properties.py.
"""

from __future__ import annotations

import functools
import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import MappingError
from engine.hub.usage import Plan
from engine.transport import framing
from tests.formats import recorded, streams
from tests.formats.recorded import FORMATS
from tests.formats.test_conversations import CTX, EVERYTHING, FEW, PROVIDERS, REQUEST
from tests.hub.stream.test_assembler_properties import TARGETS, check
from tests.relay import mutations, rich
from tests.support import missing

Wire = list[tuple[str | None, Any]]
MOST = 60
"""Events of a stream that is used: what goes on longer says the same again."""


@functools.cache
def samples(name: str) -> list[Wire]:
    """The shorter streams that show all features of a format: the name and the data of each event."""
    found = []
    for sample in streams.shortest():
        if sample.format == name:
            events = framing.decoder(streams.rules(name)).feed(sample.data)
            found.append([(event, orjson.loads(raw)) for event, raw in events])
    return [wire for wire in found if len(wire) <= MOST] or found[:1]


def spoilt(choose: random.Random, wire: Wire, often: int) -> Wire:
    """The stream with some of its events lost, said twice, out of place, cut, or other than they were."""
    made = list(wire)
    for _ in range(choose.randint(0, often)):
        at, to = choose.randrange(len(made)), choose.randrange(len(made))
        match choose.choice(("lost", "twice", "moved", "cut", "value", "value", "value")):
            case "lost":
                del made[at]
            case "twice":
                made.insert(to, made[at])
            case "moved":
                made.insert(to, made.pop(at))
            case "cut":
                del made[at + 1 :]
            case _:
                name, data = made[at]
                if paths := list(rich.nodes(data)):
                    made[at] = (name, mutations.spoilt(choose, data, choose.choice(paths))[1])
        if not made:
            break
    return made


def decoded(name: str, wire: Wire) -> list[list[dict[str, Any]]]:
    """What the decoder makes of each event; as in the relay, what it can't read is an error of the provider."""
    stream = recorded.program().formats[name].stream
    assert stream is not None
    assert stream.decode is not None
    told = []
    for event, data in wire:
        try:
            told.append(stream.decode([], event, data, {}, REQUEST, CTX) or [])
        except (MappingError, ValueError):
            told.append([{"type": "error", "meaning": "unknown", "message": "garbage"}])
    return told


@pytest.mark.parametrize("name", [*FORMATS, *PROVIDERS])
@settings(FEW, max_examples=500 if EVERYTHING else 60)
@given(
    target=TARGETS,
    choose=st.randoms(use_true_random=False),
    often=st.sampled_from([0, 1, 3, 8]),
    cut=st.sampled_from([None, True, False]),
)
def test_invariants_hold_on_spoilt_and_cut_streams_of_every_format(
    name: str, target: Any, choose: random.Random, often: int, cut: bool | None
) -> None:
    if not samples(name):
        missing("no recordings: set GATEWRIGHT_RECORDED to the folder that holds them")
    spoken = recorded.program().formats[name]
    wire = spoilt(choose, choose.choice(samples(name)), often)
    check(spoken.stream, target, decoded(name, wire), cut, plan=Plan(spoken.usage))
