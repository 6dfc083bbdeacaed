"""What Gemini's generateContent refuses, and how it says so."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

import shape
import wire
from shape import OneOf
from wire import Options, RefusedError

_SCHEMA_KEYS = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
    "items",
    "minimum",
    "maximum",
]
_BLOB = {"mimeType!": "str", "data!": "str", "displayName": "str"}
_PART = {
    "text": "str",
    "thought": "bool",
    "thoughtSignature": "str",
    "inlineData": _BLOB,
    "fileData": {"mimeType": "str", "fileUri!": "str", "displayName": "str"},
    "functionCall": {"id": "str", "name!": "str", "args": {"*": "any"}},
    "functionResponse": {
        "id": "str",
        "name!": "str",
        "response!": {"*": "any"},
        "parts": ["any"],
        "willContinue": "bool",
        "scheduling": "str",
    },
    **dict.fromkeys(
        ("executableCode", "codeExecutionResult", "toolCall", "toolResponse", "videoMetadata", "mediaResolution",
         "partMetadata"),
        "any",
    ),
}  # fmt: skip
_DATA = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
]
_CONTENT = {"role": "str", "parts": [_PART]}
_SCHEMA = dict.fromkeys(_SCHEMA_KEYS, "any")
_FUNCTION = {
    "name!": "str",
    "description": "str",
    "parameters": _SCHEMA,
    "parametersJsonSchema": "any",
    "response": "any",
    "responseJsonSchema": "any",
    "behavior": "str",
}
_TOOL = {"functionDeclarations": [_FUNCTION]} | dict.fromkeys(
    ("googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "computerUse", "fileSearch", "googleMaps",
     "mcpServers"),
    "any",
)  # fmt: skip
_THINKING = {
    "includeThoughts": "bool",
    "thinkingBudget": "int",
    "thinkingLevel": ("THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "minimal", "low", "medium",
                      "high"),
}  # fmt: skip
_CONFIG = {
    "stopSequences": ["str"],
    "responseMimeType": ("text/plain", "application/json", "text/x.enum"),
    "responseSchema": _SCHEMA,
    "responseModalities": ["str"],
    "candidateCount": "int",
    "maxOutputTokens": "int",
    "temperature": "number",
    "topP": "number",
    "topK": "number",
    "seed": "int",
    "presencePenalty": "number",
    "frequencyPenalty": "number",
    "responseLogprobs": "bool",
    "logprobs": "int",
    "thinkingConfig": _THINKING,
    "mediaResolution": "str",
    **dict.fromkeys(
        ("responseJsonSchema", "speechConfig", "imageConfig", "enableEnhancedCivicAnswers", "enableAffectiveDialog"),
        "any",
    ),
}  # fmt: skip
REQUEST: dict[str, Any] = {
    "model": "str",
    "contents": [_CONTENT],
    "systemInstruction": OneOf(_CONTENT, "str"),
    "tools": [_TOOL],
    "toolConfig": {
        "functionCallingConfig": {
            "mode": ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
            "allowedFunctionNames": ["str"],
        },
        "retrievalConfig": "any",
        "includeServerSideToolInvocations": "bool",
    },
    "safetySettings": [{"category!": "str", "threshold!": "str", "method": "str"}],
    "generationConfig": _CONFIG,
    "cachedContent": "str",
    "labels": {"*": "str"},
    "modelArmorConfig": "any",
    "serviceTier": "str",
    "store": "bool",
}
COUNT: dict[str, Any] = {**REQUEST, "generateContentRequest": REQUEST}
_STATUS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "Permission denied on resource."),
    404: ("NOT_FOUND", "Requested entity was not found."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "The request timed out. Please try again."),
}
_OPAQUE = ("args", "response", "parametersJsonSchema", "responseJsonSchema", "properties", "labels", "default", "enum")
_SNAKE = re.compile(r"_([a-z])")
_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$")
_WORDS = ("context_engineering_is_the_way_to_go", "skip_thought_signature_validator")
_DUMMY = frozenset({*_WORDS, *(b64encode(word.encode()).decode() for word in _WORDS)})
"""The field is bytes: clients send the word itself, or its base64."""


def normal(value: Any, *, at: str = "") -> Any:
    """The body with its keys in camel case; the API takes both."""
    if isinstance(value, dict):
        if at in _OPAQUE and at != "properties":
            return value
        keep = at == "properties"
        return {
            (name if keep else _SNAKE.sub(lambda m: m[1].upper(), name)): normal(
                item, at="" if keep else _SNAKE.sub(lambda m: m[1].upper(), name)
            )
            for name, item in value.items()
        }
    return [normal(item, at=at) for item in value] if isinstance(value, list) else value


def body(status: int, word: str, message: str, details: list[Any] | None = None) -> dict[str, Any]:
    """An error object."""
    return {"error": {"code": status, "message": message, "status": word} | ({"details": details} if details else {})}


def invalid(message: str, field: str | None = None) -> RefusedError:
    """A request that is refused."""
    violation = {"field": field or "", "description": message}
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
    return RefusedError(400, body(400, "INVALID_ARGUMENT", message, [detail] if field is not None else None))


def asked(status: int) -> RefusedError:
    """The error that the prompt asked for."""
    word, message = _STATUS.get(status, _STATUS[500] if status >= 500 else _STATUS[400])
    details = None
    if status == 429:
        details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}]
    return RefusedError(status, body(status, word, message, details))


def check_model(model: str, verb: str, options: Options) -> None:
    """Refuse a model that there is not."""
    if model not in wire.MODELS["gemini"] and not options.any_model:
        raise RefusedError(
            404,
            body(
                404,
                "NOT_FOUND",
                f"models/{model} is not found for API version v1beta, or is not supported for {verb}. Call ListModels"
                " to see the list of available models and their supported methods.",
            ),
        )


def _snake(path: shape.Path) -> str:
    return re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), shape.dotted(path))


def check_shape(found: Any, table: dict[str, Any]) -> None:
    """Refuse what the vendor does not know or can't read."""
    if not isinstance(found, dict):
        raise invalid("Invalid JSON payload received. Root element must be a message.", "")
    problem = shape.check(found, table)
    if problem is None:
        return
    where, outer = _snake(problem.path), _snake(problem.path[:-1])
    if problem.kind == "unknown":
        place = f" at '{outer}'" if outer else ""
        message = f'Invalid JSON payload received. Unknown name "{problem.path[-1]}"{place}: Cannot find field.'
        raise invalid(message, outer)
    if problem.kind == "missing":
        raise invalid(f"* GenerateContentRequest.{where}: required field is not specified\n")
    raise invalid(f"Invalid value at '{where}', {wire.compact(problem.found)[:200]}", where)


