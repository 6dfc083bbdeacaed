"""Words for how hard to think, of every client's dialect, arrive at every described model as words that it knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from engine.compiler.translation import WireMessage, translate
from engine.program.models import EFFORTS
from tests.formats.recorded import program
from tests.support import ROOT

# A name of each Model document that says efforts, and the format that its vendor speaks.
_TABLE = """
openai.o o3 openai.chat
openai.gpt-5 gpt-5-mini openai.chat
openai.gpt-5-pro gpt-5-pro openai.responses
openai.codex gpt-5-codex openai.responses
openai.codex-xhigh gpt-5.2-codex openai.responses
openai.gpt-5-1 gpt-5.1 openai.responses
openai.gpt-5-chat-medium gpt-5.1-chat-latest openai.chat
openai.gpt-5-2 gpt-5.2 openai.chat
openai.gpt-5-2-pro gpt-5.2-pro openai.responses
openai.gpt-5-4 gpt-5.4 openai.responses
openai.gpt-5-6 gpt-5.6 openai.responses
openai.o-pro o3-pro openai.responses
anthropic.claude-opus-4-5 claude-opus-4-5 anthropic.messages
anthropic.claude-4-6 claude-opus-4-6 anthropic.messages
anthropic.claude-4-7 claude-opus-4-7 anthropic.messages
anthropic.claude-4-8 claude-opus-4-8 anthropic.messages
anthropic.claude-fable claude-fable-5 anthropic.messages
google.gemini-3 gemini-3.7-pro gemini.generateContent
google.gemini-3-pro gemini-3-pro-preview gemini.generateContent
google.gemini-3-flash gemini-3-flash-preview gemini.generateContent
google.gemini-3-flash-image gemini-3.1-flash-image gemini.generateContent
google.gemini-3-pro-image gemini-3-pro-image gemini.generateContent
deepseek.v4 deepseek-v4-pro deepseek.chat
deepseek.chat deepseek-chat deepseek.chat
xai.grok-3-mini grok-3-mini openai.chat
xai.grok-4-3 grok-4.3 openai.chat
xai.grok-4-5 grok-4.5 openai.chat
"""
NAMES = {row.split()[0]: row.split()[1:] for row in _TABLE.split("\n") if row}
_BUDGETS = (0, 1024, 8000, 24000)
_AT = {
    "openai.chat": "reasoning_effort", "deepseek.chat": "reasoning_effort", "openai.responses": "reasoning.effort",
    "anthropic.messages": "output_config.effort",
    "gemini.generateContent": "generationConfig.thinkingConfig.thinkingLevel",
}  # fmt: skip


def _asked() -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests of each client's dialect with each way of saying how hard to think."""
    messages = [{"role": "user", "content": "hi"}]
    for effort in EFFORTS:
        yield "openai.chat", {"messages": messages, "reasoning_effort": effort}
        yield "openai.responses", {"input": "hi", "reasoning": {"effort": effort}}
    claude = {"max_tokens": 64000, "messages": messages}
    for effort in ("low", "medium", "high", "xhigh", "max"):
        yield "anthropic.messages", {**claude, "thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}
    yield "anthropic.messages", {**claude, "thinking": {"type": "disabled"}}
    for budget in _BUDGETS[1:]:
        yield "anthropic.messages", {**claude, "thinking": {"type": "enabled", "budget_tokens": budget}}
    said = [{"thinkingLevel": level} for level in ("MINIMAL", "LOW", "MEDIUM", "HIGH")]
    for config in [*said, *({"thinkingBudget": budget} for budget in (*_BUDGETS, -1))]:
        contents = [{"role": "user", "parts": [{"text": "hi"}]}]
        yield "gemini.generateContent", {"contents": contents, "generationConfig": {"thinkingConfig": config}}


ASKED = list(_asked())


@pytest.mark.parametrize("document", sorted(NAMES))
def test_what_arrives_is_a_word_that_the_model_knows(document: str) -> None:
    name, target = NAMES[document]
    described = program().models.describing(name)
    assert described is not None
    assert described.name == document
    known = set(described.traits["efforts"])
    for source, body in ASKED:
        message = WireMessage({**body, "model": name}, ctx={"model": name})
        made = translate(program(), source, target, "request", message).result
        word = _at(made, _AT[target])
        assert word is None or word.lower() in known, (source, body, word)


def test_each_model_that_knows_efforts_is_tried() -> None:
    assert {model.name for model in program().models if "efforts" in model.traits} == set(NAMES)


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


# What is no model's nature but a format's: which of several vendors behind one API is meant, and what that API bills.
PATTERNS = {
    "bedrock.converse.yaml": (8, "one API of several vendors: each takes its own additional fields"),
    "gemini.generateContent.yaml": (1, "how searches are billed, by generation"),
    "openai.chat.yaml": (
        3,
        "which models search by themselves; the role of who instructs a model that nobody describes",
    ),
    "cohere.chat.yaml": (1, "which models take thought back"),
}


def test_patterns_on_names_of_models_stand_in_model_documents() -> None:
    found: dict[str, int] = {}
    for path in sorted((ROOT / "specs").glob("formats/*.yaml")) + sorted((ROOT / "specs").glob("providers/*.yaml")):
        count = len(re.findall(r"\bmodel\b[^\n]{0,30}?\| matches\(", path.read_text(encoding="utf-8")))
        if count:
            found[path.name] = count
    allowed = {name: most for name, (most, _) in PATTERNS.items()} | {"alibaba.yaml": 1}
    assert {name: count for name, count in found.items() if count > allowed.get(name, 0)} == {}
