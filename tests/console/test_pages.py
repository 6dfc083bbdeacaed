"""Every page as every role, forms without their seal, faults beside their fields, texts of all languages."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from admin import areas, static, words
from admin.extract import lacking
from admin.pages import PAGES
from admin.view import ADMIN, NOBODY, ROOT, USER
from engine.catalogue import options
from tests.console.conftest import PASSWORD, Site
from tests.support import PATIENCE, until

People = dict[int, requests.Session]
NASTY = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
OPEN = [page for page in PAGES if page.method == "GET" and ":" not in page.address]


@pytest.fixture(scope="module")
def people(site: Site) -> Iterator[People]:
    """A session of each role."""
    root = site.signed_in()
    for name, role in (("an-admin", ADMIN), ("a-user", USER)):
        form = {"username": name, "password": PASSWORD, "role": role}
        assert root.post(f"{site.url}/console/users/new", data=form).status_code == 204
    sessions = {
        ROOT: root,
        ADMIN: site.signed_in("an-admin"),
        USER: site.signed_in("a-user"),
        NOBODY: requests.Session(),
    }
    yield sessions
    for session in sessions.values():
        session.close()


@pytest.mark.parametrize("role", [NOBODY, USER, ADMIN, ROOT])
def test_a_page_is_for_its_role_and_nobody_below(site: Site, people: People, role: int) -> None:
    """All pages without a variable in their address."""
    wrong = []
    for page in OPEN:
        headers = {"hx-request": None}  # the whole page
        answer = people[role].get(site.url + page.address, headers=headers, allow_redirects=False)  # type: ignore[arg-type]
        if role < page.role:
            good = answer.status_code == (303 if role == NOBODY else 403)
        else:
            good = answer.status_code in (200, 303)
        if not good:
            wrong.append((page.address, answer.status_code, answer.text[:200]))
        answer.close()
    assert not wrong


def test_no_action_is_done_for_a_lower_role_or_without_the_seal(site: Site, people: People) -> None:
    """Every POST: a lower role is told so, and a form that our own page did not send is refused."""
    wrong = []
    for page in PAGES:
        if page.method != "POST" or page.unsealed:
            continue
        address = site.url + re.sub(r":\w+", "1", page.address)
        if page.role > USER:
            told = people[USER].post(address).status_code
            if told != 403:
                wrong.append((page.address, "a user", told))
        bare = people[ROOT].post(address, headers={"x-seal": "0" * 40}).status_code
        cross = people[ROOT].post(address, headers={"sec-fetch-site": "cross-site"}).status_code
        if (bare, cross) != (403, 403):
            wrong.append((page.address, "no seal", bare, cross))
    assert not wrong


def test_a_fault_stands_beside_its_field_and_what_was_typed_stays(site: Site, people: People) -> None:
    """Forms of keys, codes, channels and users."""
    root = people[ROOT]
    told = root.post(f"{site.url}/console/keys/new", data={"name": "mine", "quota": "a lot", "networks": "10.0.0.0/8"})
    assert told.status_code == 422
    assert 'aria-invalid="true" aria-describedby="f-quota-d"' in told.text
    assert "Write a number" in told.text
    assert 'value="a lot"' in told.text
    assert "10.0.0.0/8" in told.text
    told = root.post(f"{site.url}/console/keys/new", data={"name": "mine", "tags": "night a&b"})
    assert told.status_code == 422
    assert 'aria-describedby="f-tags-d"' in told.text
    told = root.post(f"{site.url}/console/channels/new", data={"name": "", "type": "1", "key": "k", "models": "m"})
    assert told.status_code == 422
    assert "Give it a name" in told.text
    told = root.post(f"{site.url}/console/codes/new", data={"name": "x" * 30, "quota": "1", "count": "1"})
    assert told.status_code == 422
    assert "x" * 30 in told.text
    told = root.post(f"{site.url}/console/users/new", data={"username": "short", "password": "1", "role": "1"})
    assert told.status_code == 422
    assert 'id="f-password"' in told.text
    assert "aria-invalid" in told.text


def test_a_holder_binds_a_key_to_tags_and_sees_them(site: Site, people: People) -> None:
    ann = people[USER]
    made = ann.post(f"{site.url}/console/keys/new", data={"name": "tagged", "tags": "Night\nteam:*"})
    address = site.url + made.headers["hx-redirect"].partition("?")[0]
    assert "<dd>night, team:*</dd>" in ann.get(address).text
    saved = ann.post(address, data={"name": "tagged", "tags": "day"})
    assert saved.status_code == 200
    assert "<dd>day</dd>" in ann.get(address).text
    ann.post(address, data={"name": "tagged", "tags": ""})
    assert "<dd>day</dd>" not in ann.get(address).text


def test_the_drawer_of_a_key_tells_what_binds_it_now(site: Site, people: People) -> None:
    ann = people[USER]
    made = ann.post(f"{site.url}/console/keys/new", data={"name": "bounded", "quota": "2"})
    address = made.headers["hx-redirect"].partition("?")[0]
    which = int(address.rpartition("/")[2])
    budget = {"holder": "key", "holder_id": which, "period": "day", "unit": "tokens", "amount": 4321}
    root = site.bearer()
    assert requests.post(f"{site.url}/api/v2/budgets", json=budget, headers=root, timeout=PATIENCE).status_code == 201
    table = ann.get(site.url + address).text.partition('id="bounds"')[2].partition("</table>")[0]
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in table.split("<tr>")[2:]]
    assert rows[0][:3] == ["Quota", "key", str(which)]
    assert "$2.00" in rows[0]
    assert rows[1][0] == "Balance"
    assert rows[2][:4] == ["Budget", "a", "day", "budget"]
    assert {"4,321", "tokens"} <= set(rows[2])


def test_stored_markup_stays_text_and_no_secret_is_in_a_page(site: Site, people: People) -> None:
    """A channel and a key whose names are markup; the channel's secret and the whole key are nowhere."""
    root = people[ROOT]
    form = {"name": NASTY, "type": "1", "key": "sk-very-secret-upstream", "models": "m-1", "remark": NASTY}
    assert root.post(f"{site.url}/console/channels/new", data=form).status_code == 204
    made = root.post(f"{site.url}/console/keys/new", data={"name": "<b>bold</b>"})
    address = made.headers["hx-redirect"].partition("?")[0]
    secret = root.post(f"{site.url}{address}/secret").text
    assert secret.startswith("sk-")
    assert len(secret) == 51
    bodies = [root.get(site.url + page.address).text for page in OPEN if "export" not in page.address]
    bodies += [root.get(site.url + address).text, root.get(f"{site.url}/console/channels/1").text]
    whole = "\n".join(bodies)
    assert "<script>alert" not in whole
    assert "<img src=x" not in whole
    assert "<b>bold" not in whole
    assert "sk-very-secret-upstream" not in whole
    assert secret.removeprefix("sk-") not in whole


