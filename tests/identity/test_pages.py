"""The console's pages of outside logins in a real browser, with its rules for cookies between sites."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from admin import bundle
from tests.identity.conftest import Browser, Site, says
from tests.support import PATIENCE, missing


@pytest.fixture
def page(site: Site, chromium: Chromium) -> Iterator[Page]:
    """A page for which the service is another site than the gateway; what the browser complains of fails the test."""
    if bundle.main():
        missing("the console's assets can't be built: Node is not here")
    home, away = site.gateway.base, site.identities.base.replace("127.0.0.1", "localhost")
    site.identities.home = home
    site.set(ServerAddress=home, **{"oidc.authorization_endpoint": f"{away}/sso.corp/auth"})
    complaints: list[str] = []
    context = chromium.new_context(locale="en-GB")
    context.set_default_timeout(PATIENCE * 1000)
    one = context.new_page()
    one.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    one.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield one
    finally:
        context.close()
    site.set(ServerAddress="https://gateway.example", **{"oidc.authorization_endpoint": ""})
    assert [text for text in complaints if "status of 4" not in text] == []


def test_sign_in_by_a_button_bind_and_unbind(site: Site, page: Page) -> None:
    site.identities.says, site.identities.claims = says("oidc", 71)
    page.goto(f"{site.gateway.base}/console/login?next=/console/keys")
    assert page.get_by_role("button", name="Sign in by Telegram").count() == 0
    page.get_by_role("button", name="Sign in by OIDC").click()
    page.wait_for_url(f"{site.gateway.base}/console")
    page.goto(f"{site.gateway.base}/console/profile")
    ways = page.get_by_role("region", name="Ways to sign in")
    row = ways.get_by_role("row", name=re.compile("OIDC"))
    assert "s-71" in row.inner_text()
    row.get_by_role("button", name="Unbind").click()
    page.get_by_text("set a password first").wait_for()
    page.get_by_label("New password").fill("a first one")
    page.get_by_role("button", name="Change the password").click()
    page.get_by_label("Password now").wait_for()
    ways.get_by_role("row", name=re.compile("OIDC")).get_by_role("button", name="Unbind").click()
    bind = ways.get_by_role("row", name=re.compile("OIDC")).get_by_role("button", name="Bind", exact=True)
    bind.wait_for()
    bind.click()
    page.wait_for_url(f"{site.gateway.base}/console/profile")
    assert "s-71" in ways.get_by_role("row", name=re.compile("OIDC")).inner_text()


def test_who_is_refused_reads_why(site: Site, page: Page) -> None:
    site.identities.says, site.identities.claims = says("oidc", 72)
    site.identities.claims["aud"] = "somebody"
    page.goto(f"{site.gateway.base}/console/login")
    page.get_by_role("button", name="Sign in by OIDC").click()
    page.get_by_text("the id token is not taken: it is meant for somebody else").wait_for()
    page.context.clear_cookies()
    page.goto(f"{site.gateway.base}/oauth/oidc?code=x&state=y")
    page.get_by_text("State parameter is empty or mismatched").wait_for()


def test_pages_without_a_script(site: Site, browser: Browser) -> None:
    """What other programs send to the pages: names that are not there, forms of other sites."""
    assert browser.ask("GET", "/oauth/no-such").status_code == 200
    assert "no-such" not in browser.ask("GET", "/oauth/no-such", own="1").text
    foreign = browser.session.post(
        f"{site.gateway.base}/console/login/github", headers={"sec-fetch-site": "cross-site"}, timeout=30
    )
    assert foreign.status_code == 403
    login = browser.ask("GET", "/console/register", aff="abc")
    assert 'name="aff" value="abc"' in login.text
