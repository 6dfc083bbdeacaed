"""Passkeys in a browser, by Chromium's own virtual authenticator: added, signed in by, asked for, taken away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.accounts.test_sessions import digits
from tests.console.conftest import PASSWORD, Site, _bad
from tests.support import PATIENCE


def _option(site: Site, name: str, value: str) -> None:
    told = requests.put(f"{site.url}/api/option/", json={"key": name, "value": value}, headers=site.bearer()).json()
    assert told["success"], told


def _authenticator(page: Page) -> tuple[CDPSession, str]:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable", {"enableUI": False})
    options: dict[str, Any] = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
    options |= {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
    return session, session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]


def test_a_passkey_from_its_making_to_its_end(site: Site, chromium: Browser) -> None:
    """Under the console's policy: no script of others, nothing inline."""
    home = f"http://localhost:{site.gateway.port}"
    _option(site, "ServerAddress", home)
    _option(site, "passkey.enabled", "true")
    _make(site)
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE * 1000)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text) if _bad(message) else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: dialog.accept())
    session, authenticator = _authenticator(page)
    try:
        _story(
            page,
            home,
            lambda on: session.send(
                "WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": on}
            ),
        )
    finally:
        context.close()
        _option(site, "passkey.enabled", "false")
    assert not said


def _make(site: Site) -> None:
    root = site.signed_in()
    body = {"username": "keyed", "password": PASSWORD, "display_name": "", "role": "1"}
    answer = root.post(f"{site.url}/console/users/new", data=body)
    assert answer.status_code in (200, 204), answer.text[:300]


def _password(page: Page, home: str) -> None:
    page.goto(f"{home}/console/login")
    page.fill("[name=username]", "keyed")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def _leave(page: Page) -> None:
    page.context.clear_cookies()


def _story(page: Page, home: str, verified: Callable[[bool], Any]) -> None:
    _password(page, home)
    page.wait_for_url(f"{home}/console")
    page.goto(f"{home}/console/profile")
    page.fill("#passkeys [name=name]", "Laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator(".toast")).to_contain_text("counts from now on")
    backup = page.locator("#backup").inner_text().split()
    assert len(backup) == 4
    expect(page.locator("#passkeys tbody [name=name]")).to_have_value("Laptop")
    page.get_by_role("button", name="Add a passkey").click()  # a second one: first it has to be shown who asks
    page.locator("#stepup").get_by_label("Second factor").fill("WRONG-CODE")
    page.locator("#stepup").get_by_role("button", name="Continue").click()
    expect(page.locator("#stepup .err")).to_contain_text("the code is wrong")
    page.locator("#stepup").get_by_role("button", name="Use a passkey").click()
    expect(page.locator("#passkeys form .err").first).to_be_visible()  # this authenticator has one already
    page.fill("#passkeys tbody [name=name]", "Desk")
    page.locator("#passkeys tbody").get_by_role("button", name="Save").click()
    expect(page.locator(".toast")).to_contain_text("Saved")

    _leave(page)
    page.goto(f"{home}/console/login?next=/console/profile")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{home}/console/profile")  # whole: the address of the form ends in it, too
    _leave(page)
    verified(False)
    page.goto(f"{home}/console/login")
    page.get_by_role("button", name="Use a passkey").click()  # it can't say who holds it
    expect(page.locator("form[data-passkey] .err")).to_be_visible()
    verified(True)

    _password(page, home)
    expect(page.get_by_label("Second factor")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{home}/console")
    _leave(page)
    _password(page, home)
    page.get_by_label("Second factor").fill(backup[0])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{home}/console")

    page.goto(f"{home}/console/profile")
    page.locator("#passkeys").get_by_role("button", name="Take away").click()
    page.locator("#stepup").get_by_label("Second factor").fill(backup[1])
    page.locator("#stepup").get_by_role("button", name="Continue").click()
    expect(page.locator(".toast")).to_contain_text("The passkey is gone")
    expect(page.locator("#passkeys tbody")).to_have_count(0)
    _leave(page)
    _password(page, home)
    page.wait_for_url(f"{home}/console")


def test_a_session_that_ended_asks_for_the_second_factor_in_place_too(site: Site) -> None:
    _option(site, "passkey.enabled", "false")
    site.signed_in().post(
        f"{site.url}/console/users/new",
        data={"username": "again", "password": PASSWORD, "display_name": "", "role": "1"},
    )
    who = site.bearer("again")
    made = requests.post(f"{site.url}/api/user/2fa/setup", headers=who).json()["data"]
    code = digits(made["secret"], int(time.time()) // 30)
    assert requests.post(f"{site.url}/api/user/2fa/enable", json={"code": code}, headers=who).json()["success"]
    browser = requests.Session()
    asked = browser.post(f"{site.url}/console/again", data={"username": "again", "password": PASSWORD})
    assert (asked.status_code, "session" in browser.cookies) == (202, False)
    wrong = browser.post(f"{site.url}/console/again", data={"flow": asked.text, "code": "ABCD-EFGH"})
    assert wrong.status_code == 422
    right = browser.post(f"{site.url}/console/again", data={"flow": asked.text, "code": made["backup_codes"][0]})
    assert (right.status_code, len(right.text), "session" in browser.cookies) == (200, 40, True)
