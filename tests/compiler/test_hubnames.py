"""Names of the hub in a Format's mappings: what the hub does not have is a fault with a place."""

from __future__ import annotations

import pytest

from engine.compiler import compile_set
from engine.compiler.diagnostics import Fault
from engine.compiler.load import Source

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
