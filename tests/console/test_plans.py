"""Plans as people click them: made and changed by an administrator, bought in the wallet, given and ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from playwright.sync_api import Page, expect

from tests.console.conftest import Site

Open = Callable[..., Page]


def test_a_plan_is_made_bought_and_ended(site: Site, opened: Open) -> None:
    page = opened("/console/plans")
    page.get_by_role("button", name="Make a plan").first.click()
    page.fill("#dialog-body [name=title]", "Pro <b>")
    page.fill("#dialog-body [name=price_amount]", "a lot")
    page.click("#dialog-body button[type=submit]")
    expect(page.locator("#f-price_amount")).to_have_attribute("aria-invalid", "true")
    page.fill("#dialog-body [name=price_amount]", "2.5")
    page.fill("#dialog-body [name=total_amount]", "10")
    page.select_option("#f-quota_reset_period", "daily")
    page.click("#dialog-body button[type=submit]")
    row = page.locator("tr", has_text="Pro <b>")
    expect(row).to_contain_text("$10.00 every day")
    row.hover()
    row.get_by_role("button", name="Edit").click()
    expect(page.locator("#dialog-body h2")).to_have_text("Change the plan")
    expect(page.locator("#dialog-body [name=total_amount]")).to_have_value("10")
    page.fill("#dialog-body [name=duration_value]", "2")
    page.click("#dialog-body button[type=submit]")
    expect(row).to_contain_text("2 months")

    with closing(sqlite3.connect(site.gateway.data / "gatewright.db", timeout=30)) as db, db:
        db.execute("UPDATE users SET quota = 1000000 WHERE id = 1")
    page.goto(f"{site.url}/console/wallet")
    page.get_by_role("button", name="Buy with the balance").click()
    expect(page.locator("body")).to_contain_text("costs 1250000 units and the balance has 1000000")
    with closing(sqlite3.connect(site.gateway.data / "gatewright.db", timeout=30)) as db, db:
        db.execute("UPDATE users SET quota = 5000000 WHERE id = 1")
    page.get_by_role("button", name="Buy with the balance").click()
    expect(page.locator("table", has_text="Mine")).to_contain_text("$10.00 / $10.00")
    expect(page.locator(".kpis")).to_contain_text("$7.50")
    page.select_option("[name=preference]", "wallet_first")
    page.locator("form", has=page.locator("[name=preference]")).get_by_role("button", name="Save").click()
    expect(page.locator("[name=preference]")).to_have_value("wallet_first")

    page.goto(f"{site.url}/console/users/1?tab=plans")
    drawer = page.locator("#plans")
    expect(drawer).to_contain_text("Active")
    drawer.get_by_role("button", name="End it").click()
    expect(drawer).to_contain_text("Ended")
    drawer.get_by_role("button", name="Give", exact=True).click()
    expect(drawer.get_by_role("button", name="End it")).to_have_count(1)
    page.goto(f"{site.url}/console/plans")
    row.hover()
    row.get_by_role("button", name="Not offered").click()
    expect(row).to_contain_text("Not offered")
