"""OpenAI's videos: tasks that take as long as their prompt says (`in 30 seconds`, else 6), or fail (`fail`).

Nothing is kept: a task's id says when it began, how long it takes, and how it ends. Requests are JSON.
"""

from __future__ import annotations

import re
import time

import openai_errors
import wire

MODEL = "demo-video"
_ID = re.compile(r"^/v1/videos/video_(?P<begun>\d+)_(?P<takes>\d+)_(?P<ends>done|failed)(?P<content>/content)?$")
_TAKES = re.compile(r"\bin (\d{1,4}) seconds?\b")
_FILE = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
"""The head of an MP4 file, and no picture: enough to see that bytes come through."""


def submit(call: wire.Call) -> wire.Reply:
    """Begin a task."""
    body = call.body
    if not isinstance(body, dict) or not isinstance(body.get("prompt"), str) or not body["prompt"]:
        raise openai_errors.invalid("Missing required parameter: 'prompt'.")
    if body.get("model") != MODEL and not call.options.any_model:
        raise openai_errors.invalid(f"Invalid value: {body.get('model')!r}. Supported values are: '{MODEL}'.")
    told = _TAKES.search(body["prompt"])
    ends = "failed" if "fail" in body["prompt"] else "done"
    return wire.Reply(_shown(int(time.time()), int(told[1]) if told else 6, ends))


def fetch(call: wire.Call) -> wire.Reply | None:
    """What became of one, or its file; nothing for any other path."""
    found = _ID.match(call.path)
    if found is None:
        return None
    shown = _shown(int(found["begun"]), int(found["takes"]), found["ends"])
    if not found["content"]:
        return wire.Reply(shown)
    if shown["status"] != "completed":
        raise openai_errors.invalid("Video is not ready yet, use GET /v1/videos/{video_id} to check status.")
    return wire.Reply(chunks=iter([_FILE]), content_type="video/mp4")


def _shown(begun: int, takes: int, ends: str) -> dict[str, object]:
    passed = int(time.time()) - begun
    status = "queued" if passed < 1 else "in_progress"
    if passed >= takes:
        status = "completed" if ends == "done" else "failed"
    error = {"code": "demo_failure", "message": "The prompt asked for it."} if status == "failed" else None
    return {
        "id": f"video_{begun}_{takes}_{ends}",
        "object": "video",
        "model": MODEL,
        "status": status,
        "progress": min(100, 100 * passed // max(1, takes)),
        "created_at": begun,
        "error": error,
    }
