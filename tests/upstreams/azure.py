"""Azure OpenAI's files and batches by dated versions (learn.microsoft.com/azure/foundry/openai/how-to/batch)."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.relay.scripted import Arrived, Upstream
from tests.upstreams.strict import RefusedError, serve

PROVIDERS = ("azure",)
KEY, VERSION = "azure-key", "2025-04-01-preview"
_ENDPOINTS = {"/chat/completions", "/embeddings", "/v1/responses"}


class Azure:
    """The resource; ``lines`` are those of the file that came last."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.endpoint, self.status = "", "validating"
        self.upstream: Upstream = serve(self._handle)

    def _handle(self, arrived: Arrived) -> Any:
        if arrived.headers.get("api-key") != KEY:
            raise _refused(401, "401", "Access denied due to invalid subscription key.")
        path, _, query = arrived.path.partition("?")
        if query != f"api-version={VERSION}":
            raise _refused(404, "404", "Resource not found")
        if path == "/openai/files" and arrived.method == "POST":
            return self._kept(arrived)
        if path == "/openai/batches" and arrived.method == "POST":
            return self._begun(arrived)
        if path == "/openai/batches/batch_1" and arrived.method == "GET":
            return self._batch()
        if path == "/openai/files/file-out/content" and arrived.method == "GET":
            usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
            told = {"status_code": 200, "body": {"id": "c", "object": "chat.completion", "choices": [], "usage": usage}}
            return {"custom_id": self.lines[0]["custom_id"], "response": told, "error": None}
        raise _refused(404, "404", "Resource not found")

    def _kept(self, arrived: Arrived) -> Any:
        if not arrived.headers.get("content-type", "").startswith("multipart/form-data; boundary="):
            raise _refused(400, "invalidPayload", "a form is required")
        if not re.search(rb'name="purpose"\r\n\r\nbatch\r\n', arrived.body):
            raise _refused(400, "invalidPayload", "Invalid value for purpose.")
        self.lines = [
            json.loads(line) for line in re.findall(rb'^\{"custom_id".*\}$', arrived.body.replace(b"\r", b""), re.M)
        ]
        if not self.lines:
            raise _refused(400, "invalidPayload", "The file is empty.")
        for line in self.lines:
            if line.get("url") not in _ENDPOINTS:
                raise _refused(400, "invalid_url", f"url {line.get('url')} is not supported")
            if line.get("method") != "POST":
                raise _refused(400, "invalid_method", "method must be POST")
        return {
            "id": "file-in",
            "object": "file",
            "bytes": 9,
            "created_at": 1,
            "filename": "b.jsonl",
            "purpose": "batch",
            "status": "processed",
        }

    def _begun(self, arrived: Arrived) -> Any:
        try:
            body = arrived.json
        except ValueError:
            raise _refused(400, "invalidPayload", "Invalid JSON") from None
        if body.get("input_file_id") != "file-in":
            raise _refused(404, "file_not_found", "The file is not there.")
        if body.get("completion_window") != "24h":
            raise _refused(400, "invalid_completion_window", "completion_window must be 24h")
        if body.get("endpoint") not in _ENDPOINTS:
            raise _refused(400, "invalid_endpoint", f"endpoint {body.get('endpoint')} is not supported")
        if any(line["url"] != body["endpoint"] for line in self.lines):
            raise _refused(400, "url_mismatch", "url and endpoint are not the same")
        self.endpoint = body["endpoint"]
        return self._batch()

    def _batch(self) -> Any:
        ended = self.status == "completed"
        return {
            "id": "batch_1", "object": "batch", "endpoint": self.endpoint, "input_file_id": "file-in",
            "completion_window": "24h", "status": self.status, "created_at": 1, "errors": None,
            "output_file_id": "file-out" if ended else None, "error_file_id": None,
            "request_counts": {"total": 1, "completed": int(ended), "failed": 0},
        }  # fmt: skip


def _refused(status: int, code: str, message: str) -> RefusedError:
    return RefusedError(status, {"error": {"code": code, "message": message}})
