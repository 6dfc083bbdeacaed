"""Recorded exchanges with vendors who speak dialects of chat: answers reach every format, errors keep their meaning."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.formats import checks, recorded
from tests.formats.recorded import FORMATS, Exchange
from tests.support import missing

ALL = recorded.dialects()
GOOD = [item for item in ALL if item.status == 200 and item.id not in checks.ERRORS]


def _named(exchanges: list[Exchange]) -> Any:
    return pytest.mark.parametrize("exchange", exchanges, ids=[f"{item.folder}:{item.id}" for item in exchanges])


def test_recordings_of_dialects_are_present() -> None:
    if not ALL:
        missing("no recordings: set GATEWRIGHT_RECORDED to the folder that holds them")
    assert {exchange.folder for exchange in ALL} == set(recorded.DIALECTS)


@pytest.mark.parametrize("target", FORMATS)
@_named(GOOD)
def test_answer_of_a_dialect_reaches_every_format(exchange: Exchange, target: str) -> None:
    checks.answer_reaches(exchange, target)


@_named(GOOD)
def test_answer_of_a_dialect_survives_it(exchange: Exchange) -> None:
    if why := checks.stream_survives(exchange) if exchange.stream else checks.response_survives(exchange):
        pytest.skip(why)


def _thinks(exchange: Exchange) -> bool:
    """Whether the vendor's answer shows thought, in whichever of its spellings."""
    said = exchange.stream or json.dumps(exchange.response)
    return re.search(r'"(reasoning|reasoning_content)": ?"[^"]|"type": ?"thinking"', said) is not None


@_named([item for item in GOOD if _thinks(item)])
def test_thinking_of_a_dialect_becomes_thinking(exchange: Exchange) -> None:
    parts = recorded.answer_parts(exchange)["parts"]
    assert any(part["type"] == "thinking" and part.get("text") for part in parts)


@_named([item for item in ALL if item.id in checks.ERRORS])
def test_error_in_a_stream_keeps_its_meaning(exchange: Exchange) -> None:
    checks.stream_error_means(exchange)


@_named([item for item in ALL if item.status != 200])
def test_error_of_a_dialect_keeps_its_meaning(exchange: Exchange) -> None:
    rules = recorded.program().formats[exchange.format].error
    meaning = rules.rules.find(exchange.status, {}, exchange.response).meaning
    assert meaning == {400: "bad_request", 404: "not_found"}[exchange.status]


@_named([item for item in ALL if item.request is not None])
def test_conversation_of_a_dialect_survives_it(exchange: Exchange) -> None:
    if why := checks.conversation_survives(exchange):
        pytest.skip(why)
