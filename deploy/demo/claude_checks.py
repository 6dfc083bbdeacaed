"""What Anthropic's Messages refuse, and how they say so."""

from __future__ import annotations

import re
from typing import Any

import shape
import wire
from shape import OneOf, Tagged
from wire import Options, RefusedError

_CACHE = {"type!": ("ephemeral",), "ttl": ("5m", "1h")}
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_IMAGE = Tagged(
    "type",
    {
        "base64": {"media_type!": _IMAGE_TYPES, "data!": "str"},
        "url": {"url!": "str"},
        "file": {"file_id!": "str"},
    },
)
_DOCUMENT = Tagged(
    "type",
    {
        "base64": {"media_type!": ("application/pdf",), "data!": "str"},
        "text": {"media_type!": ("text/plain",), "data!": "str"},
        "url": {"url!": "str"},
        "file": {"file_id!": "str"},
        "content": {"content!": "any"},
    },
)
_TEXT = {"text!": "str", "cache_control": _CACHE, "citations": "any"}
_DOC = {"source!": _DOCUMENT, "title": "str", "context": "str", "citations": "any", "cache_control": _CACHE}
_SEARCH = {"source!": "str", "title!": "str", "content!": "any", "citations": "any", "cache_control": _CACHE}
_IN_RESULT = Tagged(
    "type",
    {
        "text": _TEXT,
        "image": {"source!": _IMAGE, "cache_control": _CACHE},
        "document": _DOC,
        "search_result": _SEARCH,
        "tool_reference": {"tool_name!": "str", "cache_control": _CACHE},
    },
)
_BLOCK = Tagged(
    "type",
    {
        "text": _TEXT,
        "image": {"source!": _IMAGE, "cache_control": _CACHE},
        "document": _DOC,
        "search_result": _SEARCH,
        "tool_use": {"id!": "str", "name!": "str", "input!": {"*": "any"}, "cache_control": _CACHE, "caller": "any"},
        "tool_result": {
            "tool_use_id!": "str",
            "content": OneOf("str", [_IN_RESULT]),
            "is_error": "bool",
            "cache_control": _CACHE,
        },
        "thinking": {"thinking!": "str", "signature!": "str"},
        "redacted_thinking": {"data!": "str"},
        "compaction": {"content": "str", "cache_control": _CACHE},
        "server_tool_use": {"id!": "str", "name!": "str", "input!": {"*": "any"}, "cache_control": _CACHE},
        **{
            f"{name}_tool_result": {"tool_use_id!": "str", "content!": "any", "cache_control": _CACHE}
            for name in ("web_search", "web_fetch", "code_execution", "bash_code_execution", "tool_search", "advisor")
        },
    },
)
_TOOL = Tagged(
    "type",
    {
        "custom": {
            "name!": "str",
            "input_schema!": {"*": "any"},
            "description": "str",
            "cache_control": _CACHE,
            "strict": "bool",
            "defer_loading": "bool",
            "eager_input_streaming": "bool",
            "input_examples": "any",
            "allowed_callers": "any",
        }
    },
    other={"name!": "str", "*": "any"},
    default="custom",
)
_CHOICE = Tagged(
    "type",
    {
        "auto": {"disable_parallel_tool_use": "bool"},
        "any": {"disable_parallel_tool_use": "bool"},
        "tool": {"name!": "str", "disable_parallel_tool_use": "bool"},
        "none": {},
    },
)
_THINKING = Tagged(
    "type",
    {
        "enabled": {"budget_tokens!": "int", "display": "str"},
        "adaptive": {"display": ("summarized", "omitted")},
        "disabled": {},
    },
)
_COMMON: dict[str, Any] = {
    "model!": "str",
    "messages!": [{"role!": ("user", "assistant", "system"), "content!": OneOf("str", [_BLOCK])}],
    "system": OneOf("str", [Tagged("type", {"text": _TEXT})]),
    "tools": [_TOOL],
    "tool_choice": _CHOICE,
    "thinking": _THINKING,
    "cache_control": _CACHE,
    "output_config": {"effort": ("low", "medium", "high", "xhigh", "max"), "format": {"type!": "str", "*": "any"}},
    "output_format": {"type!": "str", "*": "any"},
    "context_management": {"edits": ["any"]},
    "mcp_servers": ["any"],
}
COUNT = _COMMON
MESSAGES: dict[str, Any] = _COMMON | {
    "max_tokens!": "int",
    "metadata": {"user_id": "str"},
    "thread": Tagged("type", {"create": {}, "continue": {"previous_message_id!": "str"}}),
    "stop_sequences": ["str"],
    "stream": "bool",
    "temperature": "number",
    "top_p": "number",
    "top_k": "int",
    "service_tier": ("auto", "standard_only"),
    "container": "any",
    "inference_geo": "str",
    "speed": ("standard", "fast"),
}
_ERRORS = {
    400: ("invalid_request_error", "The request was refused because the prompt asked for it."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}
_ID = re.compile(r"^[a-zA-Z0-9_-]+$")
_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")


def headers(body: Any) -> dict[str, str]:
    """Headers of every answer."""
    return {"request-id": wire.stable_id("req_", body)}


def error(status: int, kind: str, message: str, extra: dict[str, str] | None = None) -> RefusedError:
    """An error answer."""
    request = wire.stable_id("req_", message)
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": request}
    return RefusedError(status, body, {"request-id": request, **(extra or {})})


def invalid(message: str) -> RefusedError:
    """A request that is refused."""
    return error(400, "invalid_request_error", message)


def asked(status: int) -> RefusedError:
    """The error that the prompt asked for."""
    kind, message = _ERRORS.get(status, _ERRORS[500] if status >= 500 else _ERRORS[400])
    return error(status, kind, message, {"retry-after": "2"} if status in (429, 529) else None)


def check_headers(found: dict[str, str]) -> None:
    """Refuse a call without a version."""
    if not found.get("anthropic-version"):
        raise invalid("anthropic-version: header is required")


def check_model(model: str, options: Options) -> None:
    """Refuse a model that there is not."""
    if model not in wire.MODELS["claude"] and not options.any_model:
        raise error(404, "not_found_error", f"model: {model}")


def check_shape(body: Any, table: dict[str, Any]) -> None:
    """Refuse what the vendor does not know or can't read."""
    if not isinstance(body, dict):
        raise invalid("The request body is not valid JSON: expected an object")
    problem = shape.check(body, table)
    if problem is None:
        return
    where = shape.dotted(problem.path, ".{}")
    if problem.kind == "unknown":
        raise invalid(f"{where}: Extra inputs are not permitted")
    if problem.kind == "missing":
        raise invalid(f"{where}: Field required")
    if problem.kind == "tag":
        outer = where.rpartition(".")[0]
        raise invalid(
            f"{outer}: Input tag '{problem.found}' found using 'type' does not match any of the expected tags:"
            f" {problem.wanted}"
        )
    if problem.kind == "value":
        raise invalid(f"{where}: Input should be {' or '.join(problem.wanted.rsplit(', ', 1))}")
    words = {"object": "a valid dictionary", "array": "a valid array"}.get(problem.wanted, f"a valid {problem.wanted}")
    raise invalid(f"{where}: Input should be {words}")


def check(body: dict[str, Any], options: Options) -> None:
    """Refuse what is well formed and still wrong."""
    if body.get("thread"):
        refused = invalid("thread: threads are not supported by this model")
        refused.body["error"]["details"] = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
        raise refused
    _check_numbers(body)
    for index, tool in enumerate(body.get("tools") or []):
        if not _NAME.match(tool["name"]):
            pattern = "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"
            raise invalid(f"tools.{index}.custom.name: {pattern}")
        if "input_schema" in tool and tool["input_schema"].get("type") != "object":
            missing = "Field required" if "type" not in tool["input_schema"] else "Input should be 'object'"
            raise invalid(f"tools.{index}.custom.input_schema.type: {missing}")
    choice = (body.get("tool_choice") or {}).get("type")
    if choice in ("any", "tool", "auto") and not body.get("tools"):
        raise invalid("tool_choice: Tool choice may only be specified while providing tools.")
    _check_thinking(body, choice)
    _check_cache(body)
    _check_turns(body["messages"])
    for index, message in enumerate(body["messages"]):
        for place, block in enumerate(message["content"] if isinstance(message["content"], list) else []):
            _check_block(block, f"messages.{index}.content.{place}", options)
    _check_first_block(body)


def _check_numbers(body: dict[str, Any]) -> None:
    limits = {"max_tokens": (1, None), "temperature": (0, 1), "top_p": (0, 1), "top_k": (0, None)}
    for name, (low, high) in limits.items():
        value = body.get(name)
        if value is not None and value < low:
            raise invalid(f"{name}: Input should be greater than or equal to {low}")
        if value is not None and high is not None and value > high:
            raise invalid(f"{name}: Input should be less than or equal to {high}")
    for stop in body.get("stop_sequences") or []:
        if not stop.strip():
            raise invalid("stop_sequences: each stop sequence must contain non-whitespace")


def _check_thinking(body: dict[str, Any], choice: str | None) -> None:
    thinking = body.get("thinking") or {}
    if thinking.get("type") not in ("enabled", "adaptive"):
        return
    budget = thinking.get("budget_tokens")
    if budget is not None and budget < 1024:
        raise invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if budget is not None and "max_tokens" in body and budget >= body["max_tokens"]:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.get("temperature") not in (None, 1):
        raise invalid("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("top_k") is not None:
        raise invalid("`top_k` must be unset when thinking is enabled.")
    if choice in ("any", "tool"):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")


def _check_cache(body: dict[str, Any]) -> None:
    def marks(value: Any) -> int:
        if isinstance(value, dict):
            return int(bool(value.get("cache_control"))) + sum(marks(v) for k, v in value.items() if k != "input")
        return sum(marks(item) for item in value) if isinstance(value, list) else 0

    found = marks({name: body.get(name) for name in ("tools", "system", "messages")})
    if found > 4:
        raise invalid(f"A maximum of 4 blocks with cache_control may be provided. Found {found}.")


def _turns(messages: list[dict[str, Any]]) -> list[tuple[int, str, list[dict[str, Any]]]]:
    """Turns with the index of their first message; neighbours of one role are one turn."""
    turns: list[tuple[int, str, list[dict[str, Any]]]] = []
    for index, message in enumerate(messages):
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if turns and turns[-1][1] == message["role"]:
            turns[-1][2].extend(blocks)
        else:
            turns.append((index, message["role"], list(blocks)))
    return turns


def _check_turns(messages: list[dict[str, Any]]) -> None:
    if not messages:
        raise invalid("messages: at least one message is required")
    if messages[0]["role"] == "system":
        raise invalid(
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system"'
            " as an input message role."
        )
    if messages[0]["role"] == "assistant":
        raise invalid('messages: first message must use the "user" role')
    for index, message in enumerate(messages):
        last = index == len(messages) - 1 and message["role"] == "assistant"
        if not message["content"] and not last:
            raise invalid(
                f"messages.{index}: all messages must have non-empty content except for the optional final assistant"
                " message"
            )
        if last and isinstance(message["content"], str) and message["content"] != message["content"].rstrip():
            raise invalid("messages: final assistant content cannot end with trailing whitespace")
    turns = _turns(messages)
    asked: set[str] = set()
    for number, (index, role, blocks) in enumerate(turns):
        _check_results(index, role, blocks, asked)
        asked = {b["id"] for b in blocks if b["type"] == "tool_use"} if role == "assistant" else set()
        if asked and number == len(turns) - 1:
            _missing(index, asked)


def _check_results(index: int, role: str, blocks: list[dict[str, Any]], asked: set[str]) -> None:
    ahead = [block for block in blocks if block["type"] == "tool_result"] if role == "user" else []
    for block in ahead:
        if block["tool_use_id"] not in asked:
            raise invalid(
                f"messages.{index}.content.{blocks.index(block)}: unexpected `tool_use_id` found in `tool_result`"
                f" blocks: {block['tool_use_id']}. Each `tool_result` block must have a corresponding `tool_use` block"
                " in the previous message."
            )
    first = {block["tool_use_id"] for block in blocks[: len(ahead)] if block["type"] == "tool_result"}
    if asked - first:
        _missing(index - 1, asked - first)


def _missing(index: int, ids: set[str]) -> None:
    raise invalid(
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after:"
        f" {', '.join(sorted(ids))}. Each `tool_use` block must have a corresponding `tool_result` block in the next"
        " message."
    )


def _check_block(block: dict[str, Any], where: str, options: Options) -> None:
    kind = block["type"]
    if kind == "text" and not block["text"]:
        raise invalid("messages: text content blocks must be non-empty")
    if kind == "text" and not block["text"].strip():
        raise invalid("messages: text content blocks must contain non-whitespace text")
    if kind in ("tool_use", "tool_result"):
        name = "id" if kind == "tool_use" else "tool_use_id"
        if not _ID.match(block[name]):
            raise invalid(f"{where}.{kind}.{name}: String should match pattern '^[a-zA-Z0-9_-]+$'")
    source = block["source"] if kind in ("image", "document") else {}
    if source.get("type") == "base64" and not wire.is_base64(source["data"]):
        raise invalid(f"{where}.{kind}.source.base64.data: invalid base64 data")
    if options.any_signature:
        return
    if kind == "thinking" and wire.unseal("thinking", block["signature"]) != block["thinking"]:
        raise invalid(f"{where}: Invalid `signature` in `thinking` block")
    if kind == "redacted_thinking" and wire.unseal("redacted", block["data"]) is None:
        raise invalid(f"{where}: Invalid `data` in `redacted_thinking` block")


def _check_first_block(body: dict[str, Any]) -> None:
    """With thinking on, the turn that called the tools whose results come now must begin with its thinking."""
    if (body.get("thinking") or {}).get("type") != "enabled":
        return
    turns = [turn for turn in _turns(body["messages"]) if turn[1] != "system"]
    answered = turns[-1][1] == "user" and any(block["type"] == "tool_result" for block in turns[-1][2])
    if not answered or len(turns) < 2:
        return
    index, _, blocks = turns[-2]
    if blocks[0]["type"] not in ("thinking", "redacted_thinking"):
        raise invalid(
            f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found"
            f" `{blocks[0]['type']}`. When `thinking` is enabled, a final `assistant` message must start with a"
            " thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks). We recommend you"
            " include thinking blocks from previous turns."
        )
