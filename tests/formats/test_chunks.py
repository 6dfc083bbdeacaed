"""Streams in pieces of any size say what they say as a whole.

A stream can be cut into two at any byte. What comes before the event that is hit and what comes after it is not decoded
anew for every place: the test sees that the decoder, once it has been given the event in its two pieces, is in the very
state in which the whole event leaves it. Then the relay's own code gets the same stream in pieces of several kinds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from engine.relay.upstream.failure import UpstreamFailure
from engine.transport import framing
from tests.formats import recorded, streams
from tests.formats.recorded import FORMATS
from tests.formats.streams import Sample
from tests.relay import inprocess

CHOSEN = streams.everything() if streams.EVERYTHING else streams.shortest()
chosen = pytest.mark.parametrize("sample", CHOSEN, ids=[item.id for item in CHOSEN])


def test_every_framing_and_feature_has_a_stream() -> None:
    shown = {(item.format, feature) for item in streams.everything() for feature in item.features}
    assert {(item.format, feature) for item in CHOSEN for feature in item.features} == shown
    assert {streams.rules(item.format)["type"] for item in CHOSEN} == {"sse", "ndjson", "aws-eventstream"}


# --- every byte --------------------------------------------------------------------------------------------------


class Decoding:
    """A decoder, and what it gave."""

    def __init__(self, name: str) -> None:
        self.machine: Any = framing.decoder(streams.rules(name))

    def given(self, *pieces: bytes) -> list[Any]:
        """The events of these pieces."""
        return [event for piece in pieces for event in self.machine.feed(piece)]

    def rest(self) -> list[Any]:
        """The events that only lack their end."""
        return list(copy.deepcopy(self.machine).finish())


class Splitting:
    """A splitter, and what it gave."""

    def __init__(self, name: str) -> None:
        self.machine: Any = framing.splitter(streams.rules(name)["type"])

    def given(self, *pieces: bytes) -> list[Any]:
        """The events' bytes of these pieces, which are those that may be passed on."""
        out = []
        for piece in pieces:
            passed, events = self.machine.feed(piece)
            assert b"".join(events) == passed
            out += events
        return out

    def rest(self) -> list[Any]:
        """The bytes that belong to no complete event."""
        return [self.machine.tail()]


def state(thing: Any) -> Any:
    """Everything that a decoder will ever know of its past."""
    if (names := getattr(thing, "__slots__", None)) is None:
        return bytes(thing) if isinstance(thing, bytearray) else thing
    return [state(getattr(thing, name)) for name in names]


@pytest.mark.parametrize("kind", [Decoding, Splitting], ids=["decoded", "split"])
@chosen
def test_an_event_cut_at_any_byte_leaves_everything_as_the_whole_event_does(sample: Sample, kind: Any) -> None:
    """Only where an event changes the state (the first, the last) is the state before it made again for every place."""
    whole = kind(sample.format)
    for event in sample.events():
        before = copy.deepcopy(whole)
        said = whole.given(event)
        after, rest = state(whole.machine), whole.rest()
        again = state(before.machine) != after
        cut = copy.deepcopy(before)
        for at in range(1, len(event)):
            assert cut.given(event[:at], event[at:]) == said, f"cut at byte {at} of {event!r}"
            assert state(cut.machine) == after, f"cut at byte {at} of {event!r}"
            if again:
                assert cut.rest() == rest
                cut = copy.deepcopy(before)


# --- the relay ---------------------------------------------------------------------------------------------------


def told(client: str, sample: Sample, pieces: list[bytes]) -> bytes:
    """What the caller gets, but for names made up and times; or what is said of an attempt that failed at once."""
    try:
        out = b"".join(inprocess.stream(recorded.program(), client, sample.format, pieces).run())
    except UpstreamFailure as failure:
        assert "error" in sample.features
        return str(failure.error["message"]).encode()
    return streams.unnamed(out)


def cuts(events: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """The stream's bytes in pieces of several kinds, each with its name."""
    data = b"".join(events)
    yield "single bytes", [data[at : at + 1] for at in range(len(data))]
    yield "halves of events", [half for one in events for half in (one[: len(one) // 2], one[len(one) // 2 :]) if half]
    yield "pairs of events", [b"".join(events[at : at + 2]) for at in range(0, len(events), 2)]
    at = 0
    for number, event in enumerate(events):
        middle = at + len(event) // 2
        at += len(event)
        yield f"two pieces, in event {number}", [data[:middle], data[middle:]]
        yield f"two pieces, after event {number}", [data[:at], data[at:]]


@pytest.mark.parametrize("client", FORMATS)
@chosen
def test_a_caller_gets_the_same_whatever_the_pieces(sample: Sample, client: str) -> None:
    """An error that comes with the first words is a failed attempt, which is tried elsewhere: no caller hears of it."""
    events = sample.events()
    whole = told(client, sample, events)
    for name, pieces in cuts(events):
        found = told(client, sample, pieces)
        assert found == whole or ("error" in sample.features and found in whole), name
