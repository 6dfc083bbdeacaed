"""Structured answers by the means that the target has.

Declared: ``output: [native, mentioned, described, tool, instructions]``, the first that works is taken. ``mentioned``
is native, but the conversation must speak of JSON, so that a word of it is added where it doesn't; ``described`` is
JSON natively, with its schema in words; ``tool`` adds a tool that the model must call and whose arguments become the
answer's text again; ``instructions`` asks for it in a system message.
"""

from __future__ import annotations

import json
from typing import Any

from engine.errors import Refusal
from engine.hub.shape import schema as schemas
from engine.hub.shape.work import Work

_TOOL = "give_answer"
_UNTYPED = frozenset({"modalities", "verbosity", "prediction", "audio", "image"})
"""What is said of an answer beside its type and schema."""


def fit(work: Work) -> None:
    """Choose and apply the means, if the request wants a structured answer at all."""
    wanted: dict[str, Any] = work.request.get("output") or {}
    means = work.rules.get("output")
    if means is None or wanted.get("type") not in ("json", "schema"):
        return
    if isinstance(means, dict):
        means = means.get(wanted["type"], [])
    means = _of_model(work, means, wanted["type"])
    for way in means:
        if way == "native":
            _strict(work, wanted)
            return
        if way == "mentioned":
            _mentioned(work)
            return
        if way == "tool" and _by_tool(work, wanted):
            return
        if way in ("described", "instructions"):
            _by_instructions(work, wanted, held=way == "described")
            return
    raise Refusal("output", "the provider's format has no means to give a structured answer")


def _strict(work: Work, wanted: dict[str, Any]) -> None:
    """Held to the schema only where that is of the form which the target can hold an answer to."""
    if work.rules.get("strictOutput") == "fit" and wanted.get("strict") and not _closed(wanted.get("schema")):
        work.request["output"] = {**wanted, "strict": None}
        why = "the target holds an answer to a closed schema with all members required only; here it will try to"
        work.report("output.strict", why)


def _closed(schema: Any) -> bool:
    """Whether each object in a schema is closed and requires all of its members."""
    if isinstance(schema, list):
        return all(map(_closed, schema))
    if not isinstance(schema, dict):
        return True
    members = schema.get("properties")
    if isinstance(members, dict) or schema.get("type") == "object":
        required = schema.get("required")
        all_of = set(members or ()) <= set(required if isinstance(required, list) else ())
        if schema.get("additionalProperties") is not False or not all_of:
            return False
    held = [*(members.values() if isinstance(members, dict) else ()), *(schema.get("$defs") or {}).values()]
    return all(map(_closed, [*held, schema.get("items"), schema.get("anyOf")]))


def _of_model(work: Work, means: list[str], kind: str) -> list[str]:
    """The means of the format that the model has, too; in words where none is left."""
    traits = work.ctx.get("traits") or {}
    known = (traits.get("answers") or {}).get(kind)
    if known is not None:
        means = [way for way in known if way in means or way == "instructions"]
    if (traits.get("tools") or {}).get("withOutput") is False and work.request.get("tools"):
        means = [way for way in means if way not in ("native", "mentioned", "described")] or ["instructions"]
    return means


def _without_type(work: Work, wanted: dict[str, Any]) -> None:
    rest = {key: value for key, value in wanted.items() if key in _UNTYPED}
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
    name = next(
        candidate for candidate in (_TOOL + "_" * extra for extra in range(len(taken) + 1)) if candidate not in taken
    )
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


def _by_instructions(work: Work, wanted: dict[str, Any], *, held: bool) -> None:
    text = "Answer with exactly one JSON object and nothing else: no prose, no code fence."
    if isinstance(wanted.get("schema"), dict):
        plain = schemas.convert(wanted["schema"], {"openapi": "translate"}, "output.schema", work)
        schema = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        text = f"{text} It must be valid by this JSON Schema: {schema}"
    _say(work, text, "field")
    _without_type(work, wanted)
    if held:
        work.request["output"] = {**(work.request.get("output") or {}), "type": "json"}
    work.report("output", "the structured answer is asked for by instructions only")


def _say(work: Work, text: str, origin: str) -> None:
    """Add a system message after those that the conversation begins with."""
    message = {"role": "system", "origin": origin, "parts": [{"type": "text", "text": text}]}
    leading = 0
    while leading < len(work.messages) and work.messages[leading].get("role") == "system":
        leading += 1
    work.messages.insert(leading, message)
