"""Each vendor's own side, as its documentation has it: how it is asked, and what it answers, state by state.

``PATHS`` are checked to the letter, bodies against the members that the vendor knows; a vendor that was asked anything
else refuses it and notes it, and the test fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.upstreams.tasks import Answered, Asked

PNG = "data:image/png;base64,iVBORw0KGgo="
BARE = "iVBORw0KGgo="


@dataclass
class VendorCase:
    """A vendor: who calls it how, what must arrive, and what it says of the task until it has ended."""

    name: str
    model: str
    asked: tuple[str, dict[str, Any]]
    """The caller's path and body."""
    submit: tuple[str, dict[str, Any]]
    """The vendor's path and body."""
    taken: Any
    query: tuple[str, str, Any]
    """Method, path, body of a question."""
    states: list[Any]
    """What is answered to each question in turn; the last one ends the task."""
    results: list[str]
    fails: list[Any]
    auth: Callable[[Asked], bool]
    file: tuple[str, Any] | None = None
    content: str = ""
    """Where the vendor itself has what came of it, with its credential."""

    def answer(self, asked: Asked, states: list[Any], at: list[int]) -> Answered:
        """What the vendor says; raises ``AssertionError`` for what it does not know."""
        assert self.auth(asked), "no valid credential"
        path = asked.path.split(f"/at-{self.name}", 1)[1]
        if asked.method == "POST" and path == self.submit[0]:
            assert asked.json == self.submit[1], asked.json
            return Answered(self.taken)
        if self.file is not None and path == self.file[0]:
            return Answered(self.file[1])
        if asked.method == "GET" and path == self.content:
            return Answered(FILM, kind="video/mp4")
        assert (asked.method, path) == self.query[:2], path
        assert asked.json == self.query[2], asked.json
        told = states[min(at[0], len(states) - 1)]
        at[0] += 1
        return Answered(told)


def _bearer(asked: Asked) -> bool:
    return asked.headers.get("authorization") == "Bearer the-key"


def _jwt(asked: Asked) -> bool:
    return asked.headers.get("authorization", "").count(".") == 2


def _kling(state: str, **more: Any) -> dict[str, Any]:
    data = {"task_id": "86", "task_status": state, "task_status_msg": "", "created_at": 1, "updated_at": 2, **more}
    return {"code": 0, "message": "SUCCEED", "request_id": "r", "data": data}


def _jimeng(state: str, **more: Any) -> dict[str, Any]:
    return {
        "code": 10000,
        "data": {"status": state, "binary_data_base64": [], **more},
        "message": "Success",
        "status": 10000,
    }


def _minimax(state: str, code: int = 0, **more: Any) -> dict[str, Any]:
    return {"task_id": "m1", "status": state, "base_resp": {"status_code": code, "status_msg": "told"}, **more}


def _alibaba(state: str, **more: Any) -> dict[str, Any]:
    return {"request_id": "r", "output": {"task_id": "a-1", "task_status": state, **more}}


def _runway(state: str, **more: Any) -> dict[str, Any]:
    return {"id": "17f20503", "status": state, "createdAt": "2026-11-30T00:00:00Z", **more}


def _luma(state: str, **more: Any) -> dict[str, Any]:
    told = {"id": "123e4567", "state": state, "failure_reason": None, "assets": None, "generation_type": "video"}
    return {**told, **more}


def _runs(asked: Asked) -> bool:
    return _bearer(asked) and asked.headers.get("x-runway-version") == "2024-11-06"