def turns(contents: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]], int]]:
    """Turns with the index of their first content; neighbours of one role are one turn."""
    found: list[tuple[str, list[dict[str, Any]], int]] = []
    for index, content in enumerate(contents):
        role = content.get("role") or "user"
        role = "user" if role == "function" else role
        if found and found[-1][0] == role:
            found[-1][1].extend(content.get("parts") or [])
        else:
            found.append((role, list(content.get("parts") or []), index))
    return found


def check(found: dict[str, Any], model: str, options: Options) -> None:
    """Refuse what is well formed and still wrong."""
    contents = found.get("contents") or []
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n")
    _check_config(found.get("generationConfig") or {})
    for index, tool in enumerate(found.get("tools") or []):
        for place, own in enumerate(tool.get("functionDeclarations") or []):
            _check_function(own, f"tools[{index}].function_declarations[{place}]")
    if not options.any_model:
        _check_combination(found)
    for index, content in enumerate(contents):
        _check_content(content, f"contents[{index}]", options)
    _check_turns(turns(contents))
    if "thinking" in model and not options.any_signature:
        _check_signatures(contents)


def _check_config(config: dict[str, Any]) -> None:
    bounds = {"temperature": (0, 2), "topP": (0, 1), "candidateCount": (1, 8), "maxOutputTokens": (1, 10**6)}
    for name, (low, high) in bounds.items():
        value = config.get(name)
        if value is not None and not low <= value <= high:
            where = _snake(("generationConfig", name))
            raise invalid(
                f"* GenerateContentRequest.{where}: {_snake((name,))} must be in the range [{low}, {high}].\n"
            )
    if len(config.get("stopSequences") or []) > 5:
        raise invalid("* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences\n")
    thinking = config.get("thinkingConfig") or {}
    if thinking.get("thinkingBudget") is not None and thinking.get("thinkingLevel"):
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if config.get("responseSchema") and config.get("responseMimeType") not in ("application/json", "text/x.enum"):
        raise invalid("* GenerateContentRequest.generation_config.response_mime_type: must be application/json\n")


