"""One gateway and one browser for all tests of the console; a page that breaks the CSP or raises fails its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page

from admin import bundle
from tests.support import PATIENCE, Gateway, free_port, missing

PASSWORD = "rootroot1"
ENV = {"ERROR_LOG_ENABLED": "true", "GATEWRIGHT_FIRST_START": "open", "CRYPTO_SECRET": "of the console"}


@pytest.hookimpl(tryfirst=True)  # before the runner takes its note of groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process has the browser: its tests run in order."""
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.xdist_group("console"))


class Site:
    """A gateway with a root user, as browsers and scripts see it; ``elsewhere`` is a port that it may ask."""

    def __init__(self, gateway: Gateway, elsewhere: int) -> None:
        self.gateway, self.elsewhere = gateway, elsewhere
        self.url = f"http://127.0.0.1:{gateway.port}"

    def signed_in(self, name: str = "root", password: str = PASSWORD) -> requests.Session:
        """A session of a user, with the seal of its forms in ``x-seal``."""
        session = requests.Session()
        answer = session.post(f"{self.url}/console/login", data={"username": name, "password": password})
        assert answer.status_code == 200, answer.text[:400]
        session.headers["x-seal"] = answer.text.split('data-seal="')[1].split('"')[0]
        session.headers["hx-request"] = "true"
        return session

    def bearer(self, name: str = "root") -> dict[str, str]:
        """Headers of a user who signs in to the management API."""
        login = {"username": name, "password": PASSWORD}
        answer = requests.post(f"{self.url}/api/user/login", json=login, timeout=PATIENCE).json()
        return {"authorization": f"Bearer {answer['data']['access_token']}"}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway of its own for the console's tests."""
    if bundle.main():
        missing("the console's assets can't be built: Node is not here")
    data, elsewhere = tmp_path_factory.mktemp("console"), free_port()
    gateway = Gateway(data, demo=True, env={**ENV, "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{elsewhere}"})
    (data / "first.key").write_text("none")
    try:
        gateway.ready()
        here = Site(gateway, elsewhere)
        _first_start(here)
        yield here
    finally:
        gateway.stop()


def _first_start(site: Site) -> None:
    """Root's account by the card that a browser is led to as long as there is none."""
    with requests.Session() as session:
        card = session.get(f"{site.url}/console/login", timeout=PATIENCE)
        assert card.url.endswith("/console/setup")
        assert all(f'name="{name}"' in card.text for name in ("username", "password", "again", "use"))
        form = {"username": "root", "password": PASSWORD, "again": "another1", "use": "others"}
        assert session.post(card.url, data=form, timeout=PATIENCE).status_code == 422
        made = session.post(card.url, data={**form, "again": PASSWORD}, timeout=PATIENCE)
        assert (made.status_code, made.url) == (200, f"{site.url}/console")


def signed_page(
    site: Site,
    chromium: Browser,
    name: str,
    heed: Callable[[Page], None] = lambda page: None,
    *,
    view: str = "",
    **more: Any,
) -> Page:
    """A page of a context of its own that has signed in, or nobody's where there is no name. ``heed`` listens to it."""
    context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **more})
    context.set_default_timeout(PATIENCE * 1000)
    if view:
        context.add_cookies([{"name": "console_view", "value": view, "domain": "127.0.0.1", "path": "/console"}])
    page = context.new_page()
    heed(page)
    if name:
        page.goto(f"{site.url}/console/login")
        page.fill("[name=username]", name)
        page.fill("[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url("**/console")
    return page


@pytest.fixture
def opened(site: Site, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Gives a page that has signed in; whatever it says in its console fails the test."""
    contexts: list[Any] = []
    said: list[str] = []

    def heed(page: Page) -> None:
        contexts.append(page.context)
        page.on("console", lambda message: said.append(message.text) if _bad(message) else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())

    def open_(
        path: str = "/console", *, name: str = "root", password: str = PASSWORD, view: str = "", **more: Any
    ) -> Page:
        page = signed_page(site, chromium, name, heed, view=view, **more)
        if path != "/console":
            page.goto(site.url + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not said


def _bad(message: Any) -> bool:
    """Refusals that a test provokes are told by the browser, too; all else is a fault."""
    return message.type == "error" and "Failed to load resource" not in message.text
