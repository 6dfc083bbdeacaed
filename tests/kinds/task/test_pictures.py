"""Pictures of services that make them as tasks, behind the Images API: waited for within a bound, paid by the piece."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.kinds.task.site import UNIT, Site
from tests.upstreams.tasks import Answered, Asked, Vendor

URL = "https://cdn.example/p.png"
MODELS = {"alibaba": "wan2.5-t2i-preview", "luma": "photon-1", "runway": "gen4_image", "replicate": "flux-schnell"}
EDITS = {
    "alibaba": ["wan2.5-i2i-preview", "wanx2.1-imageedit"], "luma": ["photon-flash-1"], "runway": ["gen4_image_turbo"],
    "replicate": ["flux-kontext-pro", "flux-fill-pro", "nano-banana"],
}  # fmt: skip
"""Models that are asked for pictures from pictures."""
DOCUMENT = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: NAME-here}
extends: NAME
spec:
  baseUrl: "{base}/at-NAME"
  auth: {scheme: bearer}
  credential: {secretRef: {file: NAME}}
  models: [MODEL, EDITS]
  price: [{names: [MODEL, EDITS], pictures: [{price: 0.04}]}]
---
apiVersion: gatewright/v1
kind: Task
metadata: {name: FORMAT}
extends: FORMAT
spec: {follow: {first: 0.05, most: 0.1}, within: WITHIN}
---
"""
FORMATS = {
    "alibaba": "alibaba.images.tasks", "luma": "luma.images", "runway": "runway.images",
    "replicate": "replicate.predictions",
}  # fmt: skip


class Painter:
    """All four: a submission is checked to the letter, then each question is answered in turn."""

    def __init__(self) -> None:
        self.turns: dict[str, list[Any]] = {}
        self.cancelled: list[str] = []
        self.edits: list[tuple[str, Any]] = []
        """What was asked for from pictures: path and body."""

    def answer(self, asked: Asked) -> Answered:
        assert asked.headers["authorization"] == "Bearer the-key"
        name, path = asked.path.removeprefix("/at-").split("/", 1)
        if asked.method == "DELETE" or path.endswith("/cancel"):
            self.cancelled.append(name)
            return Answered({})
        if asked.method == "POST" and (edited := any(model in asked.body.decode() + path for model in EDITS[name])):
            self.edits.append((path, asked.json))
        if asked.method == "POST":
            return Answered(BEGUN[name] if edited else getattr(self, name)(path, asked))
        assert path == {
            "alibaba": "api/v1/tasks/t1", "luma": "v1/generations/t1", "runway": "v1/tasks/t1",
            "replicate": "v1/predictions/t1",
        }[name], path  # fmt: skip
        turns = self.turns[name]
        return Answered(turns.pop(0) if len(turns) > 1 else turns[0])

    def alibaba(self, path: str, asked: Asked) -> Any:
        assert (path, asked.headers["x-dashscope-async"]) == (
            "api/v1/services/aigc/text2image/image-synthesis",
            "enable",
        )
        parameters = {"size": "1024*1024", "n": 2}
        assert asked.json == {"model": MODELS["alibaba"], "input": {"prompt": "a cat"}, "parameters": parameters}
        return {"output": {"task_status": "PENDING", "task_id": "t1"}, "request_id": "r"}

    def luma(self, path: str, asked: Asked) -> Any:
        assert path == "v1/generations/image"
        assert asked.json == {"model": "photon-1", "prompt": "a cat", "aspect_ratio": "1:1"}
        return {"id": "t1", "state": "queued"}

    def runway(self, path: str, asked: Asked) -> Any:
        assert (path, asked.headers["x-runway-version"]) == ("v1/text_to_image", "2024-11-06")
        assert asked.json == {"model": "gen4_image", "promptText": "a cat", "ratio": "1024:1024"}
        return {"id": "t1"}

    def replicate(self, path: str, asked: Asked) -> Any:
        assert (path, asked.headers["prefer"]) == ("v1/models/flux-schnell/predictions", "wait")
        return {"id": "t1", "status": "processing", "output": None, "error": None}


