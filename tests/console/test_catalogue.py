"""What is said of models, prices of other gateways, tools; and what begins with an e-mail."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import requests
from aiosmtpd.controller import Controller
from playwright.sync_api import Page, expect

from tests.api.test_mail import Box
from tests.console.conftest import PASSWORD, Site
from tests.support import PATIENCE, free_port, until

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def root(site: Site) -> Iterator[requests.Session]:
    """A channel with models whose prices are known here and elsewhere."""
    session = site.signed_in()
    form = {"name": "catalogue", "type": "1", "key": "sk-c", "models": "cat-one\ncat-two\ncat-three"}
    assert session.post(f"{site.url}/console/channels/new", data=form).status_code == 204
    assert session.post(f"{site.url}/console/models/cell", data={"name": "cat-one", "input": "2"}).status_code == 200
    yield session
    session.close()


@pytest.fixture
def elsewhere(site: Site) -> Iterator[str]:
    """Another gateway that shows its prices."""
    prices = [
        {"model_name": "cat-one", "quota_type": 0, "model_ratio": 3, "completion_ratio": 4},
        {"model_name": "cat-two", "quota_type": 1, "model_price": 0.5},
    ]

    class Prices(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raw = json.dumps({"success": True, "data": prices}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", site.elsewhere), Prices)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_prices_of_another_gateway_are_chosen_planned_and_taken_over(
    root: requests.Session, elsewhere: str, site: Site, opened: Open
) -> None:
    """What differs stands beside ours; what was not chosen stays."""
    page = opened("/console/models/sync")
    page.fill("[name=address]", elsewhere)
    page.get_by_role("button", name="Compare", exact=True).click()
    row = page.locator("tr", has_text="cat-one").first
    expect(row).to_contain_text("$2.00")
    expect(row).to_contain_text("$6.00")
    page.get_by_role("button", name=f"Choose all of {elsewhere}").click()
    page.locator("[name='cat-two:model_price'][value='']").check()
    page.get_by_role("button", name="Plan …").click()
    plan = page.locator("#dialog-body")
    expect(plan.locator("h2")).to_have_text("2 prices change")
    expect(plan).to_contain_text("→ $6.00")
    assert _price(root, site, "cat-one") == ("2", "2")  # a plan changes nothing
    plan.get_by_role("button", name="Take over").click()
    expect(plan.locator("h2")).to_have_text("2 prices taken over")
    _becomes(root, site, "cat-one", ("6", "24"))
    assert _price(root, site, "cat-two") == ("", "")


def _becomes(root: requests.Session, site: Site, model: str, price: tuple[str, str]) -> None:
    """Soon the worker that is asked knows the price, too."""
    until(lambda: _price(root, site, model) == price, words=lambda: _price(root, site, model))


def _price(root: requests.Session, site: Site, model: str) -> tuple[str, str]:
    """Dollars in and out for a million tokens, as the table's cells have them; empty where there is no price."""
    text = root.get(f"{site.url}/console/models", params={"q": model}).text
    row = next(part for part in text.split("<tr data-open=")[1:] if f'title="{model}"' in part)
    cells = dict(re.findall(r'name="(input|output)" value="([^"]*)"', row))
    return cells["input"], cells["output"]


def test_a_broken_plan_is_refused(root: requests.Session, site: Site) -> None:
    """What is no price is not stored."""
    for picks in ("", "{}", '[["cat-one", "model_ratio", "nan"]]', '[["cat-one", "model_ratio", -1]]'):
        told = root.post(f"{site.url}/console/models/sync/apply", data={"picks": picks})
        assert told.status_code == 422, picks
    assert not _price(root, site, "cat-one")[0].startswith("-")


def test_one_price_becomes_that_of_many(root: requests.Session, site: Site, opened: Open) -> None:
    """From the drawer; a search narrows the list."""
    root.post(f"{site.url}/console/models/cell", data={"name": "cat-one", "input": "7"})
    page = opened("/console/models/one?name=cat-one")
    page.get_by_role("button", name="Same for …").click()
    page.fill("#dialog-body [data-narrow]", "cat-th")
    expect(page.locator("#same-list label:visible")).to_have_count(1)
    page.locator("#same-list label:visible input").check()
    page.get_by_role("button", name="Set it").click()
    expect(page.locator(".toast")).to_contain_text("1 model costs the same now")
    expect(page.locator("#dialog")).to_be_hidden()
    _becomes(root, site, "cat-three", ("7", "28"))


def test_a_price_of_input_alone_makes_no_output_free(root: requests.Session, site: Site) -> None:
    """Typed in the row of a model without one: out costs what in does; out alone is refused."""
    place = f"{site.url}/console/models/cell"
    form = {"name": "catalogue bare", "type": "1", "key": "sk-c", "models": "cat-bare\ncat-bare-two"}
    root.post(f"{site.url}/console/channels/new", data=form)
    assert root.post(place, data={"name": "cat-bare", "input": "2"}).status_code == 200
    _becomes(root, site, "cat-bare", ("2", "2"))
    assert root.post(place, data={"name": "cat-bare-two", "output": "2"}).status_code == 422


