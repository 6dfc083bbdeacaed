"""Every page once: where New API's pages, columns, fields and actions are in ours, and what axe says of it.

``places.yaml`` is the table. Each page is opened as root and, where it looks otherwise, as a user and as nobody; its
first dialog is opened, and what lies behind tabs is kinds at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from playwright.sync_api import Browser, Page

from admin import bundle
from admin.pages import PAGES
from admin.view import NOBODY, USER
from tests.console.conftest import PASSWORD, Site, signed_page
from tests.support import ROOT

REFERENCE = ROOT.parent / "shared" / "reference" / "console-of-new-api.md"
TABLE: dict[str, dict[str, str | list[str]]] = yaml.safe_load(
    Path(__file__).with_name("places.yaml").read_text(encoding="utf-8")
)
AXE = bundle.SOURCES / "node_modules" / "axe-core" / "axe.min.js"
NO_PAGE = re.compile(r"/(new|palette|export|export\.csv|channels\.csv|data|edit|secret)$")
"""What stands in a page, or is a file."""
WITH_NAMES = ("/console/documents/Format/openai.chat", "/console/releases/0")
REASONS = ("missing: ", "left out: ", "elsewhere: ")

REVEAL = """() => {  // what lies behind tabs is kinds at, too; nothing moves
    for (const one of document.querySelectorAll('.drawer [hidden], .hopview[hidden]')) one.hidden = false
    const still = new CSSStyleSheet()
    still.replaceSync('* { transition: none !important; animation: none !important }')
    document.adoptedStyleSheets = [still]
}"""
LOOK = """async ([at, only, theme]) => {
    document.documentElement.dataset.theme = theme
    const options = {resultTypes: ['violations'], preload: false, selectors: false, ...(only ? {runOnly: only} : {})}
    const result = await axe.run(at, options)
    return result.violations.filter(one => ['serious', 'critical'].includes(one.impact)).map(one =>
        `${theme} ${one.id}: ` + one.nodes.slice(0, 3).map(node => `${node.html.slice(0, 160)} ${node.failureSummary}`))
}"""


@dataclass
class Walk:
    """What was not where the table says, and what axe finds serious or critical."""

    absent: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def places() -> dict[tuple[str, str], list[tuple[str, str]]]:
    """By who looks and the page: a row's name, and the selector that is to be there."""
    pages: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row, facts in TABLE.items():
        for fact, wheres in facts.items():
            for where in [wheres] if isinstance(wheres, str) else wheres:
                if not where.startswith(REASONS):
                    address, _, selector = where.partition(" ")
                    path, _, who = address.partition("@")
                    pages.setdefault((who or "root", path), []).append((f"{row}: {fact}", selector))
    return pages


def seed(site: Site) -> dict[str, str]:
    """Something to see on every page; what stands for names in the table's addresses."""
    root = site.signed_in()

    def post(path: str, **form: Any) -> str:
        answer = root.post(f"{site.url}/console/{path}", data=form, allow_redirects=False)
        assert answer.status_code in (200, 204, 303), answer.text[:400]
        return answer.headers.get("hx-redirect", "").partition("?")[0].rpartition("/")[2]

    way = {"base_url": "https://llm.invalid", "mode": "multi_to_single", "tag": "blue", "remark": "mine"}
    channel = post("channels/new", name="seen", type="1", key="sk-a\nsk-b", models="seen-model", **way)
    key = post("keys/new", name="seen key", expires="1m", quota="5")
    secret = root.post(f"{site.url}/console/keys/{key}/secret").text
    post("codes/new", name="seen", quota="1", count="2")
    post("models/cell", name="seen-model", input="2")
    post("models/vendors/new", name="Seen AI", status="1")
    post("models/lists/new", name="seen list", type="model", items="seen-model")
    post("models/texts/new", name="seen-", name_rule="1", vendor_id="1", tags="fast", status="1")
    post("models/tools", name="web_search", price="10")
    post("settings", name="checkin_setting.enabled", value="true")
    post(f"channels/{channel}/key", action="disable_key", index="1")
    post("users/new", username="looker", password=PASSWORD, role="1")
    post("settings/rows/console_setting.announcements", content="News", type="default", publishDate="2026-11-29")
    post("settings/rows/console_setting.faq", question="Why?", answer="So.")
    for option, text in (
        ("About", "# We\nRead [this](https://example.com)."),
        ("HomePageContent", "Hello"),
        ("legal.privacy_policy", "None."),
        ("general_setting.docs_link", "https://docs.example.com"),
    ):
        post("settings", name=option, value=text)
    listed = root.get(f"{site.url}/console/users?q=looker").text
    with openai.OpenAI(base_url=f"{site.url}/v1", api_key=secret, max_retries=0) as client:
        messages: list[Any] = [{"role": "user", "content": "Hello"}]
        call = client.chat.completions.with_raw_response.create(model="demo-openai", messages=messages)
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(model="seen-model", messages=messages)
    assert refused.value.status_code >= 500
    post(f"channels/{channel}/test")
    user = re.search(r"/console/users/(\d+)", listed)
    assert user is not None
    root.close()
    names = {"CHANNEL": channel, "KEY": key, "USER": user[1]}
    return {**names, "CALL": call.headers["x-request-id"]}


