"""A stream through the relay's own code in process: a socket's bytes are handed in, the caller's are given.

Takes a compiled Program, the names of two formats and a stream's bytes in pieces; gives the caller's bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from engine.kinds.conversation.answers import Exchange
from engine.kinds.conversation.call import ConversationCall
from engine.kinds.conversation.options import NAME, ConversationOptions
from engine.kinds.conversation.passthrough import Passthrough
from engine.kinds.conversation.stored.store import StoreTerms
from engine.kinds.conversation.streams import TranslatedStream
from engine.program.refusals import ErrorMap
from engine.routing.attempt import Attempt
from engine.routing.channel import LiveChannel
from engine.transport.leg import Handle

SERVICES: Any = SimpleNamespace(
    live=SimpleNamespace(stopping=False), memory=SimpleNamespace(keep=lambda *_: None), background=None
)

KINDS = {NAME: ConversationOptions(60.0, StoreTerms())}


def answered(made: Any, caller: str, provider: str) -> Exchange:
    """What the relay knows when an answer begins."""
    speaker, upstream = made.formats[caller], made.formats[provider]
    endpoint: Any = next((one for one in speaker.endpoints if one.operation == "generate"), None)
    snapshot: Any = SimpleNamespace(
        program=made,
        values=made.told({}),
        ping_every=15.0,
        stream_bytes=1 << 26,
        counter=None,
        kinds=KINDS,
        time_limits=None,
    )
    call = ConversationCall("id", 0.0, 0, snapshot, speaker, endpoint, {}, {}, {}, "", asked="m", stream=True)
    call.framing = speaker.stream.framing
    provided: Any = SimpleNamespace(
        name="p",
        headers={},
        patches=(),
        response_patches=(),
        header_cases=(),
        error_rules=ErrorMap(()),
        error_body=None,
        counts=lambda _: None,
        body_parameters={},
        auth={},
        model_names={},
    )
    channel = LiveChannel(0, "c", provided, keys=(), models=frozenset(), groups=())
    attempt = Attempt(channel, upstream, "m", None, {}, "")
    same = speaker.passthrough_as == upstream.passthrough_as
    out: Any = SimpleNamespace(hub={}, memo=None, same=same, usage_added=False)
    return Exchange(SERVICES, call, attempt, out, {}, Handle(), lambda: None)


def stream(program: Any, caller: str, provider: str, pieces: Iterable[bytes]) -> TranslatedStream | Passthrough:
    """The stream that the relay would run for a caller of one format and a provider of another."""
    began = answered(program, caller, provider)
    kind = program.formats[provider].stream.framing["type"]
    made = (Passthrough if began.out.same else TranslatedStream)(began, iter(pieces), kind)
    run = made.run

    def delivered() -> Iterator[bytes | None]:
        for piece in run():
            began.outcome.delivered = True
            yield piece

    made.run = delivered
    return made
