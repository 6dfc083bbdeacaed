"""Why a message that goes through the hub and back to its own format may differ: the list, and what looks it up.

Same-format traffic passes through untouched, so none of these differences reaches anybody: they show what the hub
has no word for. A difference that isn't listed here fails the test.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

from engine.hub.fold import fold_keys
from tests.formats import listed as shared
from tests.formats import recorded
from tests.formats.recorded import Exchange

Difference = tuple[str, Any, Any]

LISTED: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("openai.responses", "request"): [
        ("^store$", "nothing is stored at the vendor unless the caller says so"),
        ("^include$", "encrypted reasoning is asked for, as nothing is stored"),
        (r"^reasoning\.summary$", "thoughts are asked for where the model is to think, so that they can be shown"),
        ("^stream$", "`false` is said where it was left out"),
        ("^previous_response_id$", "state is the gateway's own matter: what went before stands in the input"),
        ("^instructions$", "empty instructions are none"),
        (r"^input\[\]\.status$", "a message of the history is complete"),
    ],
    ("openai.responses", "response"): [
        ("^model$", "the caller sees the name that was asked for"),
        ("^id$", "ids that do not begin like this format's are made anew"),
        (r"^output\[\]\.id$", "ids that do not begin like this format's are made anew"),
        (r"^output\[\]\.status$", "an item has the status of its answer; reasoning has none"),
        (
            "^(background|completed_at|service_tier|top_logprobs|truncation)$",
            "documented members are written where they were left out",
        ),
        (
            r"^usage\.input_tokens_details\.cache_write_tokens$",
            "documented members are written where they were left out",
        ),
        ("^usage$", "an answer that is not finished has counts of 0"),
        (
            r"^usage\.(cost|cost_details|is_byok|num_\w+)$",
            "other vendors' additions to usage are kept in the hub's raw usage only",
        ),
    ],
    ("gemini.generateContent", "response"): [
        ("^modelVersion$", "the caller sees the name that was asked for"),
        (r"^candidates\[\]\.index$", "the first candidate is number 0, said or not"),
        (
            r"^candidates\[\]\.content\.parts\[\]\.functionCall\.id$",
            "calls without ids get one, for results to refer to",
        ),
        ("^createTime$", "the hub counts whole seconds"),
        (
            r"^usageMetadata\.(prompt|candidates|toolUsePrompt|cache)TokensDetails",
            "details are made from the hub's buckets, and cached ones not at all",
        ),
        (r"^usageMetadata\.(serviceTier|trafficType)$", "the tier is not a count"),
        (r"^usageMetadata\.(candidates|prompt|total)TokenCount$", "0 is written where it was left out"),
    ],
    ("gemini.generateContent", "request"): [
        (r"^generationConfig$", "an empty object says nothing"),
        (r"^tools\[\]\.functionDeclarations\[\]\.parameters(JsonSchema)?$", "schemas are written as JSON Schema"),
    ],
}
"""(format, what): pairs of a pattern for paths (indices are written []) and the reason."""

_UNPARSED: list[tuple[str, str, str]] = [
    ("xai-code-execution-tool", "openai.responses", "the SDK does not know the recorded vendor's own item types"),
    ("xai-x-search-tool", "openai.responses", "the SDK does not know the recorded vendor's own item types"),
    ("xai-web-search-tool", "openai.responses", "the recorded vendor's own items lack members that the SDK asks for"),
    (
        "openai-image-generation-tool.1.chunks",
        "gemini.generateContent",
        "the recording's picture was shortened: no base64",
    ),
]
"""(begin of the id, target, reason): answers that the target's SDK can't be asked to parse."""


def unparsed(exchange: Exchange, target: str) -> str | None:
    """Why the target's SDK can't parse this answer, if there is a listed reason."""
    return next(
        (
            why
            for begin, name, why in [*_UNPARSED, *shared.UNPARSED]
            if exchange.id.startswith(begin) and name in ("", target)
        ),
        None,
    )


REFUSED = {"background": "there is nobody who works on for a caller who has gone"}
"""Fields of a request that no other format can carry: decode refuses them, naming the field."""


MENDED = {"test_openai_o1_mini_system_role_developer_-0-585ded": ("developer", "system")}
"""What a recorded vendor had refused and the model's document now mends, by the recording: the value there and ours."""