def test_answers_have_a_strict_policy_and_assets_stay_for_good(site: Site) -> None:
    """No inline script, no other host; immutable names."""
    answer = requests.get(f"{site.url}/console/login", timeout=PATIENCE)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script(?![^>]*(src=|application/json))|\son\w+=|\sstyle=", answer.text)
    for name in static.names().values():
        asset = requests.get(f"{site.url}/console/assets/{name}", timeout=PATIENCE)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]
    assert requests.get(f"{site.url}/console/assets/../conftest.py", timeout=PATIENCE).status_code == 404
    home = requests.get(site.url, headers={"accept": "text/html"}, timeout=PATIENCE, allow_redirects=False)
    assert (home.status_code, home.headers["location"]) == (302, "/console")
    assert requests.get(site.url, timeout=PATIENCE).json() == {"name": "gatewright"}


def test_no_template_holds_a_style_or_a_handler() -> None:
    """The policy would stop them; they are not to be written."""
    from engine import paths

    for path in paths.CATALOGUE.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\sstyle=|\son(click|change|submit|load)=|hx-on|hx-vals='js:", text), path.name
        # JSON keeps its double quotes, and would end the attribute
        assert not re.search(r'="\{\{[^}]*tojson[^}]*\}\}"', text), path.name


@pytest.mark.parametrize("language", ["zh", "fr", "ja"])
def test_every_text_is_told_in_every_language(language: str) -> None:
    """Templates and code against the catalogues."""
    assert list(lacking(language)) == []


def test_every_setting_has_a_plain_label_and_help_in_every_language() -> None:
    """Under a heading of the pages, and by its name in one line of the file."""
    assert {one.name for one in areas.settings()} == set(options.known())
    assert {one.area for one in areas.settings()} == {key for key, _, _ in areas.AREAS}
    poor = []
    for one in areas.settings():
        for language in words.LANGUAGES:
            label, what = one.words[language]
            own = re.search("[\u3040-\u9fff]", what) if language in ("zh", "ja") else what != one.words["en"][1]
            named = label == one.name and not label.istitle()  # "Logo" is a plain word
            if not label or named or len(what) < 3 or (language != "en" and not own):
                poor.append((one.name, language))
    assert not poor


