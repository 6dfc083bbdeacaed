"""What is asked of every recording, a function each: they raise AssertionError, or give the reason why not asked.

The tests run them one by one; the table (`test_table.py`) runs them all and counts.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from engine.errors import CallError, Refusal
from engine.program.refusals import ErrorMap
from engine.program.refused import by_status
from engine.relay.upstream.refusal import told_meaning
from tests.formats import reasons, recorded, vendors
from tests.formats.accumulators import ACCUMULATORS, HELPERS
from tests.formats.recorded import Exchange


def request_survives(exchange: Exchange) -> str | None:
    """A request through the hub and back to its own format is what it was."""
    try:
        sent = recorded.there_and_back(exchange)
    except Refusal as refusal:
        assert refusal.param in reasons.REFUSED, refusal  # noqa: PT017
        return f"refused by name: {refusal.message}"
    parted = reasons.unexplained(exchange.format, "request", reasons.asked(exchange), sent)
    mended = reasons.MENDED.get(exchange.id.partition(".")[0])
    assert not [item for item in parted if mended is None or item[1:] != mended]
    return None


def response_survives(exchange: Exchange) -> str | None:
    """A whole answer through the hub and back to its own format is what it was."""
    done = recorded.convey(exchange, "response", exchange.response, exchange.format)
    dialect = exchange.folder in recorded.DIALECTS
    assert not reasons.unexplained(exchange.format, "response", exchange.response, done.result, dialect=dialect)
    return None


def stream_survives(exchange: Exchange) -> str | None:
    """A stream through the hub and back says the same."""
    there = recorded.program().formats[exchange.format].stream
    if there is None or not there.encode:
        return "nobody speaks this format to us: its streams are read, not written"
    once = recorded.convey(exchange, "stream", recorded.events(exchange), exchange.format)
    twice = recorded.convey(exchange, "stream", once.result, exchange.format)
    first, second = (dict(done.steps)["hub message"] for done in (once, twice))
    assert not reasons.unexplained(exchange.format, "stream", reasons.parts(first), reasons.parts(second))
    return None


def answer_reaches(exchange: Exchange, target: str) -> str | None:
    """The target's SDK parses the answer strictly, and finds the same text, calls, finish and usage."""
    if why := reasons.unparsed(exchange, target):
        return why
    answer = recorded.recorded_answer(exchange)
    done = recorded.convey(exchange, "stream" if exchange.stream else "response", answer, target)
    kin = recorded.program().formats[exchange.format].passthrough_as == target
    own = frozenset(vendors.members(answer)) if kin else frozenset()
    found = vendors.read(target, done.result, streamed=exchange.stream is not None, known=own)
    if exchange.stream and target in ACCUMULATORS:
        gathered = ACCUMULATORS[target](done.result)
        assert vendors.read(target, gathered, streamed=False, known=own | HELPERS) == found, "the SDK's final object"
    wanted = vendors.of_hub(recorded.answer_parts(exchange), target)
    if "any" in (found.finish, wanted.finish):
        found.finish = wanted.finish = "any"
    assert found == wanted
    return None


def request_reaches(exchange: Exchange, target: str) -> str | None:
    """The request is told in the target's words, or refused with the field that it has none for."""
    try:
        done = recorded.convey(exchange, "request", exchange.request, target)
    except CallError as refusal:
        assert refusal.param, refusal  # noqa: PT017
        return f"refused by name: {refusal.message}"
    assert done.result
    return None


def error_means(exchange: Exchange) -> str | None:
    """An error has a meaning, and its words reach every format."""
    rules = recorded.program().formats[exchange.format].error
    rule = rules.rules.find(exchange.status, {}, exchange.response)
    meaning = rule.meaning if rule is not None else by_status(exchange.status)
    assert meaning != "unknown"
    error = {**rules.decode([], exchange.status, {}, exchange.response), "meaning": meaning}
    assert error["message"]
    for name in recorded.FORMATS:
        body = recorded.program().formats[name].error.encode([], error, {})
        assert body["error"]["message"] == error["message"]
    return None


ERRORS = {
    "test_tool_use_failed_error_streaming_with_text-0-e1a8d2": "bad_request",
    "test_openrouter_stream_error-0-e24a9f": "context_too_long",
}
"""Recorded streams that end in an error: what it means."""


def stream_error_means(exchange: Exchange) -> str | None:
    """An error in the middle of a stream has its meaning, and is told by the last event."""
    done = recorded.convey(exchange, "stream", recorded.events(exchange), "openai.chat")
    error = next(event for event in dict(done.steps)["hub events"] if event["type"] == "error")
    provider = SimpleNamespace(error_rules=ErrorMap(()))
    attempt: Any = SimpleNamespace(
        channel=SimpleNamespace(provider=provider), format=recorded.program().formats[exchange.format]
    )
    event = next(data for data in recorded.events(exchange) if isinstance(data, dict) and data.get("error"))
    assert told_meaning(attempt, {}, error, event) == ERRORS[exchange.id]
    assert done.result[-1]["error"]["message"] == error["message"]
    return None


def conversation_survives(exchange: Exchange) -> str | None:
    """Roles, texts, calls and thought come out as they went in; spelling of content and unknown hints aside."""
    if exchange.id.startswith("test_openrouter_document_url"):
        return "a file's address is refused where it can't be fetched"
    done = recorded.convey(exchange, "request", exchange.request, exchange.format)
    again = recorded.convey(exchange, "request", done.result, exchange.format)
    first, second = dict(done.steps)["shaped hub request"], dict(again.steps)["shaped hub request"]
    assert second["messages"] == first["messages"]
    return None
