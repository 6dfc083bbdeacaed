"""Vertex AI and Google's token endpoint, as cloud.google.com/vertex-ai and developers.google.com/identity have them.

Assertions are checked by google-auth.
"""

from __future__ import annotations

import base64
import json
import re
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from tests.relay.scripted import Arrived, Upstream
from tests.upstreams.strict import RefusedError, Streamed, serve

PROVIDERS = ("vertex", "vertex-express")
PROJECT, EMAIL, API_KEY = "my-project", "robot@my-project.iam.gserviceaccount.com", "AIzaSyTestKey_1"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PATH = re.compile(
    r"/v1/projects/([^/]+)/locations/([^/]+)/publishers/(google|anthropic)/models/([^/:]+):(\w+)|"
    r"(/v1beta1)/projects/([^/]+)/locations/([^/]+)/endpoints/openapi/chat/completions|"
    r"/v1/publishers/google/models/([^/:]+):(\w+)"
)


@cache
def private_key() -> rsa.RSAPrivateKey:
    """The account's key, made once."""
    return rsa.generate_private_key(65537, 2048)


def account(base: str) -> dict[str, str]:
    """The service account's JSON, whose tokens come from ``base``."""
    pem = private_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "kid1",
        "private_key": pem.decode(),
        "client_email": EMAIL,
        "token_uri": f"{base}/token",
    }


class Vertex:
    """The service; ``tokens`` are those that it gave, of which those in ``withdrawn`` are refused."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.withdrawn: set[str] = set()
        self.lifetime: Any = 3599
        self.film = b""
        """What comes of an operation; nothing: it is under way."""
        self.upstream: Upstream = serve(self._handle)

    def _handle(self, arrived: Arrived) -> Any:
        url = urlsplit(arrived.path)
        if url.path == "/token":
            return self._token(arrived)
        match = _PATH.fullmatch(url.path)
        if match is None:
            raise _refused(404, "NOT_FOUND", "Requested entity was not found.")
        query = parse_qs(url.query)
        if match[9]:
            if query.get("key") != [API_KEY]:
                raise _refused(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")
        else:
            self._authorised(arrived)
            if (match[1] or match[7]) != PROJECT:
                raise _refused(403, "PERMISSION_DENIED", "Permission denied on resource project.")
        action = match[5] or match[10] or ""
        if action in ("predictLongRunning", "fetchPredictOperation"):
            return self._operation(url.path, action, arrived.json)
        if match[6]:
            return _chat(arrived.json)
        return _claude(arrived.json, match) if match[3] == "anthropic" else _gemini(arrived.json, action, query)

    def _operation(self, path: str, action: str, body: Any) -> Any:
        """Veo: docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation."""
        name = f"{path.removeprefix('/v1/').partition(':')[0]}/operations/op-1"
        if action == "predictLongRunning":
            if set(body) - {"instances", "parameters"} or not body["instances"][0].get("prompt"):
                raise _refused(400, "INVALID_ARGUMENT", "Text prompt is required.")
            return {"name": name}
        if body != {"operationName": name}:
            raise _refused(400, "INVALID_ARGUMENT", "The operation name is not of this model and location.")
        if not self.film:
            return {"name": name}
        film = {"bytesBase64Encoded": base64.b64encode(self.film).decode(), "mimeType": "video/mp4"}
        return {"name": name, "done": True, "response": {"raiMediaFilteredCount": 0, "videos": [film]}}

    def _token(self, arrived: Arrived) -> Any:
        if arrived.headers.get("content-type") != "application/x-www-form-urlencoded":
            raise RefusedError(400, {"error": "invalid_request"})
        form = parse_qs(arrived.body.decode())
        if form.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            raise RefusedError(400, {"error": "unsupported_grant_type"})
        public = (
            private_key()
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        try:
            claims = jwt.decode(form["assertion"][0], certs=public, audience="https://oauth2.googleapis.com/token")
        except Exception as ex:
            raise RefusedError(400, {"error": "invalid_grant", "error_description": str(ex)}) from None
        if claims["iss"] != EMAIL or claims["scope"] != _SCOPE or claims["exp"] - claims["iat"] > 3600:
            raise RefusedError(400, {"error": "invalid_grant"})
        self.tokens.append(f"ya29.token-{len(self.tokens)}")
        return {"access_token": self.tokens[-1], "expires_in": self.lifetime, "token_type": "Bearer"}

    def _authorised(self, arrived: Arrived) -> None:
        scheme, _, token = arrived.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens or token in self.withdrawn:
            raise _refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")


def _refused(code: int, status: str, message: str) -> RefusedError:
    return RefusedError(code, {"error": {"code": code, "message": message, "status": status}})


def _sse(*events: Any, named: bool = False) -> Streamed:
    pieces = [
        (f"event: {one['type']}\n" if named else "").encode() + b"data: " + json.dumps(one).encode() + b"\n\n"
        for one in events
    ]
    return Streamed("text/event-stream", pieces)


def _gemini(body: Any, action: str, query: dict[str, list[str]]) -> Any:
    if not body.get("contents"):
        raise _refused(400, "INVALID_ARGUMENT", "Unable to submit request because it must have at least one content.")
    if "model" in body or "stream" in body:
        raise _refused(
            400, "INVALID_ARGUMENT", 'Invalid JSON payload received. Unknown name "model": Cannot find field.'
        )
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi!"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7},
        "modelVersion": "gemini-2.5-flash",
    }
    if action == "streamGenerateContent":
        if query.get("alt") != ["sse"]:
            raise _refused(400, "INVALID_ARGUMENT", "alt=sse")
        return _sse(answer)
    if action != "generateContent":
        raise _refused(404, "NOT_FOUND", f"no method {action}")
    return answer


def _claude(body: Any, match: re.Match[str]) -> Any:
    if "@" not in match[4] and re.search(r"-20\d{6}$", match[4]):
        raise _refused(404, "NOT_FOUND", f"Publisher Model `{match[4]}` was not found.")
    if "model" in body:
        raise RefusedError(400, _claude_error("model: Extra inputs are not permitted"))
    if body.get("anthropic_version") not in ("vertex-2023-10-16", "2026-10-21"):  # the page has one, the SDK another
        raise RefusedError(400, _claude_error('anthropic_version: Input should be "vertex-2023-10-16"'))
    if not body.get("max_tokens") or not body.get("messages"):
        raise RefusedError(400, _claude_error("max_tokens: Field required"))
    usage = {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 3}
    message = {"id": "msg_vrtx_1", "type": "message", "role": "assistant", "model": match[4], "stop_sequence": None}
    if match[5] == "rawPredict":
        return {**message, "content": [{"type": "text", "text": "Hi!"}], "stop_reason": "end_turn", "usage": usage}
    if match[5] != "streamRawPredict" or not body.get("stream"):
        raise RefusedError(400, _claude_error("stream: Input should be true"))
    return _sse(
        {
            "type": "message_start",
            "message": {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi!"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
        named=True,
    )


def _claude_error(message: str) -> Any:
    return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}


def _chat(body: Any) -> Any:
    if "/" not in str(body.get("model")) or not body.get("messages"):
        raise _refused(400, "INVALID_ARGUMENT", "model must be publisher/name")
    message = {"role": "assistant", "content": "Hi!"}
    usage = {"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "c", "object": "chat.completion", "model": body["model"], "choices": choices, "usage": usage}
