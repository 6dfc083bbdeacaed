"""Errors in each format: the words beside a status, and those of a stream, say what the status says."""

from __future__ import annotations

import pytest

from engine.compiler import compile_set, read_set
from engine.errors import MEANINGS
from engine.paths import SPECS
from engine.program.refused import body_of, by_status, ours, refused, status_of

# google.rpc.Code by the HTTP status that its definition names; statuses of ours that have none go with their class.
GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    402: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    405: "UNIMPLEMENTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    500: "INTERNAL",
    502: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
OURS = {"server_error", "api_error", "overloaded_error", "timeout_error"}


@pytest.fixture(scope="module")
def formats():
    return compile_set(*read_set([SPECS])[:2]).program().formats


@pytest.mark.parametrize("meaning", MEANINGS)
@pytest.mark.parametrize("name", ["anthropic.messages", "openai.chat", "openai.responses", "gemini.generateContent"])
def test_the_word_of_an_error_fits_its_status(formats, name: str, meaning: str) -> None:
    error = {"meaning": meaning, "message": "x"}
    status = status_of(formats[name].error, error)
    told = body_of(formats[name].error, error, {})["error"]
    if name == "gemini.generateContent":
        assert (told["code"], told["status"]) == (status, GOOGLE[status])
    else:
        assert (told["type"] in OURS) is (status >= 500)


@pytest.mark.parametrize("meaning", MEANINGS)
def test_the_number_of_an_error_in_geminis_stream_fits_its_word(formats, meaning: str) -> None:
    tell = formats["gemini.generateContent"].stream.encode["error"]
    (event,) = tell([], {"type": "error", "meaning": meaning, "message": "x"}, None, None, {}, {}, {})
    assert GOOGLE[event["error"]["code"]] == event["error"]["status"]
    assert (event["error"]["code"] >= 500) is (MEANINGS[meaning].status >= 500)


BODIES = (
    {},
    {"error": {"message": "m", "type": "t", "code": "c"}},
    {"error": "m"},
    {"type": "error", "message": "m"},
    [],
)
"""Errors whose words no rule of any format names."""


@pytest.mark.parametrize("body", BODIES, ids=repr)
def test_a_status_that_no_rule_names_means_what_the_engine_says(formats, body) -> None:
    """No format's map ends in a rule for all the rest: 402 and 408 stay what they are everywhere."""
    wrong = []
    for name, speaker in formats.items():
        rules = speaker.error.rules
        for status in range(400, 600):
            if any(status in rule.status for rule in rules.rules):
                continue
            error, _ = refused([rules], speaker.error.decode, status, {}, body)
            if error["meaning"] != ours(by_status(status)):
                wrong.append((name, status, error["meaning"]))
    assert not wrong


@pytest.mark.parametrize("status", [402, 408, 502, 504, 529])
def test_what_hangs_on_account_or_time_is_nowhere_the_callers_fault(formats, status: int) -> None:
    for name, speaker in formats.items():
        error, _ = refused([speaker.error.rules], speaker.error.decode, status, {}, {"error": {"message": "m"}})
        assert (
            error["meaning"]
            in {
                402: ("upstream_quota",),
                408: ("timeout",),
                502: ("unavailable",),
                504: ("timeout",),
                529: ("overloaded",),
            }[status]
        ), name
