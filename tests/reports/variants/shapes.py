# ruff: noqa: E501 - tables are read by rows
# fmt: off
"""Variants of what is fitted: words of models, schemas, lengths, turns, media, hosted tools, items, places of losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.reports.variants.build import (
    ABSENT,
    CHAT,
    CLAUDE,
    GEMINI,
    IMAGE,
    RESPONSES,
    SCHEMA,
    ask,
    case,
    history,
    tool,
    turn,
)  # fmt: skip

_TEXT = "data:text/plain;base64,aGVsbG8="


def schemas() -> Iterator[dict[str, Any]]:
    """Schemas of tools and of answers, one of which would fail every request."""
    def asked(name: str, schema: Any, provider: str, speaks: str, model: str, check: Any, client: str = CHAT) -> dict[str, Any]:
        return case(f"{name}-{provider}-{client}", client, provider, speaks, model, ask(client, tools=[tool(client, schema=schema)]), check)
    claude, openai, gemini = "tools[0].input_schema", "tools[0].function.parameters", "tools[0].functionDeclarations[0]"
    for word in ("anyOf", "oneOf", "allOf"):
        top = {word: [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"type": "object", "properties": {"b": {"type": "string"}}}]}
        for client in (CHAT, RESPONSES, GEMINI):
            yield asked(f"top-{word.lower()}", top, "anthropic", CLAUDE, "claude-sonnet-4-5", [[claude, {"contains_text": ['"a"', '"b"']}], [f"{claude}.type", "object"], [f"{claude}.{word}", ABSENT]], client)
        for client in (CLAUDE, GEMINI):
            yield asked(f"top-{word.lower()}", top, "openai", CHAT, "gpt-4o", [[openai, {"contains_text": ['"a"', '"b"']}], [f"{openai}.type", "object"], [f"{openai}.{word}", ABSENT]], client)
    bare = {"type": "object", "properties": {"l": {"type": "array"}, "n": {"anyOf": [{"type": "array"}, {"type": "null"}]}, "d": {"type": "object", "properties": {"x": {"type": ["array", "null"]}}}}}
    for provider, speaks, model, place in (("openai", CHAT, "gpt-4o", openai), ("openai", RESPONSES, "gpt-4o", "tools[0].parameters"), ("gemini", GEMINI, "gemini-3-pro", gemini)):
        yield asked(f"no-items-{speaks}", bare, provider, speaks, model, [[place, {"contains_text": "items"}], ["$body", {"lacks_text": ['{"type": "array"}', '{"type":"array"}']}]], CLAUDE)
    for name, schema in (("empty", {}), ("no-type", {"properties": {"q": {"type": "string"}}}), ("bare", {"type": "object"})):
        yield asked(f"{name}-schema", schema, "anthropic", CLAUDE, "claude-sonnet-4-5", [[f"{claude}.type", "object"]])
        yield asked(f"{name}-schema", schema, "openai", CHAT, "gpt-4o", [[f"{openai}.type", {"one_of": ["object", ABSENT]}]], GEMINI)
        yield asked(f"{name}-schema", schema, "openai", RESPONSES, "gpt-4o", [["tools[0].parameters.type", "object"], ["tools[0].parameters.properties", {"present": True}]], CHAT)
    refs = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A", "description": "beside"}}, "$defs": {"A": {"type": "string", "enum": ["x"]}}}
    yield asked("ref-siblings", refs, "gemini", GEMINI, "gemini-3-pro", [[gemini, {"contains_text": ["beside", '"x"'], "lacks_text": '"$ref": "#/$defs/A", "description"'}]], CLAUDE)
    root = {"$ref": "#/$defs/A", "$defs": {"A": SCHEMA}}
    for provider, speaks, model, place in (("anthropic", CLAUDE, "claude-sonnet-4-5", claude), ("openai", CHAT, "gpt-4o", openai)):
        yield asked("root-ref", root, provider, speaks, model, [[f"{place}.type", "object"], [f"{place}.properties.q.type", "string"]], GEMINI)
    strange = {"type": "object", "properties": {"a b": {"type": "string"}, "c": True, "e": {"enum": []}, "v": {"const": 1}}}
    for provider, speaks, model in (("gemini", GEMINI, "gemini-3-pro"), ("openai", CHAT, "gpt-4o"), ("mistral", "mistral.chat", "mistral-large-latest")):
        yield asked("strange", strange, provider, speaks, model, [["$status", 200]], CLAUDE)
    bounds = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}, "l": {"type": "array", "items": {"type": "string", "minLength": 2}, "minItems": 2, "maxItems": 9}}, "required": ["n"]}
    formats: dict[str, Any] = {CHAT: {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": bounds, "strict": True}}}, RESPONSES: {"text": {"format": {"type": "json_schema", "name": "a", "schema": bounds, "strict": True}}},
                               GEMINI: {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": bounds}}, CLAUDE: {"output_config": {"format": {"type": "json_schema", "schema": bounds}}}}
    for client in (CHAT, RESPONSES, GEMINI):
        where = "output_config.format.schema"
        yield case(f"answer-bounds-{client}", client, "anthropic", CLAUDE, "claude-sonnet-4-5", (ask(client) | formats[client]),
                   [[where, {"contains_text": "properties"}], [f"{where}.additionalProperties", False], [f"{where}.properties.n.minimum", ABSENT], [f"{where}.properties.n.maximum", ABSENT], [f"{where}.properties.l.maxItems", ABSENT], [f"{where}.properties.l.items.minLength", ABSENT]])
        yield case(f"answer-old-claude-{client}", client, "anthropic", CLAUDE, "claude-3-5-haiku-20241022", (ask(client) | formats[client]), [["output_config", ABSENT], ["$body", {"contains_text": "properties"}]])
        for model in ("claude-3-7-sonnet-20250219", "claude-sonnet-4-20250514", "claude-opus-4-1"):
            yield case(f"answer-{model}-{client}", client, "anthropic", CLAUDE, model, (ask(client) | formats[client]), [["output_config", ABSENT], ["$body", {"contains_text": "properties"}]])
    for provider, speaks, model in (("openai", CHAT, "gpt-4o"), ("openai", RESPONSES, "gpt-4o")):
        yield case(f"answer-strict-{speaks}", CLAUDE, provider, speaks, model, ask(CLAUDE, **formats[CLAUDE]), [["$body", {"contains_text": "properties"}], ["$loss", {"present": True}]],
                   any=[{"assert": [["response_format.json_schema.strict", True]]}, {"assert": [["text.format.strict", True]]}])
    both = {**formats[CLAUDE], "tools": [tool(CLAUDE)]}
    for model in ("gemini-2.5-pro", "gemini-2.0-flash"):
        yield case(f"tools-and-json-{model}", CLAUDE, "gemini", GEMINI, model, ask(CLAUDE, **both), [["tools", {"present": True}], ["generationConfig.responseMimeType", ABSENT], ["generationConfig.responseJsonSchema", ABSENT], ["$body", {"contains_text": "properties"}]])
    yield case("tools-and-json-gemini-3", CLAUDE, "gemini", GEMINI, "gemini-3-pro", ask(CLAUDE, **both), [["generationConfig.responseMimeType", "application/json"]])
    for provider, speaks, model in (("moonshot", CHAT, "kimi-k2.5"), ("zhipu", CHAT, "glm-4.7"), ("groq", CHAT, "llama-3.3-70b-versatile")):
        yield case(f"answer-schema-{provider}", CLAUDE, provider, speaks, model, ask(CLAUDE, **formats[CLAUDE]), [["$body", {"contains_text": "properties"}]])


def lengths() -> Iterator[dict[str, Any]]:
    """Lengths of single fields, counts over a request."""
    long = "u" * 200
    short = {"present": True, "max_length": 64}
    yield case("user-long-responses", CLAUDE, "openai", RESPONSES, "gpt-4o", ask(CLAUDE, metadata={"user_id": long}), [["$body", {"lacks_text": long}], ["$status", 200]])
    yield case("user-long-openrouter", CLAUDE, "openrouter", "openrouter.chat", "some/model", ask(CLAUDE, metadata={"user_id": long}), [["$status", 200]])
    yield case("cache-key-long", RESPONSES, "openai", CHAT, "gpt-4o", ask(RESPONSES, prompt_cache_key=long), [["prompt_cache_key", short]])
    yield case("user-long-chat-passes", CHAT, "openai", CHAT, "gpt-4o", ask(CHAT, user=long), [["$status", 200]])
    yield case("user-long-claude", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(CHAT, user="u" * 400), [["metadata.user_id", {"max_length": 256, "present": True}]])
    yield case("safety-identifier-claude", RESPONSES, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(RESPONSES, safety_identifier="s" * 64), [["$status", 200]], any=[{"assert": [["metadata.user_id", {"present": True}]]}])
    yield case("stops-gemini", CHAT, "gemini", GEMINI, "gemini-3-pro", ask(CHAT, stop=["a", "b", "c", "d"]), [["generationConfig.stopSequences", {"length": 4}]])
    yield case("stops-too-many", CLAUDE, "openai", CHAT, "gpt-4o", ask(CLAUDE, stop_sequences=list("abcdef")), [["$status", 400], ["$raw", {"contains_text": "stop_sequences"}]], on="answer", any=[{"on": "provider_request", "assert": [["stop", {"length": 4}], ["$loss", {"contains_text": "stop_sequences"}]]}])
    marks = {"type": "ephemeral"}
    blocks = [{"type": "text", "text": f"t{n}", "cache_control": marks} for n in range(6)]
    yield case("marks-chat-to-claude", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", {"messages": [{"role": "user", "content": blocks}]}, [["$count:cache_control", {"at_most": 4}]])
    same = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c1", "output": "r"}
    yield case("ids-again-responses", RESPONSES, "anthropic", CLAUDE, "claude-sonnet-4-5", {"input": [{"role": "user", "content": "q"}, *same, {"role": "user", "content": "again"}, *same], "tools": [tool(RESPONSES)]},
               [["messages[1].content[0].id", {"not_path": "messages[3].content[0].id"}], ["messages[4].content[0].tool_use_id", {"same_path": "messages[3].content[0].id"}]])
    turns = [*turn(GEMINI, call="c1"), {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "look", "args": {}}}]}, {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "look", "response": {"output": "s"}}}]}]
    yield case("ids-again-gemini", GEMINI, "anthropic", CLAUDE, "claude-sonnet-4-5", history(GEMINI, turns), [["messages[1].content[0].id", {"not_path": "messages[3].content[0].id"}], ["messages[4].content[0].tool_use_id", {"same_path": "messages[3].content[0].id"}]])
    names = "a_very_long_name_of_a_tool_" * 4
    for provider, speaks, model, place in (("openai", CHAT, "gpt-4o", "tools[0].function.name"), ("gemini", GEMINI, "gemini-3-pro", "tools[0].functionDeclarations[0].name")):
        yield case(f"long-name-{provider}", CLAUDE, provider, speaks, model, ask(CLAUDE, tools=[tool(CLAUDE, names)]), [[place, {"max_length": 64}]])
    yield case("metadata-long", RESPONSES, "openai", CHAT, "gpt-4o", ask(RESPONSES, metadata={"k": "v" * 600}, store=True), [["$status", 200]], any=[{"on": "answer", "assert": [["$status", 400], ["$raw", {"contains_text": "metadata"}]]}])


def ends_of_turns() -> Iterator[dict[str, Any]]:
    """How a conversation may end, and who may show what."""
    for model in ("claude-opus-4-6", "claude-sonnet-4-6", "claude-opus-4-7", "claude-opus-4-8"):
        yield case(f"prefill-chat-{model}", CHAT, "anthropic", CLAUDE, model, {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "The"}]}, [["messages[-1].role", "user"]])
        yield case(f"prefill-responses-{model}", RESPONSES, "anthropic", CLAUDE, model, {"input": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "The"}]}, [["messages[-1].role", "user"]])
        yield case(f"prefill-gemini-{model}", GEMINI, "anthropic", CLAUDE, model, {"contents": [{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": [{"text": "The"}]}]}, [["messages[-1].role", "user"]])
    yield case("prefill-kept", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "The"}]}, [["messages[-1].role", "assistant"]])
    shown = {"contents": [{"role": "user", "parts": [{"text": "draw"}]}, {"role": "model", "parts": [{"text": "here"}, {"inlineData": {"mimeType": "image/png", "data": IMAGE}}]}, {"role": "user", "parts": [{"text": "and now?"}]}]}
    for provider, speaks, model in (("anthropic", CLAUDE, "claude-sonnet-4-5"), ("openai", CHAT, "gpt-4o"), ("openai", RESPONSES, "gpt-4o"), ("deepseek", "deepseek.chat", "deepseek-chat")):
        key = "input[1]" if speaks == RESPONSES else "messages[1]"
        yield case(f"picture-of-the-model-{speaks}", GEMINI, provider, speaks, model, shown, [[key, {"lacks_text": IMAGE[:20]}], ["$loss", {"contains_text": "contents[1].parts[1]"}]],
                   any=[{"assert": [[key, {"lacks_text": IMAGE[:20]}], ["$body", {"contains_text": IMAGE[:20]}]]}])


def media() -> Iterator[dict[str, Any]]:
    """Names of media types, files that are texts, files of other vendors."""
    for kind, right in (("image/jpg", "image/jpeg"), ("image/pjpeg", "image/jpeg"), ("IMAGE/PNG", "image/png"), ("image/x-png", "image/png")):
        yield case(f"picture-{kind}", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(CHAT, [{"type": "image_url", "image_url": {"url": f"data:{kind};base64,{IMAGE}"}}]), [["messages[0].content[0].source.media_type", right]])
        yield case(f"picture-{kind}-gemini", RESPONSES, "gemini", GEMINI, "gemini-3-pro", ask(RESPONSES, [{"type": "input_image", "image_url": f"data:{kind};base64,{IMAGE}"}]), [["contents[0].parts[0].inlineData.mimeType", right]])
        yield case(f"picture-{kind}-openai", GEMINI, "openai", CHAT, "gpt-4o", ask(GEMINI, [{"inlineData": {"mimeType": kind, "data": IMAGE}}]), [["messages[0].content[0].image_url.url", {"matches": f"^data:{right}"}]])
    for kind, form in (("audio/x-wav", "wav"), ("audio/wave", "wav"), ("audio/mp3", "mp3"), ("audio/mpeg", "mp3")):
        yield case(f"sound-{kind}", GEMINI, "openai", CHAT, "gpt-4o-audio-preview", ask(GEMINI, [{"inlineData": {"mimeType": kind, "data": "UklGRg=="}}]), [["messages[0].content[0].input_audio.format", form]])
    for kind in ("text/plain", "text/csv", "text/markdown", "application/json", "text/html", "text/x-python"):
        uri = f"data:{kind};base64,aGVsbG8="
        chat = [{"type": "file", "file": {"filename": "a.txt", "file_data": uri}}]
        wanted = {"contains_text": "hello"}
        yield case(f"text-file-{kind}-claude", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(CHAT, chat), [["messages[0].content[0]", wanted]])
        yield case(f"text-file-{kind}-gemini", RESPONSES, "gemini", GEMINI, "gemini-3-pro", ask(RESPONSES, [{"type": "input_file", "filename": "a.txt", "file_data": uri}]), [["contents[0].parts[0]", {"contains_one": ["hello", "aGVsbG8="]}]])
        yield case(f"text-file-{kind}-chat", GEMINI, "openai", CHAT, "gpt-4o", ask(GEMINI, [{"inlineData": {"mimeType": kind, "data": "aGVsbG8="}}]), [["messages[0].content", wanted]])
        yield case(f"text-file-{kind}-deepseek", GEMINI, "deepseek", "deepseek.chat", "deepseek-chat", ask(GEMINI, [{"inlineData": {"mimeType": kind, "data": "aGVsbG8="}}]), [["messages[0].content", wanted]])
    text = [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}, "title": "T"}]
    for provider, speaks, model, place in (("openai", CHAT, "gpt-4o", "messages[0].content"), ("openai", RESPONSES, "gpt-4o", "input[0].content"), ("gemini", GEMINI, "gemini-3-pro", "contents[0].parts")):
        yield case(f"text-document-{speaks}", CLAUDE, provider, speaks, model, ask(CLAUDE, text), [[place, {"contains_text": "hello"}]])
    refused = [["$status", 400]]
    for client, parts, provider, speaks, model, word in (
        (CHAT, [{"type": "file", "file": {"file_id": "file-abc"}}], "anthropic", CLAUDE, "claude-sonnet-4-5", "messages[0].content[0]"),
        (CLAUDE, [{"type": "document", "source": {"type": "file", "file_id": "file_011"}}], "openai", RESPONSES, "gpt-4o", "messages[0].content[0]"),
        (CLAUDE, [{"type": "image", "source": {"type": "file", "file_id": "file_011"}}], "gemini", GEMINI, "gemini-3-pro", "messages[0].content[0]"),
        (GEMINI, [{"fileData": {"mimeType": "image/png", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}], "openai", CHAT, "gpt-4o", "contents[0].parts[0]"),
        (RESPONSES, [{"type": "input_image", "file_id": "file-abc"}], "gemini", GEMINI, "gemini-3-pro", "input[0].content[0]"),
        (RESPONSES, [{"type": "input_file", "file_id": "file-abc"}], "deepseek", "deepseek.chat", "deepseek-chat", "input[0].content[0]"),
    ):
        yield case(f"file-id-{client}-{speaks}", client, provider, speaks, model, ask(client, parts), [*refused, ["$raw", {"contains_text": word}]], on="answer")
    found = {"type": "search_result", "source": "https://s.example", "title": "Title", "content": [{"type": "text", "text": "found"}]}
    sent = turn(CLAUDE)
    sent[2]["content"][0]["content"] = [found]
    for provider, speaks, model in (("gemini", GEMINI, "gemini-3-pro"), ("openai", CHAT, "gpt-4o"), ("openai", RESPONSES, "gpt-4o"), ("deepseek", "deepseek.chat", "deepseek-chat")):
        yield case(f"search-result-{speaks}", CLAUDE, provider, speaks, model, history(CLAUDE, sent), [["$body", {"contains_text": ["found", "Title", "https://s.example"]}]])
    inside = turn(CLAUDE)
    inside[2]["content"][0]["content"] = [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "inside"}}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}]
    for provider, speaks, model in (("gemini", GEMINI, "gemini-3-pro"), ("openai", CHAT, "gpt-4o"), ("openai", RESPONSES, "gpt-4o")):
        yield case(f"result-document-{speaks}", CLAUDE, provider, speaks, model, history(CLAUDE, inside), [["$body", {"contains_text": ["inside", IMAGE[:20]]}]])
    for provider, speaks, model in (("openai", CHAT, "gpt-4o"), ("anthropic", CLAUDE, "claude-sonnet-4-5"), ("mistral", "mistral.chat", "mistral-large-latest")):
        yield case(f"video-{provider}", GEMINI, provider, speaks, model, ask(GEMINI, [{"text": "see"}, {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}]), [["$status", 400], ["$raw", {"contains_text": "contents[0].parts[1]"}]], on="answer",
                   any=[{"on": "provider_request", "assert": [["$loss", {"contains_text": "contents[0].parts[1]"}]]}])


def hosted() -> Iterator[dict[str, Any]]:
    """Hosted tools, forced."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    forced = ask(CLAUDE, tools=[search], tool_choice={"type": "tool", "name": "web_search"})
    yield case("forced-search-gemini", CLAUDE, "gemini", GEMINI, "gemini-3-pro", forced, [["tools[0].googleSearch", {"present": True}], ["$body", {"lacks_text": '"web_search"'}]])
    yield case("forced-search-beside-a-function", CLAUDE, "openai", RESPONSES, "gpt-5.2", {**forced, "tools": [search, tool(CLAUDE)]}, [["tool_choice", {"one_of": [{"type": "web_search"}, "required"]}]])
    yield case("forced-search-any", CLAUDE, "openai", RESPONSES, "gpt-5.2", {**forced, "tool_choice": {"type": "any"}}, [["tool_choice", "required"]])
    yield case("forced-search-from-responses", RESPONSES, "anthropic", CLAUDE, "claude-sonnet-4-5", ask(RESPONSES) | {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}},
               [["tools[0].type", {"matches": "^web_search"}], ["tool_choice", {"one_of": [{"type": "tool", "name": "web_search"}, {"type": "any"}]}]])
    yield case("search-for-a-chat-model", CLAUDE, "openai", CHAT, "gpt-4o-search-preview", {**forced, "tool_choice": {"type": "auto"}}, [["web_search_options", {"present": True}]])