def _check_combination(found: dict[str, Any]) -> None:
    """Functions and the vendor's own tools go together only where the caller takes the latter's calls too."""
    kinds = {name for tool in found.get("tools") or [] for name in tool}
    told = (found.get("toolConfig") or {}).get("includeServerSideToolInvocations")
    if "functionDeclarations" in kinds and len(kinds) > 1 and not told:
        raise invalid(
            "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with Function"
            " calling."
        )


def _check_function(own: dict[str, Any], where: str) -> None:
    if not _NAME.match(own["name"]):
        raise invalid(
            f"* GenerateContentRequest.{where}.name: Invalid function name. Must start with a letter or an underscore."
            " Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum"
            " length of 128.\n"
        )
    if own.get("parameters") is not None and own.get("parametersJsonSchema") is not None:
        raise invalid(
            f"* GenerateContentRequest.{where}: parameters and parameters_json_schema are mutually exclusive\n"
        )
    if own.get("parameters") is not None:
        _check_schema(own["parameters"], f"{where}.parameters")


def _check_schema(schema: Any, where: str) -> None:
    if not isinstance(schema, dict):
        return
    for name in schema:
        if name not in _SCHEMA_KEYS:
            message = f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': Cannot find field."
            raise invalid(message, where)
    if isinstance(schema.get("type"), list):
        raise invalid(f"Invalid value at '{where}.type', Proto field is not repeating, cannot start list.", where)
    members = schema.get("properties") or {}
    if not isinstance(members, dict):
        raise invalid(f"Invalid value at '{where}.properties', expected a map.", where)
    for name, member in members.items():
        _check_schema(member, f"{where}.properties[{name}]")
    _check_schema(schema.get("items"), f"{where}.items")
    for index, member in enumerate(schema.get("anyOf") or []):
        _check_schema(member, f"{where}.any_of[{index}]")


def _check_content(content: dict[str, Any], where: str, options: Options) -> None:
    if content.get("role") not in (None, "user", "model", "function"):
        raise invalid("Please use a valid role: user, model.")
    if not content.get("parts"):
        raise invalid(f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.\n")
    for index, part in enumerate(content["parts"]):
        data = [name for name in _DATA if part.get(name) is not None]
        if len(data) != 1 and not (not data and part.get("thoughtSignature")):
            raise invalid(
                f"* GenerateContentRequest.{where}.parts[{index}].data: required oneof field 'data' must have one"
                " initialized field\n"
            )
        if "inlineData" in part and not wire.is_base64(wire.standard_base64(part["inlineData"]["data"])):
            place = f"{where}.parts[{index}].inline_data.data"
            raise invalid(f"Invalid value at '{place}' (TYPE_BYTES), Base64 decoding failed", place)
        signature = part.get("thoughtSignature")
        known = not signature or signature in _DUMMY or options.any_signature
        if not known and wire.unseal("thought", wire.standard_base64(signature)) is None:
            raise invalid("Thought signature is not valid.")


def _check_turns(found: list[tuple[str, list[dict[str, Any]], int]]) -> None:
    calls = 0
    for number, (role, parts, _) in enumerate(found):
        answers = sum("functionResponse" in part for part in parts)
        if answers and not calls:
            raise invalid("Please ensure that function response turn comes immediately after a function call turn.")
        if calls and answers != calls:
            raise invalid(
                "Please ensure that the number of function response parts is equal to the number of function call parts"
                " of the function call turn."
            )
        calls = sum("functionCall" in part for part in parts) if role == "model" else 0
        if calls and number == 0:
            raise invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function response"
                " turn."
            )


def _check_signatures(contents: list[dict[str, Any]]) -> None:
    """In the current turn (since the user last said something) the first call of each step needs its signature."""
    begins = [i for i, c in enumerate(contents) if c.get("role") != "model" and any("text" in p for p in c["parts"])]
    for index in range(begins[-1] if begins else 0, len(contents)):
        calls = [part for part in contents[index]["parts"] if "functionCall" in part]
        if contents[index].get("role") == "model" and calls and not calls[0].get("thoughtSignature"):
            raise invalid(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work"
                " correctly, and missing thought_signature may lead to degraded model performance. Additional data,"
                f" function call `default_api:{calls[0]['functionCall']['name']}` , position {index + 1}."
            )