def test_texts_of_the_operator_stay_text_and_are_agreed_to(site: Site, people: People) -> None:
    """Tags are dropped, links lead to http alone; who registers agrees to what is set."""
    root, nobody = people[ROOT], people[NOBODY]
    text = f"# We\n{NASTY} [bad](javascript:alert(3)) [good](https://example.com/a)\n<h2>Old</h2>&lt;b&gt;"
    for option in ("About", "legal.user_agreement"):
        root.post(f"{site.url}/console/settings", data={"name": option, "value": text})
    shown = nobody.get(f"{site.url}/console/text/about").text
    assert "<h2>We</h2>" in shown
    assert 'href="https://example.com/a"' in shown
    card = shown.partition('<section class="card')[2].partition("</section>")[0]
    assert not re.search(r"<script|onerror|href=.javascript|<b>", card)
    assert nobody.get(f"{site.url}/console/text/nothing").status_code == 404
    form = {"username": "agreeing", "password": PASSWORD, "again": PASSWORD}
    assert "Agree to it" in nobody.post(f"{site.url}/console/register", data=form).text
    stranger = requests.Session()
    stranger.post(f"{site.url}/console/register", data={**form, "agreed": "1"})
    assert "agreeing" in stranger.get(f"{site.url}/console/profile").text
    stranger.close()
    for option in ("About", "legal.user_agreement"):
        root.post(f"{site.url}/console/settings", data={"name": option, "value": ""})


def test_hidden_entries_are_in_no_side(site: Site, people: People) -> None:
    """By root for all, in the words of New API; root's settings stay in reach."""
    hidden = '{"personal": {"enabled": true, "topup": false}, "admin": {"enabled": false}}'
    for text, there in ((hidden, False), ("", True)):
        people[ROOT].post(f"{site.url}/console/settings", data={"name": "SidebarModulesAdmin", "value": text})
        side = {
            role: people[role]
            .get(f"{site.url}/console", headers={"hx-request": None})
            .text.partition('class="main"')[0]
            for role in (USER, ADMIN, ROOT)
        }
        assert ('href="/console/wallet"' in side[USER]) is there
        assert ('href="/console/channels"' in side[ADMIN]) is there
        assert 'href="/console/settings"' in side[ROOT]


def test_a_page_in_chinese_has_no_english_left_in_its_frame(site: Site, people: People) -> None:
    """The language of the browser's choice, over the account's."""
    answer = people[ROOT].get(
        f"{site.url}/console/channels", headers={"cookie": _with(people[ROOT], "zh"), "hx-request": None}
    )  # type: ignore[arg-type]
    assert 'lang="zh-CN"' in answer.text
    assert "渠道管理" in answer.text
    assert ">Channels<" not in answer.text


def _with(session: requests.Session, language: str) -> str:
    kept = "; ".join(f"{one.name}={one.value}" for one in session.cookies)
    return f"{kept}; console_view={language}"


def test_the_palette_and_settings_know_the_words_of_other_consoles(site: Site, people: People) -> None:
    """Old names of New API's pages find ours, in any language of the page."""
    places = {"令牌": "keys", "倍率": "models", "渠道": "channels", "SMTPServer": "settings"}
    for word, place in places.items():
        assert f"/console/{place}" in people[ROOT].get(f"{site.url}/console/palette", params={"q": word}).text, word
    assert "/console/channels" not in people[USER].get(f"{site.url}/console/palette", params={"q": "channel"}).text
    assert [one.name for one in areas.search("失败重试次数")] == ["RetryTimes"]


def test_budgets_of_what_is_sent(site: Site) -> None:
    """An ordinary page below 300 kB, the editor below one megabyte, our own style sheet below its bound."""
    size = {source: asset.packed for source, name in static.names().items() if (asset := static.asset(name))}
    usual = ("console.js", "console.css", "icons.svg", "charts.js")
    assert sum(len(size[name]) for name in usual) < 120_000
    assert len(size["editor.js"]) < 200_000
    assert words.catalogue("fr").gettext("Channels") == "Canaux"


def test_an_option_that_a_document_pins_is_read_only_and_says_where(site: Site, people: People) -> None:
    text = "apiVersion: gatewright/v1\nkind: Settings\nmetadata: {name: pinned}\n"
    site.gateway.write_spec(
        "pinned.yaml", text + "spec: {options: {SystemName: Pinned, DisplayInCurrencyEnabled: false}}\n"
    )

    def shown(name: str) -> str:
        page = people[ROOT].get(f"{site.url}/console/settings/site?q={name}", timeout=PATIENCE).text
        return next(
            (part for part in page.split('<div class="setrow"') if f"<code>{name}</code>" in part), ""
        ).partition("</form>")[0]

    try:
        until(lambda: "pinned by this document" in shown("SystemName"))
        part = shown("SystemName")
        assert "pinned.yaml:4:18" in part
        assert 'value="Pinned"' in part
        assert " readonly" in part
        assert "<button" not in part
        assert " disabled" in shown("DisplayInCurrencyEnabled")
        answer = people[ROOT].post(f"{site.url}/console/settings", data={"name": "SystemName", "value": "Mine"})
        assert (answer.status_code, "is pinned by a document" in answer.text) == (422, True)
    finally:
        (site.gateway.data / "specs" / "pinned.yaml").unlink()
    until(lambda: "pinned by this document" not in shown("SystemName"))