def items() -> Iterator[dict[str, Any]]:
    """Items of the history that hold readable words are kept as text."""
    words = "the tests pass"
    known: list[tuple[str, dict[str, Any]]] = [
        ("agent", {"type": "agent_message", "agent": "w", "content": [{"type": "input_text", "text": words}]}),
        ("unheard", {"type": "note_from_afar", "id": "n1", "text": words}),
        ("nested", {"type": "brand_new_item", "output": [{"type": "thing", "text": words}]}),
        ("shell", {"type": "local_shell_call_output", "id": "l1", "call_id": "l1", "output": words}),
        ("encrypted", {"type": "compaction", "id": "c1", "encrypted_content": "ZW5j", "summary": [{"type": "summary_text", "text": words}]}),
    ]
    for provider, speaks, model in (("anthropic", CLAUDE, "claude-sonnet-4-5"), ("gemini", GEMINI, "gemini-3-pro"), ("openai", CHAT, "gpt-4o"), ("deepseek", "deepseek.chat", "deepseek-chat")):
        for name, told in known:
            yield case(f"item-{name}-{speaks}", RESPONSES, provider, speaks, model, {"input": [{"role": "user", "content": "go"}, told, {"role": "user", "content": "and now?"}]}, [["$body", {"contains_text": words}]])
    block = {"type": "brand_new_block", "text": words}
    for provider, speaks, model in (("openai", RESPONSES, "gpt-4o"), ("gemini", GEMINI, "gemini-3-pro"), ("openai", CHAT, "gpt-4o")):
        yield case(f"block-unheard-{speaks}", CLAUDE, provider, speaks, model, ask(CLAUDE, [{"type": "text", "text": "go"}, block]), [["$body", {"contains_text": words}]])
        used = turn(CLAUDE)
        used[2]["content"][0]["content"] = [block]
        yield case(f"block-unheard-in-a-result-{speaks}", CLAUDE, provider, speaks, model, history(CLAUDE, used), [["$body", {"contains_text": words}]])
        named = turn(CLAUDE)
        named[2]["content"][0]["content"] = [{"type": "tool_reference", "tool_name": "late"}]
        yield case(f"tool-reference-{speaks}", CLAUDE, provider, speaks, model, history(CLAUDE, named), [["$body", {"contains_text": "late"}]])
    for provider, speaks, model in (("anthropic", CLAUDE, "claude-sonnet-4-5"), ("gemini", GEMINI, "gemini-3-pro"), ("openai", RESPONSES, "gpt-4o")):
        yield case(f"part-unheard-{speaks}", CHAT, provider, speaks, model, ask(CHAT, [{"type": "text", "text": "go"}, {"type": "brand_new_part", "text": words}]), [["$body", {"contains_text": words}]])
        yield case(f"claude-image-in-chat-{speaks}", CHAT, provider, speaks, model, ask(CHAT, [{"type": "text", "text": "go"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}]), [["$body", {"contains_text": IMAGE[:20]}]],
                   any=[{"on": "answer", "assert": [["$status", 400], ["$raw", {"contains_text": "messages[0].content[1]"}]]}])
    code = {"contents": [{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": [{"executableCode": {"language": "PYTHON", "code": words}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42 it is"}}, {"text": "done"}]}, {"role": "user", "parts": [{"text": "so?"}]}]}
    for provider, speaks, model in (("anthropic", CLAUDE, "claude-sonnet-4-5"), ("openai", CHAT, "gpt-4o"), ("openai", RESPONSES, "gpt-4o")):
        yield case(f"code-ran-{speaks}", GEMINI, provider, speaks, model, code, [["$body", {"contains_text": [words, "42 it is"]}]], any=[{"assert": [["$loss", {"contains_text": "contents[1].parts[0]"}]]}])


