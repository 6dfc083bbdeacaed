"""Every field of a recorded answer reaches the caller's format, is declared silent with a reason, or is told as lost.

Tried, not believed: each place of each recording is left out and changed. Where the answer in the other format stays
the same, and its report, too, the field must be covered by a line of the report or by the format's ``silent``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.program import Format
from tests.formats import recorded
from tests.formats.recorded import FORMATS, Exchange
from tests.support import missing

CHAT, RESPONSES, CLAUDE, GEMINI = FORMATS
FOLDERS = (*recorded.FOLDERS, *recorded.DIALECTS)
GONE = object()

Kind = tuple[str, ...]
"""What the maps on the way to a value are: their type, or in a list their keys."""
Place = tuple[str, Kind]
"""A dotted path without the indices of lists, and what stands on the way."""
Told = tuple[str, list[tuple[str, str]]]

ANSWERED = (*FORMATS, "ollama.chat", "cohere.chat", "bedrock.converse")
ENDINGS = ("stop_reason", "finish_reason", "finishReason")
CITED = ("grounding", "citation", "annotation")
EXCUSED: dict[tuple[str, str], str] = {
    ("choices.message.reasoning", ""): "said again, signed, by reasoning_details",
    ("choices.message.reasoning_details.id", ""): "names the item of a thought; thoughts are named anew",
    ("choices.delta.reasoning_details.text", ""): "said again, unsigned, by reasoning beside it",
    ("item.encrypted_content", "response.output_item.added"): "the finished item tells the whole",
    ("delta", "response.code_interpreter_call_code.delta"): "progress of a hosted tool, whose item is told as lost",
    ("delta", "response.mcp_call_arguments.delta"): "progress of a hosted tool, whose item is told as lost",
    ("delta", "response.shell_call_command.delta"): "progress of a hosted tool, whose item is told as lost",
}
"""(path, what one of the maps on the way is): why it need not be told."""


def kind_of(value: dict[str, Any], listed: bool) -> str:
    """What a map is."""
    told = value.get("type") or value.get("event") or value.get("format")
    return told if isinstance(told, str) else ",".join(sorted(value)) if listed else ""


def places(value: Any, path: str = "", kind: Kind = (), listed: bool = False) -> Iterator[tuple[Place, Any]]:
    """Every value that says something, with its place."""
    if isinstance(value, dict):
        kind = (*kind, kind_of(value, listed))
        for key, inner in value.items():
            yield from places(inner, f"{path}.{key}".lstrip("."), kind)
    elif isinstance(value, list):
        for item in value:
            yield from places(item, path, kind, True)
    elif value:
        yield (path, kind), value


def remade(
    value: Any, change: Callable[[Any, Place], Any], path: str = "", kind: Kind = (), listed: bool = False
) -> Any:
    """A copy in which each value is what ``change`` makes of it, at its place; ``GONE`` leaves it out."""
    if isinstance(value, dict):
        kind = (*kind, kind_of(value, listed))
        made = {key: remade(inner, change, f"{path}.{key}".lstrip("."), kind) for key, inner in value.items()}
        return change({key: inner for key, inner in made.items() if inner is not GONE}, (path, kind))
    if isinstance(value, list):
        return [made for item in value if (made := remade(item, change, path, kind, True)) is not GONE]
    return change(value, (path, kind))


def without(wire: Any, place: Place) -> Any:
    """The answer without what stands at a place."""
    return remade(wire, lambda value, here: GONE if here == place and not isinstance(value, dict) else value)


def changed(wire: Any, place: Place) -> Any:
    """The answer with something else at a place."""

    def change(value: Any, here: Place) -> Any:
        if here != place or not isinstance(value, str | int | float):
            return value
        return f"{value}x" if isinstance(value, str) else not value if isinstance(value, bool) else value + 7

    return remade(wire, change)


def only(wire: Any, kind: Kind) -> Any:
    """The answer without the neighbours, in their list, of what is of a kind."""
    return remade(
        wire,
        lambda value, here: (
            GONE
            if isinstance(value, dict) and len(here[1]) == len(kind) and here[1][:-1] == kind[:-1] and here[1] != kind
            else value
        ),
    )


def told(exchange: Exchange, wire: Any, target: str) -> Told:
    """What a caller of another format gets, and the loss report."""
    try:
        done = recorded.convey(exchange, "stream" if exchange.stream else "response", wire, target)
    except (TypeError, ValueError, AttributeError, KeyError) as ex:
        return repr(ex), []
    return json.dumps(done.result, sort_keys=True, default=str), sorted(set(done.report))


def reported(exchange: Exchange, wire: Any, target: str, place: Place, report: list[tuple[str, str]]) -> bool:
    """Whether a line of the report tells of a place, or of the part that it is in."""
    path, kind = place
    lines = [line for line, _ in report]
    if any(path == line or path.startswith(f"{line}.") for line in lines):
        return True
    if "citations" in lines and any(word in path for word in CITED):
        return True
    if not any(line.startswith("response.parts.") for line in lines):
        return False
    alone = (told(exchange, only(wire, kind[:depth]), target)[1] for depth in range(2, len(kind) + 1))
    return any(line.startswith("response.parts.") for lines in alone for line, _ in lines)


def excused(exchange: Exchange, wire: Any, target: str, place: Place) -> bool:
    """Whether a place needs no line for a reason that no format can declare."""
    path, kind = place
    last = path.split(".")[-1]
    if last == "type" or not path:
        return True  # says how the rest is read; the end mark is no field
    if target == RESPONSES and last in ENDINGS:
        return True  # every good end is `completed` there, which the items tell apart
    if target == CLAUDE and last == "thoughtSignature" and "functionCall" in kind[-1]:
        return True  # remembered by the call's id (details.md)
    if any(path == name and (not of or any(of in said for said in kind)) for name, of in EXCUSED):
        return True
    if exchange.stream is None:
        return False
    # Streams say things again: what another event said as well may be left out here.
    said = [(here, value) for here, value in places(wire) if here[0] == path]
    mine = [value for here, value in said if here == place]
    others = [value for here, value in said if here != place]
    # An error leaves nothing of what was counted; Groq tells its counts twice, under two names.
    failed = any("error" in event for event in wire if isinstance(event, dict))
    return all(value in others for value in mine) or path.startswith("x_groq.usage") or failed


def silent_of(exchange: Exchange) -> tuple[str, ...]:
    """The paths that a format declares silent."""
    home: Format = recorded.program().formats[exchange.format]
    if exchange.stream is None:
        return home.fields.silent
    assert home.stream is not None
    return home.stream.fields.silent


def remainders(exchange: Exchange, target: str, seen: set[Place]) -> Iterator[str]:
    """Places of an answer that vanish without a word."""
    wire, silent = recorded.recorded_answer(exchange), silent_of(exchange)
    as_it_is = told(exchange, wire, target)
    for place, value in dict(places(wire)).items():
        path = place[0]
        if place in seen or any(path == name or path.startswith(f"{name}.") for name in silent):
            continue
        seen.add(place)
        if reported(exchange, wire, target, place, as_it_is[1]) or excused(exchange, wire, target, place):
            continue
        if all(told(exchange, change(wire, place), target) == as_it_is for change in (without, changed)):
            yield f"{path} of {'/'.join(place[1])} = {str(value)[:60]!r} in {exchange.id}"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_no_field_of_a_recorded_answer_vanishes_in_silence(folder: str, target: str, stream: bool) -> None:
    told_by = [*recorded.exchanges(), *recorded.dialects()]
    mine = [e for e in told_by if e.folder == folder and e.status == 200 and (e.stream is not None) == stream]
    mine = [e for e in mine if recorded.program().formats[e.format].passthrough_as != target and (stream or e.response)]
    if not mine:
        pytest.skip(f"{folder} passes through to {target}, or none was recorded")
    seen: set[Place] = set()
    assert not [line for exchange in mine for line in remainders(exchange, target, seen)]


UNRECORDED = {
    "bedrock.converse stream": "no event stream of Bedrock was recorded",
    "ollama.chat stream": "Ollama was recorded by its chat completions only",
    "ollama.chat response": "Ollama was recorded by its chat completions only",
}


UNSEEN = {"prompt", "refusal"}
"""What the reference of Responses has in an answer and in `response.refusal.done`, and no recording."""


def paths_of(value: Any, path: str = "") -> Iterator[str]:
    """The dotted path of every member."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield f"{path}{key}"
        yield from paths_of(inner, f"{path}{key}.")
    for item in value if isinstance(value, list) else ():
        yield from paths_of(item, path)


