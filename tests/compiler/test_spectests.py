"""The tests that documents carry: what passes, and what a failure says."""

from __future__ import annotations

from typing import Any

from engine.compiler import compile_set, spectests
from engine.compiler.comparison import difference
from engine.compiler.documents.load import Source

FORMAT = """
apiVersion: gatewright/v1
kind: Format
metadata: {name: test.chat}
spec:
  request:
    decode:
      model: "{{ body.model }}"
      messages: [{$for: t in body.texts, $do: {role: user, parts: [{type: text, text: "{{ t }}"}]}}]
      sampling: {temperature: "{{ body.heat }}"}
      tool_choice: {$if: body.tool is present, $then: {$refuse: tool, $why: not here}}
      user: {$if: body.who is present, $then: {$report: who, $why: nobody asks}}
    encode:
      model: "{{ request.model }}"
      texts: [{$for: m in request.messages, $do: "{{ m.parts[0].text }}"}]
    droppable: [extra]
    meant: [odd]
  response:
    decode: {id: "{{ body.id }}", parts: [{type: text, text: "{{ body.text }}"}], finish: {reason: stop}}
    encode: {id: "{{ response.id }}", text: "{{ response.parts[0].text }}", all: "{{ response.usage.total }}"}
  stream:
    framing: {type: sse, done: "[DONE]"}
    ends: {marker: true}
    decode:
      - {$if: data.id is present, $then: {type: start, id: "{{ data.id }}"}}
      - {$if: data.d is present, $then: {type: part_delta, kind: text, text: "{{ data.d }}"}}
    encode:
      start: [{id: "{{ event.id }}"}]
      part_delta: [{d: "{{ event.text }}"}]
      finish: [{end: "{{ event.reason }}"}]
  usage: {at: "{{ body.usage }}", counts: {input: {path: in}, output: {path: out}}}
  error:
    decode: {message: "{{ body.why }}"}
    map: [{status: 429, meaning: rate_limit}]
tests:
"""
ALIAS = """
apiVersion: gatewright/v1
kind: Alias
metadata: {name: high}
spec: {match: "(?P<base>.+)-high", model: base, hub: {reasoning: {effort: high}}}
tests:
"""


def outcomes(text: str, *tests: str) -> list[spectests.TestOutcome]:
    lines = "\n".join(f"  - {test}" for test in tests)
    others = [Source("format.yaml", FORMAT.removesuffix("tests:\n"))] if "kind: Alias" in text else []
    result = compile_set([*others, Source("t.yaml", f"{text}{lines}\n")], [])
    assert not result.faults, [fault.as_text() for fault in result.faults]
    return spectests.run(result)


def failure(text: str, test: str) -> str:
    (outcome,) = outcomes(text, test)
    assert not outcome.ok
    return outcome.difference


def passes(text: str, test: str) -> None:
    (outcome,) = outcomes(text, test)
    assert outcome.ok, outcome.difference


def test_a_mapping_is_tested_with_its_variables() -> None:
    passes(
        FORMAT,
        "{name: t, mapping: request.encode, input: {request: {model: m, messages: []}}, expect: {model: m, texts: []}}",
    )


def test_a_difference_names_the_spot_and_both_values() -> None:
    found = failure(
        FORMAT, "{name: t, mapping: request.encode, input: {request: {model: m}}, expect: {model: n, texts: []}}"
    )
    assert found == 'at model:\n  - "n"\n  + "m"'


def test_expect_part_allows_more_than_it_names() -> None:
    passes(FORMAT, "{name: t, mapping: request.encode, input: {request: {model: m}}, expectPart: {model: m}}")


def test_the_report_is_compared_by_its_paths() -> None:
    passes(FORMAT, "{name: t, mapping: request.decode, input: {body: {who: x}}, expectReport: [who]}")
    found = failure(FORMAT, "{name: t, mapping: request.decode, input: {body: {who: x}}, expectReport: [whom]}")
    assert found == "the loss report does not name whom; it names who"


def test_a_refusal_is_expected_by_its_words() -> None:
    passes(FORMAT, "{name: t, mapping: request.decode, input: {body: {tool: 1}}, expectError: not here}")
    assert "not here" in failure(FORMAT, "{name: t, mapping: request.decode, input: {body: {tool: 1}}, expect: {}}")
    assert "but there was a result" in failure(
        FORMAT, "{name: t, mapping: request.decode, input: {body: {}}, expectError: x}"
    )


def test_an_unknown_mapping_or_variable_is_named() -> None:
    assert "did you mean request.decode?" in failure(FORMAT, "{name: t, mapping: request.decod, input: {}, expect: 1}")
    assert "no variable bdy" in failure(FORMAT, "{name: t, mapping: request.decode, input: {bdy: {}}, expect: 1}")


