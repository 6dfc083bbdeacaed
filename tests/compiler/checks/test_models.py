"""Models that contradict themselves, that are never reached, and words that none can say."""

from __future__ import annotations

import pytest

from engine.compiler import Source, compile_set

HEAD = "apiVersion: gatewright/v1\nkind: Model\nmetadata: {name: %s}\nspec:\n"


def faults(*texts: str) -> list[tuple[str, str, int]]:
    sources = [Source(f"{index}.yaml", text, 0) for index, text in enumerate(texts)]
    return [(fault.code, fault.path, fault.place.line) for fault in compile_set(sources, []).faults]


def model(name: str, *lines: str) -> str:
    return HEAD % name + "".join(f"  {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("lines", "path", "line"),
    [
        (["thinking: {mode: never}", "efforts: [low]"], "spec.efforts", 7),
        (["thinking: {mode: never, adaptive: true}"], "spec.thinking.adaptive", 6),
        (["thinking: {mode: never}", "refusesThinking: [stop]"], "spec.refusesThinking", 7),
        (["thinking: {mode: always}", "efforts: [none, low]"], "spec.efforts", 7),
        (["thinking: {mode: always}", "prefill: true"], "spec.prefill", 7),
        (["thinking: {budget: {min: 9, max: 3}}"], "spec.thinking.budget.min", 6),
        (["efforts: [low]", "nearest: {high: max}"], "spec.nearest.high", 7),
        (["efforts: [low]", "nearest: {low: low}"], "spec.nearest.low", 7),
        (["sources: {context: {page: 'https://x.example', date: 2026-01-02}}"], "spec.sources.context", 6),
    ],
)
def test_a_model_against_itself_is_told_with_its_line(lines: list[str], path: str, line: int) -> None:
    assert faults(model("m", "names: [m]", *lines)) == [("contradiction", path, line)]


def test_a_name_that_another_document_takes_is_told() -> None:
    family = model("family", "names: ['a-.*']")
    assert faults(family, model("z", "names: [a-1]")) == [("shadowed", "spec.names[0]", 5)]
    assert faults(family, model("z", "names: ['a-.*']")) == [("shadowed", "spec.names[0]", 5)]
    member = model("z", "names: [a-1]").replace("spec:", "extends: family\nspec:")
    assert faults(family, member) == []


def test_a_word_that_no_model_can_say_is_told_where_it_is_asked() -> None:
    text = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: p}
spec:
  baseUrl: https://p.example
  formats: {f: {path: /}}
  requestPatches:
    - {when: "{{ traits.context > 5 }}", drop: [a]}
    - {when: "{{ traits.contxt > 5 }}", drop: [a]}
"""
    wire = "apiVersion: gatewright/v1\nkind: Format\nmetadata: {name: f}\nspec: {}\n"
    assert [told for told in faults(text, wire) if told[0] == "unknown-trait"] == [
        ("unknown-trait", "spec.requestPatches[1].when", 10)
    ]
