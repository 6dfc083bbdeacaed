"""What OpenAI's Responses refuse: the table of their request, and the order of items."""

from __future__ import annotations

from typing import Any

import openai_errors as errors
import wire
from shape import OneOf, Tagged
from wire import Options

_IN = Tagged(
    "type",
    {
        "input_text": {"text!": "str"},
        "input_image": {"image_url": "str", "file_id": "str", "detail": ("auto", "low", "high", "original")},
        "input_file": {"file_data": "str", "file_url": "str", "file_id": "str", "filename": "str", "detail": "str"},
        "input_audio": {"input_audio!": {"data!": "str", "format!": ("wav", "mp3")}},
        "output_text": {"text!": "str", "annotations": ["any"], "logprobs": "any"},
        "refusal": {"refusal!": "str"},
        "summary_text": {"text!": "str"},
    },
)
_MESSAGE = {
    "role!": ("user", "assistant", "system", "developer"),
    "content!": OneOf("str", [_IN]),
    "id": "str",
    "status": "str",
    "phase": "str",
}
_CALL = {"call_id!": "str", "name!": "str", "id": "str", "status": "str", "namespace": "str"}
_OUTPUT = {"call_id!": "str", "output!": OneOf("str", [_IN]), "id": "str", "status": "str"}
_ITEMS = Tagged(
    "type",
    {
        "message": _MESSAGE,
        "function_call": {**_CALL, "arguments!": "str"},
        "function_call_output": _OUTPUT,
        "custom_tool_call": {**_CALL, "input!": "str"},
        "custom_tool_call_output": _OUTPUT,
        "reasoning": {
            "id": "str",
            "summary!": [Tagged("type", {"summary_text": {"text!": "str"}})],
            "content": ["any"],
            "encrypted_content": "str",
            "status": "str",
        },
        "item_reference": {"id!": "str"},
        "additional_tools": {"role": "str", "tools!": ["any"], "id": "str"},
        **{
            name: {"*": "any"}
            for name in [
                "web_search_call",
                "file_search_call",
                "code_interpreter_call",
                "computer_call",
                "computer_call_output",
                "compaction",
                "image_generation_call",
                "local_shell_call",
                "local_shell_call_output",
                "mcp_call",
                "mcp_list_tools",
                "mcp_approval_request",
                "mcp_approval_response",
                "tool_search_call",
                "tool_search_output",
                "shell_call",
                "shell_call_output",
                "apply_patch_call",
                "apply_patch_call_output",
            ]
        },
    },
    default="message",
)
_FUNCTION = {
    "name!": "str",
    "parameters": {"*": "any"},
    "strict": "bool",
    "description": "str",
    "defer_loading": "bool",
}
_TOOLS = Tagged(
    "type",
    {
        "function": _FUNCTION,
        "custom": {"name!": "str", "description": "str", "format": "any", "defer_loading": "bool"},
        **{
            name: {"*": "any"}
            for name in [
                "web_search",
                "web_search_preview",
                "file_search",
                "code_interpreter",
                "computer",
                "computer_use_preview",
                "mcp",
                "shell",
                "image_generation",
                "local_shell",
                "apply_patch",
                "tool_search",
                "namespace",
            ]
        },
    },
)
_CHOICE = OneOf(
    ("none", "auto", "required"),
    Tagged(
        "type",
        {
            "function": {"name!": "str"},
            "custom": {"name!": "str"},
            "allowed_tools": {"mode!": ("auto", "required"), "tools!": ["any"]},
        },
        other={"*": "any"},
    ),
)
_FORMAT = Tagged(
    "type",
    {
        "text": {},
        "json_object": {},
        "json_schema": {"name!": "str", "schema!": {"*": "any"}, "strict": "bool", "description": "str"},
    },
)
TABLE: dict[str, Any] = {
    "model!": "str",
    "input!": OneOf("str", [_ITEMS]),
    "instructions": "str",
    "stream": "bool",
    "stream_options": {"include_obfuscation": "bool"},
    "tools": [_TOOLS],
    "tool_choice": _CHOICE,
    "parallel_tool_calls": "bool",
    "max_output_tokens": "int",
    "max_tool_calls": "int",
    "temperature": "number",
    "top_p": "number",
    "top_logprobs": "int",
    "reasoning": {
        "effort": ("none", "minimal", "low", "medium", "high", "xhigh", "max"),
        "summary": ("auto", "concise", "detailed"),
        "generate_summary": ("auto", "concise", "detailed"),
        "context": "str",
    },
    "text": {"format": _FORMAT, "verbosity": ("low", "medium", "high")},
    "include": ["str"],
    "store": "bool",
    "background": "bool",
    "metadata": {"*": "str"},
    "client_metadata": {"*": "str"},  # not in the reference; the vendor's own agent sends it
    "previous_response_id": "str",
    "truncation": ("auto", "disabled"),
    "service_tier": ("auto", "default", "flex", "priority", "scale"),
    **dict.fromkeys(("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"), "str"),
    **dict.fromkeys(("conversation", "prompt", "moderation", "context_management", "prompt_cache_options"), "any"),
}
_BOUNDS = {"temperature": (0, 2), "top_p": (0, 1), "top_logprobs": (0, 20), "max_output_tokens": (16, None)}


