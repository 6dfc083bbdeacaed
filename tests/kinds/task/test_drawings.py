"""Midjourney-Proxy's and Suno-API's callers, unchanged, and tasks that an older program had begun in these tables."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from sqlalchemy import insert

from engine.kinds.task import record as records
from engine.kinds.task.moving import move
from engine.ledger import proof
from engine.storage.releases.documents import Author
from engine.storage.rows import options
from engine.storage.rows.work import tasks as rows
from engine.storage.tables import tasks as tables
from tests.kinds.task.site import UNIT, Site
from tests.support import PATIENCE
from tests.upstreams.tasks import Answered, Asked, Vendor

DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: drawings-here}
extends: midjourney
spec:
  baseUrl: "{base}/drawings"
  credential: {secretRef: {file: drawings}}
  models: [mj_imagine, mj_upscale, mj_variation, mj_reroll, mj_describe, mj_blend, mj_modal, mj_upload,
           mj_shorten, mj_edits, mj_video, swap_face]
  price: [{match: "mj_.*|swap_face", call: 0.1}]
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: songs-here}
extends: suno
spec:
  baseUrl: "{base}/songs"
  credential: {secretRef: {file: songs}}
  models: [suno_music, suno_lyrics]
  price: [{names: [suno_music], call: 0.2}, {names: [suno_lyrics], call: 0.02}]
"""


class Proxy:
    """Midjourney-Proxy and Suno-API: tasks that end when ``states`` says so."""

    def __init__(self) -> None:
        self.states: dict[str, dict[str, Any]] = {}
        self.bodies: list[tuple[str, Any]] = []
        self.code = 1

    def answer(self, asked: Asked) -> Answered:
        if asked.path.startswith("/songs"):
            return self.song(asked)
        if asked.path == "/cat.png":
            assert "authorization" not in asked.headers
            part = asked.headers.get("range")
            return Answered(b"PNG"[1:2] if part else b"PNG", 206 if part else 200, "image/png")
        assert asked.headers.get("mj-api-secret") == "mj-key"
        path = asked.path.removeprefix("/drawings")
        if path == "/mj/task/list-by-condition":
            return Answered([{"id": name, **self.states[name]} for name in asked.json["ids"] if name in self.states])
        if path.endswith("/image-seed"):
            assert asked.method == "GET"
            if path.split("/")[3] not in self.states:
                return Answered({"code": 4, "description": "no such task"})
            return Answered({"code": 1, "description": "success", "result": "2917341218"})
        self.bodies.append((path, asked.json))
        assert "notifyHook" not in asked.json
        if self.code in (23, 24):
            return Answered({"code": self.code, "description": "banned", "properties": {"bannedWord": "x"}})
        if path.endswith("upload-discord-images"):
            return Answered({"code": 1, "description": "ok", "result": ["https://cdn.example/a.png"]})
        name = f"17{len(self.bodies):05d}"
        self.states[name] = {"status": "SUBMITTED", "progress": "0%", "action": "IMAGINE"}
        return Answered({"code": self.code, "description": "Submit success", "result": name, "properties": {}})

    def song(self, asked: Asked) -> Answered:
        assert asked.headers.get("authorization") == "Bearer song-key"
        if asked.path == "/songs/suno/fetch":
            told = [{"task_id": name, **self.states[name]} for name in asked.json["ids"] if name in self.states]
            return Answered({"code": "success", "message": "", "data": told})
        self.bodies.append((asked.path, asked.json))
        name = f"song-{len(self.bodies)}"
        self.states[name] = {"status": "SUBMITTED", "progress": "0%", "data": []}
        return Answered({"code": "success", "message": "", "data": name})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    vendor = Vendor()
    directory = tmp_path_factory.mktemp("drawings")
    (directory / "secrets").mkdir()
    (directory / "secrets" / "drawings").write_text("mj-key")
    (directory / "secrets" / "songs").write_text("song-key")
    made = Site(directory, DOCUMENTS, vendor)
    yield made
    made.close()
    vendor.close()


@pytest.fixture
def proxy(site: Site) -> Iterator[Proxy]:
    made = Proxy()
    site.vendor.answer = made.answer
    site.vendor.faults.clear()
    yield made
    assert site.vendor.faults == []


