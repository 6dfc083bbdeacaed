"""Videos: what callers of OpenAI's, New API's and vendors' own dialects get, and what it costs, to the unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import openai
import pytest

from engine.ledger import proof
from tests.kinds.task.site import UNIT, Site
from tests.upstreams.tasks import Answered, Asked, Vendor

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: videos-here}
extends: openai
spec:
  baseUrl: {base}
  auth: {scheme: none}
  models: [sora-x]
  price: [{names: [sora-x], second: 0.1, units: {seconds: "body.seconds | default(4)"}}]
"""


class Sora:
    """The vendor: each question finds a task one state further, to its end."""

    tasks: ClassVar[dict[str, int]] = {}

    def __init__(self) -> None:
        self.states = ["queued", "in_progress", "completed"]

    def answer(self, asked: Asked) -> Answered:
        path, _, query = asked.path.partition("?")
        if asked.method == "POST" and path == "/v1/videos":
            if "multipart" in asked.headers["content-type"]:
                assert b'name="prompt"' in asked.body
                assert b'name="model"\r\n\r\nsora-x' in asked.body
            else:
                assert not set(asked.json) - {"model", "prompt", "seconds", "size", "input_reference"}, asked.json
                assert isinstance(asked.json.get("seconds", ""), str)
            return self.made()
        name = path.split("/")[3]
        assert name in self.tasks, f"{name} is not known"
        if path.endswith("/remix"):
            assert asked.json == {"prompt": "but blue"}
            return self.made()
        if path.endswith("/content"):
            assert query in ("", "variant=thumbnail")
            data = b"0123456789"
            if "range" in asked.headers:
                assert asked.headers["range"] == "bytes=2-4"
                return Answered(data[2:5], 206, "video/mp4", {"content-range": "bytes 2-4/10"})
            return Answered(data, 200, "image/webp" if query else "video/mp4")
        assert asked.method == "GET"
        at = self.tasks[name]
        self.tasks[name] = min(at + 1, len(self.states) - 1)
        state = self.states[at]
        error = {"code": "moderation_blocked", "message": "no"} if state == "failed" else None
        return Answered(self.shown(name, state, error))

    def made(self) -> Answered:
        name = f"video_{len(self.tasks)}"
        self.tasks[name] = 0
        return Answered(self.shown(name, "queued", None))

    @staticmethod
    def shown(name: str, state: str, error: object) -> dict[str, object]:
        progress = 40 if state == "in_progress" else 0
        told = {"id": name, "object": "video", "model": "sora-x", "status": state, "progress": progress, "error": error}
        return {**told, "created_at": 1, "seconds": "4", "size": "720x1280"}


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("videos"), DOCUMENTS, vendor)
    yield made
    made.close()


@pytest.fixture
def sora(vendor: Vendor) -> Iterator[Sora]:
    made = Sora()
    vendor.answer = made.answer
    yield made
    assert vendor.faults == []


