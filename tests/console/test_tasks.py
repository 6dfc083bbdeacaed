"""A task's story, and what is live now."""

from __future__ import annotations

import json
from collections.abc import Callable

import requests
from playwright.sync_api import Page, expect
from sqlalchemy import insert

from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.tables import tasks as tables
from tests.console.conftest import Site
from tests.support import PATIENCE, until


def test_a_task_tells_its_story_to_its_owner_and_no_numbers_of_the_house(
    site: Site, opened: Callable[..., Page]
) -> None:
    headers = site.bearer()
    made = requests.post(f"{site.url}/api/v2/keys", json={"name": "films"}, headers=headers, timeout=PATIENCE).json()
    key = {"authorization": f"Bearer {made['key']}"}
    body = {"model": "demo-video", "prompt": "rain", "seconds": "4"}
    task = requests.post(f"{site.url}/v1/videos", json=body, headers=key, timeout=PATIENCE).json()
    address = f"{site.url}/v1/videos/{task['id']}"
    until(lambda: requests.get(address, headers=key, timeout=PATIENCE).json()["status"] == "completed")

    page = opened("/console/tasks")
    page.click(f"tr[data-open*='{task['id']}']")
    drawer = page.locator("aside.drawer")
    expect(drawer.locator("h2")).to_be_visible()
    states = drawer.locator("ol.steps > li")
    expect(states.last).to_contain_text("SUCCESS")
    expect(drawer.locator("table.sum tr").first).to_contain_text("Charged")
    assert "question" in drawer.inner_text()
    page.reload()  # the address is the story's
    expect(page.locator("aside.drawer ol.steps > li").last).to_contain_text("SUCCESS")

    told = requests.get(f"{site.url}/api/v2/tasks/task/{task['id']}", headers=headers, timeout=PATIENCE).json()
    own = requests.get(f"{site.url}/api/v2/me/tasks/task/{task['id']}", headers=headers, timeout=PATIENCE).json()
    assert [entry["quota"] for entry in told["entries"]] == [told["charged"]] == [0]  # it has no price here
    assert (told["vendor_id"] != "", own["vendor_id"], own["channel_id"]) == (True, "", 0)
    for path in ("tasks/task/none", "me/tasks/task/none", "tasks/song/none"):
        assert requests.get(f"{site.url}/api/v2/{path}", headers=headers, timeout=PATIENCE).status_code == 404


def test_a_drawing_is_shown_to_its_owner_without_the_house(site: Site, opened: Callable[..., Page]) -> None:
    inside = {"channel": "7", "key": "mark", "vendor": "x", "image": "ab" * 16, "asked_format": "midjourney"}
    row = {"user_id": 1, "mj_id": "d-7", "code": 1, "action": "IMAGINE", "prompt": "a cat", "status": "SUCCESS",
           "progress": "100%", "submit_time": 1_796_000_000_000, "image_url": "https://cdn.example/c.png",
           "channel_id": 7, "properties": json.dumps({"finalPrompt": "f", "gatewright": inside})}  # fmt: skip
    db = open_database(Settings(data=site.gateway.data), migrate=False)
    db.write(lambda connection: connection.execute(insert(tables.midjourneys).values(row)))
    db.close()
    headers = site.bearer()
    for path in ("/api/mj/self", "/api/mj/"):
        (told,) = requests.get(site.url + path, headers=headers, timeout=PATIENCE).json()["data"]["items"]
        assert (json.loads(told["properties"]), told["picture"]) == (
            {"finalPrompt": "f"}, f"/mj/image/{told['id']}-{'ab' * 16}"
        )  # fmt: skip
        assert "mark" not in json.dumps(told)
    page = opened("/console/tasks?kind=drawing")
    page.click("tr[data-open*='d-7']")
    expect(page.locator("aside.drawer img")).to_have_attribute("src", told["picture"])


def test_nobody_talks(opened: Callable[..., Page]) -> None:
    page = opened("/console/tasks?kind=live")
    expect(page.locator(".seg a[aria-current]")).to_have_text("Live")
    expect(page.locator("#rows .empty")).to_be_visible()
