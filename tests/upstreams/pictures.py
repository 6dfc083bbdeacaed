"""Services that draw: OpenAI's Images API and Gemini's image models, strict about their vendors' pages.

developers.openai.com/api/reference ("Create image", "Create image edit");
ai.google.dev/gemini-api/docs/image-generation.
"""

from __future__ import annotations

import re
from typing import Any

from tests.relay.scripted import Arrived, Upstream
from tests.upstreams.strict import RefusedError, serve

PROVIDERS = ("openai", "gemini", "openrouter")
KEY = "sk-draws-1"
PNG = "iVBORw0KGgo="
_CREATE = {
    "model", "prompt", "n", "size", "quality", "background", "output_format", "user", "stream", "style",
    "response_format", "moderation", "output_compression", "partial_images",
}  # fmt: skip
_SIZES = {
    "gpt-image-1": ({"1024x1024", "1536x1024", "1024x1536", "auto"}, {"low", "medium", "high", "auto"}),
    "dall-e-3": ({"1024x1024", "1792x1024", "1024x1792"}, {"standard", "hd"}),
}
_RATIOS = {"1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"}


def draws() -> Upstream:
    """All three behind one port: their paths differ."""
    return serve(_handle)


def _handle(arrived: Arrived) -> Any:
    gemini = re.fullmatch(r"/v1beta/models/([a-z0-9.-]+):generateContent", arrived.path)
    if arrived.method == "POST" and gemini is not None:
        return _gemini(arrived, gemini[1])
    if arrived.headers.get("authorization") != f"Bearer {KEY}":
        raise _refused(401, "Incorrect API key provided", "invalid_api_key")
    known = {"/v1/images/generations": _created, "/v1/images/edits": _edited, "/v1/chat/completions": _chatted}
    if arrived.method != "POST" or arrived.path not in known:
        raise _refused(404, f"Invalid URL ({arrived.method} {arrived.path})", None)
    return known[arrived.path](_read(arrived))


def _refused(status: int, message: str, code: str | None, param: str | None = None) -> RefusedError:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return RefusedError(status, {"error": error})


def _read(arrived: Arrived) -> dict[str, Any]:
    try:
        body = arrived.json
    except ValueError:
        raise _refused(400, "We could not parse the JSON body of your request.", None) from None
    if not isinstance(body, dict):
        raise _refused(400, "We could not parse the JSON body of your request.", None)
    return body


def _checked(body: dict[str, Any], known: set[str]) -> dict[str, Any]:
    model = str(body.get("model"))
    if model not in _SIZES:
        raise _refused(400, f"Invalid value: '{model}'.", "invalid_value", "model")
    if unknown := sorted(body.keys() - known):
        raise _refused(400, f"Unknown parameter: '{unknown[0]}'.", "unknown_parameter", unknown[0])
    if not isinstance(body.get("prompt"), str) or not body["prompt"]:
        raise _refused(400, "Missing required parameter: 'prompt'.", "missing_required_parameter", "prompt")
    if "forbidden" in body["prompt"]:
        raise _refused(400, "Your request was rejected by the safety system.", "moderation_blocked")
    for name, words in zip(("size", "quality"), _SIZES[model], strict=True):
        if body.get(name) is not None and body[name] not in words:
            raise _refused(400, f"Invalid value: '{body[name]}'.", "invalid_value", name)
    if model == "dall-e-3" and body.get("n", 1) != 1:
        raise _refused(400, "You must provide n=1 for this model.", "invalid_value", "n")
    return body


def _created(body: dict[str, Any]) -> Any:
    body = _checked(body, _CREATE)
    if body["model"] == "dall-e-3":
        return {"created": 1700000000, "data": [{"url": "https://x.example/a.png", "revised_prompt": "A black cat."}]}
    return _drawn(7, 0, body.get("n", 1))


