"""A kept answer told as a stream: the events of its format, as if it were being made, each part in one piece.

The same answer gives the same events under the same numbers each time, so that a caller who broke off goes on after the
last one that it saw. Knows no format: which event holds the whole answer, and the query's names, its document says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import CallError, MappingError
from engine.hub.stream import replay
from engine.hub.stream.assembler import Assembler
from engine.hub.usage import Plan
from engine.relay.call import Reply
from engine.relay.ingress.body import framing as framing_of
from engine.transport import framing

if TYPE_CHECKING:
    from engine.kinds.conversation.call import ConversationCall
    from engine.kinds.conversation.stored.store import Record
    from engine.program import Stored

_DIGITS = 18


def wanted(call: ConversationCall, rules: Stored) -> bool:
    """Whether the query asks for a stream."""
    return call.query.get(rules.replay.get("stream", ""), "").lower() in ("true", "1")


def retell(call: ConversationCall, rules: Stored, record: Record) -> Reply:
    """Return the answer's events after the one that the query names, if it names one."""
    begin = _after(call, rules)
    if rules.pending is not None and rules.pending([], record.answer):
        raise CallError(
            "bad_request",
            f"{record.id} is still being made; ask for it without {rules.replay['stream']} until it is complete",
            param=rules.replay["stream"],
        )
    frame = framing.encoder(framing_of(call))
    try:
        events = [frame.event(data) for data in _events(call, rules, record)]
    except MappingError as ex:
        raise CallError(
            "bad_request",
            f"{record.id} is not as answers are ({ex}), and can't be told as a stream; ask for it whole",
            param=rules.replay["stream"],
        ) from ex
    body = frame.start() + b"".join(events[begin:]) + frame.done()
    return Reply(200, [("content-type", frame.content_type), ("cache-control", "no-cache")], body)


def _after(call: ConversationCall, rules: Stored) -> int:
    """The number of the first event to tell."""
    name = rules.replay.get("after", "")
    text = call.query.get(name)
    if text is None:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise CallError("bad_request", f"{name} must be the number of an event, from 0 on", param=name)
    return int(text) + 1


def _events(call: ConversationCall, rules: Stored, record: Record) -> list[dict[str, Any]]:
    """The wire events; the one with the whole answer has it as it is kept."""
    speaker = call.format
    if speaker.decode_response is None or speaker.stream is None:
        raise TypeError(f"{speaker.name} can't tell its answers as streams")
    ctx = {**call.ctx(), "asked": None}
    hub: dict[str, Any] = speaker.decode_response([], record.answer, {}, {}, ctx)
    plan = Plan(speaker.usage)
    counts = speaker.usage.at([], record.answer, call.asked, {}) if speaker.usage.at else None
    if counts:
        hub["usage"] = plan.normalise(counts)
    assembler = Assembler(None, speaker.stream, plan=plan, native=(speaker.name, speaker.passthrough_as))
    wire_events: list[dict[str, Any]] = []
    for name, event, part, item in _emitted(call, record, hub, assembler):
        function = speaker.stream.encode.get(name)
        if function is not None:
            wire_events += function([], event, part, item, assembler.message, {}, ctx) or ()
    return [_whole(rules, data, record.answer) for data in wire_events]


def _emitted(call: ConversationCall, record: Record, hub: dict[str, Any], assembler: Assembler) -> list[Any]:
    """What the assembler tells of the answer. What only the format knows goes first: the opening repeats it."""
    events = sorted(replay.events(hub), key=lambda event: event["type"] != "extension")
    reason = (hub.get("finish") or {}).get("reason")
    if reason == "cut":
        raise CallError("bad_request", f"{record.id} was cancelled, and has no end to be told; ask for it whole")
    if reason != "error":
        return assembler.feed(events) + assembler.close(cut=False)
    decode = call.format.error.decode
    error = (decode([], 200, {}, record.answer) if decode else None) or {}
    ended = {"type": "error", "meaning": "unknown", "message": "the response failed", **error}
    return assembler.feed([event for event in events if event["type"] not in ("finish", "end")]) + assembler.close(
        error=ended
    )


def _whole(rules: Stored, data: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    final = rules.final([], data)
    if final is None:
        return data
    return {key: answer if value is final else value for key, value in data.items()}
