"""Vendors that keep files and carry out batches, on loopback: strict about paths, keys and bodies, as their pages say.

OpenAI: developers.openai.com/api/reference/resources/{files,uploads,batches}; Claude:
platform.claude.com/docs/en/api/beta/files and .../messages/batches. Read 2026-11-29.
"""

from __future__ import annotations

import itertools
import json
from email.parser import BytesParser
from typing import Any

from tests.upstreams.tasks import Answered, Asked

_numbers = itertools.count(1)
"""No id is given twice, whichever store gives it."""


def form(asked: Asked) -> dict[str, tuple[str | None, bytes]]:
    """The parts of a form by name: file name, content."""
    kind = asked.headers["content-type"]
    assert kind.startswith("multipart/form-data; boundary="), kind
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + asked.body)
    parts: dict[str, tuple[str | None, bytes]] = {}
    for part in message.get_payload():  # type: ignore[union-attr]
        name = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
        parts[str(name)] = (part.get_filename(), part.get_payload(decode=True))  # type: ignore[union-attr,assignment]
    return parts


class OpenAIStore:
    """One account of OpenAI's, known by its key."""

    def __init__(self, key: str = "k-one") -> None:
        self.key = key
        self.files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.parts: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}

    def answer(self, asked: Asked) -> Answered:
        if asked.headers.get("authorization") != f"Bearer {self.key}":
            return self.fails(401, "invalid_api_key")
        assert "?" not in asked.path, asked.path
        root, kind, *rest = asked.path.strip("/").split("/")
        assert root == "v1"
        made: Answered = getattr(self, f"_{kind}")(asked, rest)
        return made

    @staticmethod
    def fails(status: int, code: str) -> Answered:
        return Answered(
            {"error": {"message": code, "type": "invalid_request_error", "param": None, "code": code}}, status
        )

    def keep(self, data: bytes, purpose: str, filename: str) -> dict[str, Any]:
        """A file of the account's own."""
        name = f"file-{self.key}-{next(_numbers)}"
        shown = {"id": name, "object": "file", "bytes": len(data), "created_at": 1, "filename": filename}
        shown |= {"purpose": purpose, "status": "processed"}
        self.files[name] = (shown, data)
        return shown

    def _files(self, asked: Asked, rest: list[str]) -> Answered:
        if not rest:
            assert asked.method == "POST", "the gateway lists files itself"
            parts = form(asked)
            assert set(parts) <= {"purpose", "file", "expires_after"}, set(parts)
            filename, data = parts["file"]
            assert filename is not None
            return Answered(self.keep(data, parts["purpose"][1].decode(), filename))
        if rest[0] not in self.files:
            return self.fails(404, "not_found")
        shown, data = self.files[rest[0]]
        if rest[1:] == ["content"]:
            assert asked.method == "GET"
            return Answered(data, 200, "application/octet-stream", {"content-disposition": 'attachment; filename="x"'})
        assert not rest[1:]
        if asked.method == "DELETE":
            del self.files[rest[0]]
            return Answered({"id": rest[0], "object": "file", "deleted": True})
        assert asked.method == "GET"
        return Answered(shown)

    def _uploads(self, asked: Asked, rest: list[str]) -> Answered:
        assert asked.method == "POST"
        if not rest:
            assert set(asked.json) == {"purpose", "filename", "bytes", "mime_type"}, asked.json
            name = f"upload_{next(_numbers)}"
            self.uploads[name] = {**asked.json, "id": name, "object": "upload", "status": "pending", "created_at": 1}
            self.uploads[name]["expires_at"] = 2
            return Answered(self.uploads[name])
        upload = self.uploads[rest[0]]
        if rest[1] == "parts":
            part = f"part_{len(self.parts)}"
            self.parts[part] = form(asked)["data"][1]
            return Answered({"id": part, "object": "upload.part", "created_at": 1, "upload_id": rest[0]})
        if rest[1] == "cancel":
            return Answered({**upload, "status": "cancelled"})
        assert rest[1] == "complete"
        data = b"".join(self.parts[part] for part in asked.json["part_ids"])
        assert len(data) == upload["bytes"]
        return Answered(
            {**upload, "status": "completed", "file": self.keep(data, upload["purpose"], upload["filename"])}
        )

    def _batches(self, asked: Asked, rest: list[str]) -> Answered:
        if not rest:
            assert asked.method == "POST", "the gateway lists batches itself"
            sent = asked.json
            assert set(sent) <= {"input_file_id", "endpoint", "completion_window", "metadata"}, sent
            shown, data = self.files[sent["input_file_id"]]
            assert shown["purpose"] == "batch"
            for line in data.splitlines():
                assert set(json.loads(line)) == {"custom_id", "method", "url", "body"}
            name = f"batch_{self.key}_{next(_numbers)}"
            counts = {"total": 0, "completed": 0, "failed": 0}
            self.batches[name] = {**sent, "id": name, "object": "batch", "status": "validating", "created_at": 1}
            self.batches[name] |= {"request_counts": counts, "output_file_id": None, "error_file_id": None}
            return Answered(self.batches[name])
        if rest[0] not in self.batches:
            return self.fails(404, "not_found")
        if rest[1:] == ["cancel"]:
            assert asked.method == "POST"
            self.batches[rest[0]]["status"] = "cancelling"
        else:
            assert asked.method == "GET"
            assert not rest[1:]
        return Answered(self.batches[rest[0]])

    def end(self, name: str, bodies: list[dict[str, Any]], status: str = "completed") -> None:
        """A batch ends: with what answers."""
        lines = [
            {"id": "b", "custom_id": str(number), "response": {"status_code": 200, "body": body}, "error": None}
            for number, body in enumerate(bodies)
        ]
        data = b"\n".join(json.dumps(line).encode() for line in lines)
        output = self.keep(data, "batch_output", "output.jsonl")["id"] if bodies else None
        total = len(bodies)
        self.batches[name] |= {
            "status": status, "output_file_id": output, "completed_at": 9,
            "request_counts": {"total": total, "completed": total, "failed": 0},
        }  # fmt: skip


