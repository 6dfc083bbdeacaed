# ruff: noqa: E501 - tables are read by rows
# fmt: off
"""Variants of what requests say: tools, thought that goes back, efforts, schemas, lengths, media, hosted tools, items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.reports.variants.build import (
    ABSENT,
    CHAT,
    CLAUDE,
    GEMINI,
    RESPONSES,
    ask,
    called,
    case,
    chat_answer,
    chunk,
    claude_answer,
    claude_events,
    gemini_answer,
    history,
    item,
    response,
    streamed,
    tool,
    turn,
)  # fmt: skip

_CHATS = (("deepseek", "deepseek.chat", "deepseek-v4-pro"), ("zhipu", CHAT, "glm-4.7"), ("moonshot", CHAT, "kimi-k2.5"), ("openrouter", "openrouter.chat", "some/model"), ("mistral", "mistral.chat", "mistral-large-latest"),
          ("xai", CHAT, "grok-4"), ("groq", CHAT, "llama-3.3-70b-versatile"), ("openai-compatible", CHAT, "vllm-model"), ("gemini-openai", CHAT, "gemini-3-pro"), ("openai", CHAT, "gpt-4o"))
_GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/s"}
_PATCH = {"type": "custom", "name": "apply_patch", "description": "Edit files", "format": _GRAMMAR}
_PATCH_CHAT = {"type": "custom", "custom": {"name": "apply_patch", "description": "Edit files", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /.+/s"}}}}


def freeform() -> Iterator[dict[str, Any]]:
    """Freeform tools at vendors that know functions only."""
    asked = [["tools[0].type", "function"], ["tools[0].function.name", "apply_patch"], ["tools[0].function.parameters.required", {"length": 1}], ["tools[0].function", {"contains_text": "start: /.+/s"}]]
    for provider, speaks, model in _CHATS:
        yield case(f"custom-responses-{provider}", RESPONSES, provider, speaks, model, ask(RESPONSES, tools=[_PATCH]), asked)
        yield case(f"custom-chat-{provider}", CHAT, provider, speaks, model, ask(CHAT, tools=[_PATCH_CHAT]), asked)
    used = [{"role": "user", "content": "q"}, {"type": "custom_tool_call", "call_id": "t1", "name": "apply_patch", "input": "hello"}, {"type": "custom_tool_call_output", "call_id": "t1", "output": "done"}]
    for provider, speaks, model in _CHATS[:4]:
        yield case(f"custom-history-{provider}", RESPONSES, provider, speaks, model, {"input": used, "tools": [_PATCH], "tool_choice": {"type": "custom", "name": "apply_patch"}},
                   [["messages[1].tool_calls[0].type", "function"], ["messages[1].tool_calls[0].function.arguments", {"contains_text": "hello", "matches": "^\\{"}], ["tool_choice", {"one_of": [{"type": "function", "function": {"name": "apply_patch"}}, "required", "auto", ABSENT]}]])
    chat_used = [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [{"id": "t1", "type": "custom", "custom": {"name": "apply_patch", "input": "hello"}}]}, {"role": "tool", "tool_call_id": "t1", "content": "done"}]
    yield case("custom-history-chat-passes", CHAT, "openai-compatible", CHAT, "vllm-model", {"messages": chat_used, "tools": [_PATCH_CHAT]},
               [["messages[1].tool_calls[0].type", "function"], ["messages[1].tool_calls[0].function.arguments", {"contains_text": "hello", "matches": "^\\{"}]])
    back = chat_answer({"tool_calls": [called('{"TOOL_MEMBER":"hello"}', "TOOL_NAME")]}, "tool_calls")
    yield case("custom-back-chat", CHAT, "openai-compatible", CHAT, "vllm-model", ask(CHAT, tools=[_PATCH_CHAT]), [["choices[0].message.tool_calls[0].type", "custom"], ["choices[0].message.tool_calls[0].custom.input", "hello"]], answer=back)
    pieces = [chunk({"tool_calls": [{"index": 0, **called('{"TOOL_ME', "TOOL_NAME")}]}), chunk({"tool_calls": [{"index": 0, "function": {"arguments": 'MBER":"hel'}}]}), chunk({"tool_calls": [{"index": 0, "function": {"arguments": 'lo"}'}}]}), chunk(finish="tool_calls")]
    pieces[0]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] = '{"TOOL_MEMBER":'
    pieces[1]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] = '"hel'
    yield case("custom-back-streamed", RESPONSES, "zhipu", CHAT, "glm-4.7", ask(RESPONSES, tools=[_PATCH]), [["$find:response.custom_tool_call_input.done;input", "hello"], ["$last.response.output[0].type", "custom_tool_call"]], events=pieces)
    yield case("custom-back-chat-streamed", CHAT, "openai-compatible", CHAT, "vllm-model", ask(CHAT, tools=[_PATCH_CHAT]), [["$joined:input", "hello"]], events=pieces)
    space = {"type": "namespace", "name": "edit", "description": "Editing", "tools": [{"type": "custom", "name": "raw", "description": "Free text", "format": _GRAMMAR}, tool(RESPONSES)]}
    for provider, speaks, model, place in (("anthropic", CLAUDE, "claude-sonnet-4-5", "tools[0]"), ("gemini", GEMINI, "gemini-3-pro", "tools[0].functionDeclarations[0]"), ("deepseek", "deepseek.chat", "deepseek-chat", "tools[0].function")):
        yield case(f"custom-in-namespace-{provider}", RESPONSES, provider, speaks, model, ask(RESPONSES, tools=[space]), [[place, {"contains_text": ["start: /.+/s", "input"]}]])
    yield case("custom-regex-claude", RESPONSES, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(RESPONSES, tools=[{**_PATCH, "format": {"type": "grammar", "syntax": "regex", "definition": "^a+$"}}]), [["tools[0]", {"contains_text": "^a+$"}]])
    for provider, speaks, model in (("ollama", "ollama.chat", "qwen3"),):
        yield case(f"custom-{provider}", RESPONSES, provider, speaks, model, ask(RESPONSES, tools=[_PATCH]), [["tools[0].function", {"contains_text": "start: /.+/s"}]])


def thoughts() -> Iterator[dict[str, Any]]:
    """Thought that has to come back to its vendor."""
    thinkers = (("deepseek", "deepseek.chat", "deepseek-v4-pro"), ("moonshot", CHAT, "kimi-k2.5"), ("moonshot", CHAT, "kimi-k2-thinking"), ("zhipu", CHAT, "glm-4.7"), ("zhipu", CHAT, "glm-5"), ("minimax", CHAT, "MiniMax-M2.1"), ("alibaba", CHAT, "qwen3-max"), ("xiaomi", CHAT, "mimo-v2-flash"))
    for provider, speaks, model in thinkers[:5]:
        for client in (CHAT, RESPONSES, CLAUDE, GEMINI):
            more = {"thinking": {"type": "enabled", "budget_tokens": 2000}} if client == CLAUDE else {}
            yield case(f"thought-back-{model}-{client}", client, provider, speaks, model, history(client, turn(client, thought="I must look", text="Let me"), **more),
                       [["messages[1].reasoning_content", "I must look"], ["messages[1].content", "Let me"]])
    for provider, model in (("deepseek", "deepseek-v4-pro"), ("zhipu", "glm-4.7"), ("moonshot", "kimi-k2-thinking")):
        yield case(f"unsigned-passes-{provider}", CLAUDE, provider, CLAUDE, model, history(CLAUDE, turn(CLAUDE, thought="I must look")), [["messages[1].content[0].type", "thinking"], ["messages[1].content[0].thinking", "I must look"]])
        yield case(f"unsigned-from-chat-{provider}", CHAT, provider, CLAUDE, model, history(CHAT, turn(CHAT, thought="I must look"), reasoning_effort="high"), [["messages[1].content[0].type", "thinking"], ["messages[1].content[0].thinking", "I must look"]])
    for provider, speaks, model in (("moonshot", CHAT, "kimi-k2.5"), ("zhipu", CHAT, "glm-4.7"), ("deepseek", "deepseek.chat", "deepseek-v4-pro")):
        for client in (CLAUDE, RESPONSES, GEMINI):
            more = {CLAUDE: {"thinking": {"type": "enabled", "budget_tokens": 2000}}, RESPONSES: {"reasoning": {"effort": "high"}}, GEMINI: {"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}}}[client]
            wanted = "disabled" if provider != "zhipu" else {"one_of": ["disabled", "enabled"]}
            yield case(f"broken-chain-{model}-{client}", client, provider, speaks, model, history(client, turn(client), **more), [["thinking.type", wanted]])
    answered = {"tool_calls": [called()], "content": "Let me", "reasoning_content": "I must look"}
    for provider, speaks, model in thinkers[:4]:
        for client in (CHAT, RESPONSES, CLAUDE, GEMINI):
            yield case(f"recalled-{model}-{client}", client, provider, speaks, model, ask(client, tools=[tool(client)]), [["messages[1].reasoning_content", "I must look"]],
                       on="second_request", answer=chat_answer(answered, "tool_calls"))
        yield case(f"recalled-words-alone-{model}", CLAUDE, provider, speaks, model, ask(CLAUDE, tools=[tool(CLAUDE)]), [["messages[1].reasoning_content", "I must look"]],
                   on="second_request", answer=chat_answer({**answered, "tool_calls": [{**called(), "id": f"w-{model}"}]}, "tool_calls"), keeps=["text", "tool_use"])


_SIGNED = {"extra_content": {"google": {"thought_signature": "U0lHWA=="}}}


def signatures() -> Iterator[dict[str, Any]]:
    """Signatures through chat endpoints of other vendors, unchanged and at their place."""
    place = [["messages[1].tool_calls[0].extra_content.google.thought_signature", "U0lHWA=="]]
    for client in (CHAT, RESPONSES, CLAUDE, GEMINI):
        yield case(f"google-chat-{client}", client, "gemini-openai", CHAT, "gemini-3-pro", ask(client, tools=[tool(client)]), place, on="second_request",
                   answer=chat_answer({"tool_calls": [{**called(), **_SIGNED, "id": f"f-{client}"}]}, "tool_calls"))
        yield case(f"google-chat-streamed-{client}", client, "gemini-openai", CHAT, "gemini-3-pro", ask(client, tools=[tool(client)]), place, on="second_request",
                   events=[chunk({"tool_calls": [{"index": 0, **called(), **_SIGNED, "id": f"s-{client}"}]}), chunk(finish="tool_calls")])
    two = [{**called(), **_SIGNED, "id": "p1"}, {**called('{"q":"2"}'), "id": "p2"}]
    yield case("google-chat-parallel", CLAUDE, "gemini-openai", CHAT, "gemini-3-pro", ask(CLAUDE, tools=[tool(CLAUDE)]), [*place, ["messages[1].tool_calls[1].extra_content", ABSENT]], on="second_request", answer=chat_answer({"tool_calls": two}, "tool_calls"))
    details = [{"type": "reasoning.text", "text": "I look", "signature": "c2ln", "format": "anthropic-claude-v1", "id": "r-1", "index": 0}]
    coded = [{"type": "reasoning.encrypted", "data": "ZW5j", "format": "google-gemini-v1", "id": "f1", "index": 0}]
    summed = [{"type": "reasoning.summary", "summary": "I look", "format": "openai-responses-v1", "id": "rs_9", "index": 0}, {"type": "reasoning.encrypted", "data": "ZW5j", "format": "openai-responses-v1", "id": "rs_9", "index": 0}]
    for number, kept in enumerate((details, coded, summed)):
        for client in (CHAT, RESPONSES, CLAUDE, GEMINI):
            call = {**called(), "id": "f1"}
            yield case(f"openrouter-details-{number}-{client}", client, "openrouter", "openrouter.chat", "some/model", ask(client, tools=[tool(client)]), [["messages[1].reasoning_details", kept]], on="second_request",
                       answer=chat_answer({"tool_calls": [{**call, "id": f"f1-{number}{client[:3]}"}], "reasoning_details": kept}, "tool_calls"))
            yield case(f"openrouter-details-streamed-{number}-{client}", client, "openrouter", "openrouter.chat", "some/model", ask(client, tools=[tool(client)]), [["messages[1].reasoning_details", kept]], on="second_request",
                       events=[chunk({"reasoning_details": kept}), chunk({"tool_calls": [{"index": 0, **call, "id": f"g1-{number}{client[:3]}"}]}), chunk(finish="tool_calls")])
    for client in (CHAT, RESPONSES, CLAUDE):
        for stream in (False, True):
            whole = gemini_answer([{"functionCall": {"name": "look", "args": {"q": f"{client}{stream}"}}, "thoughtSignature": "c2VhbGVk"}])
            yield case(f"gemini-without-id-{client}-{stream}", client, "gemini", GEMINI, "gemini-3-pro", ask(client, tools=[tool(client)]), [["contents[1].parts[0].thoughtSignature", "c2VhbGVk"]], on="second_request",
                       **({"events": [whole]} if stream else {"answer": whole}), **({"keeps": ["content", "tool_calls"]} if client == CHAT and not stream else {}))
    blocks = [{"type": "thinking", "thinking": "I look", "signature": "c2ln"}, {"type": "text", "text": "Let me"}, {"type": "tool_use", "id": "tu", "name": "look", "input": {"q": "1"}}]
    keeps: dict[str, Any] = {CHAT: ["content", "tool_calls", "reasoning_content"], RESPONSES: ["message", "function_call"], GEMINI: "no part without text"}
    for client in (CHAT, RESPONSES, GEMINI):
        for stream in (False, True):
            named = [*blocks[:2], {**blocks[2], "id": f"tu_{client[:3]}{stream}"}]
            effort = {CHAT: {"reasoning_effort": "low"}, RESPONSES: {"reasoning": {"effort": "low"}}, GEMINI: {"generationConfig": {"thinkingConfig": {"thinkingBudget": 2000}}}}[client]
            yield case(f"claude-recalled-{client}-{stream}", client, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(client, tools=[tool(client)], **effort),
                       [["messages[1].content[0].type", "thinking"], ["messages[1].content[0].signature", "c2ln"], ["messages[1].content[1].type", "text"], ["messages[1].content[2].type", "tool_use"]], on="second_request", keeps=keeps[client],
                       **({"events": claude_events(named, "tool_use")} if stream else {"answer": claude_answer(named, "tool_use")}))
    thought = item("reasoning", 0, summary=[{"type": "summary_text", "text": "I look"}], encrypted_content="ZW5j")[1]["item"]
    call = {"type": "function_call", "id": "fc_1", "call_id": "c9", "name": "look", "arguments": "{}", "status": "completed"}
    for client in (CHAT, CLAUDE, GEMINI):
        whole = [thought, {**call, "call_id": f"c9{client[:3]}"}]
        yield case(f"responses-encrypted-{client}", client, "openai", RESPONSES, "gpt-5.2", ask(client, tools=[tool(client)]), [["input[1].encrypted_content", "ZW5j"], ["input[2].type", "function_call"]], on="second_request", answer=response(whole))
        yield case(f"responses-encrypted-streamed-{client}", client, "openai", RESPONSES, "gpt-5.2", ask(client, tools=[tool(client)]), [["input[1].encrypted_content", "ZW5j"]], on="second_request",
                   events=streamed(*item("reasoning", 0, summary=thought["summary"], encrypted_content="ZW5j"), {"type": "response.output_item.done", "output_index": 1, "item": {**call, "call_id": f"d9{client[:3]}"}}, output=[]))


def endpoints() -> Iterator[dict[str, Any]]:
    """Which of two endpoints a model needs."""
    effort: dict[str, dict[str, Any]] = {CHAT: {"reasoning_effort": "high"}, CLAUDE: {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, GEMINI: {"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}}}
    for client in (CHAT, CLAUDE, GEMINI):
        for model in ("gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-5.4-mini"):
            yield case(f"endpoint-{model}-{client}", client, "openai", RESPONSES, model, ask(client, tools=[tool(client)], **effort[client]), [["$path", "/v1/responses"], ["reasoning.effort", "high"]], formats="all")
        yield case(f"endpoint-tools-alone-{client}", client, "openai", RESPONSES, "gpt-5.6", ask(client, tools=[tool(client)]), [["$path", "/v1/responses"]], formats="all")
        for model in ("gpt-5-pro", "o3-pro", "gpt-5-codex", "gpt-5.1-codex-max", "codex-mini-latest", "o1-pro", "gpt-5.4-pro", "o3-deep-research"):
            yield case(f"endpoint-only-{model}-{client}", client, "openai", RESPONSES, model, ask(client), [["$path", "/v1/responses"]], formats="all")
    yield case("endpoint-without-tools", CLAUDE, "openai", CHAT, "gpt-5.4", ask(CLAUDE, **effort[CLAUDE]), [["$status", 200]], formats="all")
    yield case("endpoint-azure", CLAUDE, "azure", RESPONSES, "gpt-5.4", ask(CLAUDE, tools=[tool(CLAUDE)], **effort[CLAUDE]), [["$path", {"contains_text": "responses"}]], formats="all")


def cases() -> Iterator[dict[str, Any]]:
    """All of them."""
    for kind in (freeform, thoughts, signatures, endpoints):
        yield from kind()
