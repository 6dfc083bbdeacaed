"""What translation costs in process: a stream's chunk, a whole request's way over the hub, a large request.

The code is the relay's own: what a socket would bring is handed in, what it would take is thrown away.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from engine import compiler, paths
from engine.hub import shape
from tests.relay import inprocess

FORMATS = ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generateContent")
CHUNKS = 400


def program() -> Any:
    """The shipped documents, compiled."""
    sources, shared, faults = compiler.read_set([paths.SPECS])
    assert not faults
    result = compiler.compile_set(sources, shared)
    assert result.artefact, result.faults
    return result.program()


def best(work: Callable[[], None], times: int = 7) -> float:
    """CPU seconds of the quickest run."""
    spent = []
    for _ in range(times):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return min(spent)


def sse(data: dict[str, Any], event: str | None = None) -> bytes:
    return (f"event: {event}\n" if event else "").encode() + b"data: " + json.dumps(data).encode() + b"\n\n"


def chat_stream() -> list[bytes]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [
        {**head, "choices": [{"index": 0, "delta": {"content": f"word{i} "}, "finish_reason": None}]}
        for i in range(CHUNKS)
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": CHUNKS, "total_tokens": CHUNKS + 5}
    end = [
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**head, "choices": [], "usage": usage},
    ]
    return [*(sse(chunk) for chunk in [*chunks, *end]), b"data: [DONE]\n\n"]


def claude_stream() -> list[bytes]:
    usage = {"input_tokens": 5, "output_tokens": 1}
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "usage": usage,
    }
    events = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f"word{i} "}}
            for i in range(CHUNKS)
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": CHUNKS}},
        {"type": "message_stop"},
    ]
    return [sse(event, event["type"]) for event in events]


STREAMS = {"openai.chat": chat_stream, "anthropic.messages": claude_stream}


def bench_stream_chunk() -> None:
    """Parse, decode, assemble, encode and serialise a text chunk; at most 15 us."""
    made = program()
    for provider, stream in STREAMS.items():
        pieces = stream()
        for caller in FORMATS:

            def run(provider: str = provider, caller: str = caller, pieces: list[bytes] = pieces) -> None:
                for _ in inprocess.stream(made, caller, provider, pieces).run():
                    pass

            print(f"chunk {provider} -> {caller}: {best(run) / len(pieces) * 1e6:5.1f} us")


def request(turns: int, size: int) -> dict[str, Any]:
    """A chat request with tools: ``turns`` pairs of user and assistant, texts of ``size`` bytes."""
    tool = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    }
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}]
    for _ in range(turns):
        messages += [
            {"role": "user", "content": "x" * size},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "y" * size},
            {"role": "assistant", "content": "z" * size},
        ]
    tools = [
        {"type": "function", "function": {"name": f"get_{i}", "description": "d", "parameters": tool}} for i in range(3)
    ]
    return {
        "model": "m",
        "messages": [*messages, {"role": "user", "content": "go"}],
        "tools": tools,
        "temperature": 0.5,
    }


def bench_whole_way() -> None:
    """decode, shape and encode, without JSON: at most 120 us for 4 kB, 15 ms for 1 MB of 200 messages."""
    made = program()
    for label, turns, size, times in (("4 kB", 2, 400, 200), ("1 MB, 200 messages", 50, 6600, 3)):
        body = request(turns, size)
        source = made.formats["openai.chat"]
        for target in FORMATS[1:]:
            wanted = made.formats[target]
            ctx = {"request_id": "i", "now": 0, "asked": "m", "model": "m", "format": "openai.chat", "target": target}

            def run(
                source: Any = source, wanted: Any = wanted, body: Any = body, ctx: Any = ctx, times: int = times
            ) -> None:
                for _ in range(times):
                    report: list[tuple[str, str]] = []
                    hub = source.decode_request(report, body, {}, {}, {}, ctx)
                    own = (wanted.name,)
                    shaped, _ = shape.shape(hub, wanted.shape, ctx, report, native=own, reads=wanted.hub_reads)
                    wanted.encode_request(report, shaped, ctx)

            print(
                f"request {label} ({len(json.dumps(body))} bytes) chat -> {target}: {best(run) / times * 1e6:7.0f} us"
            )


if __name__ == "__main__":
    bench_stream_chunk()
    bench_whole_way()