def test_a_client_of_the_proxy_draws_polls_and_goes_on(site: Site, proxy: Proxy) -> None:
    before = site.spent()
    body = {"prompt": "a cat", "notifyHook": "https://evil.example", "accountFilter": {"modes": ["FAST"]}, "state": "s"}
    headers = {"authorization": "", "mj-api-secret": site.other}
    drawn = site.call("POST", "/mj-fast/mj/submit/imagine", json=body, headers=headers).json()
    assert drawn["code"] == 1
    assert drawn["result"] == "1700001"
    assert proxy.bodies[-1] == ("/fast/mj/submit/imagine", {"prompt": "a cat", "state": "s"})
    name = drawn["result"]
    assert site.spent()[0] - before[0] == 0.1 * UNIT
    early = site.call("POST", "/mj/submit/change", json={"taskId": name, "action": "UPSCALE", "index": 1}).json()
    assert early["code"] == 4
    proxy.states[name] |= {"status": "IN_PROGRESS", "progress": "45%", "imageUrl": "https://cdn.example/half.png"}
    site.follow()
    told = site.call("GET", f"/mj/task/{name}/fetch").json()
    assert (told["id"], told["status"], told["progress"], told["state"]) == (name, "IN_PROGRESS", "45%", "s")
    buttons = [{"customId": "MJ::JOB::upsample::1::abc", "label": "U1", "emoji": "", "type": 2, "style": 2}]
    proxy.states[name] |= {
        "status": "SUCCESS",
        "progress": "100%",
        "buttons": buttons,
        "properties": {"finalPrompt": "f"},
    }
    site.follow()
    (told,) = site.call("POST", "/mj/task/list-by-condition", json={"ids": [name, "none"]}).json()
    assert (told["status"], told["buttons"], told["properties"]) == ("SUCCESS", buttons, {"finalPrompt": "f"})
    assert site.call("GET", f"/mj/task/{name}/fetch", key=site.key).json()["code"] in (3, 4)
    for path, more, sent in (
        ("change", {"taskId": name, "action": "VARIATION", "index": 2}, "/mj/submit/change"),
        ("simple-change", {"content": f"{name} U3"}, "/mj/submit/simple-change"),
        ("action", {"taskId": name, "customId": "MJ::JOB::upsample::1::abc"}, "/mj/submit/action"),
        ("describe", {"base64": "data:image/png;base64,QQ=="}, "/mj/submit/describe"),
        ("blend", {"base64Array": ["data:image/png;base64,QQ=="] * 2}, "/mj/submit/blend"),
        ("modal", {"taskId": name, "prompt": "x"}, "/mj/submit/modal"),
        ("shorten", {"prompt": "a very long prompt"}, "/mj/submit/shorten"),
        ("edits", {"prompt": "x", "image": "QQ==", "maskBase64": "QQ=="}, "/mj/submit/edits"),
        ("video", {"prompt": "x", "motion": "low"}, "/mj/submit/video"),
        ("../insight-face/swap", {"sourceBase64": "QQ==", "targetBase64": "QQ=="}, "/mj/insight-face/swap"),
    ):
        answer = site.call("POST", f"/mj/submit/{path}", json=more)
        assert (answer.status_code, answer.json()["code"]) == (200, 1), (path, answer.text)
        assert proxy.bodies[-1] == (sent, more)
    assert site.spent()[0] - before[0] == 1.1 * UNIT
    seed = site.call("GET", f"/mj/task/{name}/image-seed")
    assert (seed.status_code, seed.json()["result"]) == (200, "2917341218")
    assert site.call("GET", f"/fast/mj/task/{name}/image-seed").json() == seed.json()
    assert site.call("GET", f"/mj/task/{name}/image-seed", key=site.key).json()["code"] in (3, 4)  # another's
    del proxy.states[name]
    assert site.call("GET", f"/mj/task/{name}/image-seed").json()["description"] == "no such task"
    assert site.spent()[0] - before[0] == 1.1 * UNIT
    uploaded = site.call("POST", "/mj/submit/upload-discord-images", json={"base64Array": ["QQ=="]}).json()
    assert uploaded["result"] == ["https://cdn.example/a.png"]


@pytest.fixture
def option(site: Site) -> Iterator[Callable[[str, str], None]]:
    """Sets options, and takes them back."""
    names = list[str]()

    def put(name: str, value: str) -> None:
        names.append(name)
        site.db.write(lambda connection: options.put(site.db, connection, name, value, Author(1, "root"), secret=False))
        site.parts.refresh()

    yield put
    for name in list(names):
        put(name, "")


