"""The playground in a browser: every format, streamed and whole; messages changed; two models; sets of settings."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Site

Open = Callable[..., Page]
SAID = re.compile(r"This is demo-openai")


def _ask(page: Page, text: str) -> None:
    page.fill("#text", text)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#send")).to_be_visible()


@pytest.mark.parametrize("stream", [True, False])
def test_each_client_format_is_answered_and_its_hops_stand_beside(opened: Open, stream: bool) -> None:
    """The request is of the format that was chosen; cost and channel are of the log, the hub of the documents."""
    page = opened("/console/playground?model=demo-openai")
    page.locator("#stream").set_checked(stream)
    marks = {"chat": '"messages"', "responses": '"input"', "messages": '"max_tokens"', "gemini": '"contents"'}
    for format_, mark in marks.items():
        page.select_option("#format", format_)
        assert mark in page.input_value("#request")
        _ask(page, f"Hello in {format_}")
        expect(page.locator(".ans .said").last).to_contain_text(SAID)
        expect(page.locator(".ans footer").last).to_contain_text("demo-openai")
    assert not page.locator(".ans .note.bad").count()
    page.click("#t-raw-up")
    expect(page.locator("#hop-up")).to_contain_text('"messages"')
    page.click("#t-raw-facts")
    expect(page.locator("#facts")).to_contain_text("gemini.generateContent → openai.chat")


def test_a_message_is_edited_asked_again_given_another_role_and_deleted(opened: Open) -> None:
    """What was said before goes up as it stands then."""
    page = opened("/console/playground?model=demo-openai")
    _ask(page, "First")
    ask = page.locator(".ask").first
    ask.hover()
    ask.get_by_role("button", name="Edit").click()
    ask.locator("textarea").fill("Second <b>thought</b>")
    ask.get_by_role("button", name="Save").click()
    expect(page.locator(".ask .said")).to_have_text("Second <b>thought</b>")
    page.locator(".ask").get_by_role("button", name="Again").click()
    expect(page.locator(".ans .said")).to_contain_text("Second <b>thought</b>")
    expect(page.locator("#send")).to_be_visible()
    page.locator(".ans .role").click()
    assert '"system"' in page.input_value("#request")
    page.locator("article").last.get_by_role("button", name="Delete").click()
    expect(page.locator("article")).to_have_count(1)


def test_two_models_answer_side_by_side_and_a_set_of_settings_comes_back(site: Site, opened: Open) -> None:
    """The settings are kept in the browser; tools are named in a line."""
    page = opened("/console/playground?model=demo-openai")
    page.click("#two")
    page.select_option("#model2", "demo-claude")
    _ask(page, "Both")
    expect(page.locator(".sides .ans")).to_have_count(2)
    expect(page.locator(".sides .ans").nth(1)).to_contain_text("demo-claude")
    page.click("[popovertarget=pg-more]")
    page.fill("#tools", "get_weather(city, unit)")
    page.fill("#system", "Be brief")
    page.fill("#set", "brief")
    page.click("#set-keep")
    page.goto(f"{site.url}/console/playground")
    page.click("[popovertarget=pg-more]")
    page.fill("#set", "brief")
    expect(page.locator("#system")).to_have_value("Be brief")
    request = page.input_value("#request")
    assert '"get_weather"' in request
    assert '"Be brief"' in request


def test_a_release_is_for_root_and_a_path_of_the_relay_alone(site: Site) -> None:
    """What is no call of a client is refused."""
    root = site.signed_in()
    form = {"body": '{"model": "demo-openai", "messages": []}'}
    for path in ("/api/user/self", "http://127.0.0.1/v1", "/v1" + "x" * 600):
        assert root.post(f"{site.url}/console/playground", data={**form, "path": path}).status_code >= 400
    person = {"username": "player", "password": "rootroot1", "role": "1"}
    root.post(f"{site.url}/console/users/new", data=person)
    player = site.signed_in("player")
    refused = player.post(f"{site.url}/console/playground", data={**form, "release": "abcdef0123"})
    assert refused.status_code in (403, 409)
    root.close()
    player.close()