def places() -> Iterator[dict[str, Any]]:
    """Losses name the caller's own place, in a header that can be taken apart."""
    clean = [["$loss", {"present": True, "lacks_text": [".parts[", "native", "tools.namespace"]}], ["$loss_unread", []]]
    yield case("loss-chat", CHAT, "anthropic", CLAUDE, "claude-sonnet-4-5", {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "note", "v": 1}]}], "logit_bias": {"1": 2}, "seed": 3},
               [*clean, ["$loss", {"contains_text": ["messages[1].content[1]", "seed"]}]])
    yield case("loss-responses", RESPONSES, "anthropic", CLAUDE, "claude-sonnet-4-5", {"input": [{"role": "user", "content": "a"}, {"type": "web_search_call", "id": "w", "status": "completed", "action": {"type": "search", "query": "q"}}, {"role": "user", "content": "b"}]},
               [*clean, ["$loss", {"contains_text": "input[1]"}]])
    yield case("loss-gemini", GEMINI, "openai", CHAT, "gpt-4o", {"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"executableCode": {"language": "PYTHON", "code": "1"}}, {"text": "b"}]}, {"role": "user", "parts": [{"text": "c"}]}], "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}], "generationConfig": {"topK": 3}},
               [["$loss", {"contains_text": ["generationConfig.topK"], "lacks_text": ["native", "messages"]}], ["$loss_unread", []]])
    yield case("loss-of-a-thought", CLAUDE, "openai", CHAT, "gpt-4o", history(CLAUDE, turn(CLAUDE, thought="hm")), [*clean, ["$loss", {"contains_text": "messages[1].content[0]"}]])
    yield case("loss-of-a-thought-responses", RESPONSES, "openai", CHAT, "gpt-4o", history(RESPONSES, turn(RESPONSES, thought="hm")), [*clean, ["$loss", {"contains_text": "input[1]"}]])
    yield case("loss-of-a-thought-gemini", GEMINI, "openai", CHAT, "gpt-4o", history(GEMINI, turn(GEMINI, thought="hm")), [["$loss", {"contains_text": "contents[1].parts[0]"}]])
    yield case("loss-in-a-tool", CLAUDE, "gemini", GEMINI, "gemini-3-pro", ask(CLAUDE, tools=[tool(CLAUDE), {**tool(CLAUDE, "b"), "defer_loading": True, "cache_control": {"type": "ephemeral"}}]), [["$loss", {"contains_text": ["tools[1].defer_loading"]}]])


