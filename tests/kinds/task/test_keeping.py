"""What is kept of tasks with several results, of drawings, and of what was done when it was submitted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from engine.jobs import Lease
from engine.storage.releases.documents import Author
from engine.storage.rows import options
from engine.storage.rows.work import leases
from tests.databases import empty_database
from tests.kinds.task.site import Site
from tests.upstreams.tasks import Answered, Asked, Vendor

DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: films-here}
extends: replicate
spec:
  baseUrl: "{base}/films"
  auth: {scheme: none}
  models: [a/film]
  price: [{names: [a/film], call: 0.1}]
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: drawings-here}
extends: midjourney
spec:
  baseUrl: "{base}/drawings"
  auth: {scheme: none}
  models: [mj_imagine]
  price: [{match: "mj_.*", call: 0.1}]
---
apiVersion: gatewright/v1
kind: Policy
metadata: {name: keeping}
spec: {results: {keep: directory}}
"""


class Makers:
    """Films and drawings, and where they lie; ``gone``: nothing lies there any more."""

    def __init__(self, base: str) -> None:
        self.base, self.gone, self.drawn = base, False, 0
        self.fetched: list[str] = []
        self.submission: dict[str, Any] = {"code": 1}

    def answer(self, asked: Asked) -> Answered:
        path = asked.path
        if path.startswith("/lies/"):
            self.fetched.append(path)
            return Answered(
                path.encode(), 404 if self.gone else 200, "image/png" if path.endswith("png") else "video/mp4"
            )
        if path.startswith("/films/"):
            films = [f"{self.base}/lies/{name}.mp4" for name in ("one", "two")]
            return Answered({"id": "f1", "status": "starting"} if asked.method == "POST" else
                            {"id": "f1", "status": "succeeded", "output": films})  # fmt: skip
        picture = f"{self.base}/lies/{self.drawn}.png"
        if path.endswith("/list-by-condition"):
            return Answered([{"id": name, "status": "SUCCESS", "imageUrl": picture} for name in asked.json["ids"]])
        self.drawn += 1
        done = {"status": "SUCCESS", "imageUrl": f"{self.base}/lies/{self.drawn}.png"}
        return Answered({"description": "x", "result": f"d{self.drawn}", "properties": done, **self.submission})


@pytest.fixture(scope="module", params=["sqlite", "mysql", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with empty_database(request.param, tmp_path_factory.mktemp("database")) as settings:
        yield from _site(tmp_path_factory.mktemp("keeping"), settings.sql_dsn)


def _site(directory: Path, dsn: str) -> Iterator[Site]:
    vendor = Vendor()
    made = Site(directory, DOCUMENTS, vendor, dsn)
    made.db.write(lambda c: options.put(made.db, c, "ServerAddress", made.base, Author(), secret=False))
    made.parts.refresh()
    yield made
    made.close()
    vendor.close()


@pytest.fixture
def makers(site: Site) -> Makers:
    made = Makers(site.vendor.base)
    site.vendor.answer = made.answer
    return made


def keep(site: Site) -> list[str]:
    """Have everything kept that waits, and forgotten that is over; what came of each job."""
    keeping: Any = site.parts.kinds["task"]._keeping  # type: ignore[attr-defined]
    keeping._looked = 0.0
    told = []
    for job in keeping.jobs(site.parts.snapshot):
        fence = leases.take(site.db, job.name, "test", 30)
        assert fence is not None
        lease = Lease(site.db, job.name, "test", fence, 30)
        told.append(job.work(lease))
        lease.end(0, told[-1])
    return told


def files(site: Site) -> list[Path]:
    return [path for path in (site.parts.settings.data / "results").rglob("*") if path.is_file()]


def test_each_result_of_a_task_is_kept(site: Site, makers: Makers) -> None:
    name = site.call("POST", "/v1/videos", json={"model": "a/film", "prompt": "x"}).json()["id"]
    site.follow()
    assert keep(site) == ["2 results were kept"]
    assert keep(site) == []
    assert sorted(makers.fetched) == ["/lies/one.mp4", "/lies/two.mp4"]
    makers.gone = True
    for number, word in ((0, b"one"), (1, b"two")):
        film = site.call("GET", f"/v1/videos/{name}/content?index={number}")
        assert (film.status_code, film.content) == (200, b"/lies/" + word + b".mp4")
    for wrong in ("2", "-1", "x", "9" * 30):
        assert site.call("GET", f"/v1/videos/{name}/content?index={wrong}").status_code == 404, wrong
    assert site.call("GET", f"/v1/videos/{name}/content", key=site.key).status_code == 404
    assert len(makers.fetched) == 2
    assert site.call("DELETE", f"/v1/videos/{name}").status_code == 200
    assert keep(site) == ["2 results were forgotten"]
    assert files(site) == []


def test_a_task_that_is_deleted_before_it_was_kept_leaves_nothing(site: Site, makers: Makers) -> None:
    name = site.call("POST", "/v1/videos", json={"model": "a/film", "prompt": "x"}).json()["id"]
    site.follow()
    assert site.call("DELETE", f"/v1/videos/{name}").status_code == 200
    assert keep(site) == ["2 results were forgotten"]
    assert (makers.fetched, files(site)) == ([], [])


@pytest.mark.parametrize("code", [1, 21], ids=["later", "at once"])
def test_a_drawing_is_shown_when_its_vendor_has_it_no_more(site: Site, makers: Makers, code: int) -> None:
    makers.submission = {"code": code}
    name = site.call("POST", "/mj/submit/imagine", json={"prompt": "a cat"}).json()["result"]
    site.follow()
    assert keep(site) == ["1 results were kept"]
    address = site.call("GET", f"/mj/task/{name}/fetch").json()["imageUrl"]
    makers.gone = True
    whole = requests.get(address, timeout=10)
    assert (whole.status_code, whole.content) == (200, makers.fetched[0].encode())
    assert whole.headers["content-type"] == "image/png"
    part = requests.get(address, headers={"range": "bytes=1-4"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"lies")
    assert requests.get(f"{address}0", timeout=10).status_code == 404
    assert len(makers.fetched) == 1


def test_what_can_not_be_kept_is_tried_again_and_given_up_in_the_end(site: Site, makers: Makers) -> None:
    makers.gone = True
    before = site.spent()
    name = site.call("POST", "/v1/videos", json={"model": "a/film", "prompt": "x"}).json()["id"]
    site.follow()
    kept = len(files(site))
    for tries in range(10):
        assert keep(site) == ["0 results were kept"], tries
        assert keep(site) == []  # not before its time
        site.db.write(lambda c: c.exec_driver_sql("UPDATE gatewright_results SET next_at = 0 WHERE state = 'waiting'"))
    assert keep(site) == []
    rows = site.sql("SELECT state, tries, note FROM gatewright_results ORDER BY id DESC LIMIT 2")
    assert rows == [("failed", 9, "the result is not there any more (status 404)")] * 2
    assert (site.row(name)["status"], len(files(site))) == ("SUCCESS", kept)
    assert site.spent()[0] - before[0] == 50_000
