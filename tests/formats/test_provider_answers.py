"""Generated answers of the formats that only providers speak say the same to every caller, whole and streamed.

Each vendor's answer is written here in its own words, so that nothing of the shipped specs makes what it then reads.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from engine.compiler.translation import translate
from tests.formats import recorded
from tests.formats.recorded import FORMATS
from tests.formats.test_conversations import ANSWERS, EVERYTHING, FEW, MODEL, PROVIDERS, answer_message, heard

Answer = dict[str, Any]
Written = tuple[Any, list[Any]]
"""An answer whole, and as the data of its stream's events."""


def pieces(text: str) -> list[str]:
    """A text in two."""
    return [piece for piece in (text[: len(text) // 2], text[len(text) // 2 :]) if piece]


def texts(answer: Answer, kind: str) -> list[str]:
    """What the parts of a kind say."""
    return [part["text"] for part in answer["parts"] if part["type"] == kind]


def calls(answer: Answer) -> list[dict[str, Any]]:
    """The calls of an answer."""
    return [part for part in answer["parts"] if part["type"] == "tool_call"]


def ollama(answer: Answer) -> Written:
    """Lines that are whole answers with a little of the text; a call comes whole."""
    called = [
        {"id": c["id"], "function": {"index": n, "name": c["name"], "arguments": json.loads(c["arguments"])}}
        for n, c in enumerate(calls(answer))
    ]
    used = {"prompt_eval_count": answer["usage"]["input_total"], "eval_count": answer["usage"]["output_total"]}
    last = {"done": True, "done_reason": "length" if answer["finish"]["reason"] == "length" else "stop", **used}

    def line(ending: dict[str, Any] | None = None, **said: Any) -> dict[str, Any]:
        message = {"role": "assistant", "content": "", **said}
        head = {"model": MODEL, "created_at": "2026-01-01T00:00:00.123Z", "message": message}
        return {**head, **(ending or {"done": False})}

    thought, said = "".join(texts(answer, "thinking")), "".join(texts(answer, "text"))
    more = {**({"thinking": thought} if thought else {}), **({"tool_calls": called} if called else {})}
    stream = [line(thinking=piece) for piece in pieces(thought)] + [line(content=piece) for piece in pieces(said)]
    return line(last, content=said, **more), [*stream, *(line(tool_calls=[call]) for call in called), line(last)]


def cohere(answer: Answer) -> Written:
    """Content and calls are numbered apart; each is opened and closed."""
    blocks = [(kind, text) for kind in ("thinking", "text") for text in texts(answer, kind)]
    counts = {"input_tokens": answer["usage"]["input_total"], "output_tokens": answer["usage"]["output_total"]}
    words = {"tool_calls": "TOOL_CALL", "length": "MAX_TOKENS", "content_filter": "ERROR_TOXIC"}
    last = {
        "finish_reason": words.get(answer["finish"]["reason"], "COMPLETE"),
        "usage": {"billed_units": counts, "tokens": counts},
    }

    def call(part: dict[str, Any], arguments: str) -> dict[str, Any]:
        return {"id": part["id"], "type": "function", "function": {"name": part["name"], "arguments": arguments}}

    def event(kind: str, number: int, **message: Any) -> dict[str, Any]:
        return {"type": kind, "index": number, **({"delta": {"message": message}} if message else {})}

    stream: list[Any] = [{"type": "message-start", "id": "r1", "delta": {"message": {"role": "assistant"}}}]
    for number, (kind, text) in enumerate(blocks):
        stream.append(event("content-start", number, content={"type": kind, kind: ""}))
        stream += [event("content-delta", number, content={kind: piece}) for piece in pieces(text)]
        stream.append(event("content-end", number))
    for number, part in enumerate(calls(answer)):
        stream.append(event("tool-call-start", number, tool_calls=call(part, "")))
        given_ = ({"function": {"arguments": piece}} for piece in pieces(part["arguments"]))
        stream += [event("tool-call-delta", number, tool_calls=piece) for piece in given_]
        stream.append(event("tool-call-end", number))
    message = {
        "role": "assistant",
        "content": [{"type": kind, kind: text} for kind, text in blocks],
        "tool_calls": [call(part, part["arguments"]) for part in calls(answer)],
    }
    return {"id": "r1", "message": message, **last}, [*stream, {"type": "message-end", "delta": last}]


def bedrock(answer: Answer) -> Written:
    """Blocks in one row, in named frames; text blocks have no start."""
    words = {"tool_calls": "tool_use", "length": "max_tokens", "content_filter": "content_filtered"}
    reason, used = words.get(answer["finish"]["reason"], "end_turn"), answer["usage"]
    usage = {
        "inputTokens": used["input_fresh"],
        "outputTokens": used["output_total"],
        "totalTokens": used["total"],
        "cacheReadInputTokens": used["cache_read"],
        "cacheWriteInputTokens": used["cache_write"],
    }
    content: list[Any] = []
    stream = [{"event": "messageStart", "data": {"role": "assistant"}}]
    for number, part in enumerate(answer["parts"]):
        at = {"contentBlockIndex": number}
        if part["type"] == "tool_call":
            head = {"toolUseId": part["id"], "name": part["name"]}
            content.append({"toolUse": {**head, "input": json.loads(part["arguments"])}})
            stream.append({"event": "contentBlockStart", "data": {**at, "start": {"toolUse": head}}})
            deltas: list[Any] = [{"toolUse": {"input": piece}} for piece in pieces(part["arguments"])]
        elif part["type"] == "thinking":
            content.append({"reasoningContent": {"reasoningText": {"text": part["text"], "signature": "c2ln"}}})
            deltas = [{"reasoningContent": {"text": piece}} for piece in pieces(part["text"])]
            deltas.append({"reasoningContent": {"signature": "c2ln"}})
        else:
            content.append({"text": part["text"]})
            deltas = [{"text": piece} for piece in pieces(part["text"])]
        stream += [{"event": "contentBlockDelta", "data": {**at, "delta": delta}} for delta in deltas]
        stream.append({"event": "contentBlockStop", "data": at})
    stream.append({"event": "messageStop", "data": {"stopReason": reason}})
    stream.append({"event": "metadata", "data": {"usage": usage, "metrics": {"latencyMs": 5}}})
    message = {"role": "assistant", "content": content}
    return {"output": {"message": message}, "stopReason": reason, "usage": usage}, stream


WRITERS = dict(zip(PROVIDERS, (ollama, cohere, bedrock), strict=True))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", PROVIDERS)
@settings(FEW, max_examples=500 if EVERYTHING else 15)
@given(answer=ANSWERS)
def test_an_answer_of_a_provider_says_the_same_in_every_format(
    source: str, target: str, stream: bool, answer: Answer
) -> None:
    wire = WRITERS[source](answer)[stream]
    done = translate(recorded.program(), source, target, "stream" if stream else "response", answer_message(wire))
    found, usage = heard(target, done.result), answer["usage"]
    assert found["calls"] == [(part["name"], json.loads(part["arguments"])) for part in calls(answer)]
    for kind in ("text", "thinking"):
        assert [text for what, text in found["texts"] if what == kind] == texts(answer, kind)
    unsaid = source == "ollama.chat" and answer["finish"]["reason"] == "content_filter"  # it has no word for it
    told = {"refusal": "content_filter"}.get(found["finish"], found["finish"])
    assert told == ("stop" if unsaid else answer["finish"]["reason"])
    assert found["usage"] == (usage["input_total"], usage["output_total"])
    assert sum(found["buckets"].values()) == usage["total"]
    assert found["buckets"]["cache_read"] == (usage["cache_read"] if source == "bedrock.converse" else 0)