def closed() -> Iterator[dict[str, Any]]:
    """Keys that a vendor's dialect does not have are not sent, and told."""
    extras: dict[str, dict[str, Any]] = {
        CHAT: {"store": True, "service_tier": "flex", "user": "u", "verbosity": "low", "prediction": {"type": "content", "content": "x"}, "metadata": {"a": "b"}, "prompt_cache_key": "k", "safety_identifier": "s"},
        RESPONSES: {"store": False, "service_tier": "flex", "user": "u", "text": {"verbosity": "low"}, "prompt_cache_key": "k", "safety_identifier": "s", "truncation": "auto", "include": ["reasoning.encrypted_content"]},
        CLAUDE: {"metadata": {"user_id": "u"}, "service_tier": "auto"}, GEMINI: {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}], "generationConfig": {"topK": 3}},
    }  # fmt: skip
    absent = {"mistral": ("user", "service_tier", "store", "verbosity", "prompt_cache_key", "safety_identifier"), "deepseek": ("service_tier", "store", "verbosity", "prompt_cache_key", "safety_identifier", "prediction"), "groq": ("store",)}
    for provider, speaks, model in (("mistral", "mistral.chat", "mistral-large-latest"), ("deepseek", "deepseek.chat", "deepseek-chat"), ("groq", CHAT, "llama-3.3-70b-versatile")):
        for client in (CHAT, RESPONSES, CLAUDE):
            yield case(f"closed-{provider}-{client}", client, provider, speaks, model, ask(client, **extras[client]), [[key, ABSENT] for key in absent[provider]])
    foreign = history(CHAT, turn(CHAT, thought="hm", call="call_Zb81kQx0aPqRs"))
    foreign["messages"][1]["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "eA=="}}
    for provider, speaks, model in (("mistral", "mistral.chat", "mistral-large-latest"), ("groq", CHAT, "llama-3.3-70b-versatile"), ("openai", CHAT, "gpt-4o")):
        yield case(f"foreign-history-{provider}", CHAT, provider, speaks, model, foreign, [["$body", {"lacks_text": ["extra_content", '"hm"']}]])
    yield case("limit-deepseek", CHAT, "deepseek", "deepseek.chat", "deepseek-chat", ask(CHAT, max_completion_tokens=64), [["max_tokens", 64], ["max_completion_tokens", ABSENT]])
    yield case("limit-moonshot", CHAT, "moonshot", CHAT, "kimi-k2", ask(CHAT, max_completion_tokens=64), [["$body", {"contains_text": "64"}]])


def openings() -> Iterator[dict[str, Any]]:
    """One object where a list is documented."""
    one = tool(GEMINI)
    for provider, speaks, model in (("anthropic", CLAUDE, "claude-sonnet-4-5"), ("openai", CHAT, "gpt-4o"), ("openai", RESPONSES, "gpt-4o")):
        yield case(f"gemini-singles-{speaks}", GEMINI, provider, speaks, model, {"contents": {"role": "user", "parts": {"text": "Depth?"}}, "systemInstruction": {"parts": {"text": "Be brief."}}, "tools": {"functionDeclarations": one}}, [["$status", 200], ["$body", {"contains_text": ["Depth?", "Be brief.", "look"]}]])
        yield case(f"gemini-text-contents-{speaks}", GEMINI, provider, speaks, model, {"contents": [{"parts": [{"text": "Depth?"}]}], "system_instruction": {"parts": [{"text": "Be brief."}]}, "generation_config": {"max_output_tokens": 99}}, [["$status", 200], ["$body", {"contains_text": ["Depth?", "Be brief.", "99"]}]])


def cases() -> Iterator[dict[str, Any]]:
    """All of them."""
    for kind in (schemas, lengths, ends_of_turns, media, hosted, items, places, closed, openings):
        yield from kind()
