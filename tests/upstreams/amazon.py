"""Bedrock's runtime, as docs.aws.amazon.com/bedrock/latest/APIReference (InvokeModel, Converse) has it.

The signature is computed anew by botocore from what arrived.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from engine.transport.framing import encode_message
from tests.relay.scripted import Arrived, Upstream
from tests.upstreams.strict import RefusedError, Streamed, serve

PROVIDERS = ("bedrock", "bedrock-key")
ID, SECRET, SESSION, API_KEY = (
    "AKIDEXAMPLE0000",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "session+/=1",
    "bedrock-api-key-1",
)
REGION = "eu-central-1"
MODELS = {
    "eu.anthropic.claude-opus-4-8",
    "amazon.nova-lite-v1:0",
    "eu.amazon.nova-lite-v1:0",
    "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc",
}
_PATH = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream|converse|converse-stream)")
_CLAUDE = {"anthropic_version", "max_tokens", "messages", "system", "temperature", "top_p", "top_k", "stop_sequences"}
_CLAUDE |= {"tools", "tool_choice", "thinking", "anthropic_beta", "output_config"}
_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=(\w+)"
)


def bedrock() -> Upstream:
    """The service."""
    return serve(_handle)


def _refused(status: int, name: str, message: str) -> RefusedError:
    return RefusedError(status, {"message": message}, x_amzn_ErrorType=f"{name}:http://internal.amazon.com/")


def _handle(arrived: Arrived) -> Any:
    match = _PATH.fullmatch(arrived.path)
    if match is None:
        raise _refused(404, "UnknownOperationException", "no such operation")
    if arrived.method != "POST":
        raise _refused(405, "MethodNotAllowedException", "POST")
    _authenticated(arrived)
    model = unquote(match[1])
    if model not in MODELS:
        raise _refused(400, "ValidationException", "The provided model identifier is invalid.")
    try:
        body = arrived.json
    except ValueError:
        raise _refused(400, "SerializationException", "the body is no JSON") from None
    if match[2].startswith("invoke"):
        return _claude(body, stream=match[2] != "invoke")
    return _converse(body, stream=match[2] != "converse")


def _authenticated(arrived: Arrived) -> None:
    told = arrived.headers.get("authorization", "")
    if told.startswith("Bearer "):
        if told != f"Bearer {API_KEY}":
            raise _refused(
                403, "AccessDeniedException", "Authentication failed: Please make sure your API Key is valid."
            )
        return
    match = _SIGNED.fullmatch(told)
    if match is None:
        raise _refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    if match[1] != ID or arrived.headers.get("x-amz-security-token") not in (None, SESSION):
        message = "The security token included in the request is invalid."
        raise _refused(403, "UnrecognizedClientException", message)
    if (match[3], match[4]) != (REGION, "bedrock"):
        raise _refused(403, "InvalidSignatureException", f"Credential should be scoped to a valid region: {REGION}.")
    if match[6] != _signature(arrived, match[5].split(";")):
        message = "The request signature we calculated does not match the signature you provided."
        raise _refused(403, "InvalidSignatureException", message)


def _signature(arrived: Arrived, names: list[str]) -> str:
    """What botocore signs of the same request at the same time."""
    headers = {
        name: arrived.headers[name] for name in names if name in arrived.headers and not name.startswith("x-amz-")
    }
    request = AWSRequest(arrived.method, f"http://{arrived.headers['host']}{arrived.path}", headers, arrived.body)
    credentials = Credentials(ID, SECRET, arrived.headers.get("x-amz-security-token"))
    stamp = arrived.headers.get("x-amz-date", "")
    try:
        when = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _refused(403, "IncompleteSignatureException", "Date must be in ISO-8601 'basic format'.") from None
    if abs((datetime.now(UTC) - when).total_seconds()) > 300:
        raise _refused(403, "InvalidSignatureException", f"Signature expired: {stamp}")
    signer = SigV4Auth(credentials, "bedrock", REGION)
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    if credentials.token:
        request.headers["X-Amz-Security-Token"] = credentials.token
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return str(signer.signature(text, request))


def _claude(body: Any, *, stream: bool) -> Any:
    for name in body if isinstance(body, dict) else ["body"]:
        if name not in _CLAUDE:
            raise _refused(
                400, "ValidationException", f"Malformed input request: #: extraneous key [{name}] is not permitted"
            )
    if body.get("anthropic_version") != "bedrock-2023-05-31":
        raise _refused(400, "ValidationException", "anthropic_version: Field required")
    if not isinstance(body.get("anthropic_beta", []), list):
        raise _refused(400, "ValidationException", "anthropic_beta: Input should be a valid list")
    for name in ("max_tokens", "messages"):
        if not body.get(name):
            raise _refused(400, "ValidationException", f"{name}: Field required")
    for message in body["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block.get("source", {}).get("type") == "url":
                raise _refused(400, "ValidationException", "image.source: url is not supported")
    if "too-long" in json.dumps(body["messages"]):
        raise _refused(400, "ValidationException", "prompt is too long: 300000 tokens > 200000 maximum")
    usage = {"input_tokens": 11, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": 3}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-8"}
    message |= {"stop_reason": "end_turn", "stop_sequence": None}
    if not stream:
        return {**message, "content": [{"type": "text", "text": "Hi!"}], "usage": usage}
    events: list[Any] = [
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
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 11, "outputTokenCount": 3}},
    ]
    pieces = [
        _message("chunk", {"bytes": base64.b64encode(json.dumps(one).encode()).decode(), "p": "abc"}) for one in events
    ]
    if "breaks-off" in json.dumps(body["messages"]):
        pieces = [*pieces[:3], _exception("throttlingException", {"message": "Too many requests"})]
    return Streamed("application/vnd.amazon.eventstream", pieces)


def _message(kind: str, payload: Any) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode_message(headers, json.dumps(payload).encode())


def _exception(kind: str, payload: Any) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode_message(headers, json.dumps(payload).encode())


def _converse(body: Any, *, stream: bool) -> Any:
    known = {
        "messages",
        "system",
        "inferenceConfig",
        "toolConfig",
        "additionalModelRequestFields",
        "outputConfig",
        "requestMetadata",
    }
    if not isinstance(body, dict) or not body.keys() <= known:
        raise _refused(400, "ValidationException", f"unknown member {sorted(set(body) - known)}")
    for message in body.get("messages") or ():
        if message.get("role") not in ("user", "assistant") or not isinstance(message.get("content"), list):
            raise _refused(400, "ValidationException", "messages: role user or assistant, content a list")
    if not body.get("messages"):
        raise _refused(400, "ValidationException", "A conversation must start with a user message.")
    usage = {"inputTokens": 7, "outputTokens": 2, "totalTokens": 9}
    if not stream:
        message = {"role": "assistant", "content": [{"text": "Hi!"}]}
        return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 5}}
    return Streamed(
        "application/vnd.amazon.eventstream",
        [
            _message("messageStart", {"role": "assistant"}),
            _message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi!"}}),
            _message("contentBlockStop", {"contentBlockIndex": 0}),
            _message("messageStop", {"stopReason": "end_turn"}),
            _message("metadata", {"usage": usage, "metrics": {"latencyMs": 5}}),
        ],
    )
