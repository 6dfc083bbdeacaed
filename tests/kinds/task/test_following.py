"""Following: what goes on costs its question alone, what changes is written once, what nobody knows is paid back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.kinds.task import record as records
from engine.kinds.task.moving import move
from engine.storage.rows.work import tasks
from tests.kinds.task.site import Site
from tests.kinds.task.videos_here import documents
from tests.upstreams.tasks import Answered, Asked, Vendor


class Studio:
    """A vendor that says of each of its tasks what it is told to say; of one without a state that it is not known."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"status": "queued"}
        self.made = 0

    def answer(self, asked: Asked) -> Answered:
        if asked.method == "POST":
            self.made += 1
            return Answered({"id": f"v{self.made}", "status": "queued"})
        if not self.state:
            return Answered({"error": {"message": "no such video", "code": "not_found"}}, 404)
        return Answered({"id": asked.path.rsplit("/", 1)[1], **self.state})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    vendor = Vendor()
    made = Site(tmp_path_factory.mktemp("following"), documents(vendor.base, "{first: 1, most: 2}"), vendor)
    yield made
    made.close()
    vendor.close()


@pytest.fixture
def studio(site: Site) -> Studio:
    made = Studio()
    site.vendor.answer = made.answer
    return made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that were read, by their ids."""
    ids, load = list[int](), tasks.load

    def noted(db: Any, rows: str, which: Any) -> Any:
        ids.extend(which)
        return load(db, rows, which)

    monkeypatch.setattr(tasks, "load", noted)
    return ids


def submitted(site: Site) -> str:
    return str(site.call("POST", "/v1/videos", json={"model": "v", "prompt": "x"}).json()["id"])


def test_no_row_is_read_of_what_goes_on_as_before(site: Site, studio: Studio, read: list[int]) -> None:
    name = submitted(site)
    site.follow()
    written = site.row(name)
    asked = len(site.vendor.got)
    read.clear()
    site.follow()
    site.follow()
    assert (len(site.vendor.got) - asked, read) == (2, [])
    assert site.row(name) == written
    studio.state = {"status": "in_progress", "progress": 40}
    site.follow()
    assert (read, site.row(name)["status"], site.row(name)["progress"]) == ([written["id"]], "IN_PROGRESS", "40%")
    studio.state = {"status": "completed"}
    site.follow()
    assert site.row(name)["status"] == "SUCCESS"
    asked = len(site.vendor.got)
    site.follow()
    assert len(site.vendor.got) == asked


def test_an_end_that_was_lost_to_another_is_told_again(site: Site, studio: Studio) -> None:
    name = submitted(site)
    site.follow()
    stale = site.row(name)
    rules = site.parts.snapshot.program.tasks["openai.videos"]
    # Another process moves it between this one's look and its write, as one whose lease was lost may.
    studio.state = {"status": "completed"}
    follower = site.parts.kinds["task"]._follower  # type: ignore[attr-defined]
    real, raced = follower._read, []

    def late(keys: Any) -> Any:
        rows = real(keys)
        if keys and not raced:
            raced.append(keys)
            other = records.record(tasks.TASKS, stale)
            assert move(site.parts.services, site.parts.snapshot, other, rules, {"status": "in_progress"})
        return rows

    follower._read = late
    try:
        site.follow()
    finally:
        follower._read = real
    assert (len(raced), site.row(name)["status"]) == (1, "IN_PROGRESS")
    site.follow()
    assert site.row(name)["status"] == "SUCCESS"


def test_a_task_that_its_vendor_does_not_know_is_paid_back_after_a_while(site: Site, studio: Studio) -> None:
    before = site.spent()
    name = submitted(site)
    site.follow()
    assert site.spent()[0] > before[0]
    studio.state = {}
    site.follow()
    site.follow()
    assert site.row(name)["status"] == "QUEUED"
    follower = site.parts.kinds["task"]._follower  # type: ignore[attr-defined]
    assert len(follower._strange) == 1
    studio.state = {"status": "queued"}
    site.follow()
    assert follower._strange == {}  # it was away for a moment
    studio.state = {}
    site.follow()
    follower._strange = dict.fromkeys(follower._strange, 0.0)
    site.follow()
    assert (site.row(name)["status"], site.row(name)["fail_reason"]) == (
        "FAILURE", "the provider does not know it any more"
    )  # fmt: skip
    assert site.spent()[:2] == before[:2]
