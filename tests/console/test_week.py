"""Fifteen tasks of an operator's week, each in a browser: how many clicks it takes, and that none asks for JSON.

The eight flows of ../shared/reference/console-of-new-api.md are among them. docs/console.md has the table; what is
counted here is what it says, and never more than New API's. Typing and the focus of a field are no clicks, as there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Site
from tests.support import ROOT

Open = Callable[..., Page]


class Hand:
    """Clicks, and counts them; types, but no JSON."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url, self.clicks = page, url, 0
        page.on("dialog", lambda dialog: self._counted())  # a question is one more click; ``opened`` answers it

    def _counted(self) -> None:
        self.clicks += 1

    def start(self) -> None:
        """From the page after signing in."""
        self.page.goto(f"{self.url}/console")
        self.clicks = 0

    def go(self, entry: str) -> None:
        """An entry of the side."""
        self.click(self.page.locator("nav.side a", has=self.page.get_by_text(entry, exact=True)))

    def click(self, at: Locator | str) -> None:
        """One click."""
        self._counted()
        (self.page.locator(at) if isinstance(at, str) else at).first.click()

    def pick(self, at: str, label: str) -> None:
        """A list is opened and an entry taken: two clicks."""
        self.clicks += 2
        self.page.select_option(at, label=label)

    def type(self, at: str, text: str) -> None:
        """Into a field; nothing that is JSON."""
        assert not text.lstrip().startswith(("{", "["))
        self.page.fill(at, text)

    def said(self, text: str) -> None:
        """The toast says what was done."""
        expect(self.page.locator(".toast")).to_contain_text(text)


def documented() -> dict[str, tuple[int, list[int]]]:
    """The table of docs/console.md: by task our clicks, and New API's in its two themes where they are known."""
    rows = re.findall(
        r"^\| \d+b? ([^|]+) \| (\d+) \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs" / "console.md").read_text("utf-8"), re.M
    )
    return {task: (int(ours), [int(cell) for cell in theirs if cell.isdigit()]) for task, ours, *theirs in rows}


def seeded(site: Site) -> str:
    """A customer, a channel that fails, and a call through it; the customer's name."""
    root = site.signed_in()
    channel = {"type": "1", "key": "sk-old", "models": "week-broken", "base_url": "https://llm.invalid", "tag": "week"}
    for name in ("week one", "week two"):
        assert root.post(f"{site.url}/console/channels/new", data={**channel, "name": name}).status_code == 204
    root.post(f"{site.url}/console/users/new", data={"username": "customer", "password": "customer pays", "role": "1"})
    answer = root.post(f"{site.url}/console/keys/new", data={"name": "week key"})
    secret = root.post(f"{site.url}{answer.headers['hx-redirect'].partition('?')[0]}/secret").text
    root.close()
    with openai.OpenAI(base_url=f"{site.url}/v1", api_key=secret, max_retries=0) as client:
        messages: list[Any] = [{"role": "user", "content": "Hello"}]
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.create(model="week-broken", messages=messages)
    return secret


