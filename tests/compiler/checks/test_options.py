"""Options of the console that documents read: type and default go along; one that is not there is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.compiler import Source, compile_set
from engine.program import options

ALIAS = """
apiVersion: gatewright/v1
kind: Alias
metadata: {name: endings}
spec:
  match: "(?P<base>.+)-thinking"
  when: "{{ options['%s'] }}"
  model: "{{ base }}"
"""


def test_what_is_read_goes_along_with_its_type_and_default() -> None:
    result = compile_set([Source("a.yaml", ALIAS % "claude.thinking_adapter_enabled")], [])
    assert not result.faults
    read = result.program()
    assert dict(read.options) == {"claude.thinking_adapter_enabled": ("boolean", "true")}
    alias = read.aliases[0]
    groups = alias.match("m-thinking") or {}
    told = [read.told(texts) for texts in ({}, {"claude.thinking_adapter_enabled": "false"})]
    assert [replace(alias, options=values).holds(groups) for values in told] == [True, False]
    assert read.told({}) == {"claude.thinking_adapter_enabled": True}
    assert read.told({"claude.thinking_adapter_enabled": "false"}) == {"claude.thinking_adapter_enabled": False}


@pytest.mark.parametrize(
    ("name", "word"), [("claude.thinking_adapter_enable", "no option"), ("SMTPToken", "is a secret")]
)
def test_an_option_that_can_not_be_read_is_told_with_its_place(name: str, word: str) -> None:
    result = compile_set([Source("a.yaml", ALIAS % name)], [])
    assert result.artefact is None
    (fault,) = [fault for fault in result.faults if word in fault.message]
    assert fault.place.line == 7


@pytest.mark.parametrize(
    ("kind", "text", "default", "value"),
    [
        ("boolean", "true", "false", True),
        ("number", "0.5", "0.8", 0.5),
        ("number", "much", "0.8", 0.8),
        ("whole", "7", "1", 7),
        ("object", '{"a": 1}', "{}", {"a": 1}),
        ("object", "[1]", '{"default": 2}', {"default": 2}),
        ("list", "not json", '["a"]', ["a"]),
        ("text", "said", "", "said"),
        ("text", None, "usual", "usual"),
    ],
)
def test_a_text_that_can_not_be_read_counts_as_not_set(
    kind: str, text: str | None, default: str, value: object
) -> None:
    texts = {} if text is None else {"o": text}
    assert options.values({"o": (kind, default)}, texts) == {"o": value}
