"""What the official SDKs' own stream accumulators make of a stream: the object that their users hold at its end.

Takes the data of a stream's events; gives the body of the whole answer, as the SDK put it together. Google's SDK has no
accumulator: its users get the chunks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import openai
from anthropic.lib.streaming._beta_messages import accumulate_event
from anthropic.types.beta import BetaRawMessageStreamEvent
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

HELPERS = frozenset({"index", "parsed", "parsed_arguments", "parsed_output", "output_parsed"})
"""Members that the accumulators add to what they gather."""
_CLAUDE: TypeAdapter[Any] = TypeAdapter(BetaRawMessageStreamEvent)
_RESPONSES: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def chat(events: list[Any]) -> Any:
    """The completion of openai's ``chat.completions.stream``."""
    state: Any = ChatCompletionStreamState()
    for data in events:
        if data != "[DONE]":
            state.handle_chunk(ChatCompletionChunk.model_validate(data))
    return state.current_completion_snapshot.to_dict(mode="json", warnings=False)


def responses(events: list[Any]) -> Any:
    """The response of openai's ``responses.stream``; what was gathered on the way must be what the end tells."""
    state: Any = ResponseStreamState(input_tools=openai.omit, text_format=openai.omit)
    last: Any = None
    for number, data in enumerate(events):
        gathered = getattr(state, "_ResponseStreamState__current_snapshot", None)
        before = gathered.to_dict(mode="json", warnings=False)["output"] if number == len(events) - 1 else None
        last = _RESPONSES.validate_python({"sequence_number": number, **data})
        state.handle_event(last)
        if before is not None:
            told = last.response.to_dict(mode="json", warnings=False)["output"]
            assert [_said(item) for item in before] == [_said(item) for item in told], "gathered and told at the end"
    return last.response.to_dict(mode="json", warnings=False)


def _said(item: dict[str, Any]) -> Any:
    """What an item says; the accumulator gathers words and arguments."""
    words = [part.get("text") or part.get("refusal") for part in item.get("content") or ()]
    return item["type"], item.get("id"), item.get("name"), item.get("arguments"), words


def claude(events: list[Any]) -> Any:
    """The message of anthropic's ``messages.stream``."""
    found: Any = None
    buffers: dict[int, bytes] = {}
    for data in events:
        event = _CLAUDE.validate_python(data)
        found = accumulate_event(
            event=event,
            current_snapshot=found,
            json_bufs=buffers,
            request_headers=httpx2.Headers(),  # type: ignore[arg-type]
        )
    return found.to_dict(mode="json", warnings=False)


ACCUMULATORS: dict[str, Callable[[list[Any]], Any]] = {
    "openai.chat": chat,
    "openai.responses": responses,
    "anthropic.messages": claude,
}
