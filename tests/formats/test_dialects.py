"""Recorded exchanges with vendors who speak dialects of chat: answers reach every format, errors keep their meaning."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.formats import recorded, vendors
from tests.formats.recorded import FORMATS, Exchange
from tests.support import missing

ALL = recorded.dialects()
ERRORS = {
    "test_tool_use_failed_error_streaming_with_text-0-e1a8d2": "bad_request",
    "test_openrouter_stream_error-0-e24a9f": "bad_request",
}
"""Recorded streams that end in an error: what it means."""

GOOD = [item for item in ALL if item.status == 200 and item.id not in ERRORS]


def _named(exchanges: list[Exchange]) -> Any:
    return pytest.mark.parametrize("exchange", exchanges, ids=[f"{item.folder}:{item.id}" for item in exchanges])


def test_recordings_of_dialects_are_present() -> None:
    if not ALL:
        missing("no recordings: set GATEWRIGHT_RECORDED to the folder that holds them")
    assert {exchange.folder for exchange in ALL} == set(recorded.DIALECTS)


@pytest.mark.parametrize("target", FORMATS)
@_named(GOOD)
def test_answer_of_a_dialect_reaches_every_format(exchange: Exchange, target: str) -> None:
    answer = recorded.recorded_answer(exchange)
    done = recorded.convey(exchange, "stream" if exchange.stream else "response", answer, target)
    found = vendors.read(target, done.result, streamed=exchange.stream is not None, known=frozenset())
    wanted = vendors.of_hub(recorded.answer_parts(exchange), target)
    if "any" in (found.finish, wanted.finish):
        found.finish = wanted.finish = "any"
    assert found == wanted


def _thinks(exchange: Exchange) -> bool:
    """Whether the vendor's answer shows thought, in whichever of its spellings."""
    said = exchange.stream or json.dumps(exchange.response)
    return re.search(r'"(reasoning|reasoning_content)": ?"[^"]|"type": ?"thinking"', said) is not None


@_named([item for item in GOOD if _thinks(item)])
def test_thinking_of_a_dialect_becomes_thinking(exchange: Exchange) -> None:
    parts = recorded.answer_parts(exchange)["parts"]
    assert any(part["type"] == "thinking" and part.get("text") for part in parts)


@_named([item for item in ALL if item.id in ERRORS])
def test_error_in_a_stream_keeps_its_meaning(exchange: Exchange) -> None:
    done = recorded.convey(exchange, "stream", recorded.events(exchange), "openai.chat")
    error = next(event for event in dict(done.steps)["hub events"] if event["type"] == "error")
    assert error["meaning"] == ERRORS[exchange.id]
    assert done.result[-1]["error"]["message"] == error["message"]


@_named([item for item in ALL if item.status != 200])
def test_error_of_a_dialect_keeps_its_meaning(exchange: Exchange) -> None:
    rules = recorded.program().formats[exchange.format].error
    meaning = next(rule.meaning for rule in rules.rules if rule.matches(exchange.status, {}, exchange.response))
    assert meaning == {400: "bad_request", 404: "not_found"}[exchange.status]


@_named([item for item in ALL if item.request is not None])
def test_conversation_of_a_dialect_survives_it(exchange: Exchange) -> None:
    """Roles, texts, calls and thought come out as they went in; spelling of content and unknown hints aside."""
    if exchange.id.startswith("test_openrouter_document_url"):
        pytest.skip("a file's address is refused where it can't be fetched")
    done = recorded.convey(exchange, "request", exchange.request, exchange.format)
    again = recorded.convey(exchange, "request", done.result, exchange.format)
    first, second = dict(done.steps)["shaped hub request"], dict(again.steps)["shaped hub request"]
    assert second["messages"] == first["messages"]
