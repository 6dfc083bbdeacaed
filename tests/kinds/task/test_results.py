"""Results of tasks are kept, by the real gateway: in a directory and in an S3 whose signatures botocore judges."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from engine.accounts.users import create_user
from engine.ledger import proof
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows import crud
from engine.storage.tables.core import users
from tests.kinds.task.test_killed import job_process
from tests.kinds.task.videos_here import documents
from tests.support import PATIENCE, Gateway, until
from tests.upstreams import buckets
from tests.upstreams.buckets import Bucket
from tests.upstreams.tasks import Answered, Asked, Vendor

FILM = bytes(range(256)) * 4_000
BOUND = 2_000_000
CHARGE = 20_000
POLICY = """---
apiVersion: gatewright/v1
kind: Policy
metadata: {name: keeping}
spec: {results: RESULTS}
"""
PLACE = "{url: BASE/films/gateway, region: REGION, credential: {secretRef: {file: store}}}"
STORES = {
    "directory": "{keep: directory, bytes: 2000000}",
    "s3": "{keep: s3, bytes: 2000000, days: 2, stores: {s3: PLACE}}".replace("PLACE", PLACE),
}


class Studio:
    """A vendor whose tasks are done at once; ``gone``: it has their films no more."""

    def __init__(self) -> None:
        self.made = 0
        self.fetched: list[dict[str, str]] = []
        self.gone = False
        self.film = FILM
        self.halfway: Callable[[], None] | None = None

    def answer(self, asked: Asked) -> Answered:
        if asked.method == "POST":
            self.made += 1
            return Answered({"id": f"v{self.made}", "status": "queued"})
        if "/content" not in asked.path:
            return Answered({"id": asked.path.rsplit("/", 1)[1], "status": "completed"})
        self.fetched.append(asked.headers)
        if self.gone:
            return Answered({"error": {"message": "expired"}}, 404)
        return Answered(self.film, kind="video/mp4", halfway=self.halfway)


class Place:
    """A gateway, its database, its vendor and its bucket."""

    def __init__(self, directory: Path, results: str) -> None:
        self.vendor, self.studio, self.bucket = Vendor(), Studio(), Bucket()
        self.vendor.answer = self.studio.answer
        policy = POLICY.replace("RESULTS", results).replace("BASE", self.bucket.base).replace("REGION", buckets.REGION)
        specs = {"own.yaml": documents(self.vendor.base, "{first: 0.2, most: 0.4}") + policy}
        (directory / "secrets").mkdir(parents=True)
        (directory / "secrets" / "store").write_text(f"{buckets.ID}|{buckets.SECRET}")
        ports = f"127.0.0.1:{self.vendor.port},127.0.0.1:{self.bucket.port}"
        self.root = directory.parent / "films"
        env = {"GATEWRIGHT_EGRESS_ALLOW": ports, "GATEWRIGHT_RESULT_DIR": str(self.root)}
        self.gateway = Gateway(directory, specs=specs, env=env, priced=True)
        self.gateway.env_dsn = ""  # type: ignore[attr-defined]
        self.gateway.ready()
        self.db: Database = open_database(Settings(data=directory), migrate=False)

    def made(self) -> str:
        """A task that has succeeded."""
        name = str(self.gateway.post("/v1/videos", {"model": "v", "prompt": "x"}).json()["id"])
        self.until(f"SELECT status FROM tasks WHERE task_id = '{name}'", "SUCCESS")
        return name

    def result(self, name: str, column: str, value: Any) -> None:
        """Wait for what is noted of its film."""
        whose = f"(SELECT id FROM tasks WHERE task_id = '{name}')"
        self.until(f"SELECT {column} FROM gatewright_results WHERE task_id = {whose}", value)

    def content(self, name: str, query: str = "", **headers: str) -> requests.Response:
        """Its film."""
        authorized = {"authorization": f"Bearer {self.gateway.key}", **headers}
        return requests.get(f"{self.gateway.base}/v1/videos/{name}/content{query}", headers=authorized, timeout=30)

    def signed_in(self, user: str, password: str) -> requests.Session:
        """A session of the console."""
        session = requests.Session()
        form = {"username": user, "password": password}
        assert session.post(f"{self.gateway.base}/console/login", data=form, timeout=30).status_code == 200
        return session

    def until(self, query: str, value: Any) -> None:
        """Wait for what the database says."""

        def said() -> bool:
            with self.db.read() as connection:
                return bool(connection.exec_driver_sql(query).scalar() == value)

        until(said, every=0.2, words=lambda: (query, self.gateway.output[-4_000:]))

    def files(self) -> list[bytes]:
        """What lies in its stores."""
        there = [path.read_bytes() for path in sorted(self.root.rglob("*")) if path.is_file()]
        return there + [body for body, _ in self.bucket.objects.values()]

    def paid(self) -> None:
        """Every task stands, and is paid once."""
        with self.db.read() as connection:
            rows = [tuple(row) for row in connection.exec_driver_sql("SELECT status, quota FROM tasks")]
        assert set(rows) == {("SUCCESS", CHARGE)}
        verified = proof.verify(self.db, self.db, self.gateway.data / "journal")
        assert (verified.differences, verified.charged) == ([], len(rows) * CHARGE)

    def close(self) -> None:
        """End it."""
        self.db.close()
        self.gateway.stop()
        self.vendor.close()
        self.bucket.close()


@pytest.fixture(scope="module", params=STORES)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("results") / "gateway", STORES[request.param])
    yield made
    made.close()
    assert "Traceback" not in made.gateway.output, made.gateway.output


@pytest.fixture
def place(running: Place) -> Iterator[Place]:
    running.vendor.answer = running.studio.answer
    running.studio.fetched, running.studio.gone, running.studio.film = [], False, FILM
    yield running
    running.paid()
    assert running.bucket.faults == []


def test_a_film_is_fetched_once_and_given_in_parts_when_its_vendor_has_it_no_more(place: Place) -> None:
    before = place.files()
    name = place.made()
    place.result(name, "state", "kept")
    assert len(place.files()) == len(before) + 1
    assert FILM in place.files()
    place.studio.gone = True
    for query in ("", "?variant=video"):
        whole = place.content(name, query)
        assert (whole.status_code, whole.content) == (200, FILM)
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["content-security-policy"].startswith("sandbox")
    size = len(FILM)
    for wanted, start, end in (("0-3", 0, 4), ("5-", 5, size), ("-4", size - 4, size), ("10-99999999", 10, size)):
        part = place.content(name, range=f"bytes={wanted}")
        assert (part.status_code, part.content) == (206, FILM[start:end]), wanted
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    beyond = place.content(name, range=f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert place.content(name, **{"if-none-match": whole.headers["etag"]}).status_code == 304
    assert len(place.studio.fetched) == 1
    # Another view of it only the vendor can make.
    assert place.content(name, "?variant=thumbnail").status_code == 404
    stranger = {"authorization": "Bearer sk-another"}
    denied = requests.get(f"{place.gateway.base}/v1/videos/{name}/content", headers=stranger, timeout=30)
    assert denied.status_code == 401
    headers = {"authorization": f"Bearer {place.gateway.key}"}
    assert requests.delete(f"{place.gateway.base}/v1/videos/{name}", headers=headers, timeout=30).ok
    place.result(name, "COUNT(*)", 0)
    assert place.files() == before


def test_the_console_gives_it_to_its_owner_and_to_who_may_see_all(place: Place) -> None:
    name = place.made()
    place.result(name, "state", "kept")
    place.studio.gone = True
    if crud.one(place.db, users, users.c.username == "other") is None:
        create_user(place.db, "other", "a long password")
    user, password = (place.gateway.data / "first.login").read_text().split()
    root, other = place.signed_in(user, password), place.signed_in("other", "a long password")
    address = f"/console/tasks/task/{name}?number=0"
    assert address in root.get(f"{place.gateway.base}/console/tasks", timeout=30).text
    film = root.get(place.gateway.base + address, timeout=30)
    assert (film.status_code, film.headers["content-type"], film.content) == (200, "video/mp4", FILM)
    assert film.headers["content-security-policy"].startswith("sandbox")
    assert other.get(place.gateway.base + address, timeout=30).status_code == 404
    assert other.get(f"{place.gateway.base}/console/tasks/mj/{name}", timeout=30).status_code == 404
    assert requests.get(place.gateway.base + address, timeout=30, allow_redirects=False).status_code != 200


def test_a_store_that_is_away_is_tried_again_and_the_vendor_serves_meanwhile(place: Place) -> None:
    if not place.bucket.objects and not place.bucket.asked:
        pytest.skip("a directory is never away")
    place.bucket.down = True
    name = place.made()
    place.result(name, "note", "the store answered with status 503 (SlowDown)")
    assert place.content(name).content == FILM
    place.bucket.down = False
    place.result(name, "state", "kept")
    place.studio.gone = True
    assert place.content(name).content == FILM


def test_who_keeps_a_film_may_die_in_the_middle(place: Place) -> None:
    reached, go_on, before = threading.Event(), threading.Event(), place.files()

    def halfway() -> None:
        reached.set()
        go_on.wait(PATIENCE)

    place.studio.halfway = halfway
    name = place.made()
    assert reached.wait(PATIENCE)
    pid = job_process(place.gateway)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    place.studio.halfway = None
    go_on.set()
    assert place.files() == before
    place.result(name, "state", "kept")
    assert len(place.files()) == len(before) + 1
    assert len(place.studio.fetched) == 2
    place.studio.gone = True
    assert place.content(name).content == FILM


def test_a_film_above_the_bound_is_not_kept_and_that_is_told(place: Place) -> None:
    before, place.studio.film = place.files(), FILM * 3
    name = place.made()
    place.result(name, "state", "failed")
    place.result(name, "note", f"it is longer than {BOUND} bytes (results.bytes)")
    place.gateway.wait_for(f"is not kept: it is longer than {BOUND} bytes")
    assert place.files() == before
    assert place.content(name).content == FILM * 3
    root = place.signed_in(*(place.gateway.data / "first.login").read_text().split())
    told = root.get(f"{place.gateway.base}/console/tasks", params={"id": name}, timeout=30).text
    assert f"The result is not kept: it is longer than {BOUND} bytes" in told


def test_a_film_whose_time_is_over_is_gone(place: Place) -> None:
    before = place.files()
    name = place.made()
    place.result(name, "state", "kept")
    with place.db.read() as connection:
        until, days = connection.exec_driver_sql("SELECT until, kept_at FROM gatewright_results ORDER BY id").all()[-1]
    assert until - days in range(2 * 86_400 - 5, 30 * 86_400 + 5)
    place.db.write(
        lambda c: c.exec_driver_sql("UPDATE gatewright_results SET until = 1 WHERE id = (SELECT MAX(id) FROM"
                                    " gatewright_results)")
    )  # fmt: skip
    place.result(name, "COUNT(*)", 0)
    assert place.files() == before
    assert place.content(name).content == FILM  # as its vendor still has it
    assert len(place.studio.fetched) == 2
