"""The made-up vendor of docs/tasks.md, as it stands there: batches, signed callbacks, two results."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from engine.server.application import Gateway
from engine.settings import Settings
from tests.kinds.task.site import UNIT, Site
from tests.support import ROOT
from tests.upstreams.tasks import Answered, Asked, Vendor

REELS = ["https://cdn.example/one.mp4", "https://cdn.example/two.mp4"]


class Flicker:
    """The vendor."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.stops = False
        self.questions: list[list[str]] = []

    def answer(self, asked: Asked) -> Answered:
        assert asked.headers["authorization"] == "Bearer reel-key"
        body = asked.json
        if asked.path == "/jobs":
            assert {"engine", "scene"} <= set(body) <= {"engine", "scene", "length", "tell"}
            name = f"j{len(self.jobs)}"
            self.jobs[name] = {"job": name, "phase": "waiting", "done": 0}
            return Answered(self.jobs[name])
        if asked.path == "/jobs/ask":
            self.questions.append(body["jobs"])
            return Answered({"jobs": [self.jobs[name] for name in body["jobs"]]})
        assert asked.path.endswith("/stop"), asked.path
        return Answered({"stopped": True} if self.stops else {"stopped": False})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    vendor = Vendor()
    directory = tmp_path_factory.mktemp("flicker")
    (directory / "secrets").mkdir()
    (directory / "secrets" / "flicker").write_text("reel-key")
    text = (ROOT / "docs" / "examples" / "task-vendor.yaml").read_text("utf-8")
    made = Site(directory, text.replace("https://api.flicker.example", "{base}"), vendor)
    yield made
    made.close()
    vendor.close()


@pytest.fixture
def flicker(site: Site) -> Iterator[Flicker]:
    made = Flicker()
    site.vendor.answer = made.answer
    yield made
    assert site.vendor.faults == []


def test_jobs_are_asked_for_together_and_priced_by_what_they_used(site: Site, flicker: Flicker) -> None:
    before = site.spent()
    body = {"engine": "flicker-1", "scene": "rain", "length": 10}
    first, second = (site.call("POST", "/flicker/jobs", json=body).json()["job"] for _ in range(2))
    third = site.call("POST", "/v1/videos", json={"model": "flicker-1", "prompt": "rain", "seconds": "10"}).json()["id"]
    assert site.spent()[0] - before[0] == round(0.6 * UNIT)
    ready = {"phase": "ready", "done": 100, "reels": REELS, "spent": {"seconds": 7}}
    flicker.jobs["j0"] |= ready
    flicker.jobs["j1"] |= {"phase": "rolling", "done": 55}
    flicker.jobs["j2"] |= {"phase": "lost", "why": "it burned"}
    site.follow()
    assert sorted(flicker.questions[0]) == ["j0", "j1", "j2"]
    told = site.call("GET", f"/flicker/jobs/{first}").json()
    assert (told["phase"], told["reels"]) == ("ready", REELS)
    assert site.row(second)["progress"] == "55%"
    assert site.call("GET", f"/v1/videos/{third}").json()["error"]["message"] == "it burned"
    assert site.spent()[0] - before[0] == round(0.34 * UNIT)
    flicker.jobs["j1"] |= {**ready, "spent": {"seconds": 12}}
    site.follow()
    assert site.spent()[0] - before[0] == round(0.38 * UNIT)


def test_a_callback_is_believed_when_it_is_signed_and_counts_once(site: Site, flicker: Flicker) -> None:
    before = site.spent()
    name = site.call("POST", "/flicker/jobs", json={"engine": "flicker-1", "scene": "rain"}).json()["job"]
    url = f"/v1/tasks/{name}/callback"
    text = json.dumps({"job": "j0", "phase": "lost", "why": "no film"}).encode()
    sign = hmac.new(b"reel-key", text, hashlib.sha256).hexdigest()
    for forged in ({}, {"x-flicker-sign": "0" * 64}, {"x-flicker-sign": sign[:-1]}):
        assert (
            site.call("POST", url, data=text, headers={"content-type": "application/json", **forged}).status_code == 401
        )
    assert site.row(name)["status"] == "QUEUED"
    headers = {"content-type": "application/json", "x-flicker-sign": sign}
    for _ in range(3):
        assert site.call("POST", url, data=text, headers=headers).status_code == 200
    assert site.row(name)["status"] == "FAILURE"
    assert site.spent()[:2] == before[:2]
    assert site.call("POST", "/v1/tasks/task_none/callback", data=text, headers=headers).status_code == 404


