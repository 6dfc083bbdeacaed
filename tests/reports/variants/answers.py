# ruff: noqa: E501 - tables are read by rows
# fmt: off
"""Variants of what answers say: final events, ends, errors in streams, dialects of chat, citations, usage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.reports.variants.build import (
    CHAT,
    CLAUDE,
    GEMINI,
    RESPONSES,
    USAGE,
    ask,
    called,
    case,
    chat_answer,
    chunk,
    claude_answer,
    claude_events,
    gemini_answer,
    item,
    message,
    response,
    streamed,
    tool,
)  # fmt: skip

_LIMITS = {"error": {"code": "rate_limit_exceeded", "message": "Slow down"}}
_LONG = {"error": {"code": "context_length_exceeded", "message": "Your input exceeds the context window"}}


def final_events() -> Iterator[dict[str, Any]]:
    """What deltas did not bring stands in a final event, and nothing comes twice."""
    call = {"call_id": "c1", "name": "look"}
    added = {"type": "response.output_item.added", "output_index": 0}
    begun = {**added, "item": {"type": "function_call", "id": "fc_1", "arguments": "", "status": "in_progress", **call}}
    ended = {"type": "response.output_item.done", "output_index": 0}
    done = {**ended, "item": {"type": "function_call", "id": "fc_1", "arguments": '{"q":"1"}', "status": "completed", **call}}
    piece = {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0, "delta": '{"q"'}
    whole = {"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 0, "arguments": '{"q":"1"}'}
    tools = [tool(CHAT)]
    yield case("call-arguments-half-in-deltas", CHAT, "openai", RESPONSES, "gpt-4o", ask(CHAT, tools=tools),
               [["$joined:arguments", '{"q":"1"}']], events=streamed(begun, piece, whole, done))
    yield case("call-only-in-item-done", GEMINI, "openai", RESPONSES, "gpt-4o", ask(GEMINI, tools=[tool(GEMINI)]),
               [["$raw", {"contains_text": '"q"'}], ["$count:functionCall", 1]], events=streamed(done))
    yield case("call-only-in-completed", CHAT, "openai", RESPONSES, "gpt-4o", ask(CHAT, tools=tools),
               [["$joined:arguments", '{"q":"1"}'], ["$raw", {"contains_text": "tool_calls"}]],
               events=streamed(output=[done["item"]]))
    yield case("nothing-comes-twice", CLAUDE, "openai", RESPONSES, "gpt-4o", ask(CLAUDE, tools=[tool(CLAUDE)]),
               [["$joined:partial_json", '{"q":"1"}'], ["$count_events:content_block_start", 1]],
               events=streamed(begun, {**piece, "delta": '{"q":"1"}'}, whole, done, output=[done["item"]]))
    freeform = {"type": "custom_tool_call", "id": "ct_1", "call_id": "c1", "name": "patch", "input": ""}
    written = {"type": "response.custom_tool_call_input.done", "item_id": "ct_1", "output_index": 0, "input": "hello"}
    custom = {"type": "custom", "custom": {"name": "patch", "description": "Edit"}}
    yield case("freeform-input-only-in-done", CHAT, "openai", RESPONSES, "gpt-5", ask(CHAT, tools=[custom]),
               [["$joined:input", "hello"]], events=streamed({**added, "item": freeform}, written, {**ended, "item": {**freeform, "input": "hello"}}))
    summary = [{"type": "summary_text", "text": "I must look"}]
    thought = item("reasoning", 0, summary=summary, encrypted_content="ZW5j")
    told = item("message", 1, role="assistant", content=message("Hi")["content"])
    for client, key in ((CHAT, "reasoning_content"), (CLAUDE, "thinking"), (GEMINI, "text")):
        yield case(f"thought-only-in-item-done-{client}", client, "openai", RESPONSES, "gpt-5.2", ask(client),
                   [[f"$joined:{key}", {"contains_text": "I must look"}], ["$raw", {"contains_text": "Hi"}]],
                   events=streamed(thought[1], told[1]))
    refused = {"type": "refusal", "refusal": "I can't."}
    part = {"type": "response.content_part.done", "item_id": "it_0", "output_index": 0, "content_index": 0, "part": refused}
    said = item("message", 0, role="assistant", content=[refused])
    yield case("refusal-only-in-done", CHAT, "openai", RESPONSES, "gpt-4o", ask(CHAT),
               [["$joined:refusal", "I can't."]], events=streamed({**said[0], "item": {**said[0]["item"], "content": []}}, part, said[1]))
    text = {"type": "response.content_part.done", "item_id": "it_0", "output_index": 0, "content_index": 0, "part": message("Hello there")["content"][0]}
    start = item("message", 0, role="assistant", content=[])
    yield case("text-only-in-part-done", GEMINI, "openai", RESPONSES, "gpt-4o", ask(GEMINI),
               [["$joined:text", "Hello there"]], events=streamed(start[0], text))
    first = {"type": "response.output_text.delta", "item_id": "it_0", "output_index": 0, "content_index": 0, "delta": "Hello"}
    yield case("text-half-in-deltas", CLAUDE, "openai", RESPONSES, "gpt-4o", ask(CLAUDE),
               [["$joined:text", "Hello there"]], events=streamed(start[0], first, output=[message("Hello there", id="it_0")]))
    note = [{"type": "url_citation", "url": "https://a.example/9", "title": "A", "start_index": 0, "end_index": 5}]
    yield case("citation-only-in-done", CHAT, "openai", RESPONSES, "gpt-4o", ask(CHAT),
               [["$raw", {"contains_text": "https://a.example/9"}]],
               events=streamed(start[0], {**first, "delta": "Hello there"}, {**text, "part": message("Hello there", note)["content"][0]},
                               {**start[1], "item": message("Hello there", note, id="it_0")}))
    # The same idea elsewhere: what stands whole in the event that begins a part.
    begin = claude_events([], end=[
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "tu1", "name": "look", "input": {"q": "1"}}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 20}},
        {"type": "message_stop"}])
    yield case("blocks-whole-at-their-start", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(CHAT, tools=tools),
               [["$joined:content", "Hello"], ["$joined:arguments", {"one_of": ['{"q":"1"}', '{"q": "1"}']}]], events=begin)
    yield case("message-repeated-in-last-chunk", RESPONSES, "openai-compatible", CHAT, "vllm-model", ask(RESPONSES),
               [["$joined:delta", "Hello"], ["$last.response.output[0].content[0].text", "Hello"]],
               events=[chunk({"content": "Hel"}), chunk({"content": "lo"}), {**chunk(), "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}])


def ends() -> Iterator[dict[str, Any]]:
    """An end that is none is an error in every format, streamed or whole."""
    broken = [["$raw", {"contains_text": "error"}], ["$raw", {"lacks_text": ["message_stop", "response.completed", '"finish_reason":"stop"', '"finishReason":"STOP"']}]]
    bad = [["$status", {"at_least": 500}]]
    either = [{"on": "answer", "assert": bad}]
    for reason in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE"):
        for client in (CHAT, CLAUDE, RESPONSES):
            short = f"{reason.lower().replace('_', '-')}-{client}"
            yield case(f"{short}-streamed", client, "gemini", GEMINI, "gemini-3-pro", ask(client), broken, any=either,
                       events=[gemini_answer([{"text": "Well"}], None), gemini_answer([], reason)])
            yield case(f"{short}-whole", client, "gemini", GEMINI, "gemini-3-pro", ask(client), bad,
                       answer=gemini_answer([], reason))
    chat = (("deepseek", "deepseek-v4-pro", "insufficient_system_resource"), ("zhipu", "glm-4.7", "network_error"),
            ("openai-compatible", "vllm-model", "abort"), ("openrouter", "some/model", "error"), ("mistral", "mistral-large-latest", "error"))
    for provider, model, reason in chat:
        speaks = {"deepseek": "deepseek.chat", "openrouter": "openrouter.chat", "mistral": "mistral.chat"}.get(provider, CHAT)
        for client in (CLAUDE, RESPONSES, GEMINI):
            yield case(f"{reason}-{provider}-{client}", client, provider, speaks, model, ask(client), broken, any=either,
                       events=[chunk({"content": "The three"}), chunk(finish=reason), USAGE])
        yield case(f"{reason}-{provider}-whole", CLAUDE, provider, speaks, model, ask(CLAUDE), bad,
                   answer=chat_answer({"content": "The three"}, reason))
    yield case("openrouter-error-inside-a-choice", CLAUDE, "openrouter", "openrouter.chat", "some/model", ask(CLAUDE),
               [["$raw", {"contains_text": "overloaded_error"}], ["$raw", {"lacks_text": "message_stop"}]],
               events=[chunk({"content": "Th"}), {**chunk(finish="error"), "choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 503, "message": "no capacity"}}]}],
               any=[{"on": "answer", "assert": [["$status", {"one_of": [503, 529]}]]}])
    yield case("responses-failed-whole", CLAUDE, "openai", RESPONSES, "gpt-5.2", ask(CLAUDE), [["$status", {"one_of": [429, 503, 529]}], ["$raw", {"contains_text": "rate_limit_error"}]],
               answer=response([], "failed", **_LIMITS))
    yield case("responses-cancelled-whole", CHAT, "openai", RESPONSES, "gpt-5.2", ask(CHAT), bad, answer=response([], "cancelled"))
    yield case("responses-incomplete-filter", CLAUDE, "openai", RESPONSES, "gpt-5.2", ask(CLAUDE), [["stop_reason", "refusal"]],
               answer=response([message("Th")], "incomplete", incomplete_details={"reason": "content_filter"}))
    yield case("claude-context-window", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(CHAT), [["choices[0].finish_reason", "length"]],
               answer=claude_answer([{"type": "text", "text": "Th"}], "model_context_window_exceeded"))
    yield case("claude-context-window-responses", RESPONSES, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(RESPONSES), [["status", "incomplete"]],
               answer=claude_answer([{"type": "text", "text": "Th"}], "model_context_window_exceeded"))
    yield case("zhipu-sensitive", CLAUDE, "zhipu", CHAT, "glm-4.7", ask(CLAUDE), [["$find:message_delta;delta.stop_reason", "refusal"]],
               events=[chunk({"content": "Th"}), chunk(finish="sensitive"), USAGE])
    bare = [tool(CHAT)]
    yield case("calls-without-a-call-whole", RESPONSES, "openai-compatible", CHAT, "vllm-model", ask(RESPONSES, tools=[tool(RESPONSES)]),
               [["status", "completed"], ["output[0].type", "message"]], answer=chat_answer({"content": "Let me."}, "tool_calls"))
    yield case("calls-without-a-call-claude", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(CHAT, tools=bare),
               [["choices[0].finish_reason", "stop"]], answer=claude_answer([{"type": "text", "text": "Let me."}], "tool_use"))
    yield case("calls-without-a-call-claude-streamed", GEMINI, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(GEMINI, tools=[tool(GEMINI)]),
               [["$last.candidates[0].finishReason", "STOP"]], events=claude_events([{"type": "text", "text": "Let me."}], "tool_use"))
    yield case("calls-told-as-stop", CLAUDE, "openai-compatible", CHAT, "vllm-model", ask(CLAUDE, tools=[tool(CLAUDE)]),
               [["stop_reason", "tool_use"]], answer=chat_answer({"tool_calls": [called()]}, "stop"))
    yield case("calls-told-as-stop-streamed", CLAUDE, "openai-compatible", CHAT, "vllm-model", ask(CLAUDE, tools=[tool(CLAUDE)]),
               [["$find:message_delta;delta.stop_reason", "tool_use"]],
               events=[chunk({"tool_calls": [{"index": 0, **called()}]}), chunk(finish="stop"), USAGE])
    yield case("cohere-error", CHAT, "cohere", "cohere.chat", "command-a-03-2025", ask(CHAT), bad,
               answer={"id": "x", "finish_reason": "ERROR", "message": {"role": "assistant", "content": [{"type": "text", "text": "Th"}]}, "usage": {"tokens": {"input_tokens": 4, "output_tokens": 2}}})


def errors() -> Iterator[dict[str, Any]]:
    """What an error inside a stream means is what it means before one."""
    def told(name: str, client: str, provider: str, speaks: str, model: str, events: list[Any], words: list[str], lacks: list[str]) -> dict[str, Any]:
        return case(name, client, provider, speaks, model, ask(client), [["$raw", {"contains_one": words}], ["$raw", {"lacks_text": lacks}]],
                    on="answer", events=events)
    failed = lambda error: streamed(end="failed", **error)  # noqa: E731
    yield told("failed-rate-limit-claude", CLAUDE, "openai", RESPONSES, "gpt-5.2", failed(_LIMITS), ["rate_limit_error", "overloaded_error"], ["api_error"])
    yield told("failed-rate-limit-gemini", GEMINI, "openai", RESPONSES, "gpt-5.2", failed(_LIMITS), ["RESOURCE_EXHAUSTED", "UNAVAILABLE"], ["INTERNAL"])
    yield told("failed-context-chat", CHAT, "openai", RESPONSES, "gpt-5.2", failed(_LONG), ["context_length_exceeded"], ["server_error"])
    yield told("failed-context-gemini", GEMINI, "openai", RESPONSES, "gpt-5.2", failed(_LONG), ["INVALID_ARGUMENT"], ["INTERNAL"])
    yield told("failed-overloaded", CLAUDE, "openai", RESPONSES, "gpt-5.2", failed({"error": {"code": "server_is_overloaded", "message": "Busy"}}), ["overloaded_error"], ["invalid_request"])
    yield told("failed-policy", CLAUDE, "openai", RESPONSES, "gpt-5.2", failed({"error": {"code": "cyber_policy", "message": "Not allowed by policy"}}), ["invalid_request_error", "permission_error"], ["api_error"])
    error = {"type": "error", "error": {"type": "context", "code": "context_length_exceeded", "message": "too long"}}
    yield told("error-event-context", CLAUDE, "openai", RESPONSES, "gpt-5.2", [*streamed()[:1], error], ["invalid_request_error", "request_too_large"], ["api_error"])
    flat = {"type": "error", "code": "context_length_exceeded", "message": "too long", "param": None}
    yield told("flat-error-event-context", CLAUDE, "openai", RESPONSES, "gpt-5.2", [*streamed()[:1], flat], ["invalid_request_error", "request_too_large"], ["api_error"])
    for provider, model in (("openai", "gpt-4o"), ("openai-compatible", "vllm-model"), ("moonshot", "kimi-k2.5")):
        yield told(f"chat-context-{provider}", CLAUDE, provider, CHAT, model, [chunk({"content": "T"}), {"error": {"code": "context_length_exceeded", "type": "invalid_request_error", "message": "maximum context length is 9"}}],
                   ["invalid_request_error", "request_too_large"], ["api_error"])
    yield told("chat-context-by-words", CLAUDE, "openai-compatible", CHAT, "vllm-model", [chunk({"content": "T"}), {"error": {"code": 400, "type": "BadRequestError", "message": "This model's maximum context length is 4096 tokens."}}],
               ["invalid_request_error", "request_too_large"], ["api_error"])
    yield told("chat-context-by-words-responses", RESPONSES, "openai-compatible", CHAT, "vllm-model", [chunk({"content": "T"}), {"error": {"code": 400, "type": "BadRequestError", "message": "This model's maximum context length is 4096 tokens."}}],
               ["context_length_exceeded"], ["server_error"])
    yield told("chat-rate", GEMINI, "openai-compatible", CHAT, "vllm-model", [chunk({"content": "T"}), {"error": {"code": "rate_limit_exceeded", "message": "slow"}}], ["RESOURCE_EXHAUSTED", "UNAVAILABLE"], ["INTERNAL"])
    for kind, words in (("overloaded_error", ["server_is_overloaded", "overloaded", "503", "server_error"]), ("rate_limit_error", ["rate_limit"])):
        yield told(f"claude-{kind}", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", claude_events([{"type": "text", "text": "T"}], end=[{"type": "error", "error": {"type": kind, "message": "x"}}]), words, ["invalid_request"])
    long = [{"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 201000 tokens > 200000 maximum"}}]
    yield told("claude-prompt-too-long", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", claude_events([{"type": "text", "text": "T"}], end=long), ["context_length_exceeded"], ["server_error"])
    yield told("claude-prompt-too-long-responses", RESPONSES, "anthropic", CLAUDE, "claude-sonnet-4-5", claude_events([{"type": "text", "text": "T"}], end=long), ["context_length_exceeded"], ["server_error"])
    many = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded"}}
    yield told("gemini-many", CLAUDE, "gemini", GEMINI, "gemini-3-pro", [gemini_answer([{"text": "T"}], None), many], ["rate_limit_error", "overloaded_error"], ["api_error"])
    much = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."}}
    yield told("gemini-long", CHAT, "gemini", GEMINI, "gemini-3-pro", [gemini_answer([{"text": "T"}], None), much], ["context_length_exceeded"], ["server_error"])
    quota = {"error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded your current quota"}}
    for client in (CHAT, CLAUDE, RESPONSES, GEMINI):
        speaks, provider, model = (CHAT, "openai", "gpt-4o")
        yield told(f"quota-in-a-chat-stream-{client}", client, provider, speaks, model, [chunk({"content": "T"}), quota], ["error"], ["insufficient_quota", "exceeded your current"])
    low = [{"type": "error", "error": {"type": "billing_error", "message": "Your credit balance is too low"}}]
    yield told("quota-in-a-claude-stream", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", claude_events([{"type": "text", "text": "T"}], end=low), ["error"], ["credit balance"])


def dialects() -> Iterator[dict[str, Any]]:
    """Dialects of the chat stream."""
    both = [["$count_events:content_block_start", 2], ["$raw", {"contains_text": ["look", "list"]}], ["$joined:partial_json", '{"q":"1"}{"q":"2"}']]
    tools = [tool(CLAUDE), tool(CLAUDE, "list")]
    def calls(name: str, *deltas: Any, check: Any = both, client: str = CLAUDE, provider: str = "openai-compatible", model: str = "vllm-model") -> dict[str, Any]:
        asked = tools if client == CLAUDE else [tool(client), tool(client, "list")]
        return case(name, client, provider, CHAT, model, ask(client, tools=asked), check, events=[*map(chunk, deltas), chunk(finish="tool_calls"), USAGE])
    one, two = called(), {**called('{"q":"2"}', "list"), "id": "a2"}
    yield calls("no-index-with-ids", {"tool_calls": [one]}, {"tool_calls": [two]})
    yield calls("no-index-in-one-chunk", {"tool_calls": [one, two]})
    yield calls("null-index", {"tool_calls": [{**one, "index": None}]}, {"tool_calls": [{**two, "index": None}]})
    yield calls("index-from-one", {"tool_calls": [{**one, "index": 1}]}, {"tool_calls": [{**two, "index": 2}]})
    yield calls("index-zero-for-all", {"tool_calls": [{**one, "index": 0}]}, {"tool_calls": [{**two, "index": 0}]})
    yield calls("index-zero-without-ids", {"tool_calls": [{**one, "index": 0, "id": None}]}, {"tool_calls": [{**two, "index": 0, "id": None}]})
    piece = lambda text, **more: {"function": {"arguments": text, **more}}  # noqa: E731
    yield calls("pieces-without-index", {"tool_calls": [{**called('{"q"'), "id": ""}]}, {"tool_calls": [piece(':"1"}')]},
                {"tool_calls": [{**called('{"q"', "list"), "id": ""}]}, {"tool_calls": [piece(':"2"}')]})
    yield calls("name-in-every-piece", {"tool_calls": [{**called('{"q"'), "index": 0}]}, {"tool_calls": [{"index": 0, "id": "a1", **piece(':"1"}', name="look")}]},
                {"tool_calls": [{**two, "index": 1}]})
    yield calls("name-in-every-piece-without-id", {"tool_calls": [{**called('{"q"'), "index": 0}]}, {"tool_calls": [{"index": 0, **piece(':"1"}', name="look")}]},
                {"tool_calls": [{**two, "index": 1}]})
    yield calls("empty-name-in-pieces", {"tool_calls": [{**called('{"q"'), "index": 0}]}, {"tool_calls": [{"index": 0, "id": "", **piece(':"1"}', name="")}]},
                {"tool_calls": [{**two, "index": 1}]})
    yield calls("id-in-every-piece", {"tool_calls": [{**called('{"q"'), "index": 0}]}, {"tool_calls": [{"index": 0, "id": "a1", **piece(':"1"}')}]},
                {"tool_calls": [{**two, "index": 1}]})
    yield calls("arguments-as-object", {"tool_calls": [{**called({"q": "1"}), "index": 0}]}, {"tool_calls": [{**two, "index": 1}]})
    yield calls("id-before-the-name", {"tool_calls": [{"index": 0, "id": "a1", "type": "function", "function": {"arguments": ""}}]}, {"tool_calls": [{"index": 0, **piece('{"q":"1"}', name="look")}]},
                check=[["$raw", {"contains_text": ['"a1"', '"look"']}], ["$joined:partial_json", '{"q":"1"}'], ["$count_events:content_block_start", 1]])
    yield calls("old-function-call", {"function_call": {"name": "look", "arguments": '{"q"'}}, {"function_call": {"arguments": ':"1"}'}},
                check=[["$raw", {"contains_text": '"look"'}], ["$joined:partial_json", '{"q":"1"}']])
    yield calls("calls-null-arguments", {"tool_calls": [{**called(None), "index": 0}]}, check=[["$raw", {"contains_text": '"look"'}], ["$status", 200]], client=RESPONSES)
    def text(name: str, *events: Any, check: Any, client: str = CLAUDE) -> dict[str, Any]:
        return case(name, client, "openai-compatible", CHAT, "vllm-model", ask(client), check, events=list(events))
    hello = [["$joined:text", "Hello"]]
    yield text("content-as-parts", chunk({"content": [{"type": "text", "text": "Hel"}]}), chunk({"content": [{"type": "text", "text": "lo"}]}), chunk(finish="stop"), check=hello)
    yield text("empty-finish-reason", chunk({"content": "Hel"}, ""), chunk({"content": "lo"}, ""), chunk(finish="stop"), check=[*hello, ["$count_events:message_delta", 1]])
    yield text("message-and-usage", {**chunk(), "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}], "usage": USAGE["usage"]}, check=[*hello, ["$find:message_delta;usage.output_tokens", 5]])
    yield text("message-with-calls", {**chunk(), "choices": [{"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [one]}, "finish_reason": "tool_calls"}]},
               check=[["$joined:partial_json", '{"q":"1"}'], ["$find:message_delta;delta.stop_reason", "tool_use"]])
    yield text("finish-in-every-chunk", chunk({"content": "Hel"}, "stop"), chunk({"content": "lo"}, "stop"), USAGE, check=[*hello, ["$find:message_delta;usage.output_tokens", 5]])
    for key in ("reasoning_content", "reasoning"):
        yield text(f"thought-under-{key}", chunk({key: "I look"}), chunk({"content": "Hello"}), chunk(finish="stop"), check=[["$joined:thinking", "I look"]])
        yield case(f"thought-under-{key}-whole", CLAUDE, "openai-compatible", CHAT, "vllm-model", ask(CLAUDE), [["content[0].thinking", "I look"]], answer=chat_answer({"content": "Hello", key: "I look"}))
    yield text("both-thoughts", chunk({"reasoning": "I look", "reasoning_content": "I look"}), chunk({"content": "Hello"}), chunk(finish="stop"), check=[["$joined:thinking", "I look"]])
    yield text("two-choices-in-one-chunk", {**chunk({"content": "Hello"}), "choices": [{"index": 0, "delta": {"content": "Hello"}}, {"index": 1, "delta": {"content": "XX"}}]}, chunk(finish="stop"), check=[["$joined:text", {"contains_text": "Hello", "lacks_text": "XX"}]])
    moon = {"prompt_tokens": 3000, "completion_tokens": 500, "total_tokens": 3500, "cached_tokens": 2000}
    for client, place, value in ((CLAUDE, "$find:message_delta;usage.output_tokens", 500), (GEMINI, "$last.usageMetadata.candidatesTokenCount", 500)):
        for provider, model in (("moonshot", "kimi-k2.5"), ("openai-compatible", "vllm-model")):
            yield case(f"usage-in-the-choice-{provider}-{client}", client, provider, CHAT, model, ask(client), [[place, value]],
                       events=[chunk({"content": "Hi"}), {**chunk(), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": moon}]}])
    yield case("x-groq-usage", CLAUDE, "groq", CHAT, "llama-3.3-70b-versatile", ask(CLAUDE), [["$find:message_delta;usage.output_tokens", 5]],
               events=[chunk({"content": "Hi"}), {**chunk(finish="stop"), "x_groq": {"id": "r", "usage": USAGE["usage"]}}])


def counts() -> Iterator[dict[str, Any]]:
    """Usage as vendors tell it."""
    told = {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}
    for name, more in (("hit", {"prompt_cache_hit_tokens": 12, "prompt_cache_miss_tokens": 8}), ("top", {"cached_tokens": 12}), ("details", {"prompt_tokens_details": {"cached_tokens": 12}}), ("input", {"input_tokens_details": {"cached_tokens": 12}})):
        provider = "moonshot" if name == "top" else "deepseek" if name == "hit" else "openai-compatible"
        speaks = "deepseek.chat" if provider == "deepseek" else CHAT
        for client, places in ((CLAUDE, [["usage.input_tokens", 8], ["usage.cache_read_input_tokens", 12]]), (RESPONSES, [["usage.input_tokens", 20], ["usage.input_tokens_details.cached_tokens", 12]]),
                               (GEMINI, [["usageMetadata.promptTokenCount", 20], ["usageMetadata.cachedContentTokenCount", 12]])):
            yield case(f"cached-{name}-{client}", client, provider, speaks, "deepseek-chat" if provider == "deepseek" else "m-1", ask(client), places, answer=chat_answer({"content": "x"}, usage={**told, **more}))
    for client, places in ((CHAT, [["$last.usage.completion_tokens", 78]]), (RESPONSES, [["$last.response.usage.output_tokens", 78]])):
        yield case(f"gemini-last-counts-{client}", client, "gemini", GEMINI, "gemini-3-pro", ask(client, **({"stream_options": {"include_usage": True}} if client == CHAT else {})), places,
                   events=[{**gemini_answer([{"text": "a"}], None), "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 15, "thoughtsTokenCount": 35, "totalTokenCount": 59}},
                           {**gemini_answer([{"text": "b"}]), "usageMetadata": {"promptTokenCount": 87, "thoughtsTokenCount": 78, "totalTokenCount": 165}}])
    yield case("gemini-empty-counts-last", CLAUDE, "gemini", GEMINI, "gemini-3-pro", ask(CLAUDE), [["$find:message_delta;usage.output_tokens", 50], ["$find:message_delta;usage.input_tokens", 9]],
               events=[{**gemini_answer([{"text": "a"}], None), "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 15, "thoughtsTokenCount": 35, "totalTokenCount": 59}},
                       {**gemini_answer([{"text": "b"}]), "usageMetadata": {"trafficType": "ON_DEMAND"}}])


def cited() -> Iterator[dict[str, Any]]:
    """Hosted searches and their sources reach every client."""
    note = [{"type": "url_citation", "url": "https://a.example/1", "title": "A", "start_index": 6, "end_index": 15}]
    searched = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
    text = message("Größe gefunden.", note)
    search = ask(CLAUDE, tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}])
    yield case("search-whole-claude", CLAUDE, "openai", RESPONSES, "gpt-5.2", search, [["$raw", {"contains_text": "https://a.example/1"}], ["usage.server_tool_use.web_search_requests", 1]], answer=response([searched, text]))
    told = streamed(*item("web_search_call", 0, action={"type": "search", "query": "q"}),
                    *[{**event, "output_index": 1} for event in item("message", 1, role="assistant", content=text["content"])])
    yield case("search-streamed-claude", CLAUDE, "openai", RESPONSES, "gpt-5.2", search, [["$raw", {"contains_text": "https://a.example/1"}]], events=told)
    yield case("search-streamed-chat", CHAT, "openai", RESPONSES, "gpt-5.2", ask(CHAT, web_search_options={}), [["$raw", {"contains_text": "https://a.example/1"}]], events=told)
    yield case("search-streamed-gemini", GEMINI, "openai", RESPONSES, "gpt-5.2", ask(GEMINI, tools=None) | {"tools": [{"googleSearch": {}}]}, [["$raw", {"contains_text": "https://a.example/1"}]], events=told)
    grounding = {"webSearchQueries": ["q"], "groundingChunks": [{"web": {"uri": "https://g.example/1", "title": "G"}}],
                 "groundingSupports": [{"segment": {"startIndex": 8, "endIndex": 17, "text": "gefunden."}, "groundingChunkIndices": [0]}]}
    grounded = gemini_answer([{"text": "Größe gefunden."}], candidate={"groundingMetadata": grounding})
    yield case("grounding-claude", CLAUDE, "gemini", GEMINI, "gemini-3-pro", search, [["$raw", {"contains_text": ["https://g.example/1"]}]], answer=grounded)
    yield case("grounding-claude-streamed", CLAUDE, "gemini", GEMINI, "gemini-3-pro", search, [["$raw", {"contains_text": ["https://g.example/1"]}]], events=[grounded])
    yield case("grounding-chat", CHAT, "gemini", GEMINI, "gemini-3-pro", ask(CHAT, web_search_options={}),
               [["choices[0].message.annotations[0].url_citation.start_index", 6], ["choices[0].message.annotations[0].url_citation.end_index", 15]], answer=grounded)
    yield case("grounding-responses", RESPONSES, "gemini", GEMINI, "gemini-3-pro", ask(RESPONSES) | {"tools": [{"type": "web_search"}]},
               [["$raw", {"contains_text": ["https://g.example/1", '"start_index":6']}]], answer=grounded)
    yield case("grounding-responses-streamed", RESPONSES, "gemini", GEMINI, "gemini-3-pro", ask(RESPONSES) | {"tools": [{"type": "web_search"}]},
               [["$raw", {"contains_text": ["https://g.example/1", '"start_index":6']}]], events=[grounded])
    found = [{"type": "server_tool_use", "id": "st1", "name": "web_search", "input": {"query": "q"}},
             {"type": "web_search_tool_result", "tool_use_id": "st1", "content": [{"type": "web_search_result", "url": "https://c.example/1", "title": "C", "encrypted_content": "eA=="}]},
             {"type": "text", "text": "Found.", "citations": [{"type": "web_search_result_location", "url": "https://c.example/1", "title": "C", "cited_text": "x", "encrypted_index": "eA=="}]}]
    answer = claude_answer(found, usage={"input_tokens": 1, "output_tokens": 2, "server_tool_use": {"web_search_requests": 1}})
    for client, more in ((CHAT, {"web_search_options": {}}), (RESPONSES, {"tools": [{"type": "web_search"}]}), (GEMINI, {"tools": [{"googleSearch": {}}]})):
        yield case(f"claude-search-{client}", client, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(client) | more, [["$raw", {"contains_text": "https://c.example/1"}]], answer=answer)
    chat = chat_answer({"content": "Größe gefunden.", "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example/1", "title": "A", "start_index": 6, "end_index": 15}}]})
    for client, more in ((CLAUDE, {"tools": search["tools"]}), (GEMINI, {"tools": [{"googleSearch": {}}]})):
        yield case(f"chat-annotations-{client}", client, "openrouter", "openrouter.chat", "some/model", ask(client) | more, [["$raw", {"contains_text": "https://a.example/1"}]], answer=chat)
    yield case("chat-annotation-bytes", GEMINI, "openai", CHAT, "gpt-4o-search-preview", ask(GEMINI), [["candidates[0].groundingMetadata.groundingSupports[0].segment.startIndex", 8], ["candidates[0].groundingMetadata.groundingSupports[0].segment.endIndex", 17]], answer=chat)


def cases() -> Iterator[dict[str, Any]]:
    """All of them."""
    for kind in (final_events, ends, errors, dialects, counts, cited):
        yield from kind()
