"""One call by each official SDK: pieces of text as they come, errors as the SDK raises them.

``told(fmt, ...)`` gives a ``Told``: the text that the program using the SDK had, and what was raised. A stream that
ends without saying that it is complete raises ``TruncatedError`` here: a program could not know.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

CLASSES: dict[str, type[Exception]] = {
    "openai.chat": openai.APIError,
    "openai.responses": openai.APIError,
    "anthropic.messages": anthropic.APIError,
    "gemini.generateContent": genai.errors.APIError,
}
"""What an SDK raises for an error of the API; all else is a fault of what it read."""


BROKEN = (openai.APIConnectionError, anthropic.APIConnectionError)
"""What they raise when the connection breaks or is silent for too long: never right, though of the same family."""


class TruncatedError(Exception):
    """The stream is over, and nothing said that it is complete."""


class FailedError(Exception):
    """An event says that the answer failed: Responses' own way, which its SDK hands to the program as it is."""


@dataclass
class Told:
    """What a program had of one call."""

    text: str = ""
    error: Exception | None = None

    @property
    def status(self) -> int:
        """The HTTP status of an error, 0 without one or inside a stream."""
        return int(getattr(self.error, "status_code", None) or getattr(self.error, "code", None) or 0)


@cache
def _client(fmt: str, base: str, key: str) -> Any:
    if fmt == "anthropic.messages":
        return anthropic.Anthropic(base_url=base, api_key=key, max_retries=0, timeout=30)
    if fmt == "gemini.generateContent":
        return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base, timeout=30_000))
    return openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0, timeout=30)


def close(base: str, key: str) -> None:
    """Give the connections back."""
    for fmt in CLASSES:
        _client(fmt, base, key).close()
    _client.cache_clear()


def told(fmt: str, base: str, key: str, model: str, stream: bool) -> Told:
    """One call to its end."""
    made = Told()
    try:
        with closing(_WAYS[fmt](_client(fmt, base, key), model, stream)) as pieces:
            for text in pieces:
                made.text += text
    except Exception as error:
        made.error = error
    return made


def _chat(client: Any, model: str, stream: bool) -> Generator[str, None, None]:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], stream=stream)
    if not stream:
        yield answer.choices[0].message.content or ""
        return
    finish = None
    with answer:
        for chunk in answer:
            for choice in chunk.choices:
                yield choice.delta.content or ""
                finish = choice.finish_reason or finish
    if finish is None:
        raise TruncatedError


def _responses(client: Any, model: str, stream: bool) -> Generator[str, None, None]:
    answer = client.responses.create(model=model, input="hi", stream=stream)
    if not stream:
        yield answer.output_text
        return
    ended = False
    with answer:
        for event in answer:
            if event.type == "response.output_text.delta":
                yield event.delta
            if event.type in ("response.failed", "error"):
                raise FailedError(event)
            ended = ended or event.type == "response.completed"
    if not ended:
        raise TruncatedError


def _claude(client: Any, model: str, stream: bool) -> Generator[str, None, None]:
    asked = {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]}
    answer = client.messages.create(**asked, stream=stream)
    if not stream:
        yield "".join(block.text for block in answer.content if block.type == "text")
        return
    ended = False
    with answer:
        for event in answer:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                yield event.delta.text
            ended = ended or event.type == "message_stop"
    if not ended:
        raise TruncatedError


def _gemini(client: Any, model: str, stream: bool) -> Generator[str, None, None]:
    if not stream:
        yield client.models.generate_content(model=model, contents="hi").text or ""
        return
    ended = False
    with closing(client.models.generate_content_stream(model=model, contents="hi")) as answer:
        for chunk in answer:
            yield chunk.text or ""
            ended = ended or any(candidate.finish_reason for candidate in chunk.candidates or ())
    if not ended:
        raise TruncatedError


_WAYS: dict[str, Callable[[Any, str, bool], Generator[str, None, None]]] = {
    "openai.chat": _chat,
    "openai.responses": _responses,
    "anthropic.messages": _claude,
    "gemini.generateContent": _gemini,
}
