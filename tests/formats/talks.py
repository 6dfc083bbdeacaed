"""Generated conversations and answers, and how each format writes them.

A talk is what somebody wants to say, in no format: plain data of hypothesis. A writer per format gives the wire
request, in its vendor's own words; what a format has no word for at all its writer leaves out.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.relay.rich import PDF, PNG

Talk = dict[str, Any]
Body = dict[str, Any]

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.strip)
ARGUMENTS = st.dictionaries(
    st.sampled_from(["city", "days", "note"]), WORDS | st.integers(-9, 9) | st.none(), max_size=3
)
SCHEMA = st.sampled_from(
    [
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        {"type": "object", "properties": {"days": {"type": "array", "items": {"type": "integer"}}}},
        {"type": "object", "properties": {}},
    ]
)
PARTS = st.one_of(
    st.fixed_dictionaries({"kind": st.just("text"), "text": WORDS, "mark": st.booleans()}),
    st.just({"kind": "image", "data": PNG}),
    st.just({"kind": "link", "url": "https://pictures.example/a.png"}),
    st.just({"kind": "file", "data": PDF, "name": "a.pdf"}),
)
CALL = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["weather", "search_web"]),
        "arguments": ARGUMENTS,
        "result": WORDS,
        "error": st.booleans(),
    }
)
TURN = st.fixed_dictionaries(
    {
        "said": st.lists(PARTS, min_size=1, max_size=3),
        "thought": st.none() | WORDS,
        "answer": WORDS,
        "calls": st.lists(CALL, max_size=2),
    }
)
TALKS: st.SearchStrategy[Talk] = st.fixed_dictionaries(
    {"system": st.lists(WORDS, max_size=2), "turns": st.lists(TURN, max_size=3), "last": WORDS},
    optional={
        "tools": st.just(True),
        "schema": SCHEMA,
        "choice": st.sampled_from(["auto", "any", "none", "weather"]),
        "parallel": st.just(False),
        "max_tokens": st.integers(2000, 9000),
        "temperature": st.sampled_from([0.0, 0.25, 1.0]),
        "top_p": st.sampled_from([0.5, 1.0]),
        "stop": st.lists(st.sampled_from(["END", "STOP"]), min_size=1, max_size=2, unique=True),
        "seed": st.integers(0, 99),
        "output": st.booleans(),
        "user": st.sampled_from(["u1", "u2"]),
    },
).map(lambda talk: {**talk, "numbered": _numbered(talk)})


def _numbered(talk: Talk) -> list[tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]]:
    """Turns with their calls under ids."""
    return [
        (turn, [(f"call_{number}_{index}", call) for index, call in enumerate(turn["calls"])])
        for number, turn in enumerate(talk["turns"])
    ]


def tools(talk: Talk) -> list[tuple[str, dict[str, Any]]]:
    """Names and schemas of the tools: always there when something was called."""
    needed = talk.get("tools") or "choice" in talk or any(calls for _, calls in talk["numbered"])
    schema = talk.get("schema", {"type": "object", "properties": {}})
    return [("weather", schema), ("search_web", {"type": "object", "properties": {}})] if needed else []


def _some(**members: Any) -> Body:
    return {key: value for key, value in members.items() if value is not None}


ANSWER = {
    "type": "object",
    "properties": {"note": {"type": "string"}},
    "required": ["note"],
    "additionalProperties": False,
}


def chat(talk: Talk) -> Body:
    """OpenAI chat; several system messages in front."""
    messages: list[Body] = [{"role": "system", "content": text} for text in talk["system"]]
    for turn, calls in talk["numbered"]:
        messages.append({"role": "user", "content": [_chat_part(part) for part in turn["said"]]})
        asked = [
            {
                "id": name,
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
            }
            for name, call in calls
        ]
        messages.append({"role": "assistant", "content": turn["answer"], **_some(tool_calls=asked or None)})
        messages += [{"role": "tool", "tool_call_id": name, "content": call["result"]} for name, call in calls]
    messages.append({"role": "user", "content": talk["last"]})
    choice = {"any": "required", "weather": {"type": "function", "function": {"name": "weather"}}}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": ANSWER, "strict": True}}
    return {
        "model": "m",
        "messages": messages,
        **_some(
            tools=[
                {"type": "function", "function": {"name": name, "description": "d", "parameters": schema}}
                for name, schema in tools(talk)
            ]
            or None,
            tool_choice=choice.get(talk.get("choice", ""), talk.get("choice")),
            parallel_tool_calls=talk.get("parallel") if tools(talk) else None,
            response_format=form if talk.get("output") else None,
            **{key: talk.get(key) for key in ("max_tokens", "temperature", "top_p", "stop", "seed", "user")},
        ),
    }


def _chat_part(part: dict[str, Any]) -> Body:
    if part["kind"] == "text":
        return {"type": "text", "text": part["text"]}
    if part["kind"] == "file":
        return {"type": "file", "file": {"filename": part["name"], "file_data": f"data:application/pdf;base64,{PDF}"}}
    return {
        "type": "image_url",
        "image_url": {"url": part.get("url", f"data:image/png;base64,{PNG}"), "detail": "auto"},
    }


def responses(talk: Talk) -> Body:
    """OpenAI Responses: items; the first system text is `instructions`."""
    items: list[Body] = [{"role": "developer", "content": text} for text in talk["system"][1:]]
    for number, (turn, calls) in enumerate(talk["numbered"]):
        items.append({"role": "user", "content": [_responses_part(part) for part in turn["said"]]})
        if turn["thought"]:
            told = [{"type": "summary_text", "text": turn["thought"]}]
            items.append(
                {"type": "reasoning", "id": f"rs_{number}", "summary": told, "encrypted_content": f"ENC{number}"}
            )
        items.append({"role": "assistant", "content": turn["answer"]})
        items += [
            {"type": "function_call", "call_id": name, "name": call["name"], "arguments": json.dumps(call["arguments"])}
            for name, call in calls
        ]
        items += [{"type": "function_call_output", "call_id": name, "output": call["result"]} for name, call in calls]
    items.append({"role": "user", "content": talk["last"]})
    choice = {"any": "required", "weather": {"type": "function", "name": "weather"}}
    form = {"format": {"type": "json_schema", "name": "answer", "schema": ANSWER, "strict": True}}
    return {
        "model": "m",
        "input": items,
        **_some(
            instructions=talk["system"][0] if talk["system"] else None,
            tools=[
                {"type": "function", "name": name, "description": "d", "parameters": schema, "strict": False}
                for name, schema in tools(talk)
            ]
            or None,
            tool_choice=choice.get(talk.get("choice", ""), talk.get("choice")),
            parallel_tool_calls=talk.get("parallel"),
            max_output_tokens=talk.get("max_tokens"),
            text=form if talk.get("output") else None,
            **{key: talk.get(key) for key in ("temperature", "top_p", "user")},
        ),
    }


def _responses_part(part: dict[str, Any]) -> Body:
    if part["kind"] == "text":
        return {"type": "input_text", "text": part["text"]}
    if part["kind"] == "file":
        return {"type": "input_file", "filename": part["name"], "file_data": f"data:application/pdf;base64,{PDF}"}
    return {"type": "input_image", "image_url": part.get("url", f"data:image/png;base64,{PNG}"), "detail": "auto"}


def claude(talk: Talk) -> Body:
    """Claude: blocks, cache marks, thinking with signatures, results with errors."""
    messages: list[Body] = []
    results: list[Body] = []
    for number, (turn, calls) in enumerate(talk["numbered"]):
        messages.append({"role": "user", "content": [*results, *(_claude_block(part) for part in turn["said"])]})
        thought = {"type": "thinking", "thinking": turn["thought"], "signature": f"SIG{number}"}
        asked = [
            {"type": "tool_use", "id": name, "name": call["name"], "input": call["arguments"]} for name, call in calls
        ]
        said = {"type": "text", "text": turn["answer"]}
        messages.append({"role": "assistant", "content": [*([thought] if turn["thought"] else []), said, *asked]})
        results = [
            {
                "type": "tool_result",
                "tool_use_id": name,
                "content": [{"type": "text", "text": call["result"]}],
                **({"is_error": True} if call["error"] else {}),
            }
            for name, call in calls
        ]
    messages.append({"role": "user", "content": [*results, {"type": "text", "text": talk["last"]}]})
    kinds = {"weather": {"type": "tool", "name": "weather"}}
    choice = kinds.get(talk["choice"], {"type": talk["choice"]}) if "choice" in talk else None
    return {
        "model": "m",
        "max_tokens": talk.get("max_tokens", 2000),
        "messages": messages,
        **_some(
            system=[{"type": "text", "text": text} for text in talk["system"]] or None,
            tools=[{"name": name, "description": "d", "input_schema": schema} for name, schema in tools(talk)] or None,
            tool_choice=choice,
            temperature=talk.get("temperature"),
            stop_sequences=talk.get("stop"),
            metadata={"user_id": talk["user"]} if "user" in talk else None,
            output_config={"format": {"type": "json_schema", "schema": ANSWER}} if talk.get("output") else None,
        ),
    }


def _claude_block(part: dict[str, Any]) -> Body:
    if part["kind"] == "text":
        return {
            "type": "text",
            "text": part["text"],
            **({"cache_control": {"type": "ephemeral", "ttl": "5m"}} if part["mark"] else {}),
        }
    if part["kind"] == "link":
        return {"type": "image", "source": {"type": "url", "url": part["url"]}}
    if part["kind"] == "image":
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    return {"type": "document", "source": source, "title": part["name"]}


def gemini(talk: Talk) -> Body:
    """Gemini: contents and parts, signatures on calls, results as objects; pictures by address it has none."""
    contents: list[Body] = []
    for number, (turn, calls) in enumerate(talk["numbered"]):
        contents.append({"role": "user", "parts": [_gemini_part(part) for part in turn["said"]]})
        parts: list[Body] = [{"text": turn["thought"], "thought": True}] if turn["thought"] else []
        parts.append({"text": turn["answer"]})
        for index, (name, call) in enumerate(calls):
            sign = {"thoughtSignature": f"U0lH{number:04}"} if not index else {}
            parts.append({"functionCall": {"id": name, "name": call["name"], "args": call["arguments"]}, **sign})
        contents.append({"role": "model", "parts": parts})
        if calls:
            told = [
                {
                    "functionResponse": {
                        "id": n,
                        "name": c["name"],
                        "response": {"error" if c["error"] else "output": c["result"]},
                    }
                }
                for n, c in calls
            ]
            contents.append({"role": "user", "parts": told})
    contents.append({"role": "user", "parts": [{"text": talk["last"]}]})
    modes = {"auto": "AUTO", "any": "ANY", "none": "NONE", "weather": "ANY"}
    config = _some(mode=modes.get(talk.get("choice", "")))
    if talk.get("choice") == "weather":
        config["allowedFunctionNames"] = ["weather"]
    declared = [{"name": name, "description": "d", "parametersJsonSchema": schema} for name, schema in tools(talk)]
    wanted = {"responseMimeType": "application/json", "responseJsonSchema": ANSWER} if talk.get("output") else {}
    generation = {
        **wanted,
        **_some(
            maxOutputTokens=talk.get("max_tokens"),
            temperature=talk.get("temperature"),
            topP=talk.get("top_p"),
            seed=talk.get("seed"),
            stopSequences=talk.get("stop"),
        ),
    }
    return {
        "contents": contents,
        **_some(
            systemInstruction={"parts": [{"text": text} for text in talk["system"]]} if talk["system"] else None,
            tools=[{"functionDeclarations": declared}] if declared else None,
            toolConfig={"functionCallingConfig": config} if config else None,
            generationConfig=generation or None,
        ),
    }


def _gemini_part(part: dict[str, Any]) -> Body:
    if part["kind"] in ("text", "link"):
        return {"text": part.get("text", "see the picture")}
    kind = {"image": ("image/png", PNG), "file": ("application/pdf", PDF)}[part["kind"]]
    return {"inlineData": {"mimeType": kind[0], "data": kind[1]}}


WRITERS = {
    "openai.chat": chat,
    "openai.responses": responses,
    "anthropic.messages": claude,
    "gemini.generateContent": gemini,
}