class ClaudeStore:
    """One account of Claude's."""

    def __init__(self, key: str = "k-claude") -> None:
        self.key = key
        self.files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.results: dict[str, bytes] = {}

    def answer(self, asked: Asked) -> Answered:
        if asked.headers.get("x-api-key") != self.key:
            return self.fails(401, "authentication_error")
        assert asked.headers.get("anthropic-version"), asked.headers
        path = asked.path.strip("/").split("/")
        if path[:2] == ["v1", "files"]:
            return self._files(asked, path[2:])
        assert path[:3] == ["v1", "messages", "batches"], path
        return self._batches(asked, path[3:])

    @staticmethod
    def fails(status: int, kind: str) -> Answered:
        return Answered({"type": "error", "error": {"type": kind, "message": kind}}, status)

    def _files(self, asked: Asked, rest: list[str]) -> Answered:
        assert "files-api-2025-04-14" in asked.headers.get("anthropic-beta", ""), asked.headers
        if not rest:
            assert asked.method == "POST", "the gateway lists files itself"
            filename, data = form(asked)["file"]
            name = f"file_{next(_numbers)}"
            shown = {"id": name, "type": "file", "filename": filename, "mime_type": "text/plain"}
            shown |= {"size_bytes": len(data), "created_at": "2026-01-01T00:00:00Z", "downloadable": True}
            self.files[name] = (shown, data)
            return Answered(shown)
        if rest[0] not in self.files:
            return self.fails(404, "not_found_error")
        shown, data = self.files[rest[0]]
        if rest[1:] == ["content"]:
            return Answered(data, 200, "application/octet-stream")
        if asked.method == "DELETE":
            del self.files[rest[0]]
            return Answered({"id": rest[0], "type": "file_deleted"})
        return Answered(shown)

    def _batches(self, asked: Asked, rest: list[str]) -> Answered:
        if not rest:
            assert asked.method == "POST", "the gateway lists batches itself"
            assert set(asked.json) == {"requests"}
            for one in asked.json["requests"]:
                assert set(one) == {"custom_id", "params"}
                assert {"model", "max_tokens", "messages"} <= set(one["params"])
            name = f"msgbatch_{next(_numbers)}"
            counts = {
                "processing": len(asked.json["requests"]),
                "succeeded": 0,
                "errored": 0,
                "canceled": 0,
                "expired": 0,
            }
            self.batches[name] = {
                "id": name, "type": "message_batch", "processing_status": "in_progress", "request_counts": counts,
                "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z", "ended_at": None,
                "archived_at": None, "cancel_initiated_at": None, "results_url": None,
            }  # fmt: skip
            return Answered(self.batches[name])
        if rest[0] not in self.batches:
            return self.fails(404, "not_found_error")
        if rest[1:] == ["results"]:
            return Answered(self.results[rest[0]], 200, "application/x-jsonl")
        if rest[1:] == ["cancel"]:
            self.batches[rest[0]]["processing_status"] = "canceling"
        return Answered(self.batches[rest[0]])

    def end(self, name: str, results: list[dict[str, Any]]) -> None:
        """A batch ends: with these results."""
        lines = [{"custom_id": str(number), "result": result} for number, result in enumerate(results)]
        self.results[name] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        url = f"https://vendor.example/v1/messages/batches/{name}/results"
        self.batches[name] |= {"processing_status": "ended", "results_url": url, "ended_at": "2026-01-01T01:00:00Z"}