BEGUN: dict[str, Any] = {
    "alibaba": {"output": {"task_status": "PENDING", "task_id": "t1"}}, "luma": {"id": "t1", "state": "queued"},
    "runway": {"id": "t1"}, "replicate": {"id": "t1", "status": "starting", "output": None},
}  # fmt: skip
DONE: dict[str, list[Any]] = {
    "alibaba": [{"output": {"task_status": "RUNNING", "task_id": "t1"}},
                {"output": {"task_status": "SUCCEEDED", "task_id": "t1", "results": [{"url": URL}, {"url": URL}]},
                 "usage": {"image_count": 2}}],
    "luma": [{"id": "t1", "state": "dreaming"}, {"id": "t1", "state": "completed", "assets": {"image": URL}}],
    "runway": [{"id": "t1", "status": "THROTTLED"}, {"id": "t1", "status": "SUCCEEDED", "output": [URL]}],
    "replicate": [{"id": "t1", "status": "processing"}, {"id": "t1", "status": "succeeded", "output": [URL]}],
}  # fmt: skip
FAILED: dict[str, Any] = {
    "alibaba": {"output": {"task_status": "FAILED", "code": "DataInspectionFailed", "message": "no cats"}},
    "luma": {"id": "t1", "state": "failed", "failure_reason": "no cats"},
    "runway": {"id": "t1", "status": "FAILED", "failure": "no cats", "failureCode": "SAFETY"},
    "replicate": {"id": "t1", "status": "failed", "error": "no cats"},
}  # fmt: skip
RUNS: dict[str, Any] = {name: turns[0] for name, turns in DONE.items()}


def made(directory: Any, vendor: Vendor, within: str) -> Site:
    (directory / "secrets").mkdir()
    text = ""
    for name, model in MODELS.items():
        (directory / "secrets" / name).write_text("the-key")
        document = DOCUMENT.replace("NAME", name).replace("MODEL", model).replace("FORMAT", FORMATS[name])
        document = document.replace("EDITS", ", ".join(EDITS[name]))
        text += document.replace("WITHIN", within)
    return Site(directory, text, vendor)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    vendor = Vendor()
    place = made(tmp_path_factory.mktemp("pictures"), vendor, "20")
    yield place
    place.close()
    vendor.close()


@pytest.fixture
def painter(site: Site) -> Iterator[Painter]:
    painter = Painter()
    site.vendor.answer = painter.answer
    yield painter
    assert site.vendor.faults == []


def drawn(site: Site, name: str) -> Any:
    sdk = openai.OpenAI(api_key=site.other, base_url=f"{site.base}/v1", max_retries=0)
    with sdk as client:
        return client.images.generate(
            model=MODELS[name], prompt="a cat", size="1024x1024", n=2 if name == "alibaba" else openai.omit
        )


@pytest.mark.parametrize("name", MODELS)
def test_a_caller_waits_for_its_picture_and_pays_by_the_piece(site: Site, painter: Painter, name: str) -> None:
    before = site.spent()
    painter.turns[name] = list(DONE[name])
    pictures = [one.url for one in drawn(site, name).data]
    assert pictures == [URL] * (2 if name == "alibaba" else 1)
    assert site.spent()[0] - before[0] == round(0.04 * UNIT) * len(pictures)
    assert painter.cancelled == []


A, B = "data:image/png;base64,UE5HLUE=", "data:image/webp;base64,V0VCUC1C"
MASK = "data:image/png;base64,TUFTSw=="
_SYNTHESIS = "api/v1/services/aigc/image2image/image-synthesis"
EDITED: dict[str, tuple[str, str, Any]] = {
    "wan2.5-i2i-preview": ("alibaba", _SYNTHESIS, {
        "model": "wan2.5-i2i-preview", "input": {"prompt": "a hat", "images": [A, B]},
        "parameters": {"size": "1024*1024", "n": 1},
    }),
    "wanx2.1-imageedit": ("alibaba", _SYNTHESIS, {
        "model": "wanx2.1-imageedit", "parameters": {"n": 1},
        "input": {"function": "description_edit_with_mask", "prompt": "a hat", "base_image_url": A,
                  "mask_image_url": MASK},
    }),
    "gen4_image_turbo": ("runway", "v1/text_to_image", {
        "model": "gen4_image_turbo", "promptText": "a hat", "ratio": "1024:1024",
        "referenceImages": [{"uri": A}, {"uri": B}],
    }),
    "flux-kontext-pro": ("replicate", "v1/models/flux-kontext-pro/predictions", {
        "input": {"prompt": "a hat", "aspect_ratio": "1:1", "input_image": A, "mask": MASK},
    }),
    "flux-fill-pro": ("replicate", "v1/models/flux-fill-pro/predictions", {
        "input": {"prompt": "a hat", "aspect_ratio": "1:1", "image": A, "mask": MASK},
    }),
    "nano-banana": ("replicate", "v1/models/nano-banana/predictions", {
        "input": {"prompt": "a hat", "aspect_ratio": "1:1", "image_input": [A, B], "mask": MASK},
    }),
}  # fmt: skip
"""What goes up of an edit of two pictures with a mask, by model."""
LOST = {
    "wan2.5-i2i-preview": {"mask"}, "wanx2.1-imageedit": {"image"}, "gen4_image_turbo": {"mask"},
    "flux-kontext-pro": {"image"}, "flux-fill-pro": {"image"}, "nano-banana": set[str](),
}  # fmt: skip


