"""Answers of providers, rich and then spoilt: what an upstream may send that it should not.

``spoilt(fmt, stream, choose)`` gives an ``Answer``: its story and the bytes that come down the wire. All hangs on the
random numbers given, so that a case can be had again; an answer's parts can be taken away one by one.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from typing import Any

from tests.relay import plain
from tests.relay.mutations import spoilt as spoilt_body
from tests.relay.rich import nodes, spelled

_PIECES = 2000
"""Most pieces of an answer: each is a turn of the loop, whatever the answer holds."""
_ARGUMENTS = '{"city": "Rome"}'


@dataclass(frozen=True)
class Answer:
    """``parts``: a body, or the data of events, each JSON, or a text that goes out as it stands. ``cut``: of the last
    part only so many bytes go out and the connection is closed. ``piece``: bytes that are sent at a time."""

    story: str
    stream: bool
    parts: tuple[Any, ...]
    status: int = 200
    type: str = "application/json"
    cut: int | None = None
    piece: int = 0

    def wire(self) -> list[bytes]:
        """The body's bytes, in the pieces in which they are sent."""
        data = b"".join(plain.wire(part) if self.stream else _text(part) for part in self.parts)
        data = data if self.cut is None else data[: self.cut]
        size = max(self.piece or len(data), len(data) // _PIECES, 1)
        return [data[start : start + size] for start in range(0, len(data), size)]


def _text(part: Any) -> bytes:
    return (part if isinstance(part, str) else json.dumps(part)).encode("utf-8", "surrogatepass")


def whole(fmt: str) -> dict[str, Any]:
    """An answer with thought, words and a call."""
    body = plain.whole(fmt, "Looking.")
    if fmt == "openai.chat":
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": _ARGUMENTS}}
        body["choices"][0]["message"] |= {"reasoning_content": "hm", "tool_calls": [call], "refusal": None}
        body["choices"][0]["finish_reason"] = "tool_calls"
        body["usage"] |= {"prompt_tokens_details": {"cached_tokens": 4},
                          "completion_tokens_details": {"reasoning_tokens": 2}}  # fmt: skip
    elif fmt == "openai.responses":
        thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
                   "encrypted_content": "c2VhbGVk"}  # fmt: skip
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "status": "completed",
                "arguments": _ARGUMENTS}  # fmt: skip
        body["output"] = [thought, *body["output"], call]
        body["usage"] |= {
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens_details": {"reasoning_tokens": 2},
        }
    elif fmt == "anthropic.messages":
        call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}}
        body["content"] = [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, *body["content"], call]
        body |= {"stop_reason": "tool_use"}
        body["usage"] |= {"cache_read_input_tokens": 4, "cache_creation_input_tokens": 1}
    else:
        call = {"functionCall": {"name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": "c2ln"}
        body["candidates"][0]["content"]["parts"] = [{"text": "hm", "thought": True}, {"text": "Looking."}, call]
        body["usageMetadata"] |= {"cachedContentTokenCount": 4, "thoughtsTokenCount": 2, "totalTokenCount": 17}
    return body


def events(fmt: str) -> list[Any]:
    """The same as events: pairs of name and data."""
    if fmt == "openai.chat":
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        more = {"index": 0, "function": {"arguments": _ARGUMENTS}}
        chunk = plain.opening(fmt)[0][1]
        deltas = [{"reasoning_content": "hm"}, {"tool_calls": [call]}, {"tool_calls": [more]}]
        told = [("", {**chunk, "choices": [{**chunk["choices"][0], "delta": delta}]}) for delta in deltas]
        return [*plain.opening(fmt), told[0], *plain.speech(fmt, ("Look", "ing.")), *told[1:], *plain.closing(fmt, ())]
    if fmt == "openai.responses":
        body = whole(fmt)
        begun = {**body, "status": "in_progress", "output": [], "usage": None}
        listed: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
        for index, item in enumerate(body["output"]):
            at = {"item_id": item["id"], "output_index": index}
            listed.append({"type": "response.output_item.added", "output_index": index, "item": _begun(item)})
            kind, word = {"reasoning": ("reasoning_summary_text", "hm"), "message": ("output_text", "Looking."),
                          "function_call": ("function_call_arguments", _ARGUMENTS)}[item["type"]]  # fmt: skip
            place = {"reasoning": {"summary_index": 0}, "message": {"content_index": 0}}.get(item["type"], {})
            last = {"arguments" if "arguments" in kind else "text": word}
            listed.append({"type": f"response.{kind}.delta", **at, **place, "delta": word})
            listed.append({"type": f"response.{kind}.done", **at, **place, **last})
            listed.append({"type": "response.output_item.done", "output_index": index, "item": item})
        listed.append({"type": "response.completed", "response": body})
        return [(data["type"], {**data, "sequence_number": number}) for number, data in enumerate(listed)]
    if fmt == "anthropic.messages":
        body = whole(fmt)
        listed = [plain.opening(fmt)[0][1]]
        deltas = [[{"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "c2ln"}],
                  [{"type": "text_delta", "text": "Looking."}],
                  [{"type": "input_json_delta", "partial_json": _ARGUMENTS}]]  # fmt: skip
        empty = [{"type": "thinking", "thinking": "", "signature": ""}, {"type": "text", "text": ""},
                 {**body["content"][2], "input": {}}]  # fmt: skip
        for index, (block, told) in enumerate(zip(empty, deltas, strict=True)):
            listed.append({"type": "content_block_start", "index": index, "content_block": block})
            listed += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in told]
            listed.append({"type": "content_block_stop", "index": index})
        delta = {"stop_reason": "tool_use", "stop_sequence": None}
        listed += [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}}, {"type": "message_stop"}]
        return [(data["type"], data) for data in listed]
    body = whole(fmt)
    parts = body["candidates"][0]["content"]["parts"]
    told = [{**plain.speech(fmt, ("",))[0][1]} for _ in parts]
    for data, part in zip(told, parts, strict=True):
        data["candidates"] = [{"index": 0, "content": {"role": "model", "parts": [part]}}]
    return [*(("", data) for data in told), *plain.closing(fmt, ())]


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    empty = {"summary": [], "content": [], "arguments": ""}
    return {name: empty.get(name, told) for name, told in item.items()} | {"status": "in_progress"}