VIDEO = "https://cdn.example/v.mp4"
FILM = b"the film"
FILE = "/v1beta/files/f7:download?alt=media"
OPENAI = "/v1/videos"
CASES = [
    VendorCase(
        "kling", "kling-v1",
        ("/kling/v1/videos/image2video", {"model_name": "kling-v1", "prompt": "x", "image": BARE, "duration": "10",
                                          "static_mask": "m"}),
        ("/v1/videos/image2video", {"model_name": "kling-v1", "prompt": "x", "image": BARE, "duration": "10",
                                    "static_mask": "m"}),
        _kling("submitted"), ("GET", "/v1/videos/image2video/86", None),
        [_kling("submitted"), _kling("processing"),
         _kling("succeed", task_result={"videos": [{"id": "v", "url": VIDEO, "duration": "10.0"}]})],
        [VIDEO], [_kling("failed", task_status_msg="too dark")], _jwt,
    ),
    VendorCase(
        "kling", "kling-v1", (OPENAI, {"model": "kling-v1", "prompt": "x", "seconds": "10", "size": "1280x720"}),
        ("/v1/videos/text2video", {"model_name": "kling-v1", "model": "kling-v1", "prompt": "x", "mode": "std",
                                   "duration": "10", "aspect_ratio": "16:9", "cfg_scale": 0.5}),
        _kling("submitted"), ("GET", "/v1/videos/text2video/86", None),
        [_kling("processing"), _kling("succeed", task_result={"videos": [{"id": "v", "url": VIDEO, "duration": "10"}]})],  # noqa: E501
        [VIDEO], [_kling("failed", task_status_msg="no")], _jwt,
    ),
    VendorCase(
        "jimeng", "jimeng_t2v_v30",
        ("/jimeng/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31", {"req_key": "jimeng_t2v_v30", "prompt": "x",
                                                                       "frames": 241}),
        ("/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31", {"req_key": "jimeng_t2v_v30", "prompt": "x", "frames": 241}),  # noqa: E501
        {"code": 10000, "data": {"task_id": "7392"}, "message": "Success", "status": 10000},
        ("POST", "/?Action=CVSync2AsyncGetResult&Version=2022-08-31", {"req_key": "jimeng_t2v_v30", "task_id": "7392"}),
        [_jimeng("in_queue"), _jimeng("generating"), _jimeng("done", video_url=VIDEO)], [VIDEO],
        [{"code": 50411, "data": None, "message": "Pre Img Risk Not Pass", "status": 50411}],
        lambda asked: asked.headers.get("authorization", "").startswith("HMAC-SHA256 Credential=a-key/"),
    ),
    VendorCase(
        "vidu", "viduq1", (OPENAI, {"model": "viduq1", "prompt": "x", "seconds": "10", "image": PNG}),
        ("/ent/v2/img2video", {"model": "viduq1", "images": [PNG], "prompt": "x", "duration": 10, "resolution": "1080p",
                               "movement_amplitude": "auto", "bgm": False}),
        {"task_id": "v1", "state": "created", "model": "viduq1"}, ("GET", "/ent/v2/tasks/v1/creations", None),
        [{"state": "queueing"}, {"state": "processing"},
         {"state": "success", "err_code": "", "creations": [{"id": "c", "url": VIDEO, "cover_url": "u"}]}], [VIDEO],
        [{"state": "failed", "err_code": "AuditSubmitIllegal", "creations": []}],
        lambda asked: asked.headers.get("authorization") == "Token the-key",
    ),
    VendorCase(
        "minimax", "hailuo-02", (OPENAI, {"model": "hailuo-02", "prompt": "x", "seconds": "10", "size": "1920x1080"}),
        ("/v1/video_generation", {"model": "hailuo-02", "prompt": "x", "duration": 10, "resolution": "1080P"}),
        {"task_id": "m1", "base_resp": {"status_code": 0, "status_msg": "success"}},
        ("GET", "/v1/query/video_generation?task_id=m1", None),
        [_minimax("Preparing"), _minimax("Processing"), _minimax("Success", file_id="205258526306433")], [VIDEO],
        [_minimax("Fail", 1027)], _bearer, file=("/v1/files/retrieve?file_id=205258526306433",
                                                 {"file": {"download_url": VIDEO}, "base_resp": {"status_code": 0}}),
    ),
    VendorCase(
        "alibaba", "wan2.5-t2v", (OPENAI, {"model": "wan2.5-t2v", "prompt": "x", "seconds": "10", "size": "832x480"}),
        ("/api/v1/services/aigc/video-generation/video-synthesis",
         {"model": "wan2.5-t2v", "input": {"prompt": "x"},
          "parameters": {"size": "832*480", "duration": 10, "prompt_extend": True, "watermark": False}}),
        _alibaba("PENDING"), ("GET", "/api/v1/tasks/a-1", None),
        [_alibaba("PENDING"), _alibaba("RUNNING"), _alibaba("SUCCEEDED", video_url=VIDEO)], [VIDEO],
        [_alibaba("FAILED", code="InternalError", message="no")],
        lambda asked: _bearer(asked) and (asked.method == "GET" or asked.headers.get("x-dashscope-async") == "enable"),
    ),
    VendorCase(
        "volcengine", "seedance-1", (OPENAI, {"model": "seedance-1", "prompt": "x", "seconds": "10", "size": "1280x720"}),  # noqa: E501
        ("/api/v3/contents/generations/tasks",
         {"model": "seedance-1", "content": [{"type": "text", "text": "x"}], "duration": 10, "ratio": "16:9",
          "resolution": "720p"}),
        {"id": "cgt-1"}, ("GET", "/api/v3/contents/generations/tasks/cgt-1", None),
        [{"id": "cgt-1", "status": "queued"}, {"id": "cgt-1", "status": "running"},
         {"id": "cgt-1", "status": "succeeded", "content": {"video_url": VIDEO}, "usage": {"total_tokens": 0}}], [VIDEO],  # noqa: E501
        [{"id": "cgt-1", "status": "failed", "error": {"code": "OutputVideoSensitiveContentDetected", "message": "no"}}],  # noqa: E501
        _bearer,
    ),
    VendorCase(
        "gemini", "veo-9", (OPENAI, {"model": "veo-9", "prompt": "x", "seconds": "10", "size": "1280x720", "image": PNG}),  # noqa: E501
        ("/v1beta/models/veo-9:predictLongRunning",
         {"instances": [{"prompt": "x", "image": {"bytesBase64Encoded": BARE, "mimeType": "image/png"}}],
          "parameters": {"durationSeconds": 10, "aspectRatio": "16:9", "resolution": "720p"}}),
        {"name": "models/veo-9/operations/op1"}, ("GET", "/v1beta/models/veo-9/operations/op1", None),
        [{"name": "models/veo-9/operations/op1"},
         {"name": "models/veo-9/operations/op1", "done": True, "response": {"generateVideoResponse": {
             "generatedSamples": [{"video": {"uri": f"https://cdn.example{FILE}"}}]}}}], [f"https://cdn.example{FILE}"],
        [{"done": True, "error": {"code": 13, "message": "no"}}],
        lambda asked: asked.headers.get("x-goog-api-key") == "the-key", content=FILE,
    ),
    VendorCase(
        "runway", "gen4.5", (OPENAI, {"model": "gen4.5", "prompt": "x", "seconds": "10", "size": "720x1280", "image": PNG}),  # noqa: E501
        ("/v1/image_to_video", {"model": "gen4.5", "promptText": "x", "promptImage": PNG, "ratio": "720:1280",
                                "duration": 10}),
        {"id": "17f20503"}, ("GET", "/v1/tasks/17f20503", None),
        [_runway("PENDING"), _runway("THROTTLED"), _runway("RUNNING", progress=0.4),
         _runway("SUCCEEDED", output=[VIDEO], cost={"credits": 50})], [VIDEO],
        [_runway("FAILED", failure="it shows somebody", failureCode="SAFETY.INPUT.TEXT", cost={"credits": 0})], _runs,
    ),
    VendorCase(
        "luma", "ray-2", (OPENAI, {"model": "ray-2", "prompt": "x", "seconds": "10", "size": "1280x720",
                                   "image": "https://cdn.example/first.png"}),
        ("/v1/generations/video", {"model": "ray-2", "prompt": "x", "aspect_ratio": "16:9", "resolution": "720p",
                                   "duration": "10s",
                                   "keyframes": {"frame0": {"type": "image", "url": "https://cdn.example/first.png"}}}),
        _luma("queued"), ("GET", "/v1/generations/123e4567", None),
        [_luma("queued"), _luma("dreaming"), _luma("completed", assets={"video": VIDEO, "image": "u"})], [VIDEO],
        [_luma("failed", failure_reason="moderation")], _bearer,
    ),
    VendorCase(
        "replicate", "kwaivgi/kling", (OPENAI, {"model": "kwaivgi/kling", "prompt": "x", "seconds": "10",
                                                "size": "1280x720", "metadata": {"loop": True}}),
        ("/v1/models/kwaivgi/kling/predictions",
         {"input": {"prompt": "x", "duration": 10, "aspect_ratio": "16:9", "resolution": "720p", "loop": True}}),
        {"id": "gm3q", "status": "starting", "input": {}, "error": None, "output": None},
        ("GET", "/v1/predictions/gm3q", None),
        [{"id": "gm3q", "status": "starting"}, {"id": "gm3q", "status": "processing", "output": None, "error": None},
         {"id": "gm3q", "status": "succeeded", "output": VIDEO, "error": None}], [VIDEO],
        [{"id": "gm3q", "status": "failed", "output": None, "error": "CUDA out of memory"}],
        lambda asked: _bearer(asked) and "prefer" not in asked.headers,
    ),
]  # fmt: skip
