"""Names of the hub in a Format's mappings: what the hub does not have is a fault with a place."""

from __future__ import annotations

import pytest

from engine.compiler import compile_set
from engine.compiler.diagnostics import Fault
from engine.compiler.documents.load import Source

FORMAT = """apiVersion: gatewright/v1
kind: Format
metadata: {name: words}
spec:
  request:
    encode:
      said: [{$for: "m in request.messages", $do: "{{ m.role }}"}]
      heat: "{{ request.sampling.temperature }}"
      own: "{{ request.extensions.words.anything }}"
  stream:
    framing: {type: ndjson}
    decode:
      - $switch: "{{ data.t }}"
        $case:
          a: [{type: part_delta, kind: text, text: "{{ data.s }}"}]
          b: {$if: data.end is present, $then: {type: end}}
          c: {type: part, kind: "{{ data.kind }}", fields: {type: anything}}
"""


def faults(old: str = "", new: str = "") -> list[Fault]:
    assert old in FORMAT
    return compile_set([Source("words.yaml", FORMAT.replace(old, new) if old else FORMAT, 0)], []).faults


def test_what_the_hub_has_is_fine() -> None:
    assert not faults()


@pytest.mark.parametrize(
    ("old", "new", "word", "near"),
    [
        ("request.messages", "request.mesages", "mesages", "messages"),
        ("sampling.temperature", "sampling.temprature", "temprature", "temperature"),
        ("m.role", "m.rolle", "rolle", "role"),
        ("type: part_delta", "type: part_dleta", "part_dleta", "part_delta"),
        ("kind: text", "kind: txt", "txt", "text"),
        ("$then: {type: end}", "$then: {type: ende}", "ende", "end"),
    ],
)
def test_what_it_does_not_have_names_the_nearest(old: str, new: str, word: str, near: str) -> None:
    (fault,) = faults(old, new)
    assert fault.code == "unknown-hub-name"
    assert fault.nearest == near
    assert fault.place.text[fault.place.column - 1 :].startswith(word)


ANSWERS = """apiVersion: gatewright/v1
kind: Format
metadata: {name: words}
spec:
  tables:
    ends: {done: stop, cut: length, _: other}
    sorts: {slow: rate_limit, _: unknown}
  fragments:
    heard:
      args: [p]
      do:
        $if: p.muse is present
        $then: {type: thinking, text: "{{ p.muse }}"}
        $else:
          $merge:
            - {text: "{{ p.say }}"}
            - {type: text}
    trouble:
      args: [oops]
      do: {message: "{{ oops.why }}", meaning: "{{ oops.sort | lookup('sorts') | default('cut') }}"}
  response:
    decode:
      id: "{{ body.id }}"
      parts: [{$for: "p in body.says", $do: {$use: heard, $with: {p: "{{ p }}"}}}]
      finish: {reason: "{{ body.end | lookup('ends') if body.end else 'pause' }}", raw: "{{ body.end }}"}
  stream:
    framing: {type: ndjson}
    ends: {finish: true}
    decode:
      $switch: "{{ data.t }}"
      $case:
        a: [{type: part_delta, kind: text, text: "{{ data.s }}"}]
        b: [{type: part_start, key: a, kind: tool_call, fields: {id: a, name: "{{ data.s }}"}}]
        c: {$merge: [{type: error}, {$use: trouble, $with: {oops: "{{ data }}"}}]}
        d: {type: finish, reason: "{{ data.end | lookup('ends') }}"}
        _: []
  usage: {at: "{{ body.u }}", counts: {input: {path: in}, cache_read: {path: hit, of: input}}}
  error: {decode: {$use: trouble, $with: {oops: "{{ body.oops }}"}}}
  shape: {numbers: {temperature: {max: 1}}, tools: {allowed: [any], kinds: [function]}, turns: {first: user}}
"""


def told(old: str = "", new: str = "") -> list[Fault]:
    assert old in ANSWERS
    return compile_set([Source("words.yaml", ANSWERS.replace(old, new, 1) if old else ANSWERS, 0)], []).faults


def test_right_words_of_answers_are_fine() -> None:
    assert not told()


@pytest.mark.parametrize(
    ("old", "new", "word", "near"),
    [
        ("cut: length", "cut: lenght", "lenght", "length"),
        ("cut: length", "cut: max_tokens", "max_tokens", None),
        ("_: unknown", "_: unknwon", "unknwon", "unknown"),
        ("default('cut')", "default('cuts')", '"{{ oops.sort', "cut"),
        ("else 'pause'", "else 'paused'", '"{{ body.end', "pause"),
        ("type: thinking", "type: thinkin", "thinkin", "thinking"),
        ("{type: text}", "{type: txt}", "txt", "text"),
        ('text: "{{ p.muse }}"', 'txt: "{{ p.muse }}"', "txt", "text"),
        ("raw:", "rawe:", "rawe", "raw"),
        ("      parts:", "      part:", "part", "parts"),
        ('kind: text, text: "{{ data.s }}"', 'kind: text, txt: "{{ data.s }}"', "txt", "text"),
        ("fields: {id: a,", "fields: {nr: a,", "nr", None),
        ("key: a, kind: tool_call, fields", "key: a, kind: tool_call, field", "field", "fields"),
        ("message: ", "mesage: ", "mesage", "message"),
        ("of: input", "of: inputs", "inputs", "input"),
        ("temperature: {max", "temprature: {max", "temprature", "temperature"),
        ("allowed: [any]", "allowed: [anny]", "anny", "any"),
        ("kinds: [function]", "kinds: [functions]", "functions", "function"),
        ("first: user", "first: users", "users", "user"),
    ],
)
def test_a_word_that_there_is_not_is_told_where_it_stands(old: str, new: str, word: str, near: str | None) -> None:
    (fault,) = told(old, new)
    assert fault.nearest == near
    assert fault.expected or near
    assert fault.place.text[fault.place.column - 1 :].startswith(word)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("a: [{type: part_delta, kind", "a: [{kind", "a hub event needs a type"),
        ("$then: {type: thinking, text", "$then: {text", "a part needs a type"),
        ("a: [{type: part_delta", "a: [word, {type: part_delta", "a hub event is a map"),
        ("ends: {finish: true}", "ends: {finish: false}", "nothing completes a stream"),
        ("ends: {finish: true}", "ends: {marker: true}", "decode never gives {type: end}"),
        (
            "d: {type: finish, reason: \"{{ data.end | lookup('ends') }}\"}",
            "d: {type: end}",
            "never gives {type: finish}",
        ),
    ],
)
def test_what_would_break_each_answer_is_told(old: str, new: str, words: str) -> None:
    assert [fault for fault in told(old, new) if words in fault.message]


def test_events_that_no_case_names_are_warned_of() -> None:
    (fault,) = told("        _: []\n")
    assert (fault.severity, fault.code) == ("warning", "silent-loss")
    assert "kind: unknown" in (fault.expected or "")