def test_a_cancellation_may_fail_and_costs_nothing_when_it_does_not(site: Site, flicker: Flicker) -> None:
    before = site.spent()
    name = site.call("POST", "/flicker/jobs", json={"engine": "flicker-1", "scene": "rain"}).json()["job"]
    assert site.call("POST", f"/flicker/jobs/{name}/cancel").json()["phase"] == "rolling"
    assert site.spent()[0] > before[0]
    flicker.stops = True
    assert site.call("POST", f"/flicker/jobs/{name}/cancel").json()["phase"] == "lost"
    assert site.row(name)["status"] == "CANCELLED"
    assert site.spent()[:2] == before[:2]
    assert site.call("POST", f"/flicker/jobs/{name}/cancel").status_code == 400
    assert site.call("POST", f"/flicker/jobs/{name}/cancel", key=site.key).status_code == 404


@pytest.fixture
def services(site: Site) -> Iterator[Any]:
    """The worker's services, whose settings a test may change."""
    services: Any = site.parts.services
    kept = services.settings
    yield services
    services.settings = kept


def test_no_more_tasks_are_asked_for_in_one_go_than_the_limit(site: Site, flicker: Flicker, services: Any) -> None:
    services.settings = replace(services.settings, task_query_limit=2)
    for _ in range(3):
        site.call("POST", "/flicker/jobs", json={"engine": "flicker-1", "scene": "rain"})
    site.follow()
    assert len(flicker.questions[0]) == 2
    for job in flicker.jobs.values():
        job |= {"phase": "lost", "why": "over"}
    site.follow()
    site.follow()


def test_a_task_that_takes_too_long_is_a_failure(site: Site, flicker: Flicker, services: Any) -> None:
    before = site.spent()
    name = site.call("POST", "/flicker/jobs", json={"engine": "flicker-1", "scene": "rain"}).json()["job"]
    site.db.write(
        lambda one: one.exec_driver_sql(f"UPDATE tasks SET submit_time = submit_time - 90 WHERE task_id = '{name}'")
    )
    services.settings = replace(services.settings, task_timeout_minutes=2)
    site.follow()
    assert site.row(name)["status"] == "QUEUED"
    services.settings = replace(services.settings, task_timeout_minutes=1)
    site.follow()
    assert site.row(name)["status"] == "FAILURE"
    assert "within 1 minutes" in site.call("GET", f"/flicker/jobs/{name}").json()["why"]
    assert site.spent()[:2] == before[:2]


def test_a_model_may_keep_the_charge_of_its_submission(site: Site, flicker: Flicker, services: Any) -> None:
    services.settings = replace(services.settings, task_price_patch=("flicker-1",))
    before = site.spent()
    name = site.call("POST", "/flicker/jobs", json={"engine": "flicker-1", "scene": "rain", "length": 10}).json()["job"]
    flicker.jobs["j0"] |= {"phase": "ready", "done": 100, "reels": REELS, "spent": {"seconds": 1}}
    site.follow()
    assert site.row(name)["status"] == "SUCCESS"
    assert site.spent()[0] - before[0] == round(0.2 * UNIT)


def test_a_server_that_follows_no_tasks_has_no_process_for_it() -> None:
    app: Any = SimpleNamespace(heavy=True, settings=Settings(update_task=False), children=[])
    Gateway.start_jobs(app, [], None)
    assert app.children == []