def week(hand: Hand, demo: str) -> Iterator[str]:
    """The tasks in their order; each is named when it is done."""
    page = hand.page

    hand.go("Channels")
    hand.click(page.get_by_role("button", name="Add a channel"))
    hand.type("#wizard-body [name=name]", "week new")
    hand.type("#wizard-body [name=key]", "sk-new")
    hand.type("#wizard-body [name=base_url]", demo)
    hand.click(page.get_by_role("button", name="Find them with this key"))
    expect(page.locator("#wizard-body .chip.ok")).to_contain_text("found with this key")
    hand.click("#wizard-body button[type=submit]")
    expect(page.locator(".drawer h2")).to_have_text("week new")
    yield "add a channel with its vendor's models"

    hand.go("Logs")
    hand.click(page.locator(".seg a", has_text="Errors"))
    hand.click("tr[data-open]:has-text('week-broken')")
    expect(page.locator(".drawer")).to_contain_text("Attempts")
    expect(page.locator(".drawer")).to_contain_text("week one")
    yield "why did this call fail"

    hand.go("Models and prices")
    cell = page.locator("tr:has-text('week-broken') input.cell[name=input]").first
    hand.click(cell)
    cell.fill("2.5")
    cell.press("Enter")
    hand.said("week-broken")
    yield "change a model's price"

    hand.go("Users")
    hand.click("tr:has-text('customer') a[href$='tab=quota']")
    hand.type("#quota [name=amount]", "5")
    hand.type("#quota [name=reason]", "goodwill")
    hand.click("#quota button[type=submit]")
    hand.said("customer: $0 → $5.00")
    yield "give a customer quota"

    hand.go("Channels")
    hand.click("tr:has-text('week two') [data-key=o]")
    hand.said("week two: Disabled by hand")
    expect(page.locator(".toast button")).to_have_text("Undo")
    yield "take a channel out"

    hand.go("Channels")
    hand.click("tr:has-text('week new') [hx-get$='/secret']")
    hand.type("#wizard-body [name=key]", "sk-rotated")
    hand.click("#wizard-body button[type=submit]")
    hand.said("the new secret is used")
    yield "rotate a vendor's key"

    hand.go("API keys")
    hand.click("tr:has-text('week key') [hx-post$='/renew']")
    page.wait_for_url("**?new=1")
    expect(page.locator(".drawer h2")).to_have_text("week key")
    yield "rotate a user's key"

    hand.go("Dashboard")
    expect(page.locator(".kpis")).to_contain_text("Charged")
    yield "a day's charge"

    hand.go("Users")
    hand.click("tr:has-text('customer') a[href*='logs?user=customer']")
    expect(page.locator(".bar [name=user]")).to_have_value("customer")
    yield "all calls of one customer"

    hand.go("Redemption codes")
    hand.click(page.get_by_role("button", name="Make codes"))
    hand.type("#dialog-body [name=name]", "week")
    hand.type("#dialog-body [name=quota]", "1")
    hand.type("#dialog-body [name=count]", "10")
    hand.click("#dialog-body button[type=submit]")
    expect(page.locator("#dialog-body h2")).to_have_text("10 codes made")
    yield "make ten codes"

    hand.go("Settings")
    hand.click(page.locator(".seg a", has_text="Content"))
    hand.click("a[href$='rows/console_setting.announcements']")
    hand.type("[name=content]", "Maintenance on Sunday")
    hand.click("form button[type=submit]:has-text('Add')")
    expect(page.locator("tbody")).to_contain_text("Maintenance on Sunday")
    yield "announce something"

    hand.go("Settings")
    hand.type(".bar [name=q]", "失败重试次数")
    hand.type("#s-RetryTimes [name=value]", "3")
    hand.click("#s-RetryTimes button[type=submit]")
    hand.said("Retries: Saved")
    yield "retry more often"

    hand.go("Models and prices")
    hand.click("a[href='/console/models/groups']")
    hand.type("#f-name", "week-vip")
    hand.type("#f-ratio", "0.8")
    hand.click("form.form button[type=submit]")
    expect(page.locator("tbody")).to_contain_text("week-vip")
    yield "a group at a lower price"

    hand.go("Users")
    hand.click(page.get_by_role("button", name="Add a user"))
    hand.type("#dialog-body [name=username]", "week-user")
    hand.type("#dialog-body [name=password]", "seven days of work")
    hand.click("#dialog-body button[type=submit]")
    expect(page.locator(".drawer h2")).to_have_text("week-user")
    yield "add a user"

    hand.go("Channels")
    hand.click(page.locator(".bar label", has_text="Fold by tag"))
    hand.click("tr.grp:has-text('week') [hx-get*='/edit?ids=']")
    hand.type("#wizard-body [name=priority]", "7")
    hand.click("#wizard-body button[type=submit]")
    hand.said("2 channels changed")
    yield "one priority for all of a tag"


def test_an_operators_week_in_as_many_clicks_as_the_table_says(site: Site, opened: Open) -> None:
    """Fifteen tasks, one after the other, each from the first page."""
    demo = re.search(r"demo upstream on (http://\S+)", site.gateway.output).group(1)  # type: ignore[union-attr]
    secret = seeded(site)
    hand, table, counted = Hand(opened(), site.url), documented(), {}
    tasks = week(hand, demo)
    hand.start()
    for task in tasks:
        counted[task] = hand.clicks
        hand.start()
    assert len(counted) == 15
    assert counted == {task: ours for task, (ours, _) in table.items()}
    assert not [task for task, (ours, theirs) in table.items() if theirs and ours > min(theirs)]
    client = openai.OpenAI(base_url=f"{site.url}/v1", api_key=secret, max_retries=0)
    with client, pytest.raises(openai.AuthenticationError):
        client.models.list()
