"""A stream that breaks off ends in an error event of the caller's format, wherever it breaks.

All SDKs take a stream that just ends for a whole answer, so that the error event is the only thing that tells.
``CUT`` is the table of its bytes. Every event of every stream is an end that is tried; the relay's own code runs for
the shortest streams, where the last event may also be half a one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from engine.hub.stream.assembler import Assembler
from engine.kinds.conversation.streamed.encoder import encoder_of
from engine.kinds.conversation.streams import transport_error
from engine.relay.upstream.failure import UpstreamFailure
from engine.transport import framing
from engine.transport.faults import TransportError
from tests.formats import recorded, streams
from tests.formats.recorded import FORMATS
from tests.formats.streams import Sample
from tests.relay import inprocess

CUT = {
    "openai.chat": b'data: {"error":{"message":"WHY","type":"server_error","param":null,"code":"CODE"}}\n\n',
    "openai.responses": b'event: response.failed\ndata: {"type":"response.failed","response":RESPONSE,'
    b'"sequence_number":NUMBER}\n\n',
    "anthropic.messages": b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"WHY"},'
    b'"request_id":"id"}\n\n',
    "gemini.generateContent": b'data: {"error":{"code":500,"message":"WHY","status":"INTERNAL"}}\n\n',
}
"""What stands at the end of a stream that broke off, byte for byte. The official SDKs raise on each of these."""
ENDED = "the upstream's answer broke off before its end"
BROKEN = TransportError("cut", "the connection was reset")
RUN_OUT = "the provider's answer broke off: its stream ended without its last event"
HALF_FRAME = "the provider's answer broke off: the upstream's event stream ended in the middle of a message"
HALF = "the provider sent an event that is no JSON"


def expected(client: str, why: str, code: str, found: bytes) -> bytes:
    """The table's bytes; a failed response also repeats what was said so far."""
    wanted = CUT[client].replace(b"WHY", why.encode()).replace(b"CODE", code.encode())
    if client == "openai.responses" and found.startswith(wanted[:30]):
        told = json.loads(found.split(b"data: ", 1)[1])
        if (told["response"]["status"], told["response"]["error"]["message"]) == ("failed", why):
            wanted = wanted.replace(b"RESPONSE", orjson.dumps(told["response"]))
        wanted = wanted.replace(b"NUMBER", str(told["sequence_number"]).encode())
    return wanted


def last(out: bytes) -> bytes:
    """The last event's bytes."""
    return framing.splitter("sse").feed(out)[1][-1]


# --- every event of every stream ---------------------------------------------------------------------------------


def plain(message: dict[str, Any]) -> str:
    """A message but for names made up."""
    return re.sub(r'"(gen-|call_)[0-9a-f]+"', "x", json.dumps(message, sort_keys=True))


class Line:
    """The relay's way of an event, so that it can be asked after each one what a cut would tell."""

    def __init__(self, sample: Sample, client: str) -> None:
        self.answered = inprocess.answered(recorded.program(), client, sample.format)
        source = recorded.program().formats[sample.format].stream
        assert source is not None
        assert source.decode is not None
        self._decode = source.decode
        self._decoder = framing.decoder(source.framing)
        self.assembler: Assembler = self.answered.assembler(source)
        self.told: list[str] = []

    def feed(self, event: bytes) -> None:
        """An event of the upstream."""
        for name, raw in self._decoder.feed(event):
            said = self._decode([], name, orjson.loads(raw), {}, {}, self.answered.ctx) or []
            self._note(self.assembler.feed(said))
        if self._decoder.done:
            self._note(self.assembler.feed([{"type": "end"}]))

    def _note(self, emitted: list[Any]) -> None:
        self.told += [name for name, *_ in emitted]

    def cut(self, error: TransportError | None) -> bytes:
        """What a cut at this place would tell; the assembler goes on as if nothing had been."""
        line = self.assembler
        before = line.message["finish"]
        emitted = line.close(error={"type": "error", **transport_error(error)} if error else None)
        if line.complete:
            self._note(emitted)
            return b""
        out = encoder_of(self.answered).encode(emitted, line.message)
        line.error, line.over, line.message["finish"] = None, False, before
        return out


ALL = streams.everything()
CHOSEN = [item for item in streams.shortest() if "error" not in item.features]


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize("sample", ALL, ids=[item.id for item in ALL])
def test_a_cut_after_any_event_is_told_in_the_callers_format(sample: Sample, client: str) -> None:
    """Ended without a last event, and broken: two ways to be cut."""
    line = Line(sample, client)
    for event in sample.events():
        line.feed(event)
        if line.assembler.complete or line.assembler.error is not None:
            break
        broken = line.cut(BROKEN)
        assert broken == expected(client, transport_error(BROKEN)["message"], "cut", broken)
        ended = line.cut(None)
        if line.assembler.complete:  # a finish reason was said, and nothing is missed
            break
        assert ended == expected(client, ENDED, "stream_cut", ended)
    assert line.assembler.complete or line.assembler.error is not None or "error" in sample.features


@pytest.mark.parametrize("sample", CHOSEN, ids=[item.id for item in CHOSEN])
def test_asking_what_a_cut_would_tell_changes_nothing(sample: Sample) -> None:
    """Else the test before would see other answers than those that are given."""
    asked, untouched = Line(sample, "openai.responses"), Line(sample, "openai.responses")
    for event in sample.events():
        asked.feed(event)
        untouched.feed(event)
        asked.cut(BROKEN)
    assert untouched.cut(None) == asked.cut(None)
    assert untouched.told == asked.told
    assert plain(untouched.assembler.message) == plain(asked.assembler.message)


# --- the relay ---------------------------------------------------------------------------------------------------


def ran(client: str, sample: Sample, pieces: list[bytes], *, broken: bool) -> bytes:
    """What the caller gets of these pieces; nothing where the attempt failed before the first byte."""

    def upstream() -> Iterator[bytes]:
        yield from pieces
        if broken:
            raise BROKEN

    try:
        return b"".join(inprocess.stream(recorded.program(), client, sample.format, upstream()).run())
    except UpstreamFailure as failure:
        assert failure.error["meaning"] in ("cut", "unknown")  # noqa: PT017
        return b""


def finished(sample: Sample, client: str, pieces: list[bytes]) -> bool:
    """Whether a finish reason was said: what may follow is usage, and a mark that some vendors leave out."""
    line = Line(sample, client)
    for piece in pieces:
        line.feed(piece)
    return not line.cut(None)


@pytest.mark.parametrize("broken", [False, True], ids=["ended", "broken"])
@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize("sample", CHOSEN, ids=[item.id for item in CHOSEN])
def test_a_cut_in_or_after_any_event_leaves_what_was_said_and_an_error(
    sample: Sample, client: str, broken: bool
) -> None:
    events = sample.events()
    whole = streams.unnamed(ran(client, sample, events, broken=False))
    for number, event in enumerate(events):
        for pieces in ([*events[:number], event[: len(event) // 2]], events[: number + 1]):
            out = ran(client, sample, pieces, broken=broken)
            told = last(out) if out else b""
            if not any(told == expected(client, why, code, told) for why, code in WORDS):
                assert not out or finished(sample, client, pieces), told
                continue
            assert whole.startswith(streams.unnamed(out[: -len(told)]))


WORDS = (
    (transport_error(BROKEN)["message"], "cut"),
    (ENDED, "stream_cut"),
    (RUN_OUT, "cut"),
    (HALF, "unknown_error"),
    (HALF_FRAME, "cut"),
)
