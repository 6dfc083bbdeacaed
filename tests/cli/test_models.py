"""``gatewright models diff``: what Model documents say, held against public lists in their two forms."""

from __future__ import annotations

from engine.cli.models import compared, listed
from tests.formats.recorded import program


def test_what_differs_and_what_is_unsaid_is_told() -> None:
    by_name = {
        "gpt-5-codex": {"max_input_tokens": 272000, "max_output_tokens": 128000, "supports_reasoning": True},
        "command-a-reasoning-08-2025": {"max_input_tokens": 256000, "max_output_tokens": 32000},
        "gpt-4o": {"supports_vision": False, "supports_reasoning": False},
        "nobody-1": {"max_input_tokens": 1},
    }
    assert list(compared(program().models, listed(by_name))) == [
        ("gpt-4o", "takes image", True, False),
        ("gpt-5-codex", "context", 400000, 272000),
        ("nobody-1", "", None, None),
    ]


def test_a_list_with_parts_of_its_own_is_read() -> None:
    entry = {
        "id": "openai/o3", "context_length": 200000, "top_provider": {"max_completion_tokens": 100000},
        "architecture": {"input_modalities": ["text", "image"]}, "supported_parameters": ["reasoning"],
    }  # fmt: skip
    assert list(compared(program().models, listed({"data": [entry]}))) == [
        ("openai/o3", "context", None, 200000),
        ("openai/o3", "output", None, 100000),
    ]
    assert list(listed({"models": [{"name": "models/gemini-3-pro", "inputTokenLimit": 1}]})) == ["gemini-3-pro"]
