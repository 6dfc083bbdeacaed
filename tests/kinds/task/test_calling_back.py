"""Callers that name an address are told of each new state, signed with their key; vendors never learn the address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.jobs import Lease
from engine.outbox import posting
from engine.storage.releases.documents import Author
from engine.storage.rows import options
from engine.storage.rows.work import leases, outbox
from engine.storage.rows.work.tasks import DRAWINGS
from tests.kinds.task.site import Site
from tests.kinds.task.test_drawings import DOCUMENTS, Proxy
from tests.relay.scripted import Arrived, Upstream
from tests.upstreams.tasks import Vendor


@pytest.fixture(scope="module")
def receiver() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, receiver: Upstream) -> Iterator[Site]:
    vendor = Vendor()
    directory = tmp_path_factory.mktemp("callbacks")
    (directory / "secrets").mkdir()
    (directory / "secrets" / "drawings").write_text("mj-key")
    (directory / "secrets" / "songs").write_text("song-key")
    made = Site(directory, DOCUMENTS, vendor, open_to=(f"127.0.0.1:{receiver.port}",))
    yield made
    made.close()
    vendor.close()


@pytest.fixture
def proxy(site: Site, receiver: Upstream) -> Iterator[Proxy]:
    made = Proxy()
    site.vendor.answer = made.answer
    receiver.got.clear()
    receiver.script = lambda say: say.whole({})
    yield made
    assert site.vendor.faults == []


def let_go(site: Site) -> str:
    """Send what is due."""
    fence = leases.take(site.db, "outbox", "test", 60)
    assert fence is not None
    return site.parts.notices.outbox.send(Lease(site.db, "outbox", "test", fence, 60))


def allow(site: Site, value: str) -> None:
    site.db.write(lambda c: options.put(site.db, c, "MjNotifyEnabled", value, Author(), secret=False))
    site.parts.refresh()


def genuine(site: Site, got: Arrived) -> bool:
    at = int(got.headers["webhook-timestamp"])
    good = posting.signed(site.other, got.headers["webhook-id"], at, got.body)
    return got.headers["webhook-signature"] == dict(good)["webhook-signature"]


def draw(site: Site, **more: Any) -> Any:
    headers = {"authorization": "", "mj-api-secret": site.other}
    return site.call("POST", "/mj/submit/imagine", json={"prompt": "a cat", **more}, headers=headers).json()


def test_a_drawing_is_told_as_it_is_fetched(site: Site, proxy: Proxy, receiver: Upstream) -> None:
    allow(site, "true")
    name = draw(site, notifyHook=f"{receiver.base}/mine?x=1")["result"]
    assert "notifyHook" not in proxy.bodies[-1][1]
    proxy.states[name] |= {"status": "IN_PROGRESS", "progress": "45%"}
    site.follow()
    site.follow()  # nothing new: nothing to tell
    assert let_go(site) == "1 left, 0 did not"
    proxy.states[name] |= {"status": "SUCCESS", "progress": "100%", "imageUrl": "https://cdn.example/a.png"}
    site.follow()
    assert let_go(site) == "1 left, 0 did not"
    first, last = receiver.got
    assert (first.path, first.json["status"], last.json["status"]) == ("/mine?x=1", "IN_PROGRESS", "SUCCESS")
    assert last.json == site.call("GET", f"/mj/task/{name}/fetch").json()
    assert genuine(site, first)
    assert genuine(site, last)
    assert "notifyHook" not in str(site.call("GET", f"/mj/task/{name}/fetch").json())


def test_a_song_is_told_and_its_vendor_learns_no_address(site: Site, proxy: Proxy, receiver: Upstream) -> None:
    body = {"gpt_description_prompt": "rain", "notify_hook": f"{receiver.base}/song"}
    name = site.call("POST", "/suno/submit/music", json=body).json()["data"]
    assert "notify_hook" not in proxy.bodies[-1][1]
    proxy.states["song-1"] |= {"status": "FAILURE", "fail_reason": "no"}
    site.follow()
    let_go(site)
    (got,) = receiver.got
    assert got.json["data"]["task_id"] == name
    assert got.json["data"]["status"] == "FAILURE"
    assert genuine(site, got)


def test_the_option_shuts_it_for_drawings(site: Site, proxy: Proxy, receiver: Upstream) -> None:
    allow(site, "false")
    name = draw(site, notifyHook=f"{receiver.base}/mine")["result"]
    proxy.states[name] |= {"status": "SUCCESS", "progress": "100%"}
    site.follow()
    assert let_go(site) == "0 left, 0 did not"
    assert "callback" not in str(site.row(name, DRAWINGS)["properties"])


@pytest.mark.parametrize("url", ["nonsense", "ftp://a.example", "http://" + "a" * 3000, 7, ["http://a.example"]])
def test_an_address_that_is_none_is_told_before_anything_is_made(site: Site, proxy: Proxy, url: Any) -> None:
    allow(site, "true")
    before = site.spent()
    answer = draw(site, notifyHook=url)
    assert "callback" in answer["description"], answer
    assert proxy.bodies == []
    assert site.spent() == before


def test_nothing_inside_is_called(site: Site, proxy: Proxy) -> None:
    allow(site, "true")
    name = draw(site, notifyHook="http://127.0.0.1:9/inside")["result"]
    proxy.states[name] |= {"status": "SUCCESS", "progress": "100%"}
    site.follow()
    assert let_go(site) == "0 left, 1 did not"
    (letter,) = outbox.dead(site.db)
    assert letter["error"] == "it has no address that may be called"
    assert "127.0.0.1:9/" not in letter["body"]
    outbox.drop(site.db, letter["id"])
