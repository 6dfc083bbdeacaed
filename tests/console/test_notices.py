"""Webhooks, dead letters and the own way of being told, as people click them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing

import requests
from playwright.sync_api import Page, expect

from tests.console.conftest import Site

Open = Callable[..., Page]


def test_a_webhook_is_made_changed_tried_and_deleted(site: Site, opened: Open) -> None:
    page = opened("/console/notices")
    page.get_by_role("button", name="Add a webhook").first.click()
    page.fill("#dialog-body [name=name]", "shop")
    page.fill("#dialog-body [name=url]", "nonsense")
    page.click("#dialog-body button[type=submit]")
    expect(page.locator("#f-url")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#f-url")).to_be_focused()
    expect(page.locator("#f-name")).to_have_value("shop")
    page.fill("#dialog-body [name=url]", "http://127.0.0.1:9/in")
    page.uncheck("#dialog-body [name=all]")
    page.check("#dialog-body [name='event:payment.in']")
    page.click("#dialog-body button[type=submit]")
    expect(page.locator("#dialog-body pre")).to_contain_text("whsec_")
    secret = page.locator("#dialog-body pre").inner_text()
    page.get_by_role("button", name="Done").click()
    row = page.locator("tr", has_text="shop")
    expect(row).to_contain_text("Payment received")
    row.hover()
    row.get_by_role("button", name="Call it now").click()
    expect(page.locator("body")).to_contain_text("Not sent: it has no address that may be called")
    row.get_by_role("button", name="Change").click()
    expect(page.locator("#dialog-body [name='event:payment.in']")).to_be_checked()
    assert secret not in page.content()
    page.fill("#dialog-body [name=name]", "other shop")
    page.click("#dialog-body button[type=submit]")
    row = page.locator("tr", has_text="other shop")
    row.hover()
    row.get_by_role("button", name="Delete").click()
    expect(page.locator("#rows")).to_contain_text("No webhooks")


def test_a_dead_letter_is_tried_again_or_dropped(site: Site, opened: Open) -> None:
    with closing(sqlite3.connect(site.gateway.data / "gatewright.db", timeout=30)) as db, db:
        for number in (1, 2):
            db.execute(
                "INSERT INTO gatewright_outbox (message, kind, target, state, about, body, tries, created_at, next_at,"
                " error) VALUES (?, 'webhook', ?, 'dead', 'payment.in', '{}', 10, 1700000000, 0, 'status <b>500')",
                (f"m{number}", f"webhook:99{number}"),
            )
    page = opened("/console/notices")
    expect(page.locator("#rows")).to_contain_text("status <b>500")
    first, second = (page.locator("tr", has_text=f"webhook:99{number}") for number in (1, 2))
    second.hover()
    second.get_by_role("button", name="Delete").click()
    expect(second).to_have_count(0)
    first.hover()
    first.get_by_role("button", name="Try again").click()
    expect(page.locator("#rows")).to_contain_text("Everything has left")


def test_a_person_chooses_how_and_of_what_to_be_told(site: Site, opened: Open) -> None:
    page = opened("/console/profile")
    page.select_option("#f-way", "gotify")
    expect(page.locator("#f-gotify_url")).to_be_visible()
    form = page.locator("form[action='/console/profile/notices']")
    page.fill("#f-gotify_url", "https://push.example.org")
    form.get_by_role("button", name="Save").click()
    expect(page.locator("#f-gotify_token-d")).to_contain_text("Gotify also needs gotify_token")
    page.fill("#f-gotify_token", "a token")
    page.fill("#f-threshold", "2.5")
    page.uncheck("[name='event:login.new_place']")
    form.get_by_role("button", name="Save").click()
    page.wait_for_url(re.compile("/console/profile$"))
    expect(page.locator("#f-way")).to_have_value("gotify")
    expect(page.locator("#f-gotify_url")).to_have_value("https://push.example.org")
    expect(page.locator("#f-gotify_token")).to_have_value("")
    expect(page.locator("#f-threshold")).to_have_value("2.5")
    expect(page.locator("[name='event:login.new_place']")).not_to_be_checked()
    expect(page.locator("[name='event:balance.low']")).to_be_checked()
    assert "a token" not in page.content()


def test_an_administrator_without_the_right_is_told_so(site: Site) -> None:
    root = site.signed_in()
    form = {"username": "hooks-admin", "password": "a good password", "role": 10}
    root.post(f"{site.url}/console/users/new", data=form)
    admin: requests.Session = site.signed_in("hooks-admin", "a good password")
    told = admin.post(f"{site.url}/console/notices/new", data={"name": "x", "url": "https://a.example", "all": "1"})
    assert told.status_code == 422
    assert admin.get(f"{site.url}/console/notices", headers={"hx-request": None}).status_code == 200  # type: ignore[dict-item]
    root.close()
    admin.close()
