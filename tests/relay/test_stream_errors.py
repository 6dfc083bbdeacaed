"""An error of the gateway's own credential inside a stream: whose it is for the caller, its words for the log."""

from __future__ import annotations

import pytest

from engine.compiler import compile_set, read_set
from engine.compiler.documents.load import Source
from engine.paths import SPECS
from engine.relay.upstream.failure import UpstreamFailure
from tests.relay.inprocess import stream
from tests.relay.test_ends import FORMAT, SAID

TOLD = """      - $if: data.oops is present
        $then: {type: error, message: "{{ data.oops }}", meaning: "{{ data.sort }}"}
    encode:
      part_delta"""
SECRET = b'{"oops":"the key sk-secret-1 is wrong","sort":"SORT"}\n'


@pytest.fixture(scope="module")
def program():
    text = FORMAT.replace("    encode:\n      part_delta", TOLD)
    assert text != FORMAT
    sources, shared, _ = read_set([SPECS])
    result = compile_set([*sources, Source("plain.yaml", text, 1)], shared)
    assert not result.faults
    return result.program()


@pytest.mark.parametrize("sort", ["auth", "upstream_auth", "quota"])
@pytest.mark.parametrize("caller", ["openai.chat", "anthropic.messages", "gemini.generateContent", "openai.responses"])
def test_the_providers_words_on_its_key_stay_in_the_log(program, caller: str, sort: str) -> None:
    began = stream(program, caller, "plain.talk", [SAID, SECRET.replace(b"SORT", sort.encode())])
    told = b"".join(began.run())
    assert b"Hello" in told
    assert b"sk-secret" not in told
    assert b"operator has to mend it" in told
    error = began._answered.outcome.error
    assert "sk-secret-1" in error["message"]
    assert error["meaning"] == ("upstream_quota" if sort == "quota" else "upstream_auth")


def test_other_errors_keep_their_words(program) -> None:
    began = stream(program, "openai.chat", "plain.talk", [SAID, SECRET.replace(b"SORT", b"overloaded")])
    assert b"sk-secret-1 is wrong" in b"".join(began.run())


def test_before_the_first_byte_it_is_a_failed_attempt_with_the_providers_words(program) -> None:
    began = stream(program, "openai.chat", "plain.talk", [SECRET.replace(b"SORT", b"auth")])
    with pytest.raises(UpstreamFailure, match="sk-secret-1"):
        b"".join(began.run())
