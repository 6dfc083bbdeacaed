"""A ChatGPT subscription as Codex asks it, and the service that renews its tokens: each is good for one renewal.

From github.com/openai/codex (codex-rs) and what its users report: whole answers, answers that are kept and a limit of
tokens are refused, with a ``detail``. Using a refresh token again ends all tokens of the account.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.relay.scripted import Arrived, Upstream
from tests.upstreams.strict import RefusedError, Streamed, serve

PROVIDERS = ("codex",)
ACCOUNT, CLIENT = "acc-1", "app_EMoamEEZ73f0CkXaXp7hrann"
_KNOWN = {
    "model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "store", "stream",
    "include", "service_tier", "prompt_cache_key", "text", "client_metadata",
}  # fmt: skip
_REFUSED = "Your refresh token has already been used to generate a new access token. Please try signing in again."


class Subscription:
    """The account: ``access`` is good now, ``refresh`` gives the next pair; ``uses`` counts renewals.

    ``lost``: a refresh token was used twice, whereupon nothing is good any more.
    """

    def __init__(self, seconds: int = 3600) -> None:
        self.seconds, self.uses, self.lost = seconds, 0, False
        self.access, self.refresh = "at-0", "rt-0"
        self.slow = threading.Event()
        self.delay = 0.0
        self._lock = threading.Lock()
        self.upstream: Upstream = serve(self._handle)

    def key(self, **more: Any) -> str:
        """What its sign-in gives, as it is pasted."""
        told = {
            "account_id": ACCOUNT,
            "access_token": self.access,
            "refresh_token": self.refresh,
            "email": "a@x.example",
        }
        return json.dumps({**told, "token_url": f"{self.upstream.base}/oauth/token", **more})

    def end(self) -> None:
        """The access token ends early."""
        self.access = f"ended {self.access}"

    def renewed(self, asked: Any) -> Any:
        """The next pair of tokens."""
        with self._lock:
            if not isinstance(asked, dict) or asked.get("grant_type") != "refresh_token":
                raise RefusedError(400, {"error": {"code": "unsupported_grant_type", "message": "no such grant"}})
            if asked.get("client_id") != CLIENT:
                raise RefusedError(401, {"error": {"code": "invalid_client", "message": "unknown client"}})
            if asked.get("refresh_token") != self.refresh:
                self.lost = self.lost or str(asked.get("refresh_token")).startswith("rt-")
                raise RefusedError(401, {"error": {"code": "refresh_token_reused", "message": _REFUSED}})
            if self.lost:
                raise RefusedError(401, {"error": {"code": "refresh_token_invalidated", "message": _REFUSED}})
            self.uses += 1
            self.access, self.refresh = f"at-{self.uses}", f"rt-{self.uses}"
            pair = {"access_token": self.access, "refresh_token": self.refresh, "id_token": f"id-{self.uses}"}
            return {**pair, "expires_in": self.seconds, "token_type": "Bearer"}

    def _handle(self, arrived: Arrived) -> Any:
        if arrived.path == "/oauth/token":
            return self.renewed(_read(arrived))
        if self.lost or arrived.headers.get("authorization") != f"Bearer {self.access}":
            raise RefusedError(
                401, {"detail": "Could not parse your authentication token. Please try signing in again."}
            )
        if arrived.headers.get("chatgpt-account-id") != ACCOUNT:
            raise RefusedError(403, {"detail": "Unauthorized account"})
        if arrived.headers.get("content-type") != "application/json":
            raise RefusedError(400, {"detail": "Unsupported content type"})
        if arrived.headers.get("originator") != "codex_cli_rs":
            raise RefusedError(400, {"detail": "Unsupported client"})
        if arrived.method == "GET" and arrived.path.startswith("/backend-api/codex/models?client_version="):
            return {"models": [{"slug": "gpt-5-codex"}, {"slug": "gpt-5.1"}]}
        routes = {"/backend-api/codex/responses": self._answer, "/backend-api/codex/alpha/search": _found}
        if arrived.method != "POST" or arrived.path not in routes:
            raise RefusedError(404, {"detail": "Not Found"})
        return routes[arrived.path](_read(arrived))

    def _answer(self, body: dict[str, Any]) -> Any:
        if unknown := sorted(body.keys() - _KNOWN):
            raise RefusedError(400, {"detail": f"Unsupported parameter: {unknown[0]}"})
        if not isinstance(body.get("instructions"), str):
            raise RefusedError(400, {"detail": "Instructions are required"})
        if body.get("store") is not False:
            raise RefusedError(400, {"detail": "Store must be set to false"})
        if body.get("stream") is not True:
            raise RefusedError(400, {"detail": "Stream must be set to true"})
        if not isinstance(body.get("input"), list):
            raise RefusedError(400, {"detail": "Input must be a list"})
        if any(item.get("role") == "system" for item in body["input"]):
            raise RefusedError(400, {"detail": "System messages are not allowed"})
        if body.get("model") == "gpt-busy":
            error = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "plus"}
            raise RefusedError(429, {"error": {**error, "resets_in_seconds": 60}})
        return Streamed("text/event-stream", _events(str(body.get("model"))))


def _read(arrived: Arrived) -> Any:
    try:
        return arrived.json
    except ValueError:
        raise RefusedError(400, {"detail": "Invalid JSON"}) from None


def _found(body: dict[str, Any]) -> Any:
    if not body.get("model") or not isinstance(body.get("commands"), dict):
        raise RefusedError(400, {"detail": "commands are required"})
    return {"output": "Two pages.", "encrypted_output": "gAAA", "results": [{"title": "one"}]}


def _events(model: str) -> list[bytes]:
    part = {"type": "output_text", "text": "Hi!", "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    usage = {
        "input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 12,
    }  # fmt: skip
    response = {"id": "resp_1", "object": "response", "created_at": 1, "model": model, "store": False, "tools": []}
    begun = {**response, "status": "in_progress", "output": []}
    done = {**response, "status": "completed", "output": [item], "usage": usage, "parallel_tool_calls": True}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "content": [], "status": "in_progress"},
        },
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **where, "delta": "Hi!"},
        {"type": "response.output_text.done", **where, "text": "Hi!"},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": done},
    ]
    return [
        f"event: {one['type']}\ndata: {json.dumps({**one, 'sequence_number': n})}\n\n".encode()
        for n, one in enumerate(told)
    ]
