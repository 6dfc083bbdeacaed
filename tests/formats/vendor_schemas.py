"""What the vendors of the provider formats take, written down from their references for tests: strict, and ours alone.

Sources: docs.ollama.com/api/chat; docs.cohere.com/reference/chat; the API reference of Bedrock's Converse. Every object
is closed, so that a member that the vendor doesn't document is a fault; ``order`` tells what turns may follow.
"""

from __future__ import annotations

from typing import Any

import jsonschema_rs

TEXT = {"type": "string"}
WORD = {"type": "string", "minLength": 1}
OBJECT = {"type": "object"}


def closed(required: list[str], **members: Any) -> dict[str, Any]:
    """An object with these members and no other."""
    return {"type": "object", "properties": members, "required": required, "additionalProperties": False}


def listed(item: Any, least: int = 1) -> dict[str, Any]:
    """An array of at least so many."""
    return {"type": "array", "items": item, "minItems": least}


FUNCTION = closed(["name", "parameters"], name=WORD, description=TEXT, parameters=OBJECT)
TOOLS = listed(closed(["type", "function"], type={"const": "function"}, function=FUNCTION))
OLLAMA = closed(
    ["model", "messages"],
    model=WORD,
    messages=listed(
        closed(
            ["role", "content"],
            role={"enum": ["system", "user", "assistant", "tool"]},
            content=TEXT,
            thinking=TEXT,
            images=listed(WORD),
            tool_name=WORD,
            tool_call_id=WORD,
            tool_calls=listed(
                closed(
                    ["function"], id=WORD, function=closed(["name", "arguments"], name=WORD, arguments=OBJECT)
                )
            ),
        )
    ),
    tools=TOOLS,
    format={"anyOf": [{"const": "json"}, OBJECT]},
    stream={"type": "boolean"},
    think={"enum": [True, False, "low", "medium", "high", "max"]},
    keep_alive={},
    logprobs={"type": "boolean"},
    top_logprobs={"type": "integer"},
    options=closed(
        [],
        **{name: {"type": "integer"} for name in ("seed", "top_k", "num_ctx", "num_predict")},
        **{name: {"type": "number"} for name in ("temperature", "top_p", "min_p", "repeat_penalty",
                                                 "frequency_penalty", "presence_penalty")},
        stop=listed(WORD),
    ),
)  # fmt: skip

_COHERE_TEXT = closed(["type", "text"], type={"const": "text"}, text=TEXT)
_COHERE_IMAGE = closed(
    ["type", "image_url"],
    type={"const": "image_url"},
    image_url=closed(["url"], url=WORD, detail={"enum": ["auto", "low", "high"]}),
)
_COHERE_THOUGHT = closed(["type", "thinking"], type={"const": "thinking"}, thinking=TEXT)
_COHERE_DOCUMENT = closed(["type", "document"], type={"const": "document"}, document=OBJECT)
COHERE = closed(
    ["model", "messages"],
    model=WORD,
    messages=listed(
        closed(
            ["role"],
            role={"enum": ["system", "user", "assistant", "tool"]},
            content={
                "anyOf": [TEXT, listed({"anyOf": [_COHERE_TEXT, _COHERE_IMAGE, _COHERE_THOUGHT, _COHERE_DOCUMENT]})]
            },
            tool_plan=TEXT,
            citations={},
            tool_call_id=WORD,
            tool_calls=listed(
                closed(
                    ["id", "type", "function"],
                    id=WORD,
                    type={"const": "function"},
                    function=closed(["name", "arguments"], name=WORD, arguments=TEXT),
                )
            ),
        )
    ),
    tools=TOOLS,
    stream={"type": "boolean"},
    strict_tools={"type": "boolean"},
    documents={},
    citation_options={},
    response_format=closed(["type"], type={"enum": ["text", "json_object"]}, json_schema=OBJECT),
    safety_mode={"enum": ["CONTEXTUAL", "STRICT", "OFF"]},
    max_tokens={"type": "integer", "minimum": 1},
    stop_sequences={"type": "array", "items": WORD, "minItems": 1, "maxItems": 5},
    temperature={"type": "number", "minimum": 0},
    seed={"type": "integer", "minimum": 0},
    frequency_penalty={"type": "number", "minimum": 0, "maximum": 1},
    presence_penalty={"type": "number", "minimum": 0, "maximum": 1},
    k={"type": "integer", "minimum": 0, "maximum": 500},
    p={"type": "number", "minimum": 0.01, "maximum": 0.99},
    logprobs={"type": "boolean"},
    tool_choice={"enum": ["REQUIRED", "NONE"]},
    thinking=closed(["type"], type={"enum": ["enabled", "disabled"]}, token_budget={"type": "integer"}),
    priority={"type": "integer"},
)