def test_pictures_are_shown_by_addresses_that_nobody_can_guess(
    site: Site, proxy: Proxy, option: Callable[[str, str], None]
) -> None:
    name = site.call("POST", "/mj/submit/imagine", json={"prompt": "a cat"}).json()["result"]
    theirs = f"{site.vendor.base}/cat.png"
    proxy.states[name] |= {"status": "IN_PROGRESS", "progress": "40%", "imageUrl": theirs}
    site.follow()
    assert site.call("GET", f"/mj/task/{name}/fetch").json()["imageUrl"] == theirs
    option("ServerAddress", site.base)
    assert site.call("GET", f"/mj/task/{name}/fetch").json()["imageUrl"].endswith("?rand=40")
    proxy.states[name] |= {"status": "SUCCESS", "progress": "100%"}
    site.follow()
    told = site.call("GET", f"/mj/task/{name}/fetch").json()
    address = told["imageUrl"]
    number, secret = address.removeprefix(f"{site.base}/mj/image/").split("-")
    assert len(secret) == 32
    assert secret not in json.dumps({**told, "imageUrl": ""})
    whole = requests.get(address, timeout=PATIENCE)
    assert (whole.content, whole.headers["content-type"]) == (b"PNG", "image/png")
    part = requests.get(address, headers={"range": "bytes=1-1"}, timeout=PATIENCE)
    assert (part.status_code, part.content) == (206, b"N")
    for wrong in (
        f"{number}-{'0' * 32}",
        f"{number}-",
        number,
        f"{int(number) + 1}-{secret}",
        "x",
        f"{'9' * 40}-{secret}",
    ):
        assert requests.get(f"{site.base}/mj/image/{wrong}", timeout=PATIENCE).status_code == 404, wrong
    option("MjForwardUrlEnabled", "false")
    assert site.call("GET", f"/mj/task/{name}/fetch").json()["imageUrl"] == theirs


def test_the_options_of_new_api_say_who_draws_how_fast(
    site: Site, proxy: Proxy, option: Callable[[str, str], None]
) -> None:
    asked = {"prompt": "a --fast cat --relax --turbo --ar 1:1", "accountFilter": {"modes": ["FAST"]}}

    def sent(path: str = "imagine", **more: Any) -> Any:
        answer = site.call("POST", f"/mj/submit/{path}", json={**asked, **more})
        assert (answer.status_code, answer.json()["code"]) == (200, 1), answer.text
        return proxy.bodies[-1][1]

    assert sent() == {"prompt": asked["prompt"]}
    option("MjAccountFilterEnabled", "true")
    assert sent() == asked
    option("MjModeClearEnabled", "true")
    assert sent() == {**asked, "prompt": "a  cat   --ar 1:1"}
    option("MjAccountFilterEnabled", "false")
    assert sent() == {"prompt": "a  cat   --ar 1:1"}
    option("MjModeClearEnabled", "false")
    assert sent() == {"prompt": asked["prompt"]}


def test_an_action_waits_for_its_picture_unless_an_option_says_otherwise(
    site: Site, proxy: Proxy, option: Callable[[str, str], None]
) -> None:
    name = site.call("POST", "/mj/submit/imagine", json={"prompt": "a cat"}).json()["result"]
    upscale = {"taskId": name, "action": "UPSCALE", "index": 1}
    for value, code in (("", 4), ("true", 4), ("false", 1), ("true", 4)):
        option("MjActionCheckSuccessEnabled", value)
        assert site.call("POST", "/mj/submit/change", json=upscale).json()["code"] == code, value
    # What is asked for in a dialog goes on from a drawing that waits for it.
    assert site.call("POST", "/mj/submit/modal", json={"taskId": name, "prompt": "x"}).json()["code"] == 1


