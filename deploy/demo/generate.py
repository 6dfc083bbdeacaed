"""The wire of Gemini's generateContent: https://ai.google.dev/api/generate-content"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brain
import gemini_checks as checks
import wire
from wire import Call, Reply

_FINISH = {"length": "MAX_TOKENS", "refusal": "SAFETY"}


def handle(call: Call, model: str, verb: str) -> Reply:
    """Answer one of the verbs of a model."""
    checks.check_model(model, verb, call.options)
    if verb == "countTokens":
        return _count(call)
    body = checks.normal(call.body)
    checks.check_shape(body, checks.REQUEST)
    checks.check(body, model, call.options)
    prompt = _prompt(body, model)
    try:
        made = brain.answer(prompt)
    except wire.AskedError as asked:
        raise checks.asked(asked.status) from None
    orders = prompt.orders
    delay = (orders.get("slow") or 0) / 1000
    if verb == "generateContent":
        return Reply(_whole(body, made, model), delay=delay)
    wanted = orders.get("pace")
    sse = call.query.get("alt") == "sse"
    return Reply(
        chunks=_framed(_stream(body, made, model), sse=sse),
        content_type="text/event-stream" if sse else "application/json; charset=UTF-8",
        cut_after=orders.get("cut"),
        pace=call.options.pace if wanted is None else wanted / 1000,
        delay=delay,
    )


def models(call: Call) -> Reply:
    """The list of models."""
    return Reply({"models": [_model(name) for name in wire.MODELS["gemini"]]})


def get_model(call: Call, name: str) -> Reply:
    """One model."""
    checks.check_model(name, "generateContent", call.options)
    return Reply(_model(name))


def _model(name: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "description": "A demo",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": "thinking" in name,
    }


def _count(call: Call) -> Reply:
    body = checks.normal(call.body)
    inner = body.get("generateContentRequest") or body
    checks.check_shape(body, checks.COUNT)
    total = _input_tokens(inner)
    return Reply({"totalTokens": total, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": total}]})


def _text(parts: list[dict[str, Any]]) -> str:
    return "\n".join(part["text"] for part in parts if part.get("text") and not part.get("thought"))


def _result(response: dict[str, Any]) -> str:
    """What a function gave: the text under `output` or `result`, where clients put it, else all of it."""
    (key, value), *more = response.items() or [("", "")]
    return value if not more and key in ("output", "result") and isinstance(value, str) else wire.compact(response)


def _prompt(body: dict[str, Any], model: str) -> brain.Prompt:
    config = body.get("generationConfig") or {}
    prompt = brain.Prompt(model, limit=config.get("maxOutputTokens"), stops=config.get("stopSequences") or [])
    for role, parts, _ in checks.turns(body["contents"]):
        if role == "model":
            prompt.results = []
            continue
        answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
        prompt.results = [(a["name"], _result(a["response"])) for a in answers]
        prompt.text = _text(parts) or ("" if not answers else prompt.text)
        seen = [_kind(part) for part in parts if "inlineData" in part or "fileData" in part]
        prompt.media = {kind: seen.count(kind) for kind in dict.fromkeys(seen)}
    for tool in body.get("tools") or []:
        for own in tool.get("functionDeclarations") or []:
            schema = own.get("parametersJsonSchema") or own.get("parameters") or {}
            prompt.tools.append((own["name"], schema))
    _choose(prompt, (body.get("toolConfig") or {}).get("functionCallingConfig") or {})
    thinking = config.get("thinkingConfig") or {}
    prompt.thinking = "thinking" in model or bool(thinking.get("thinkingBudget") or thinking.get("thinkingLevel"))
    prompt.thinking = prompt.thinking or (bool(thinking.get("includeThoughts")) and thinking.get("thinkingBudget") != 0)
    if config.get("responseMimeType") == "application/json":
        prompt.schema = config.get("responseJsonSchema") or config.get("responseSchema")
        prompt.json = prompt.schema is None
    return prompt


def _choose(prompt: brain.Prompt, config: dict[str, Any]) -> None:
    prompt.choice = {"ANY": "any", "NONE": "none"}.get(config.get("mode", "AUTO"), "auto")
    allowed = config.get("allowedFunctionNames") or []
    if allowed and prompt.choice == "any":
        prompt.tools = [tool for tool in prompt.tools if tool[0] in allowed]


def _kind(part: dict[str, Any]) -> str:
    mime = (part.get("inlineData") or part.get("fileData") or {}).get("mimeType", "")
    return {"image": "image", "audio": "recording", "video": "video"}.get(mime.split("/")[0], "file")


def _input_tokens(body: dict[str, Any]) -> int:
    return sum(wire.tokens(body.get(name) or []) for name in ("contents", "systemInstruction", "tools")) + 1


def _usage(body: dict[str, Any], made: brain.Answer) -> dict[str, Any]:
    used = _input_tokens(body) + made.cached
    usage: dict[str, Any] = {
        "promptTokenCount": used,
        "candidatesTokenCount": made.visible_tokens,
        "totalTokenCount": used + made.visible_tokens + made.thinking_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": used}],
    }
    if made.cached:
        usage["cachedContentTokenCount"] = made.cached
    if made.thinking:
        usage["thoughtsTokenCount"] = made.thinking_tokens
    return usage


def _parts(body: dict[str, Any], made: brain.Answer, model: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    shown = ((body.get("generationConfig") or {}).get("thinkingConfig") or {}).get("includeThoughts")
    if made.thinking and shown:
        parts.append({"text": made.thinking, "thought": True})
    sealed = {"thoughtSignature": wire.seal("thought", made.thinking)} if made.thinking else {}
    if made.text:
        parts.append({"text": made.text, **sealed})
    for number, (name, arguments) in enumerate(made.calls):
        call = {"name": name, "args": arguments, "id": wire.stable_id("", body["contents"], number)[:8]}
        parts.append({"functionCall": call, **(sealed if number == 0 else {})})
    return parts


def _whole(body: dict[str, Any], made: brain.Answer, model: str) -> dict[str, Any]:
    return _frame(body, model, _parts(body, made, model), made) | {"usageMetadata": _usage(body, made)}


def _frame(body: dict[str, Any], model: str, parts: list[Any], made: brain.Answer | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if made is not None:
        candidate["finishReason"] = _FINISH.get(made.finish, "STOP")
        if made.refusal:
            candidate.pop("content")
    return {"candidates": [candidate], "modelVersion": model, "responseId": wire.stable_id("", body)[:20]}


def _stream(body: dict[str, Any], made: brain.Answer, model: str) -> Iterator[dict[str, Any]]:
    usage = _usage(body, made)
    early = {k: v for k, v in usage.items() if k.startswith(("prompt", "cached"))}
    early["totalTokenCount"] = usage["promptTokenCount"]
    todo: list[dict[str, Any]] = []
    for part in _parts(body, made, model):
        if "text" not in part:
            todo.append(part)
            continue
        rest = {name: value for name, value in part.items() if name not in ("text", "thoughtSignature")}
        todo += [{"text": piece, **rest} for piece in wire.pieces(part["text"], 3)]
        if "thoughtSignature" in part:
            todo.append({"text": "", "thoughtSignature": part["thoughtSignature"]})
    for number, part in enumerate(todo[:-1]):
        if made.fail and number == 1:
            yield checks.body(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
            return
        yield _frame(body, model, [part], None) | {"usageMetadata": early}
    yield _frame(body, model, todo[-1:] or [{"text": ""}], made) | {"usageMetadata": usage}


def _framed(objects: Iterator[dict[str, Any]], *, sse: bool) -> Iterator[bytes]:
    if sse:
        for made in objects:
            yield f"data: {wire.compact(made)}\r\n\r\n".encode()
        return
    opening = "["
    for made in objects:
        yield (opening + wire.compact(made)).encode()
        opening = ",\r\n"
    yield b"]"
