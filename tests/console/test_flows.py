"""The console in a browser: a channel, a key and its call; a document changed and published; a phone; keys alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import openai
import pytest
from playwright.sync_api import Page, expect

from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.releases import documents, drafts
from engine.storage.releases.documents import Author, StoredDocument
from tests.console.conftest import Site

Open = Callable[..., Page]
PLACES = (
    *("", "channels", "keys", "logs", "models", "users", "codes", "settings", "wallet", "profile", "playground"),
    *(
        "teams",
        "notices",
        "releases",
        "captures",
        "prices",
        "status",
        "models/groups",
        "settings/audit",
        "documents/new",
    ),
)


def _demo(site: Site) -> str:
    """The address of the demo upstream."""
    return re.search(r"demo upstream on (http://\S+)", site.gateway.output).group(1)  # type: ignore[union-attr]


def test_a_channel_by_the_wizard_a_key_and_the_story_of_its_first_call(site: Site, opened: Open) -> None:
    """From nothing to an answered call; a weight with undo, off and on in one click."""
    page = opened("/console/channels")
    page.get_by_role("button", name="Add a channel").first.click()
    page.fill("#wizard-body [name=name]", "flow channel")
    base = page.locator("#wizard-body [name=base_url]")
    page.select_option("#wizard-body [name=type]", "14")
    page.fill("#wizard-body [name=name]", "flow channel by hand")  # what is typed meanwhile stays
    expect(base).to_have_attribute("placeholder", re.compile("anthropic"))
    page.select_option("#wizard-body [name=type]", "1")
    expect(base).to_have_attribute("placeholder", re.compile("openai"))
    expect(page.locator("#wizard-body [name=name]")).to_have_value("flow channel by hand")
    page.fill("#wizard-body [name=name]", "flow channel")
    page.fill("#wizard-body [name=key]", "sk-flow")
    page.fill("#wizard-body [name=base_url]", _demo(site))
    page.fill("#wizard-body [name=models]", "flow-model")
    page.click("#wizard-body button[type=submit]")
    page.wait_for_url(re.compile(r"/console/channels/\d+$"))
    expect(page.locator(".drawer h2")).to_have_text("flow channel")
    page.get_by_role("tab", name="Edit").click()
    page.locator("#edit-form").get_by_role("button", name="Model mapping").click()
    page.fill("#edit-form [name=model_mapping]", "flow-model → demo-openai")
    page.click("button[form=edit-form]")
    expect(page.locator(".toast")).to_contain_text("Saved")

    page.goto(f"{site.url}/console/channels?q=flow")
    weight = page.locator("input.cell[name=weight]").first
    weight.fill("60")
    weight.press("Enter")
    expect(page.locator(".toast")).to_contain_text("1 → 60")
    page.locator(".toast button").click()
    expect(page.locator("input.cell[name=weight]").first).to_have_value("1")
    page.locator("[data-key=o]").first.click()
    expect(page.locator("tbody .st").first).to_have_text("Disabled by hand")
    page.locator("[data-key=o]").first.click()
    expect(page.locator("tbody .st").first).to_have_text("Enabled")

    page.goto(f"{site.url}/console/keys")
    page.get_by_role("button", name="Create a key").first.click()
    page.fill("#dialog-body [name=name]", "flow key")
    page.click("#dialog-body button[type=submit]")
    page.wait_for_url("**/console/keys/*?new=1")
    expect(page.locator(".wait")).to_contain_text("Waiting for the first call")
    session = site.signed_in()
    secret = session.post(f"{page.url.partition('?')[0]}/secret").text
    session.close()
    with openai.OpenAI(base_url=f"{site.url}/v1", api_key=secret, max_retries=0) as client:
        client.chat.completions.create(model="flow-model", messages=[{"role": "user", "content": "Hello"}])
    expect(page.locator(".drawer")).to_contain_text("It was used")

    page.goto(f"{site.url}/console/logs?key=flow%20key")
    row = page.locator("tr[data-open]").first
    expect(row).to_contain_text("flow-model")
    row.click()
    expect(page.locator(".drawer .rail")).to_contain_text("Caller")
    expect(page.locator(".drawer")).to_contain_text("flow channel")
    page.keyboard.press("Escape")
    expect(page.locator(".drawer")).to_be_hidden()


def test_a_channel_is_set_aside_until_a_moment_and_asked_again(site: Site, opened: Open) -> None:
    """By the minutes, by a moment in the reader's own time zone, and back; a moment that is over is told."""
    session = site.signed_in()
    form = {"name": "aside channel", "type": "1", "key": "sk-a", "base_url": _demo(site), "models": "aside-model"}
    made = session.post(f"{site.url}/console/channels/new", data=form)
    address = made.headers["hx-redirect"]
    session.close()
    page = opened(address, timezone_id="Asia/Tokyo")

    def set_aside(moment: str = "") -> None:
        page.get_by_role("button", name="Set aside …").click()
        page.fill("#aside [name=until]", moment)
        page.click("#aside button[type=submit]")

    set_aside()
    expect(page.locator("#state .note")).to_contain_text("Set aside by hand")
    expect(page.locator("tr.at .st")).to_have_text("Set aside")
    page.get_by_role("button", name="Ask it again").click()
    expect(page.locator("#state .note")).to_contain_text("Calls go through")
    set_aside("2040-05-06T07:08")
    expect(page.locator("#state time[data-t=day]").first).to_have_attribute("datetime", "2040-05-05T22:08:00+00:00")
    page.get_by_role("button", name="Ask it again").click()
    set_aside("2020-05-06T07:08")
    expect(page.locator(".toast")).to_contain_text("choose a later one")
    expect(page.locator("#state .note")).to_contain_text("Calls go through")