def test_a_test_that_expects_nothing_fails() -> None:
    assert "expects nothing" in failure(FORMAT, "{name: t, mapping: request.decode, input: {body: {}}}")


def test_requests_go_through_the_hub() -> None:
    test = (
        "{name: t, translate: {from: test.chat, to: test.chat},"
        " input: {model: m, texts: [hi]},"
        " expect: {model: m, texts: [hi]}}"
    )
    passes(FORMAT, test)


def test_what_is_lost_on_the_way_is_reported() -> None:
    test = (
        "{name: t, translate: {from: test.chat, to: test.chat},"
        " input: {model: m, texts: [a], heat: 1, extra: 2},"
        " expectReport: [extra, sampling.temperature]}"
    )
    passes(FORMAT, test)


def test_an_unread_field_that_is_not_droppable_is_refused() -> None:
    passes(
        FORMAT, "{name: t, translate: {from: test.chat, to: test.chat}, input: {model: m, odd: 2}, expectError: odd}"
    )


def test_answers_go_through_the_hub_with_their_usage() -> None:
    test = (
        "{name: t, translate: {from: test.chat, to: test.chat, what: response},"
        " input: {id: i, text: hi, usage: {in: 2, out: 3}},"
        " expect: {id: i, text: hi, all: 5}}"
    )
    passes(FORMAT, test)


def test_streams_go_through_the_assembler() -> None:
    test = (
        "{name: t, translate: {from: test.chat, to: test.chat, what: stream},"
        ' input: [{id: i}, {d: a}, {d: b}, "[DONE]"],'
        " expect: [{id: i}, {d: a}, {d: b}, {end: stop}]}"
    )
    passes(FORMAT, test)


def test_a_stream_is_assembled() -> None:
    passes(
        FORMAT,
        "{name: t, stream: true,"
        ' input: [{id: i}, {d: a}, {d: b}, "[DONE]"],'
        " expectPart: {id: i, parts: [{type: text, text: ab}]}}",
    )


def test_usage_and_errors() -> None:
    passes(FORMAT, "{name: t, usage: true, input: {usage: {in: 2, out: 3}}, expectPart: {input_total: 2, total: 5}}")
    passes(
        FORMAT,
        "{name: t, error: true, input: {status: 429, body: {why: w}}, expect: {meaning: rate_limit, message: w}}",
    )


MAPPED = FORMAT.replace(
    """    decode: {message: "{{ body.why }}"}
    map: [{status: 429, meaning: rate_limit}]
""",
    """    decode: {message: "{{ body.why }}", meaning: bad_request, retry_after: "{{ body.wait }}"}
    map: [{when: body.why == 'broke', meaning: quota}, {when: body.why is present, meaning: overloaded}]
    encode: {oops: "{{ error.message }}", sort: "{{ error.meaning }}", status: "{{ error.status }}"}
""",
)


def test_an_error_means_what_the_gateway_makes_of_it() -> None:
    passes(
        MAPPED,
        "{name: t, error: true, input: {status: 200, body: {why: w, wait: '7'}},"
        " expect: {meaning: overloaded, message: w, wait: 7.0}}",
    )
    passes(MAPPED, "{name: t, error: true, input: {body: {why: broke}}, expectPart: {meaning: upstream_quota}}")
    passes(MAPPED, "{name: t, error: true, input: {status: 418, body: {}}, expectPart: {meaning: bad_request}}")
    passes(MAPPED, "{name: t, error: true, input: {status: 200, body: {}}, expect: {meaning: null}}")


def test_an_answer_that_is_an_error_is_told_as_one() -> None:
    passes(
        MAPPED,
        "{name: t, translate: {from: test.chat, to: test.chat, what: response}, input: {why: w},"
        " expect: {oops: w, sort: overloaded, status: 503}}",
    )


def test_aliases_tell_model_and_hub() -> None:
    passes(ALIAS, "{name: t, alias: m-high, expect: {model: m, hub: {reasoning: {effort: high}}}}")
    passes(ALIAS, "{name: t, alias: m-low, expect: {matches: false}}")


def test_a_test_knows_its_place() -> None:
    (outcome,) = outcomes(ALIAS, "{name: t, alias: m-low, expect: 1}")
    assert (outcome.place.file, outcome.place.line) == ("t.yaml", 7)
    assert outcome.document == "Alias/high"


def test_values_that_python_takes_for_the_same_are_told_apart() -> None:
    def same(expected: Any, found: Any) -> bool:
        return difference(expected, found) == ""

    assert not same(True, 1)
    assert not same(0, False)
    assert same(1, 1.0)
    assert not same({"a": None}, {})
    assert not same([1], [1, 2])
    assert same({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]})