@pytest.mark.parametrize("model", EDITED)
@pytest.mark.parametrize("form", [True, False], ids=["form", "json"])
def test_pictures_are_made_from_pictures(site: Site, painter: Painter, model: str, form: bool) -> None:
    name, path, body = EDITED[model]
    before = site.spent()
    painter.turns[name] = list(DONE[name])
    if form:
        with openai.OpenAI(api_key=site.other, base_url=f"{site.base}/v1", max_retries=0) as client:
            answer = client.images.with_raw_response.edit(
                model=model, prompt="a hat", size="1024x1024", mask=("m.png", b"MASK", "image/png"),
                image=[("a.png", b"PNG-A", "image/png"), ("b.webp", b"WEBP-B", "image/webp")],
            )  # fmt: skip
            shown, lost = answer.parse().data, answer.headers.get("x-gatewright-loss", "")
        urls = [one.url for one in shown or ()]
    else:
        asked = {"model": model, "prompt": "a hat", "size": "1024x1024", "mask": {"image_url": MASK},
                 "images": [{"image_url": A}, {"image_url": B}]}  # fmt: skip
        told = site.call("POST", "/v1/images/edits", json=asked)
        urls, lost = [one["url"] for one in told.json()["data"]], told.headers.get("x-gatewright-loss", "")
    assert urls == [URL] * (2 if name == "alibaba" else 1)
    assert painter.edits == [(path, body)]
    assert all(field in lost for field in LOST[model]), lost
    assert bool(lost) == bool(LOST[model]), lost
    assert site.spent()[0] - before[0] == round(0.04 * UNIT) * len(urls)


def test_a_service_that_takes_addresses_alone_says_so(site: Site, painter: Painter) -> None:
    before = site.spent()
    painter.turns["luma"] = list(DONE["luma"])
    asked = {"model": "photon-flash-1", "prompt": "a hat", "images": [{"image_url": "https://x.example/a.png"},
             {"image_url": "https://x.example/b.png"}]}  # fmt: skip
    told = site.call("POST", "/v1/images/edits", json=asked)
    assert [one["url"] for one in told.json()["data"]] == [URL], told.text
    sent = {"model": "photon-flash-1", "prompt": "a hat", "modify_image_ref": {"url": "https://x.example/a.png"},
            "image_ref": [{"url": "https://x.example/b.png"}]}  # fmt: skip
    assert painter.edits == [("v1/generations/image", sent)]
    paid = site.spent()
    assert paid[0] - before[0] == round(0.04 * UNIT)
    for pictures in ([{"image_url": A}], [{"file_id": "file-1"}]):
        refused = site.call("POST", "/v1/images/edits", json={**asked, "images": pictures})
        assert refused.status_code == 400, refused.text
        assert "address" in refused.json()["error"]["message"]
    assert site.spent() == paid
    assert len(painter.edits) == 1


@pytest.mark.parametrize("name", MODELS)
def test_a_failure_is_told_and_costs_nothing(site: Site, painter: Painter, name: str) -> None:
    before = site.spent()
    painter.turns[name] = [RUNS[name], FAILED[name]]
    with pytest.raises(openai.APIStatusError) as failed:
        drawn(site, name)
    if name == "alibaba":
        assert failed.value.status_code == 400
        assert "no cats" in str(failed.value)
    assert site.spent()[:2] == before[:2]
    assert painter.cancelled == []


def test_what_is_not_done_in_time_is_cancelled_and_costs_nothing(tmp_path: Any) -> None:
    vendor, painter = Vendor(), Painter()
    vendor.answer = painter.answer
    place = made(tmp_path, vendor, "0.5")
    try:
        for name in MODELS:
            painter.turns[name] = [RUNS[name]]
            with pytest.raises(openai.APIStatusError) as late:
                drawn(place, name)
            assert late.value.status_code in (408, 504), late.value
        assert painter.cancelled == ["alibaba", "runway", "replicate"]
        assert place.spent()[0] == 0
        assert vendor.faults == []
    finally:
        place.close()
        vendor.close()