def test_a_document_is_typed_wrongly_then_rightly_published_and_taken_back(site: Site, opened: Open) -> None:
    """The compiler's message at its line, the plan, a release, and the way back."""
    page = opened("/console/documents/new")
    line = f"""curl {_demo(site)}/v1/chat/completions -H "Authorization: Bearer sk-x" -d '{{"model": "curl-model"}}'"""
    page.fill("[name=curl]", line)
    page.fill("#f-name-curl", "from-curl")
    page.click("form:has([name=curl]) button[type=submit]")
    page.wait_for_url("**/console/documents/Provider/from-curl")
    expect(page.locator("#compiles")).to_be_visible()
    expect(page.locator(".cm-content")).to_contain_text("curl-model")
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("  baseUrll: x\n")
    expect(page.locator("#problems")).to_contain_text("baseUrll")
    expect(page.locator("#publish")).to_be_disabled()
    page.keyboard.press("Control+z")
    expect(page.locator("#publish")).to_be_enabled()
    expect(page.locator("#lv-rail button").first).to_be_visible()
    page.locator("#publish").click()
    page.fill("#publish-body [name=message]", "a provider from a curl line")
    page.click("#publish-body button[type=submit]")
    page.wait_for_url(re.compile(r"/console/releases/\d+$"))
    expect(page.locator(".drawer")).to_contain_text("a provider from a curl line")
    expect(page.locator(".drawer")).to_contain_text("Provider/from-curl")


@pytest.mark.parametrize(("width", "view"), [(390, "zh.dark."), (820, "fr.light."), (1440, "ja.dark.compact")])
def test_no_page_scrolls_sideways_or_breaks_the_policy(site: Site, opened: Open, width: int, view: str) -> None:
    """On a phone, a tablet and a desk, in three languages and both themes."""
    page = opened(view=view, viewport={"width": width, "height": 844})
    broken = []
    for place in PLACES:
        page.goto(f"{site.url}/console/{place}".rstrip("/"))
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            broken.append((place, wide))
    assert not broken
    assert page.evaluate("document.documentElement.lang") in ("zh-CN", "fr", "ja")


def test_the_keyboard_alone_goes_anywhere(site: Site, opened: Open) -> None:
    """The palette, going by letters, walking the rows."""
    page = opened()
    page.keyboard.press("Control+k")
    page.locator("dialog.palette input").fill("redemption")
    expect(page.locator("dialog.palette a").first).to_contain_text("Redemption codes")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/codes")
    page.locator("body").press("g")
    page.keyboard.press("u")
    page.wait_for_url("**/console/users")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".drawer h2")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".drawer")).to_be_hidden()


def test_a_draft_is_tried_given_a_share_and_taken_back(site: Site, opened: Open) -> None:
    """On the page of releases: a trial, a canary with its measures, and its end, which is said."""
    db = open_database(Settings(data=site.gateway.data))
    try:
        head = "apiVersion: gatewright/v1\nkind: Alias\nmetadata: {name: tried}\n"
        text = head + "spec: {match: tried-model, model: demo-openai}\n"
        change = StoredDocument("Alias", "tried", "console", text)
        id_ = drafts.create(db, "a new alias", documents.head(db), Author(1, "root"), [change]).id
    finally:
        db.close()
    page = opened("/console/releases")
    page.locator("tr", has_text="a new alias").get_by_role("button", name="Try it").click()
    row = page.locator("tr", has_text=f"x-gatewright-release: {id_}")
    expect(row).to_be_visible()
    row.locator("[name=share]").fill("20")
    row.get_by_role("button", name="Begin a canary").click()
    canary = page.locator("#canary")
    expect(canary).to_contain_text("20 % of keys")
    expect(canary.locator("tbody tr")).to_have_count(2)
    canary.get_by_role("button", name="Drop").click()
    expect(canary).to_contain_text("dropped")
    expect(canary).to_contain_text("by root")
    row.get_by_role("button", name="End").click()
    expect(row).to_have_count(0)
