"""Structured answers by the means that the target has.

Declared: ``output: [native, mentioned, tool, instructions]``, the first that works is taken. ``mentioned`` is native,
but the conversation must speak of JSON, so that a word of it is added where it doesn't; ``tool`` adds a tool that the
model must call and whose arguments become the answer's text again; ``instructions`` asks for it in a system message.
"""

from __future__ import annotations

import json
from typing import Any

from engine.errors import Refusal
from engine.hub.shape.work import Work

_TOOL = "give_answer"


def fit(work: Work) -> None:
    """Choose and apply the means, if the request wants a structured answer at all."""
    wanted: dict[str, Any] = work.request.get("output") or {}
    means = work.rules.get("output")
    if means is None or wanted.get("type") not in ("json", "schema"):
        return
    if isinstance(means, dict):
        means = means.get(wanted["type"], [])
    for one in means:
        if one == "native":
            return
        if one == "mentioned":
            _mentioned(work)
            return
        if one == "tool" and _by_tool(work, wanted):
            return
        if one == "instructions":
            _by_instructions(work, wanted)
            return
    raise Refusal("output", "the provider's format has no means to give a structured answer")


def _without_type(work: Work, wanted: dict[str, Any]) -> None:
    rest = {key: value for key, value in wanted.items() if key in ("modalities", "verbosity", "prediction", "audio")}
    work.request["output"] = rest
    if not rest:
        del work.request["output"]


def _by_tool(work: Work, wanted: dict[str, Any]) -> bool:
    schema = wanted.get("schema")
    thinks = (work.request.get("reasoning") or {}).get("enabled")
    choice = (work.request.get("tool_choice") or {}).get("mode", "auto")
    if not isinstance(schema, dict) or schema.get("type") != "object" or thinks or choice not in ("auto", "none"):
        return False
    tools = list(work.request.get("tools") or ()) if choice != "none" else []
    taken = {tool.get("name") for tool in tools}
    name = next(one for one in (_TOOL + "_" * extra for extra in range(len(taken) + 1)) if one not in taken)
    text = wanted.get("description") or "Give the final answer by calling this tool."
    tool = {"kind": "function", "name": name, "description": text, "schema": schema}
    work.request["tool_choice"] = {"mode": "any"} if tools else {"mode": "tool", "names": [name]}
    work.request["tools"] = [*tools, tool]
    work.seen.tools = None
    work.memo.output_tool = name
    _without_type(work, wanted)
    work.report("output", "the structured answer is given through a tool")
    return True


def _mentioned(work: Work) -> None:
    # System text that stands in a field of its own is no part of the conversation.
    spoken = (message for message in work.messages if message.get("origin") != "field")
    texts = (part.get("text") for message in spoken for part in message["parts"])
    if not any("json" in text.lower() for text in texts if isinstance(text, str)):
        _say(work, "Answer in JSON.", "system")
        work.report("output", "the target wants JSON to be spoken of where it is asked for; a word of it was added")


def _by_instructions(work: Work, wanted: dict[str, Any]) -> None:
    text = "Answer with exactly one JSON object and nothing else: no prose, no code fence."
    if isinstance(wanted.get("schema"), dict):
        schema = json.dumps(wanted["schema"], ensure_ascii=False, separators=(",", ":"))
        text = f"{text} It must be valid by this JSON Schema: {schema}"
    _say(work, text, "field")
    _without_type(work, wanted)
    work.report("output", "the structured answer is asked for by instructions only")


def _say(work: Work, text: str, origin: str) -> None:
    """Add a system message after those that the conversation begins with."""
    message = {"role": "system", "origin": origin, "parts": [{"type": "text", "text": text}]}
    leading = 0
    while leading < len(work.messages) and work.messages[leading].get("role") == "system":
        leading += 1
    work.messages.insert(leading, message)