def _edited(body: dict[str, Any]) -> Any:
    body = _checked(body, {*(_CREATE - {"style"}), "images", "mask", "input_fidelity"})
    images = body.get("images")
    if body["model"] == "dall-e-3" or not isinstance(images, list) or not 0 < len(images) <= 16:
        raise _refused(400, "Missing required parameter: 'images'.", "missing_required_parameter", "images")
    if not all(re.fullmatch(r"data:image/\w+;base64,\S+|https://\S+", str(one.get("image_url"))) for one in images):
        raise _refused(400, "Invalid image.", "invalid_image_url", "images")
    return _drawn(9, 200 * len(images), 1)


def _drawn(words: int, shown: int, count: int) -> dict[str, Any]:
    counts = {"text_tokens": words, "image_tokens": shown}
    usage = {"input_tokens": words + shown, "input_tokens_details": counts, "output_tokens": 1056 * count}
    usage["total_tokens"] = words + shown + 1056 * count
    said = {"size": "1024x1024", "quality": "medium", "output_format": "png", "background": "opaque"}
    return {"created": 1700000000, **said, "data": [{"b64_json": PNG}] * count, "usage": usage}


def _chatted(body: dict[str, Any]) -> Any:
    """OpenRouter's: a model that draws, by Chat Completions."""
    if body.get("model") in _SIZES:
        raise _refused(404, "This is not a chat model.", "model_not_found")
    if body.get("modalities") != ["image", "text"]:
        raise _refused(400, "modalities must name image", None, "modalities")
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    usage = {"prompt_tokens": 5, "completion_tokens": 1300, "total_tokens": 1305}
    usage["completion_tokens_details"] = {"image_tokens": 1290}  # type: ignore[assignment]
    message = {"role": "assistant", "content": "", "images": [image]}
    return {"id": "gen-1", "created": 3, "choices": [{"index": 0, "message": message}], "usage": usage}


def _no(status: int, message: str, word: str) -> RefusedError:
    return RefusedError(status, {"error": {"code": status, "message": message, "status": word}})


def _gemini(arrived: Arrived, model: str) -> Any:
    if arrived.headers.get("x-goog-api-key") != KEY:
        raise _no(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT")
    if not model.startswith("gemini-2.5-flash-image"):
        raise _no(404, f"models/{model} is not found for API version v1beta", "NOT_FOUND")
    try:
        body = arrived.json
    except ValueError:
        raise _no(400, "Invalid JSON payload received.", "INVALID_ARGUMENT") from None
    if unknown := sorted(body.keys() - {"contents", "generationConfig", "safetySettings", "systemInstruction"}):
        raise _no(400, f'Unknown name "{unknown[0]}": Cannot find field.', "INVALID_ARGUMENT")
    parts = [part for content in body.get("contents") or () for part in content.get("parts") or ()]
    if not parts:
        raise _no(400, "* GenerateContentRequest.contents: contents is not specified", "INVALID_ARGUMENT")
    config = body.get("generationConfig") or {}
    if "thinkingConfig" in config:
        raise _no(400, "Thinking is not enabled for this model", "INVALID_ARGUMENT")
    modalities = config.get("responseModalities", ["TEXT", "IMAGE"])
    if "IMAGE" not in modalities:
        raise _no(400, "The requested combination of response modalities is not supported", "INVALID_ARGUMENT")
    ratio = (config.get("imageConfig") or {}).get("aspectRatio", "1:1")
    if ratio not in _RATIOS:
        raise _no(400, "Invalid value at 'generation_config.image_config.aspect_ratio'", "INVALID_ARGUMENT")
    if any("forbidden" in part.get("text", "") for part in parts):
        return {"candidates": [{"finishReason": "IMAGE_SAFETY", "finishMessage": "It may break our policy."}]}
    words = [{"text": "Here it is."}] if "TEXT" in modalities else []
    said = {"role": "model", "parts": [*words, {"inlineData": {"mimeType": "image/png", "data": PNG}}]}
    details = [{"modality": "TEXT", "tokenCount": 10}, {"modality": "IMAGE", "tokenCount": 1290}]
    counts = {"promptTokenCount": 6, "candidatesTokenCount": 1300, "totalTokenCount": 1306}
    return {
        "candidates": [{"content": said, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {**counts, "candidatesTokensDetails": details},
    }
