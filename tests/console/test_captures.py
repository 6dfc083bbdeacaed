"""Exchanges in the console: a key is watched, its holder is told, one is read, and the editor takes it; rows undone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import requests
from playwright.sync_api import Page, expect

from engine.accounts import keys
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.releases import documents, drafts
from engine.storage.releases.documents import Author, StoredDocument
from engine.storage.rows import channel_edits
from tests.console.conftest import Site
from tests.support import PATIENCE

Open = Callable[..., Page]
SAID = "Wilhelmina lives in Zanzibar"


def shot(page: Page, name: str) -> None:
    """A picture for who wants to look, where ``SHOTS`` names a directory."""
    if os.environ.get("SHOTS"):
        page.screenshot(path=str(Path(os.environ["SHOTS"]) / f"{name}.png"))


def test_a_key_is_watched_and_what_it_said_is_read_and_tried(site: Site, opened: Open) -> None:
    db = open_database(Settings(data=site.gateway.data))
    try:
        key = keys.create_key(db, 1, "watched").key
        with db.read() as connection:
            number = connection.exec_driver_sql("SELECT id FROM tokens WHERE name = 'watched'").scalar()
    finally:
        db.close()
    page = opened("/console/captures")
    expect(page.locator(".empty")).to_contain_text("No exchange is kept")
    page.locator("#watched [name=key]").fill(str(number))
    page.get_by_role("button", name="Watch the key").click()
    expect(page.locator("#watched tbody tr")).to_contain_text("watched")
    page.wait_for_timeout(2500)  # each worker looks once a second
    body = {"model": "demo-openai", "messages": [{"role": "user", "content": SAID}]}
    headers = {"authorization": f"Bearer {key}"}
    answer = requests.post(f"{site.url}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    page.wait_for_timeout(1500)
    page.reload()
    page.locator("table.cards tbody tr").first.click()
    drawer = page.locator(".drawer")
    expect(drawer).to_contain_text(SAID)
    expect(drawer).to_contain_text("The provider was sent")
    assert key.removeprefix("sk-") not in page.content()
    shot(page, "captures")
    page.goto(f"{site.url}/console/keys/{number}")
    expect(page.locator(".drawer")).to_contain_text("is kept for the operators")
    shot(page, "key")
    page.goto(f"{site.url}/console/documents/Format/openai.chat")
    page.locator("#lv-own").select_option(index=1)
    expect(page.locator("#lv-message")).to_have_value(re.compile("Wilhelmina"))
    assert json.loads(page.locator("#lv-message").input_value())["model"] == "demo-openai"
    shot(page, "editor")
    page.goto(f"{site.url}/console/captures")
    page.locator("#watched").get_by_role("button", name="End").click()
    expect(page.locator("#watched tbody tr")).to_have_count(0)


def test_a_row_s_change_is_undone_and_another_s_draft_approved(site: Site, opened: Open) -> None:
    db = open_database(Settings(data=site.gateway.data))
    try:
        change = StoredDocument("Alias", "theirs", "console", "kind: Alias")
        drafts.create(db, "of another", documents.head(db), Author(99, "another"), [change])
        row = {"name": "undone", "type": 1, "key": "k-of-it", "models": "m-one", "group": "default", "status": 2}
        which = channel_edits.put(db, [row])[0]
        channel_edits.change(db, {which: {"models": "m-one,m-two"}})
    finally:
        db.close()
    page = opened("/console/releases")
    waiting = page.locator("tr", has_text="of another")
    waiting.get_by_role("button", name="Approve").click()
    expect(waiting).to_contain_text("approved by root")
    expect(page.locator("#row-revisions tbody tr").first).to_be_visible()
    page.locator("#row-revisions summary").first.click()
    shot(page, "releases")
    before = page.locator("#row-revisions tbody tr").first.locator("td").first.inner_text()
    page.locator("#row-revisions tbody tr").first.get_by_role("button", name="Undo").click()
    expect(page.locator("#row-revisions tbody tr").first.locator("td").first).not_to_have_text(before)
