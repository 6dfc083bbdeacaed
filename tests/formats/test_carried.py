"""What a pair of formats carries in a request, or tells as lost: nothing vanishes in silence."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.compiler.translation import Translation, WireMessage, translate
from tests.formats import recorded

CHAT, CLAUDE, GEMINI, RESPONSES = FORMATS = (
    "openai.chat",
    "anthropic.messages",
    "gemini.generateContent",
    "openai.responses",
)
PROVIDERS = (*FORMATS, "ollama.chat", "cohere.chat", "bedrock.converse")


def convey(source: str, target: str, body: dict[str, Any], model: str = "m") -> Translation:
    message = WireMessage(body, path={"model": model}, ctx={"model": model})
    return translate(recorded.program(), source, target, "request", message)


def hub_of(done: Translation) -> dict[str, Any]:
    hub: dict[str, Any] = dict(done.steps)["hub request"]
    return hub


def test_failed_call_is_known_to_have_failed_by_every_provider() -> None:
    claude = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "read it"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no such file", "is_error": True}
                ],
            },
        ],
    }
    said = {
        CHAT: '"content":"Error: no such file"',
        CLAUDE: '"is_error":true',
        GEMINI: '{"error":"no such file"}',
        RESPONSES: '"output":"Error: no such file"',
        "ollama.chat": '"content":"Error: no such file"',
        "cohere.chat": '"content":"Error: no such file"',
        "bedrock.converse": '"status":"error"',
    }
    for target in PROVIDERS:
        done = convey(CLAUDE, target, claude)
        assert said[target] in orjson.dumps(done.result).decode(), target
        told = [why for _, why in done.report if "failed" in why]
        assert bool(told) == ("Error: " in said[target]), (target, done.report)


@pytest.mark.parametrize("target", [CHAT, RESPONSES])
def test_failed_call_without_words_or_with_a_picture_has_failed_all_the_same(target: str) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
    for content in ([], [picture]):
        result = {"type": "tool_result", "tool_use_id": "t", "content": content, "is_error": True}
        call = {"type": "tool_use", "id": "t", "name": "read", "input": {}}
        turns = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        done = convey(CLAUDE, target, {"model": "m", "max_tokens": 9, "messages": turns})
        assert '"Error: "' in orjson.dumps(done.result).decode()


@pytest.mark.parametrize("value", [{"error": "gone", "code": 5}, {"error": {"code": 5}}])
def test_failure_told_by_gemini_comes_back_to_it(value: dict[str, Any]) -> None:
    turns = [
        {"role": "model", "parts": [{"functionCall": {"name": "read", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "read", "response": value}}]},
    ]
    done = convey(GEMINI, GEMINI, {"contents": turns})
    assert hub_of(done)["messages"][1]["parts"][0]["error"] is True
    assert done.result["contents"][-1]["parts"][0]["functionResponse"]["response"] == value
    claude = convey(GEMINI, CLAUDE, {"contents": turns}).result["messages"][-1]["content"][0]
    assert claude["is_error"] is True


def test_gateways_own_word_for_a_missing_result_is_told_as_a_failure() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    turns = [{"role": "assistant", "content": None, "tool_calls": calls}, {"role": "user", "content": "go on"}]
    done = convey(CHAT, "cohere.chat", {"model": "m", "messages": turns})
    assert "Error: no result was given for this call" in orjson.dumps(done.result).decode()


PNG = "iVBORw0KGgo="
DATA_URL = f"data:image/png;base64,{PNG}"
MARK = {"cache_control": {"type": "ephemeral"}}
TOOL = {"name": "see", "input_schema": {"type": "object"}}
CHAT_TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("see", "hear")
]


def chat(*turns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}, *turns], **more}


def claude(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": list(blocks) or "hi"}], **more}


def claude_result(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "t1", "name": "see", "input": {"a": 1}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": list(content), **more}
    turns = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return {"model": "m", "max_tokens": 9, "tools": [TOOL], "messages": [{"role": "user", "content": "hi"}, *turns]}


def gemini(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(parts) or [{"text": "hi"}]}], **more}


def document(**source: Any) -> dict[str, Any]:
    return {"type": "document", "source": source}


LOST: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "who speaks": (CHAT, CLAUDE, chat({"role": "user", "name": "ann", "content": "x"}), "messages.name"),
    "how closely to look": (
        CHAT,
        GEMINI,
        chat({"role": "user", "content": [{"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}}]}),
        "messages.parts.detail",
    ),
    "citations of earlier answers": (
        CHAT,
        CHAT,
        chat(
            {
                "role": "assistant",
                "content": "x",
                "annotations": [{"type": "url_citation", "url_citation": {"url": "https://x.example", "title": "t"}}],
            }
        ),
        "messages.parts.citations",
    ),
    "citations of another vendor": (
        CHAT,
        CLAUDE,
        chat(
            {
                "role": "assistant",
                "content": "x",
                "annotations": [{"type": "url_citation", "url_citation": {"url": "https://x.example", "title": "t"}}],
            }
        ),
        "citations",
    ),
    "what a document is about": (
        CLAUDE,
        CHAT,
        claude({**document(type="text", data="x"), "context": "c"}),
        "messages.parts.context",
    ),
    "that a document be cited": (
        CLAUDE,
        RESPONSES,
        claude({**document(type="text", data="x"), "citations": {"enabled": True}}),
        "messages.parts.native.anthropic.messages",
    ),
    "pictures in a document": (
        CLAUDE,
        GEMINI,
        claude(
            document(
                type="content",
                content=[
                    {"type": "text", "text": "x"},
                    {"type": "image", "source": {"type": "url", "url": "https://x.example"}},
                ],
            )
        ),
        "source.content",
    ),
    "marks of pictures": (
        CLAUDE,
        CHAT,
        claude({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}, **MARK}),
        "cache",
    ),
    "marks of tools": (CLAUDE, RESPONSES, claude(tools=[{**TOOL, **MARK}]), "tools.cache"),
    "marks of results": (CLAUDE, CHAT, claude_result({"type": "text", "text": "x"}, **MARK), "cache"),
    "marks for who has none": (
        CLAUDE,
        "ollama.chat",
        claude({"type": "text", "text": "x", **MARK}),
        "messages.parts.cache",
    ),
    "how long to keep the cache": (CHAT, CLAUDE, chat(prompt_cache_retention="24h"), "cache.ttl"),
    "strictness of tools": (
        CHAT,
        GEMINI,
        chat(
            tools=[{"type": "function", "function": {"name": "see", "strict": True, "parameters": {"type": "object"}}}]
        ),
        "tools.strict",
    ),
    "examples of a tool's input": (
        CLAUDE,
        CHAT,
        claude(tools=[{**TOOL, "input_examples": [{"a": 1}]}]),
        "tools.native.anthropic.messages",
    ),
    "what a tool answers": (
        GEMINI,
        CLAUDE,
        gemini(tools=[{"functionDeclarations": [{"name": "see", "responseJsonSchema": {"type": "object"}}]}]),
        "tools.output_schema",
    ),
    "where to search": (
        CLAUDE,
        GEMINI,
        claude(tools=[{"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["x.example"]}]),
        "tools.options.allowed_domains",
    ),
    "that calls are held to their schema": (
        GEMINI,
        CHAT,
        gemini(
            tools=[{"functionDeclarations": [{"name": "see"}]}],
            toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}},
        ),
        "tool_choice.validated",
    ),
    "a tier that is not there": (CHAT, CLAUDE, chat(service_tier="flex"), "service_tier"),
    "a tier that is not there either": (CHAT, GEMINI, chat(service_tier="scale"), "service_tier"),
    "one of two names of the user": (CHAT, CLAUDE, chat(user="a", safety_identifier="b"), "user"),
    "which turns' thought is kept": (
        RESPONSES,
        GEMINI,
        {"model": "m", "input": "hi", "reasoning": {"effort": "low", "context": "all_turns"}},
        "reasoning.context",
    ),
    "how closely to look at a film": (
        GEMINI,
        CHAT,
        gemini({"inlineData": {"mimeType": "image/png", "data": PNG}, "mediaResolution": {"level": "LOW"}}),
        "messages.parts.native.gemini.generateContent",
    ),
    "what only one format knows in a result": (
        CLAUDE,
        GEMINI,
        claude_result({"type": "tool_reference", "tool_name": "see"}),
        "messages[2].parts[0]",
    ),
    "thought that was encrypted": (
        CLAUDE,
        "ollama.chat",
        {
            "model": "m",
            "max_tokens": 9,
            "messages": [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "so"}],
                },
            ],
        },
        "messages[1].parts[0]",
    ),
}


@pytest.mark.parametrize("what", LOST)
def test_what_the_provider_has_no_word_for_is_told(what: str) -> None:
    source, target, body, path = LOST[what]
    assert path in [found for found, _ in convey(source, target, body).report]


@pytest.mark.parametrize("target", [CLAUDE, GEMINI, "bedrock.converse", "ollama.chat"])
def test_only_tools_that_may_be_called_are_sent_where_they_can_not_be_named(target: str) -> None:
    some = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "see"}}]}
    done = convey(CHAT, target, chat(tools=CHAT_TOOLS, tool_choice={"type": "allowed_tools", "allowed_tools": some}))
    sent = orjson.dumps(done.result).decode()
    assert '"see"' in sent
    assert '"hear"' not in sent
    assert "tools" in [path for path, _ in done.report]


def test_tools_that_may_be_called_are_named_where_they_can_be() -> None:
    some = {"mode": "required", "tools": [{"type": "function", "function": {"name": name}} for name in ("see", "hear")]}
    done = convey(CHAT, GEMINI, chat(tools=CHAT_TOOLS, tool_choice={"type": "allowed_tools", "allowed_tools": some}))
    assert done.result["toolConfig"]["functionCallingConfig"] == {
        "mode": "ANY",
        "allowedFunctionNames": ["see", "hear"],
    }


def test_text_given_as_a_document_is_read_by_a_responses_provider() -> None:
    done = convey(
        CLAUDE, RESPONSES, claude({**document(type="text", media_type="text/plain", data="tale"), "title": "t"})
    )
    assert done.result["input"][0]["content"] == [{"type": "input_text", "text": "t\n\ntale"}]


@pytest.mark.parametrize("target", [CHAT, GEMINI])
def test_log_probabilities_that_a_responses_client_includes_are_asked_for(target: str) -> None:
    asked = ["message.output_text.logprobs", "reasoning.encrypted_content"]
    done = convey(RESPONSES, target, {"model": "m", "input": "hi", "include": asked})
    assert (done.result.get("logprobs"), done.result.get("generationConfig")) in [
        (True, None),
        (None, {"responseLogprobs": True}),
    ]
    assert done.report == []
    done = convey(RESPONSES, target, {"model": "m", "input": "hi", "include": ["file_search_call.results"]})
    assert done.report == [("include", "file_search_call.results is known to its own vendor only")]


def test_what_a_plain_request_says_is_told_without_a_word() -> None:
    """The usual defaults of the SDKs are no loss."""
    picture = {"role": "user", "content": [{"type": "input_image", "image_url": DATA_URL, "detail": "auto"}]}
    tool = {"type": "function", "name": "see", "parameters": {"type": "object", "properties": {}}, "strict": False}
    body = {"model": "m", "input": [picture], "tools": [tool], "tool_choice": "auto", "service_tier": "auto"}
    for target in (CHAT, CLAUDE, GEMINI):
        assert convey(RESPONSES, target, body).report == []


def answered(source: str, target: str, body: dict[str, Any]) -> Translation:
    return translate(recorded.program(), source, target, "response", WireMessage(body, request={"model": "m"}))


@pytest.mark.parametrize("target", [CHAT, CLAUDE])
def test_answer_that_ended_badly_is_not_told_as_a_good_one_in_silence(target: str) -> None:
    body = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "MALFORMED_FUNCTION_CALL"}]}
    assert ("response.finish", "the answer ended with MALFORMED_FUNCTION_CALL, which has no word here") in answered(
        GEMINI, target, body
    ).report


@pytest.mark.parametrize("target", [CHAT, GEMINI, RESPONSES])
def test_answer_that_paused_is_told_as_such_or_as_lost(target: str) -> None:
    body = {"id": "msg_1", "content": [{"type": "text", "text": "x"}], "stop_reason": "pause_turn", "usage": {}}
    assert "response.finish" in [path for path, _ in answered(CLAUDE, target, body).report]


@pytest.mark.parametrize("target", [CHAT, RESPONSES])
def test_sources_that_gemini_recites_reach_its_callers(target: str) -> None:
    sources = {"citationSources": [{"uri": "https://x.example/page"}]}
    candidate = {"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP", "citationMetadata": sources}
    body = {"candidates": [candidate]}
    assert "https://x.example/page" in orjson.dumps(answered(GEMINI, target, body).result).decode()
    stream = translate(recorded.program(), GEMINI, target, "stream", WireMessage([body], request={"model": "m"}))
    assert "https://x.example/page" in orjson.dumps(stream.result).decode()


def test_citations_that_are_no_pages_are_told_as_lost_to_gemini() -> None:
    cited = {"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": "t"}
    body = {"id": "m", "content": [{"type": "text", "text": "x", "citations": [cited]}], "stop_reason": "end_turn"}
    assert "citations" in [path for path, _ in answered(CLAUDE, GEMINI, body).report]