_SOURCE = closed(["bytes"], bytes=WORD)
_CACHE = closed(["type"], type={"const": "default"}, ttl={"enum": ["5m", "1h"]})
_SAID = {
    "text": WORD,
    "image": closed(["format", "source"], format={"enum": ["png", "jpeg", "gif", "webp"]}, source=_SOURCE),
    "document": closed(
        ["name", "source"],
        name={"type": "string", "pattern": r"^[A-Za-z0-9\-()\[\]]+( [A-Za-z0-9\-()\[\]]+)*$", "maxLength": 200},
        format={"enum": ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"]},
        source=_SOURCE,
    ),
    "video": OBJECT,
}


def _one(**members: Any) -> dict[str, Any]:
    """A union: exactly one of the members."""
    return {**closed([], **members), "minProperties": 1, "maxProperties": 1}


_RESULT = closed(
    ["toolUseId", "content"],
    toolUseId={"type": "string", "pattern": "^[a-zA-Z0-9_.:-]{1,64}$"},
    content=listed(_one(**_SAID, json={}), 0),
    status={"enum": ["success", "error"]},
)
_THOUGHT = _one(reasoningText=closed(["text"], text=TEXT, signature=TEXT), redactedContent=WORD)
BEDROCK = closed(
    ["messages"],
    messages=listed(
        closed(
            ["role", "content"],
            role={"enum": ["user", "assistant"]},
            content=listed(
                _one(
                    **_SAID,
                    toolUse=closed(["toolUseId", "name", "input"], toolUseId=WORD, name=WORD, input=OBJECT),
                    toolResult=_RESULT,
                    reasoningContent=_THOUGHT,
                    cachePoint=_CACHE,
                )
            ),
        )
    ),
    system=listed(_one(text=WORD, cachePoint=_CACHE)),
    inferenceConfig=closed(
        [],
        maxTokens={"type": "integer", "minimum": 1},
        temperature={"type": "number", "minimum": 0, "maximum": 1},
        topP={"type": "number", "minimum": 0, "maximum": 1},
        stopSequences=listed(WORD),
    ),
    toolConfig=closed(
        ["tools"],
        tools=listed(
            _one(
                toolSpec=closed(
                    ["name", "inputSchema"],
                    name={"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
                    description=WORD,
                    inputSchema=closed(["json"], json=OBJECT),
                    strict={"type": "boolean"},
                ),
                cachePoint=_CACHE,
            )
        ),
        toolChoice=_one(auto=closed([]), any=closed([]), tool=closed(["name"], name=WORD)),
    ),
    additionalModelRequestFields=OBJECT,
    requestMetadata=OBJECT,
    serviceTier=OBJECT,
    performanceConfig=OBJECT,
    outputConfig=OBJECT,
)

_VALID = {
    name: jsonschema_rs.validator_for({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    for name, schema in {"ollama.chat": OLLAMA, "cohere.chat": COHERE, "bedrock.converse": BEDROCK}.items()
}


def refuse(name: str, body: Any) -> None:
    """Raise AssertionError for what the vendor would refuse."""
    faults = [f"{'.'.join(map(str, one.instance_path))}: {one.message}" for one in _VALID[name].iter_errors(body)]
    assert not faults, faults[:3]
    if name == "bedrock.converse":
        _pairs(body["messages"])
    else:
        _follow(body["messages"])


def _pairs(messages: list[dict[str, Any]]) -> None:
    """Turns alternate from the user's; the calls of one turn are answered in the next, all of them and no other."""
    assert [one["role"] for one in messages] == ["user", "assistant"] * (len(messages) // 2) + ["user"]
    asked: set[str] = set()
    for message in messages:
        answered = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        if message["role"] == "user":
            assert (set(answered), len(answered)) == (asked, len(asked)), "results and calls differ"
        asked = {block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block}


def _follow(messages: list[dict[str, Any]]) -> None:
    """Results stand behind the turn that called, one for each call."""
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting, "a result of no call"
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting, "a call without a result"
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    assert not waiting, "a call without a result"
