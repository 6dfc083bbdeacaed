"""Words in a model's name switch effort and thinking, from any client format to any provider that can express them."""

import pytest

from tests.relay.test_passing import CHAT_ANSWER, body_of

CLAUDE_ANSWER = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "claude-3-7-sonnet-20250219",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
GEMINI_ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
    "modelVersion": "gemini-2.5-flash",
}
DIALECTS = ("chat", "responses", "claude", "gemini")


def shown_model(dialect, answer):
    return answer.json()["modelVersion" if dialect == "gemini" else "model"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("effort", ["low", "high"])
def test_effort_reaches_a_chat_provider(gateway, one, dialect, effort):
    one.script = lambda say: say.whole(CHAT_ANSWER)
    answer = gateway.post(*body_of(dialect, f"gpt-5-base-{effort}"))
    assert answer.status_code == 200, answer.text
    assert (one.got[0].json["model"], one.got[0].json["reasoning_effort"]) == ("gpt-5-base", effort)
    assert shown_model(dialect, answer) == f"gpt-5-base-{effort}"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_thinking_reaches_a_claude_provider(gateway, one, dialect):
    one.script = lambda say: say.whole(CLAUDE_ANSWER)
    limit = {
        "chat": {"max_tokens": 2000},
        "responses": {"max_output_tokens": 2000},
        "claude": {"max_tokens": 2000},
        "gemini": {"generationConfig": {"maxOutputTokens": 2000}},
    }[dialect]
    path, body = body_of(dialect, "claude-3-7-sonnet-20250219-thinking")
    answer = gateway.post(path, {**body, **limit})
    assert answer.status_code == 200, answer.text
    sent = one.got[0].json
    assert sent["model"] == "claude-3-7-sonnet-20250219"
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 1600}
    assert sent["max_tokens"] == 2000
    assert sent.get("temperature", 1) == 1
    assert shown_model(dialect, answer) == "claude-3-7-sonnet-20250219-thinking"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("suffix", "budget"), [("-thinking-2048", 2048), ("-nothinking", 0)])
def test_a_budget_reaches_a_gemini_provider(gateway, one, dialect, suffix, budget):
    one.script = lambda say: say.whole(GEMINI_ANSWER)
    answer = gateway.post(*body_of(dialect, f"gemini-2.5-flash{suffix}"))
    assert answer.status_code == 200, answer.text
    assert "/models/gemini-2.5-flash:" in one.got[0].path
    assert one.got[0].json["generationConfig"]["thinkingConfig"]["thinkingBudget"] == budget
    assert shown_model(dialect, answer) == f"gemini-2.5-flash{suffix}"


def test_a_word_that_is_no_suffix_of_this_family_stays_in_the_name(gateway):
    answer = gateway.post(*body_of("chat", "chat-model-high"))
    assert answer.status_code == 404


def test_an_ending_is_read_in_what_a_mapping_gives(gateway, two):
    two.script = lambda say: say.whole(CHAT_ANSWER)
    answer = gateway.post(*body_of("chat", "plain-name"))
    assert answer.status_code == 200, answer.text
    sent = two.got[0].json
    assert (sent["model"], sent["reasoning_effort"]) == ("gpt-5", "high")
    assert shown_model("chat", answer) == "plain-name"


def test_a_channel_may_list_all_names_of_a_form(gateway, two):
    two.script = lambda say: say.whole(CHAT_ANSWER)
    assert gateway.post(*body_of("chat", "gpt-4-gizmo-g-abc")).status_code == 200
    assert two.got[0].json["model"] == "gpt-4-gizmo-g-abc"
    assert gateway.post(*body_of("chat", "gpt-4o-gizmo-g-abc")).status_code == 404
