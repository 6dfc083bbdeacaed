"""A stream through the relay's own code in process: a socket's bytes are handed in, the caller's are given.

Takes a compiled Program, the names of two formats and a stream's bytes in pieces; gives the caller's bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from engine.program.refusals import ErrorMap
from engine.relay.answers import Answered
from engine.relay.call import Attempt, Call
from engine.relay.streams import Across
from engine.relay.table import LiveChannel
from engine.relay.through import Through

STATE: Any = SimpleNamespace(
    live=SimpleNamespace(stopping=False),
    ping_every=15.0,
    stream_bytes=1 << 26,
    memory=SimpleNamespace(keep=lambda *_: None),
    counter=None,
)


def answered(made: Any, caller: str, provider: str) -> Answered:
    """What the relay knows when an answer begins."""
    speaker, upstream = made.formats[caller], made.formats[provider]
    endpoint: Any = next((one for one in speaker.endpoints if one.operation == "generate"), None)
    reader: Any = SimpleNamespace(program=made)
    call = Call("id", 0.0, 0, reader, speaker, endpoint, {}, {}, {}, "", asked="m", stream=True)
    call.framing = speaker.stream.framing
    provided: Any = SimpleNamespace(
        name="p", headers={}, patches=(), error_rules=ErrorMap(()), error_body=None, counts=lambda _: None
    )
    channel = LiveChannel(0, "c", provided, keys=(), models=frozenset(), groups=())
    attempt = Attempt(channel, upstream, "m", None, {}, "")
    same = speaker.passthrough_as == upstream.passthrough_as
    out: Any = SimpleNamespace(hub={}, memo=None, same=same, usage_added=False)
    return Answered(STATE, call, attempt, out, {})


def stream(program: Any, caller: str, provider: str, pieces: Iterable[bytes]) -> Across | Through:
    """The stream that the relay would run for a caller of one format and a provider of another."""
    began = answered(program, caller, provider)
    kind = program.formats[provider].stream.framing["type"]
    made = (Through if began.out.same else Across)(began, iter(pieces), kind)
    run = made.run

    def delivered() -> Iterator[bytes | None]:
        for piece in run():
            began.outcome.delivered = True
            yield piece

    made.run = delivered
    return made
