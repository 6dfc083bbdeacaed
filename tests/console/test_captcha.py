"""A captcha at the door: its script runs under the policy while it is on, and nothing of others is open otherwise."""

from __future__ import annotations

import requests
from playwright.sync_api import Browser, expect

from tests.console.conftest import PASSWORD, Site, _bad
from tests.support import PATIENCE

WIDGET = """const box = document.querySelector('.cf-turnstile'), frame = document.createElement('iframe');
frame.src = 'https://challenges.cloudflare.com/frame'; box.append(frame);
const field = document.createElement('input'); field.type = 'hidden'; field.name = 'cf-turnstile-response';
field.value = `for ${box.dataset.sitekey}`; box.append(field);"""


def test_the_widget_of_a_captcha_shows_while_it_is_on(site: Site, chromium: Browser) -> None:
    who = site.bearer()

    def put(name: str, value: str) -> None:
        assert requests.put(f"{site.url}/api/option/", json={"key": name, "value": value}, headers=who).json()[
            "success"
        ]

    context = chromium.new_context()
    context.set_default_timeout(PATIENCE * 1000)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text) if _bad(message) else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.route("**/api.js", lambda route: route.fulfill(body=WIDGET, content_type="text/javascript"))
    page.route("**/frame", lambda route: route.fulfill(body="<p>a person?</p>", content_type="text/html"))
    try:
        policy = requests.get(f"{site.url}/console/login").headers["content-security-policy"]
        assert "cloudflare" not in policy
        put("TurnstileSiteKey", "site-key")
        put("TurnstileSecretKey", "secret-key")
        put("TurnstileCheckEnabled", "true")
        page.goto(f"{site.url}/console/login")
        expect(page.frame_locator(".cf-turnstile iframe").locator("p")).to_have_text("a person?")
        assert page.locator("[name=cf-turnstile-response]").input_value() == "for site-key"
        assert "secret-key" not in page.content()
        page.goto(f"{site.url}/console/register")
        expect(page.frame_locator(".cf-turnstile iframe").locator("p")).to_have_text("a person?")
        data = {"username": "root", "password": PASSWORD}
        refused = requests.post(f"{site.url}/console/login", data=data)
        assert refused.status_code == 422
        assert "Turnstile has to be passed first" in refused.text
        own = requests.get(f"{site.url}/console/setup", allow_redirects=False).headers["content-security-policy"]
        assert own.partition("nonce-")[0] == policy.partition("nonce-")[0]
    finally:
        put("TurnstileCheckEnabled", "false")
        context.close()
    assert not said