def spoilt(fmt: str, stream: bool, choose: random.Random) -> Answer:
    """An answer with one to three things wrong."""
    parts = tuple(events(fmt)) if stream else (whole(fmt),)
    made = Answer("", stream, parts, type="text/event-stream" if stream else "application/json")
    for _ in range(choose.choice((1, 1, 2, 3))):
        ways = _STREAM_WAYS if stream and choose.random() < 0.5 else _WAYS
        made = choose.choice(ways)(made, fmt, choose)
    return made


def _member(made: Answer, fmt: str, choose: random.Random) -> Answer:
    """A field of a body or of an event's data."""
    places = [place for place, part in enumerate(made.parts) if isinstance(_data(part), dict) and _data(part)]
    if not places:
        return made
    place = choose.choice(places)
    name, data = _pair(made.parts[place])
    path = choose.choice(list(nodes(data)))
    what, data = spoilt_body(choose, data, path)
    return _put(made, place, (name, data) if made.stream else data, f"{place}: {spelled(path)} {what}")


def _wire(made: Answer, fmt: str, choose: random.Random) -> Answer:
    """How the bytes come: cut, in crumbs, under another status or type."""
    match choose.choice(("cut", "crumbs", "status", "type", "garbage")):
        case "cut":
            size = sum(map(len, made.wire()))
            cut = choose.randrange(size + 1)
            return replace(made, cut=cut, story=f"{made.story}; cut at {cut} of {size}")
        case "crumbs":
            return replace(made, piece=choose.choice((1, 7, 64)), story=f"{made.story}; in crumbs")
        case "status":
            status = choose.choice((201, 204, 206, 299, 302, 400, 401, 429, 500, 503, 529, 599))
            return replace(made, status=status, story=f"{made.story}; status {status}")
        case "type":
            kind = choose.choice(("text/html", "text/event-stream", "application/json", "", "a/b; charset=\x7f"))
            return replace(made, type=kind, story=f"{made.story}; type {kind!r}")
        case _:
            junk = choose.choice(("", "null", "[]", "1", '"text"', "{", "<html>", "\x00", "\ufeff{}", "[" * 2000))
            place = choose.randrange(len(made.parts) + 1) if made.stream else 0
            rest = made.parts[place:] if made.stream else ()
            return replace(
                made, parts=(*made.parts[:place], junk, *rest), story=f"{made.story}; {junk[:9]!r} at {place}"
            )


def _order(made: Answer, fmt: str, choose: random.Random) -> Answer:
    """Events that are missing, come twice, or too early."""
    parts = list(made.parts)
    place = choose.randrange(len(parts)) if parts else 0
    match choose.choice(("missing", "twice", "early", "end", "error", "named")):
        case _ if not parts:
            return made
        case "missing":
            del parts[place]
        case "twice":
            parts.insert(choose.randrange(len(parts) + 1), parts[place])
        case "early":
            parts.insert(choose.randrange(len(parts)), parts.pop(place))
        case "end":
            del parts[place:]
        case "error":
            parts.insert(place, plain.error_event(fmt))
        case _:
            parts[place] = ("other", _data(parts[place]))
    return replace(made, parts=tuple(parts), story=f"{made.story}; event {place} moved")


_WAYS = (_member, _member, _member, _wire)
_STREAM_WAYS = (_order, _order, _wire, _member)


def _pair(part: Any) -> tuple[str, Any]:
    return part if isinstance(part, tuple) else ("", part)


def _data(part: Any) -> Any:
    return _pair(part)[1]


def _put(made: Answer, place: int, part: Any, what: str) -> Answer:
    return replace(made, parts=(*made.parts[:place], part, *made.parts[place + 1 :]), story=f"{made.story}; {what}")