def differences(old: Any, new: Any, path: str = "") -> Iterator[Difference]:
    """Every place where two values part, with null members and missing ones taken as the same."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            yield from differences(before, after, f"{path}[]")
    elif old != new:
        yield path, old, new


def unexplained(name: str, what: str, old: Any, new: Any, *, dialect: bool = False) -> list[Difference]:
    """The differences that nothing listed explains; vendors of a dialect have a list of their own."""
    listed = [row for rows in (LISTED, shared.LISTED) for row in rows.get((name, what), [])]
    if dialect:
        listed += shared.LISTED["dialects", what]
        old, new = _saying(old), _saying(new)
    told = differences(plain(name, what, old), plain(name, what, new))
    return [item for item in told if not any(re.search(pattern, item[0]) for pattern, _ in listed)]


def _saying(value: Any) -> Any:
    """The value without members that are empty: some vendors write every member that there is."""
    if isinstance(value, list):
        return [_saying(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _saying(inner) for key, inner in value.items()}
    return {key: inner for key, inner in found.items() if inner not in (None, "", [], {})}


def asked(exchange: Exchange) -> Any:
    """The request as its decode sees it: keys folded, and without the fields that only pass through."""
    home = recorded.program().formats[exchange.format]
    body = fold_keys(exchange.request, home.keys) if home.keys else exchange.request
    assert isinstance(body, dict)
    return {key: value for key, value in body.items() if key in home.request_reads}


def plain(name: str, what: str, body: Any) -> Any:
    """A message in the plainest of the ways in which its format lets it be written."""
    return _PLAIN.get((name, what), lambda same: same)(body)


def _plain_responses(body: Any) -> Any:
    """One text may be a list of one part; a message may leave out its type; empty log probabilities say nothing."""
    if isinstance(body, list):
        return [_plain_responses(item) for item in body]
    if not isinstance(body, dict):
        return body
    found = {
        key: _plain_responses(value)
        for key, value in body.items()
        if (key, value) not in (("type", "message"), ("logprobs", []))
    }
    match found.get("content"):
        case [{"type": "input_text" | "output_text", "text": text, **rest}] if not any(rest.values()):
            found["content"] = text
    return found


def _plain_response(body: Any) -> Any:
    """A reasoning item without summary and encrypted text says nothing; nor do empty lists in items."""
    said = [
        item
        for item in body["output"]
        if item["type"] != "reasoning" or item.get("summary") or item.get("encrypted_content") or item.get("content")
    ]
    items = [{key: value for key, value in item.items() if key != "content" or value} for item in said]
    return _plain_responses({**body, "output": items})


def _plain_gemini(body: Any) -> Any:
    """Tools may stand in any order, together or apart; who says the system instruction means nothing.

    Bytes are the same in either base64.
    """
    tools = [{key: value} for tool in body.get("tools") or () for key, value in tool.items()]
    system = {"parts": (body.get("systemInstruction") or {}).get("parts")}
    tools.sort(key=lambda tool: next(iter(tool)))
    return {**_decoded(body), "tools": tools, "systemInstruction": system}


def _decoded(value: Any) -> Any:
    """A request with its inline bytes as such."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: {**inner, "data": base64.urlsafe_b64decode(inner["data"].replace("+", "-").replace("/", "_")).hex()}
        if key == "inlineData" and isinstance(inner, dict)
        else _decoded(inner)
        for key, inner in value.items()
    }


def _plain_chat(body: Any) -> Any:
    """One text may be a list of one part, and a picture's detail is left out where it is the default."""
    return {**body, "messages": [{**message, **_plain_content(message)} for message in body["messages"]]}


def _plain_content(message: Any) -> dict[str, Any]:
    said = message.get("content")
    if not isinstance(said, list):
        return {}
    if len(said) == 1 and set(said[0]) == {"type", "text"}:
        return {"content": said[0]["text"]}
    return {"content": [_undetailed(part) for part in said]}


def _undetailed(part: Any) -> Any:
    picture = part.get("image_url")
    if not isinstance(picture, dict) or picture.get("detail") != "auto":
        return part
    return {**part, "image_url": {"url": picture["url"]}}


def _plain_claude(body: Any) -> Any:
    """Counts of the cache that are left out are 0."""
    none = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    return {**body, "usage": none | {key: value for key, value in body["usage"].items() if value is not None}}


_PLAIN = {
    ("anthropic.messages", "response"): _plain_claude,
    ("openai.chat", "request"): _plain_chat,
    ("openai.responses", "request"): _plain_responses,
    ("openai.responses", "response"): _plain_response,
    ("gemini.generateContent", "request"): _plain_gemini,
}


def parts(message: dict[str, Any]) -> dict[str, Any]:
    """What of a hub message must survive: the parts without made-up names, finish and usage."""
    bare = ("index", "kind_index", "item_index", "item", "signature_of")
    usage = message.get("usage") or {}
    return {
        "parts": [{key: value for key, value in part.items() if key not in bare} for part in message["parts"]],
        "finish": (message.get("finish") or {}).get("reason"),
        "usage": {key: value for key, value in usage.items() if key not in ("raw", "flags", "beyond")},
    }


def says_all(exchange: Exchange, rest: list[Any]) -> bool:
    """Whether what was cut off says nothing any more: terminators, usage, events after the finish reason."""
    marker = {"response.completed", "response.incomplete", "message_stop"}
    for data in rest:
        if data == "[DONE]" or not isinstance(data, dict):
            continue
        if data.get("type") in marker:
            return False
        if any(choice.get("finish_reason") for choice in data.get("choices") or ()):
            return False
        if any(candidate.get("finishReason") for candidate in data.get("candidates") or ()):
            return False
    return True


def is_error(name: str, data: Any) -> bool:
    """Whether an event is the format's way to tell an error."""
    return data.get("type") in ("error", "response.failed") or "error" in data
