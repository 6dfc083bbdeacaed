"""Models by their names: which document describes one, and what stands for an effort that it does not know."""

from __future__ import annotations

from typing import Any

import pytest

from engine import compiler, paths
from engine.program.layout import make
from engine.program.models import EFFORTS, Model, Models, fitted_efforts


@pytest.fixture(scope="module")
def shipped() -> Models:
    sources, shared, faults = compiler.read_set([paths.SPECS])
    assert not faults
    return compiler.compile_set(sources, shared).program().models


def models(*documents: dict[str, Any]) -> Models:
    return Models(make(Model, {"name": f"m{index}", **told}, {}) for index, told in enumerate(documents))


def test_the_first_document_that_fits_the_whole_name_describes_it() -> None:
    known = models({"names": ["a-1"], "context": 1}, {"names": ["a-.*"], "except": ["a-9"], "context": 2})
    assert known.traits("a-1")["context"] == 1
    assert known.traits("org/A-12")["context"] == 2
    assert known.traits("a-9") == known.traits("b") == known.traits("") == known.traits(None) == {}


@pytest.mark.parametrize(
    ("known", "mode", "expected"),
    [
        (["minimal", "low", "medium", "high"], "always", "minimal minimal low medium high high high"),
        (["none", "low", "medium", "high", "xhigh"], "optional", "none low low medium high xhigh xhigh"),
        (["low", "high"], "always", "low low low high high high high"),
        (["low", "high", "max"], "optional", "none low low high high max max"),
        (["high"], "always", "high high high high high high high"),
    ],
)
def test_every_effort_is_one_that_the_model_knows(known: list[str], mode: str, expected: str) -> None:
    table = fitted_efforts(known, {"xhigh": "max"} if "max" in known else {}, mode)
    assert [table[word] for word in EFFORTS] == expected.split()


@pytest.mark.parametrize(
    ("name", "word", "expected"),
    [
        ("gpt-5-mini", "none", "minimal"),
        ("gpt-5-mini-2025-08-07", "max", "high"),
        ("gpt-5.2", "minimal", "low"),
        ("gpt-5.2-codex", "none", "low"),
        ("gpt-5.2-codex", "max", "xhigh"),
        ("gpt-5-codex", "xhigh", "high"),
        ("o3", "minimal", "low"),
        ("openai/gpt-5-pro", "low", "high"),
        ("gemini-3-pro-preview", "medium", "high"),
        ("gemini-3.8-flash", "minimal", "low"),
        ("gemini-3-flash-preview", "minimal", "minimal"),
        ("claude-opus-4-6", "xhigh", "max"),
        ("us.anthropic.claude-opus-4-7-v1:0", "minimal", "low"),
        ("deepseek-v4-pro", "medium", "high"),
        ("grok-3-mini", "medium", "high"),
    ],
)
def test_a_shipped_model_is_asked_in_its_own_words(shipped: Models, name: str, word: str, expected: str) -> None:
    assert shipped.traits(name)["effort"][word] == expected


@pytest.mark.parametrize("name", ["gpt-4o", "claude-3-5-haiku-latest", "gemini-2.0-flash", "gpt-5-chat-latest"])
def test_a_model_without_thought_knows_no_effort(shipped: Models, name: str) -> None:
    assert shipped.traits(name)["thinking"]["mode"] == "never"
    assert "effort" not in shipped.traits(name)


def test_a_model_that_nobody_describes_has_no_traits(shipped: Models) -> None:
    assert shipped.traits("vllm-model") == {}


def test_every_word_of_a_shipped_model_has_its_source() -> None:
    sources, shared, _ = compiler.read_set([paths.SPECS])
    about = {"names", "except", "sources"}
    definitions = compiler.check_set(sources, shared)[0].of("Model")
    unsourced = {
        item.name: sorted(set(item.spec) - about - set(item.spec.get("sources") or ()))
        for item in definitions
        if set(item.spec) - about - set(item.spec.get("sources") or ())
    }
    assert definitions
    assert not unsourced