def test_what_the_proxy_refuses_costs_nothing(site: Site, proxy: Proxy) -> None:
    before = site.spent()
    proxy.code = 24
    told = site.call("POST", "/mj/submit/imagine", json={"prompt": "bad"}).json()
    assert (told["code"], told["description"]) == (24, "banned")
    for path, body in (
        ("action", {"taskId": "1", "customId": "MJ::what::1"}),
        ("simple-change", {"content": "1 X9"}),
        ("change", {"taskId": "1", "action": "UPSCALE", "index": 7}),
        ("change", {"taskId": "1", "action": "UPSCALE"}),
        ("change", {"action": "REROLL"}),
        ("blend", {"base64Array": ["QQ=="]}),
        ("imagine", {}),
    ):
        answer = site.call("POST", f"/mj/submit/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, 4), (path, answer.text)
    assert site.spent()[0] == before[0]


def test_songs_are_made_and_fetched_by_their_public_ids(site: Site, proxy: Proxy) -> None:
    before = site.spent()
    made = site.call("POST", "/suno/submit/music", json={"prompt": "la", "mv": "chirp-v4", "title": "t"}).json()
    assert made["code"] == "success"
    name = made["data"]
    assert name.startswith("task_")
    assert proxy.bodies[-1] == ("/songs/suno/submit/MUSIC", {"prompt": "la", "mv": "chirp-v4", "title": "t"})
    clips = [{"id": "c1", "status": "complete", "audio_url": "https://cdn.example/a.mp3"}]
    proxy.states["song-1"] = {"status": "SUCCESS", "progress": "100%", "data": clips}
    site.follow()
    (told,) = site.call("POST", "/suno/fetch", json={"ids": [name]}).json()["data"]
    assert (told["task_id"], told["status"], told["data"]) == (name, "SUCCESS", clips)
    again = {"prompt": "more", "task_id": name, "continue_at": 10, "continue_clip_id": "c1"}
    site.call("POST", "/suno/submit/MUSIC", json=again)
    assert proxy.bodies[-1][1]["task_id"] == "song-1"
    assert site.call("POST", "/suno/submit/dance", json={"prompt": "x"}).json()["code"]
    proxy.states["song-2"] = {"status": "FAILURE", "fail_reason": "no", "progress": "100%"}
    site.follow()
    assert site.spent()[0] - before[0] == 0.2 * UNIT


def test_rows_of_an_older_program_are_followed_in_place_and_a_channel_that_is_gone_pays_back(
    site: Site, proxy: Proxy
) -> None:
    now = int(time.time())
    old = {"user_id": site.user, "channel_id": 987, "quota": 5_000, "status": "IN_PROGRESS", "progress": "30%"}
    drawing = {**old, "code": 1, "mj_id": "old-1", "submit_time": now * 1000, "action": "IMAGINE", "fail_reason": ""}
    task = {**old, "task_id": "task_old", "platform": "suno", "submit_time": now, "private_data": {}, "data": {}}

    def work(connection: Any) -> None:
        connection.execute(insert(tables.midjourneys).values(drawing))
        connection.execute(insert(tables.tasks).values(task))

    site.db.write(work)
    (before,) = site.sql(f"SELECT quota, used_quota FROM users WHERE id = {site.user}")
    site.follow()
    assert site.row("task_old")["status"] == "IN_PROGRESS"
    follower: Any = site.parts.kinds["task"]
    follower._follower._gone = dict.fromkeys(follower._follower._gone, 0.0)
    site.follow()
    assert site.row("task_old")["status"] == "FAILURE"
    assert site.row("old-1", rows.DRAWINGS)["status"] == "FAILURE"
    (after,) = site.sql(f"SELECT quota, used_quota FROM users WHERE id = {site.user}")
    assert (after[0] - before[0], after[1] - before[1]) == (10_000, -10_000)
    journals = site.parts.settings.data / "journal"
    assert proof.verify(site.db, site.parts.services.log_db, journals).differences == []


def test_of_many_who_see_the_end_one_settles(site: Site, proxy: Proxy) -> None:
    before = site.spent()
    name = site.call("POST", "/suno/submit/lyrics", json={"prompt": "la"}).json()["data"]
    stale = [records.record(rows.TASKS, site.row(name)) for _ in range(5)]
    services, snapshot = site.parts.services, site.parts.snapshot
    rules = snapshot.program.tasks["suno"]
    told = {"status": "FAILURE", "error": {"message": "no"}}
    assert [move(services, snapshot, one, rules, told) for one in stale] == [True, False, False, False, False]
    backwards = records.record(rows.TASKS, site.row(name))
    assert not move(services, snapshot, backwards, rules, {"status": "SUCCESS"})
    assert not move(services, snapshot, backwards, rules, {"status": "IN_PROGRESS"})
    assert site.row(name)["status"] == "FAILURE"
    assert site.spent()[:2] == before[:2]
    assert json.loads(json.dumps(site.row(name)["private_data"]))["gatewright"]["story"][-1][1] == "FAILURE"