def test_the_sdk_makes_a_video_and_pays_its_seconds_once(site: Site, sora: Sora) -> None:
    before = site.spent()
    with openai.OpenAI(api_key=site.other, base_url=f"{site.base}/v1", max_retries=0) as client:
        video = client.videos.create(model="sora-x", prompt="a cat", seconds="8", size="1280x720")
        assert video.status == "queued"
        assert video.id.startswith("task_")
        after = site.spent()
        assert (after[0] - before[0], after[1] - before[1], after[2] - before[2]) == (0.8 * UNIT, 0.8 * UNIT, 1)
        site.follow()
        site.follow()
        running = client.videos.retrieve(video.id)
        assert (running.status, running.progress, running.id) == ("in_progress", 40, video.id)
        site.follow()
        done = client.videos.retrieve(video.id)
        assert (done.status, done.progress, done.model) == ("completed", 100, "sora-x")
        assert client.videos.download_content(video.id).read() == b"0123456789"
        part = site.call("GET", f"/v1/videos/{video.id}/content?variant=thumbnail", headers={"range": "bytes=2-4"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
        again = client.videos.remix(video.id, prompt="but blue")
        assert again.id != video.id
        assert [one.id for one in client.videos.list().data][:2] == [again.id, video.id]
        assert client.videos.delete(video.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.videos.retrieve(video.id)
        for _ in sora.states:
            site.follow()
        assert client.videos.retrieve(again.id).status == "completed"
    services = site.parts.services
    assert proof.verify(site.db, services.log_db, site.parts.settings.data / "journal").differences == []


def test_a_failure_is_paid_back_once_to_user_and_key(site: Site, sora: Sora) -> None:
    sora.states = ["queued", "failed"]
    before = site.spent()
    name = site.call("POST", "/v1/videos", json={"model": "sora-x", "prompt": "x"}).json()["id"]
    assert site.spent()[0] - before[0] == 0.4 * UNIT
    for _ in range(3):
        site.follow()
    told = site.call("GET", f"/v1/videos/{name}").json()
    assert (told["status"], told["error"]) == ("failed", {"code": "moderation_blocked", "message": "no"})
    after = site.spent()
    assert after[:2] == before[:2]
    assert after[2] == before[2] + 1
    ((kind, quota, content),) = site.sql(
        "SELECT type, quota, content FROM logs WHERE type = 6 ORDER BY id DESC LIMIT 1"
    )
    assert (kind, quota, name in content) == (6, 0.4 * UNIT, True)
    assert site.row(name)["quota"] == 0
    assert proof.verify(site.db, site.db, site.parts.settings.data / "journal").differences == []


def test_nobody_sees_anothers_tasks(site: Site, sora: Sora) -> None:
    name = site.call("POST", "/v1/videos", json={"model": "sora-x", "prompt": "x"}).json()["id"]
    for method, path in (
        ("GET", f"/v1/videos/{name}"),
        ("DELETE", f"/v1/videos/{name}"),
        ("GET", f"/v1/videos/{name}/content"),
        ("GET", f"/v1/video/generations/{name}"),
    ):
        assert site.call(method, path, key=site.key).status_code == 404
        assert site.call(method, path, key="sk-no").status_code == 401
    remix = site.call("POST", f"/v1/videos/{name}/remix", key=site.key, json={"prompt": "x"})
    assert remix.status_code == 404
    assert name not in site.call("GET", "/v1/videos", key=site.key).text
    told = site.call("GET", f"/v1/video/generations/{name}").json()
    assert told["code"] == "success"
    assert not {"quota", "user_id", "channel_id", "username"} & told["data"].keys()


def test_what_cannot_be_is_refused_before_it_is_paid(site: Site, sora: Sora) -> None:
    before = site.spent()
    name = site.call("POST", "/v1/videos", json={"model": "sora-x", "prompt": "x"}).json()["id"]
    paid = site.spent()
    assert paid[0] > before[0]
    refused = [
        (site.call("POST", "/v1/videos", json={"model": "sora-x"}), 400),
        (site.call("POST", "/v1/videos", json={"model": "sora-x", "prompt": ""}), 400),
        (site.call("POST", "/v1/videos", data=b"{", headers={"content-type": "application/json"}), 400),
        (site.call("POST", "/v1/videos", json={"model": "nobody", "prompt": "x"}), 404),
        (site.call("POST", f"/v1/videos/{name}/remix", json={"prompt": "x"}), 400),
        (site.call("POST", "/v1/videos/task_none/remix", json={"prompt": "x"}), 404),
        (site.call("GET", f"/v1/videos/{name}/content"), 400),
        (site.call("DELETE", f"/v1/videos/{name}"), 400),
        (site.call("GET", "/v1/videos?limit=0"), 400),
        (site.call("GET", "/v1/videos?order=up"), 400),
    ]
    for answer, status in refused:
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["message"]
    assert site.spent()[0] == paid[0]
