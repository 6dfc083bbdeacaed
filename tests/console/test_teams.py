"""Teams, top-ups and receipts as people click them; pictures of the pages go where GATEWRIGHT_SHOTS says."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.console.conftest import PASSWORD, Site
from tests.support import PATIENCE

Open = Callable[..., Page]


def shot(page: Page, name: str) -> None:
    """A picture of the whole page, for who looks at it."""
    if where := os.environ.get("GATEWRIGHT_SHOTS"):
        page.evaluate("() => document.querySelectorAll('.scroll').forEach(one => { one.style.overflow = 'visible' })")
        page.screenshot(path=str(Path(where) / f"{name}.png"), full_page=True)


def person(site: Site, name: str) -> None:
    """A user who can sign in."""
    root = site.signed_in()
    form = {"username": name, "password": PASSWORD, "display_name": name, "role": "1", "group": "default"}
    answer = root.post(f"{site.url}/console/users/new", data=form, timeout=PATIENCE)
    assert answer.status_code == 204, answer.text[:300]


@pytest.mark.timeout(400)
def test_a_team_is_made_joined_bounded_and_ended(site: Site, opened: Open) -> None:
    person(site, "tess")
    person(site, "theo")
    with closing(sqlite3.connect(site.gateway.data / "gatewright.db", timeout=30)) as db, db:
        db.execute("UPDATE users SET quota = 5000000 WHERE username = 'tess'")
    page = opened("/console/teams", name="tess")
    page.fill("[name=name]", "tess")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#f-name-d")).to_contain_text("The name is taken")
    page.fill("[name=name]", "lab")
    page.fill("[name=title]", "Lab <b>")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("h1")).to_have_text("Lab <b>")

    page.fill("[name=username]", "nobody at all")
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.locator("#f-username-d")).to_contain_text("There is no such user")
    page.fill("[name=username]", "theo")
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.locator("tr", has_text="theo")).to_contain_text("Invited")
    label = page.locator("form[action$='/label']:has([name=kind] option)")
    label.locator("[name=name]").fill("crawler")
    label.get_by_role("button", name="Add").click()
    expect(page.locator(".box", has_text="Projects and tags")).to_contain_text("crawler")
    money = page.locator("form[action$='/money']")
    money.locator("[name=amount]").fill("4")
    money.get_by_role("button", name="Move").click()
    expect(page.locator(".kpis")).to_contain_text("$4.00")
    page.locator("form[action$='/money'] [name=amount]").fill("40")
    page.get_by_role("button", name="Move").click()
    expect(page.locator(".note.bad:not(.away)")).to_contain_text("is not enough")

    other = opened("/console/teams", name="theo")
    other.get_by_role("button", name="Join").click()
    expect(other.locator("h1")).to_have_text("Lab <b>")
    expect(other.locator(".kpis")).not_to_contain_text("$4.00")
    expect(other.locator("form[action$='/invite']")).to_have_count(0)
    create = other.locator("form[action$='/key']:has(#f-name)")
    create.locator("[name=name]").fill("theo's")
    create.locator("[name=project]").select_option("crawler")
    create.get_by_role("button", name="Create a key").click()
    expect(other.locator("#team-key")).to_contain_text("sk-")
    key = other.locator("#team-key").inner_text()
    expect(other.locator("tr", has_text="theo's")).to_contain_text("crawler")
    shot(other, "team-member")

    page.reload()
    budget = page.locator("form[action$='/budget']:has(#f-whose)")
    budget.locator("[name=whose]").select_option(label="Member: theo")
    budget.locator("[name=amount]").fill("0")
    budget.locator("[name=rollover]").fill("50")
    budget.get_by_role("button", name="Set the budget").click()
    expect(page.locator("tr", has_text="every month")).to_contain_text("theo")
    expect(page.locator("body")).not_to_contain_text(key)
    shot(page, "team-owner")
    for view, width, name in (("zh.dark.", 1440, "team-zh"), ("fr.light.", 390, "team-phone")):
        size = {"width": width, "height": 844}
        shown = opened(page.url.removeprefix(site.url), name="tess", view=view, viewport=size)
        shot(shown, name)
        too_wide = shown.evaluate("() => document.documentElement.scrollWidth > innerWidth")
        assert not too_wide

    page.locator("form[action$='/end'] [name=name]").fill("lab")
    page.get_by_role("button", name="End", exact=True).click()
    expect(page.locator(".note.bad:not(.away)")).to_contain_text("still has money")
    page.locator("form[action$='/money'] [name=direction]").select_option("out")
    page.locator("form[action$='/money'] [name=amount]").fill("4")
    page.get_by_role("button", name="Move").click()
    page.locator("form[action$='/end'] [name=name]").fill("lab")
    page.get_by_role("button", name="End", exact=True).click()
    expect(page.locator("h3")).to_have_text("No teams yet")
    answer = requests.get(f"{site.url}/v1/models", headers={"authorization": f"Bearer {key.strip()}"}, timeout=PATIENCE)
    assert answer.status_code == 401


@pytest.mark.timeout(400)
def test_an_amount_is_paid_and_its_receipt_prints(site: Site, opened: Open) -> None:
    root = site.signed_in()
    headers = site.bearer()
    values = {
        "PayAddress": "https://pay.example/",
        "EpayId": "1",
        "EpayKey": "k",
        "PayMethods": '[{"name": "Alipay", "type": "alipay"}]',
        "payment_setting.amount_discount": '{"50": 0.9}',
        "payment_setting.issuer": "Acme Ltd\nTax 12-34",
        "payment_setting.currency": "CNY",
    }
    for name, value in values.items():
        body = {"key": name, "value": value}
        assert requests.put(f"{site.url}/api/option/", json=body, headers=headers, timeout=PATIENCE).json()["success"]
    page = opened("/console/wallet")
    box = page.locator(".box", has=page.locator("h2:text-is('Top up')"))
    expect(box).to_contain_text("−10 %")
    shot(page, "wallet")
    page.fill("[name=other]", "-3")
    box.get_by_role("button", name="Pay by Alipay").click()
    expect(page.locator(".note.bad:not(.away)")).to_contain_text("at least")
    made = root.post(
        f"{site.url}/console/wallet/pay",
        data={"way": "/api/user/pay alipay", "amount": "50", "seal": root.headers["x-seal"]},
        timeout=PATIENCE,
    )
    assert "https://pay.example/" in made.text, made.text[:500]
    page.goto(f"{site.url}/console/wallet")
    row = page.locator("tr", has_text="Waits for payment").first
    number = row.locator("td").first.inner_text().strip()
    assert page.goto(f"{site.url}/console/wallet/orders/{number}").status == 404  # type: ignore[union-attr]
    body = {"trade_no": number}
    completed = requests.post(f"{site.url}/api/user/topup/complete", json=body, headers=headers, timeout=PATIENCE)
    assert completed.json()["success"]
    page.goto(f"{site.url}/console/wallet")
    page.get_by_role("link", name="Receipt").first.click()
    expect(page.locator(".paper")).to_contain_text("Acme Ltd")
    expect(page.locator("h1")).to_have_text(re.compile(r"Invoice \d{4}-000001"))
    invoices = requests.get(f"{site.url}/api/v2/me/invoices", headers=headers, timeout=PATIENCE).json()["items"]
    assert [(one["trade_no"], one["kind"], one["number"], one["currency"]) for one in invoices] == [
        (number, "invoice", 1, "CNY")
    ]
    expect(page.locator("tfoot")).to_contain_text("CNY")
    page.fill("[name=to]", "Buyer <i>SA</i>\nRue 1")
    page.get_by_role("button", name="Put it on the receipt").click()
    expect(page.locator(".paper dd").first).to_have_text("Buyer <i>SA</i>\nRue 1")
    shot(page, "receipt")
    page.emulate_media(media="print")
    expect(page.locator(".noprint")).to_be_hidden()
    expect(page.locator(".gate-top")).to_be_hidden()
    shot(page, "receipt-print")
    statement = requests.get(f"{site.url}/api/v2/me/statement", headers=headers, timeout=PATIENCE)
    assert statement.headers["content-type"].startswith("text/csv")
    assert number in statement.text
    person(site, "eve")
    eve = site.signed_in("eve")
    assert eve.get(f"{site.url}/console/wallet/orders/{number}", timeout=PATIENCE).status_code == 404