@pytest.mark.parametrize("name", [*ANSWERED, "deepseek.chat", "mistral.chat"])
def test_what_is_declared_silent_was_seen_in_answers(name: str) -> None:
    if recorded.place() is None:
        missing("there are no recordings")
    home = recorded.program().formats[name]
    family = [
        exchange
        for exchange in (*recorded.exchanges(), *recorded.dialects())
        if recorded.program().formats[exchange.format].passthrough_as == home.passthrough_as and exchange.status == 200
    ]
    seen = {path.split(".")[-1] for e in family for path in paths_of(recorded.recorded_answer(e))}
    assert home.stream is not None
    for section, silent in (("response", home.fields.silent), ("stream", home.stream.fields.silent)):
        if f"{name} {section}" not in UNRECORDED:
            assert {path.split(".")[-1] for path in silent} - seen - UNSEEN == set()


ANSWERS: dict[str, dict[str, Any]] = {
    CHAT: {"id": "c", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]},
    RESPONSES: {
        "id": "resp_1",
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
    },
    CLAUDE: {"id": "m", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"},
    GEMINI: {"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]},
    "ollama.chat": {"model": "m", "message": {"content": "hi"}, "done": True, "done_reason": "stop"},
    "cohere.chat": {
        "id": "c",
        "message": {"content": [{"type": "text", "text": "hi"}]},
        "finish_reason": "COMPLETE",
    },
    "bedrock.converse": {"output": {"message": {"content": [{"text": "hi"}]}}, "stopReason": "end_turn"},
}
"""A short answer of each format, of which nothing is lost."""
INSIDE = {
    CHAT: ("choices", "message"),
    RESPONSES: ("output", "content"),
    CLAUDE: ("content",),
    GEMINI: ("candidates", "content", "parts"),
    "ollama.chat": ("message",),
    "cohere.chat": ("message", "content"),
    "bedrock.converse": ("output", "message", "content"),
}
"""Where an answer says what it says."""


def convey(source: str, target: str, wire: Any) -> list[tuple[str, str]]:
    """The loss report of a whole answer."""
    return recorded.convey(
        Exchange("x", source, source, "", 200, None, wire, None, ()), "response", wire, target
    ).report


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", ANSWERS)
def test_what_an_upstream_adds_to_its_answers_is_told_by_path(source: str, target: str) -> None:
    if source == target:
        pytest.skip("passes through")
    answer = ANSWERS[source]
    assert convey(source, target, answer) == []
    assert [path for path, _ in convey(source, target, {**answer, "foo": 1})] == ["foo"]
    steps = INSIDE[source]

    def change(value: Any, here: Place) -> Any:
        return {**value, "foo": {"bar": 1}} if isinstance(value, dict) and here[0] == ".".join(steps) else value

    assert [path for path, _ in convey(source, target, remade(answer, change))] == [".".join((*steps, "foo"))]


KNOWN: dict[tuple[str, str], tuple[dict[str, Any], str]] = {
    (CHAT, CLAUDE): ({"system_fingerprint": "fp_1"}, "system_fingerprint"),
    (CHAT, GEMINI): ({"service_tier": "flex"}, "service_tier"),
    (CLAUDE, CHAT): ({"stop_reason": "stop_sequence", "stop_sequence": "END"}, "stop_sequence"),
    (CLAUDE, RESPONSES): ({"container": {"id": "container_1"}}, "container"),
    (CLAUDE, GEMINI): ({"context_management": {"applied_edits": [{"type": "x"}]}}, "context_management"),
    (GEMINI, CHAT): ({"promptFeedback": {"safetyRatings": [{"category": "X"}]}}, "promptFeedback"),
    (RESPONSES, CLAUDE): ({"moderation": {"flagged": True}}, "moderation"),
}


@pytest.mark.parametrize(("source", "target"), KNOWN)
def test_what_only_its_vendor_knows_is_told_by_path(source: str, target: str) -> None:
    more, path = KNOWN[source, target]
    assert path in [line for line, _ in convey(source, target, {**ANSWERS[source], **more})]


@pytest.mark.parametrize("target", [CLAUDE, RESPONSES])
def test_signature_of_a_text_is_told_where_it_has_no_place(target: str) -> None:
    signed = {"text": "hi", "thoughtSignature": "c2ln"}
    answer = {"candidates": [{"content": {"parts": [signed]}, "finishReason": "STOP"}]}
    assert "response.parts.text.signature" in [path for path, _ in convey(GEMINI, target, answer)]
    stream = Exchange("x", GEMINI, GEMINI, "", 200, None, None, "", ())
    done = recorded.convey(stream, "stream", [answer], target)
    assert "response.parts.text.signature" in [path for path, _ in done.report]


def test_logprobs_are_told_where_the_target_has_none() -> None:
    logprobs = {"content": [{"token": "hi", "logprob": -0.5, "bytes": [104], "top_logprobs": []}]}
    answer = {"id": "c", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop", "logprobs": logprobs}]}
    assert any(path.startswith("choices.logprobs") for path, _ in convey(CHAT, CLAUDE, answer))
    assert convey(CHAT, RESPONSES, answer) == []


def test_each_field_of_a_stream_is_told_once() -> None:
    head = {"id": "c", "model": "m", "system_fingerprint": "fp_1", "foo": 1}
    chunks: list[Any] = [
        {**head, "choices": [{"index": 0, "delta": {"content": text, "bar": {"x": 1}}}]} for text in ("a", "b", "c")
    ]
    chunks += [{**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]"]
    stream = Exchange("x", CHAT, CHAT, "", 200, None, None, "", ())
    report = recorded.convey(stream, "stream", chunks, CLAUDE).report
    assert [path for path, _ in report] == ["system_fingerprint", "foo", "choices.delta.bar"]