def test_a_models_text_its_vendor_and_lists_reach_the_price_page(
    site: Site, root: requests.Session, opened: Open
) -> None:
    """Described in dialogs that close when it is done; a fault keeps what was typed."""
    page = opened("/console/models/vendors")

    def add(**fields: str) -> None:
        page.locator(".head [data-dialog]").click()
        for name, text in fields.items():
            page.fill(f"#dialog-body [name={name}]", text)
        page.click("#dialog-body button[type=submit]")

    add(name="Cat Labs", description="Makes cats")
    expect(page.locator("td.p1")).to_contain_text(["Cat Labs"])
    expect(page.locator("#dialog")).to_be_hidden()
    add(name="Cat Labs")
    expect(page.locator("#dialog-body .err")).to_be_visible()
    expect(page.locator("#dialog-body [name=name]")).to_have_value("Cat Labs")
    page.goto(f"{site.url}/console/models/texts")
    page.locator(".note .chip", has_text="cat-one").click()
    page.fill("#dialog-body [name=description]", "A cat of one")
    page.select_option("#dialog-body [name=vendor_id]", label="Cat Labs")
    page.fill("#dialog-body [name=tags]", "soft, warm")
    page.fill("#dialog-body [name=endpoints]", "openai → /v1/chat/completions")
    page.click("#dialog-body button[type=submit]")
    expect(page.locator("tr", has_text="cat-one")).to_contain_text("Cat Labs")
    page.goto(f"{site.url}/console/prices?vendor=Cat+Labs&tag=warm&view=cards")
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.locator(".tile")).to_contain_text("A cat of one")
    row = page.goto(f"{site.url}/console/models/texts?q=cat-one")
    assert row is not None
    page.locator("[data-key=o]").first.click()
    expect(page.locator("tbody .st").first).to_have_text("Hidden")
    page.goto(f"{site.url}/console/prices?q=cat-one")
    expect(page.locator(".empty")).to_be_visible()


def test_the_price_page_is_for_whom_the_option_says(site: Site, root: requests.Session) -> None:
    """Open to strangers, to users alone, or to nobody, as in New API."""
    place = f"{site.url}/console/prices"
    for value, told in ((True, 200), ({"enabled": True, "requireAuth": True}, 303), (False, 403)):
        text = json.dumps({"pricing": value})
        root.post(f"{site.url}/console/settings", data={"name": "HeaderNavModules", "value": text})
        assert requests.get(place, timeout=PATIENCE, allow_redirects=False).status_code == told
    root.post(f"{site.url}/console/settings", data={"name": "HeaderNavModules", "value": ""})


def test_a_tool_has_its_price_changed_and_taken_away(root: requests.Session, site: Site) -> None:
    """By its name, in dollars for a thousand calls."""
    place = f"{site.url}/console/models/tools"
    assert "cat_search" in root.post(place, data={"name": "cat_search", "price": "12.5"}).text
    refused = root.post(place, data={"name": "cat_search", "price": "much"})
    assert (refused.status_code, "Write a number" in refused.text) == (422, True)
    assert "cat_search" not in root.post(place, data={"name": "cat_search", "delete": "1"}).text.partition("<tbody>")[2]


def test_who_registers_or_forgot_the_password_does_it_by_mail(site: Site, root: requests.Session, opened: Open) -> None:
    """The code, the account, the link, the new password: all on pages."""
    box, port = Box(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        server = {"SMTPServer": "127.0.0.1", "SMTPPort": str(port), "SMTPFrom": "gate@example.org"}
        for name, value in {**server, "ServerAddress": site.url, "EmailVerificationEnabled": "true"}.items():
            told = root.post(f"{site.url}/console/settings", data={"name": name, "value": value})
            assert told.status_code == 200, told.text[:300]
        page = opened("/console/register", name="")
        page.fill("[name=username]", "mailed")
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=again]", PASSWORD)
        page.fill("[name=email]", "mailed@example.org")
        page.get_by_role("button", name="Send the code").click()
        expect(page.locator("#mail-told")).to_contain_text("A code was sent to mailed@example.org")
        code = re.search(r"\b\d{6}\b|\b[0-9A-Z]{6,10}\b", box.mails[0][2])
        assert code is not None
        expect(page.locator("[name=password]")).to_have_value(PASSWORD)
        page.fill("[name=verification_code]", code[0])
        page.click("button.wide-btn")
        page.wait_for_url("**/console")
        nobody = opened("/console/login", name="")
        nobody.get_by_role("link", name="Forgotten password?").click()
        nobody.fill("[name=email]", "mailed@example.org")
        nobody.click("button[type=submit]")
        expect(nobody.locator(".note.ok")).to_contain_text("a link is on its way")
        until(lambda: len(box.mails) > 1)
        link = re.search(r"http\S+/user/reset\S+", box.mails[1][2])
        assert link is not None
        nobody.goto(link[0])
        nobody.fill("[name=password]", "another1")
        nobody.fill("[name=again]", "different")
        nobody.click("button[type=submit]")
        expect(nobody.locator(".err")).to_be_visible()
        nobody.fill("[name=password]", "another1")
        nobody.fill("[name=again]", "another1")
        nobody.click("button[type=submit]")
        nobody.wait_for_url("**/console/login")
        site.signed_in("mailed", "another1").close()
    finally:
        controller.stop()
        for name, form in (("EmailVerificationEnabled", {}), ("SMTPServer", {"value": ""})):
            root.post(f"{site.url}/console/settings", data={"name": name, **form})