def check(body: dict[str, Any], options: Options) -> None:
    """Refuse what is not of the right shape, or of the right shape and still wrong."""
    errors.check_shape(body, TABLE)
    if body["model"] not in wire.MODELS["openai"] and not options.any_model:
        raise errors.invalid(f"The requested model '{body['model']}' does not exist.", "model", "model_not_found")
    errors.check_bounds(body, _BOUNDS)
    for index, tool in enumerate(body.get("tools") or []):
        if tool["type"] in ("function", "custom"):
            errors.check_name(tool["name"], f"tools[{index}].name")
    if body.get("tool_choice") == "required" and not body.get("tools"):
        raise errors.invalid("Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice")
    if "thinking" in body["model"]:
        errors.check_thinking_model(body)
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_object" and "json" not in str(body["input"]).lower():
        raise errors.invalid(
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type"
            " 'json_object'.",
            "input",
        )


def check_items(items: list[dict[str, Any]], options: Options) -> None:
    """Refuse outputs without calls, calls without outputs, and reasoning that is not ours or stands alone."""
    calls = {item["call_id"] for item in items if item.get("type") in ("function_call", "custom_tool_call")}
    open_calls: dict[str, str] = {}
    for index, item in enumerate(items):
        kind = item.get("type", "message")
        if kind == "message":
            _check_message(item, index)
        elif kind in ("function_call", "custom_tool_call"):
            open_calls[item["call_id"]] = "function" if kind == "function_call" else "custom tool"
        elif kind in ("function_call_output", "custom_tool_call_output"):
            if item["call_id"] not in calls or item["call_id"] not in open_calls:
                name = "function call" if kind == "function_call_output" else "custom tool call"
                raise errors.invalid(f"No tool call found for {name} output with call_id {item['call_id']}.", "input")
            del open_calls[item["call_id"]]
        elif kind == "reasoning":
            _check_reasoning(items, index, options)
    for call_id, kind in open_calls.items():
        raise errors.invalid(f"No tool output found for {kind} call {call_id}.", "input")


def _check_message(item: dict[str, Any], index: int) -> None:
    parts = item["content"] if isinstance(item["content"], list) else []
    fitting = ("output_text", "refusal") if item["role"] == "assistant" else ("input_",)
    for place, part in enumerate(parts):
        where = f"input[{index}].content[{place}]"
        if not part["type"].startswith(fitting):
            words = "'output_text' and 'refusal'" if item["role"] == "assistant" else "'input_text' and 'input_image'"
            raise errors.invalid(
                f"Invalid value: '{part['type']}'. Supported values are: {words}.", where, "invalid_value"
            )
        if part["type"] == "input_image" and part.get("image_url"):
            errors.check_image(part["image_url"], f"{where}.image_url")


def _check_reasoning(items: list[dict[str, Any]], index: int, options: Options) -> None:
    item = items[index]
    name = item.get("id", "reasoning")
    sealed = item.get("encrypted_content")
    if sealed and not options.any_signature and wire.unseal("reasoning", sealed) is None:
        raise errors.invalid(
            f"The encrypted content for item {name} could not be verified. Reason: Encrypted content could not be"
            " decrypted or parsed.",
            None,
            "invalid_encrypted_content",
        )
    follows = items[index + 1] if index + 1 < len(items) else {}
    mine = follows.get("type", "message") != "message" or follows.get("role") == "assistant"
    if not follows or not mine:
        raise errors.invalid(
            f"Item '{name}' of type 'reasoning' was provided without its required following item.", "input"
        )