@pytest.fixture(scope="module")
def walk(site: Site, chromium: Browser) -> Walk:
    """Each page is opened once; axe looks at each kind of page once for each who may see it."""
    names, rows, report = seed(site), places(), Walk()
    whole = [page for page in PAGES if page.method == "GET" and ":" not in page.address]
    own = {("root", one.address) for one in whole if one.role > NOBODY and not NO_PAGE.search(one.address)}
    own |= {("user", one.address) for one in whole if one.role == USER and not NO_PAGE.search(one.address)}
    own |= {("root", path) for path in WITH_NAMES}
    script = AXE.read_text(encoding="utf-8")
    for who, name in (("root", "root"), ("user", "looker"), ("nobody", "")):
        page = signed_page(site, chromium, name, view="en.light.", reduced_motion="reduce")
        page.add_init_script(script)
        kinds: set[str] = set()
        for path in sorted({path for one, path in {*own, *rows} if one == who}):
            page.goto(site.url + re.sub("[A-Z]{3,}", lambda match: names.get(match[0], match[0]), path))
            if (kind := _kind(path)) not in kinds:
                kinds.add(kind)
                report.faults += [f"{path}, {who}: {one}" for one in _faults(page, kind, dialogs=who == "root")]
            report.absent += [
                f"{path}, {who}: {row}: {place}"
                for row, place in rows.get((who, path), [])
                if not page.locator(place).count()
            ]
        page.context.close()
    return report


def _kind(path: str) -> str:
    """The page of an address, whatever is asked of it."""
    bare = path.partition("?")[0]
    addresses = [page.address for page in PAGES if re.fullmatch(re.sub(r":\w+", "[^/]+", page.address), bare)]
    return min(addresses, key=lambda address: address.count(":"))


def _faults(page: Page, kind: str, *, dialogs: bool) -> list[str]:
    """What axe says of a page in light, of its contrast in dark, and of its first dialog, which stays open."""
    page.evaluate(REVEAL)
    at = "form" if NO_PAGE.search(kind) else "body"
    faults = page.evaluate(LOOK, [at, None, "light"]) + page.evaluate(LOOK, [at, ["color-contrast"], "dark"])
    opener = page.locator(".head [data-dialog][hx-get]")
    if dialogs and opener.count():
        opener.first.click()
        page.wait_for_selector("dialog[open] form")
        page.wait_for_function("!document.querySelector('.htmx-added, .htmx-settling')")
        faults += page.evaluate(LOOK, ["dialog[open]", None, "dark"])
        faults += page.evaluate(LOOK, ["dialog[open]", ["color-contrast"], "light"])
    return list(faults)


@pytest.mark.timeout(900)
def test_each_place_of_the_table_is_there(walk: Walk) -> None:
    """Rows without a place say why."""
    assert not walk.absent, "\n".join(walk.absent)


@pytest.mark.timeout(900)
def test_axe_finds_nothing_serious_on_any_page(walk: Walk) -> None:
    """As root and as a user, in light and in dark, dialogs too."""
    assert not walk.faults, "\n".join(walk.faults)


def test_what_is_looked_at_elsewhere_has_its_test() -> None:
    """And whatever has no place says why."""
    wheres = [where for facts in TABLE.values() for where in facts.values() if isinstance(where, str)]
    assert [
        one for one in wheres if one.startswith("elsewhere: ") and not (ROOT / one.partition(": ")[2]).exists()
    ] == []
    assert [one for one in wheres if not one.startswith(("/", *REASONS)) or len(one) < 12] == []


def test_no_row_of_the_reference_is_forgotten() -> None:
    """Each row of its tables, sections 1 to 11, begins with the words of one of ours."""
    if not REFERENCE.exists():
        pytest.skip("the reference is not beside this checkout")
    lines, section, forgotten = REFERENCE.read_text(encoding="utf-8").splitlines(), 0, []
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        head = re.match(r"## (\d+)\.", line)
        section = int(head[1]) if head else section
        if 1 <= section <= 10 and line.startswith("|") and not line.startswith("| -") and not after.startswith("| -"):
            cell = line.split("|")[1].strip().replace("**", "")
            if cell and not any(f"{section} {cell}".startswith(row) for row in TABLE):
                forgotten.append(f"{section} {cell}")
    assert not forgotten
