"""Outside logins through a running gateway: services with their quirks, who may enter, the old forms, bad input."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.identity.conftest import BOT, COLUMNS, SHIPPED, Browser, Site, says
from tests.upstreams.identity import HOME


def test_what_one_can_sign_in_by(site: Site, browser: Browser) -> None:
    status = browser.ask("GET", "/api/status").json()["data"]
    ways = {login["name"]: login["way"] for login in status["logins"]}
    assert ways == {**dict.fromkeys(SHIPPED, "redirect"), "wechat": "code", "telegram": "proof"}
    assert (status["github_oauth"], status["github_client_id"]) == (True, "github-id")
    assert "secret" not in json.dumps(status).lower().replace("secret_", "")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_service_signs_in_somebody_new_and_knows_them_again(site: Site, browser: Browser, name: str) -> None:
    first = browser.sign_in(name)
    assert first["success"], (first, site.identities.refused)
    me = browser.me()
    names = {
        "microsoft": "ms1",
        "google": "p1",
        "feishu": "San1",
        "wecom": "Wang1",
        "gitlab": "gitlab1",
        "oidc": "oidc1",
    }
    names |= {"github": "octo1", "discord": "nelly1", "linuxdo": "linux1"}
    assert me["username"] == names.get(name, f"dingtalk_{me['id']}")
    verified = name in ("github", "discord", "oidc", "google", "gitlab")
    assert me["email"] == (f"p1@{name}.example" if verified else "")
    subject = {"github": "58001", "linuxdo": "771", "discord": "803511102246789121", "wecom": "Wang1"}.get(name)
    bound = browser.bindings()
    assert bound[0][0] == name
    assert subject in (None, bound[0][1])
    if name in COLUMNS:
        assert me[COLUMNS[name]] == bound[0][1]
    session = browser.ask("GET", "/api/user/sessions").json()["data"][0]
    assert session["login_method"] == f"oauth:{name}"
    other = Browser(site)
    again = other.sign_in(name)
    assert again["success"]
    assert (other.me()["id"], site.identities.refused) == (me["id"], [])


def test_the_way_back_is_that_of_a_browser_with_its_cookie(site: Site, browser: Browser) -> None:
    browser.start("github")
    cookie = next(one for one in browser.session.cookies if one.name == "gatewright_login")
    rest = {name.lower() for name in cookie._rest}
    assert rest == {"httponly", "samesite"}
    assert cookie.get_nonstandard_attr("SameSite") == "Strict"


@pytest.mark.parametrize(
    ("accepted", "words"), [("en", "is needed here; yours is 1"), ("zh", "需要 Linux DO 信任等级 2")]
)
def test_a_trust_level_that_is_too_low(site: Site, browser: Browser, accepted: str, words: str) -> None:
    site.identities.says, _ = says("linuxdo", 7)
    site.identities.says["connect.linux.do/api/user"]["trust_level"] = 1
    browser.session.headers["accept-language"] = accepted
    answer = browser.come("linuxdo")
    assert not answer["success"]
    assert words in answer["message"]


@pytest.mark.parametrize("level", ["high", [], {}, None, True, -1, "2"])
def test_a_level_that_is_no_number_lets_nobody_in(site: Site, browser: Browser, level: Any) -> None:
    site.identities.says, _ = says("linuxdo", 7)
    site.identities.says["connect.linux.do/api/user"]["trust_level"] = level
    query = site.identities.authorize("linuxdo", browser.start("linuxdo"))
    answer = browser.back("linuxdo", query)
    assert (answer.status_code, answer.json()["success"]) == (200, False)
    assert site.rows("SELECT id FROM users WHERE linux_do_id = '777'") == []


def test_who_entered_before_is_kept_out_once_the_level_is_too_low(site: Site, browser: Browser) -> None:
    site.identities.says, _ = says("linuxdo", 1)
    site.identities.says["connect.linux.do/api/user"]["silenced"] = True
    assert "silenced" in browser.come("linuxdo")["message"]


def test_one_organisation_alone(site: Site, browser: Browser) -> None:
    site.set(**{"login.google.hosted_domain": "other.example"})
    try:
        assert "other.example" in browser.sign_in("google", 1)["message"]
    finally:
        site.set(**{"login.google.hosted_domain": ""})


def test_an_address_that_is_not_verified_or_is_somebody_elses_is_not_kept(site: Site, browser: Browser) -> None:
    site.identities.says, _ = says("github", 8)
    site.identities.says["api.github.com/user/emails"][1]["verified"] = False
    assert browser.come("github")["success"]
    assert browser.me()["email"] == ""
    other = Browser(site)
    site.identities.says, _ = says("discord", 8)
    site.identities.says["discord.com/api/users/@me"]["email"] = "p1@github.example"
    assert other.come("discord")["success"]
    assert other.me()["email"] == ""
    assert other.me()["id"] != site.rows("SELECT id FROM users WHERE github_id = '58001'")[0][0]


def test_a_name_that_is_taken_too_long_or_strange(site: Site) -> None:
    for which, name in ((61, "octo1"), (62, "x" * 21), (63, "a@b"), (64, None), (65, "  \u202e ")):
        browser = Browser(site)
        site.identities.says, _ = says("github", which)
        site.identities.says["api.github.com/user"]["login"] = name
        site.identities.says["api.github.com/user/emails"] = []
        assert browser.come("github")["success"]
        me = browser.me()
        assert me["username"] == f"github_{me['id']}"


def test_registration_that_is_closed_lets_in_who_is_known(site: Site, browser: Browser) -> None:
    site.set(RegisterEnabled="false")
    try:
        answer = browser.sign_in("github", 9)
        assert (answer["success"], answer["code"]) == (False, "REGISTER_OFF")
        assert browser.sign_in("github", 1)["success"]
    finally:
        site.set(RegisterEnabled="true")


def test_who_was_invited_brings_both_what_the_options_say(site: Site, browser: Browser) -> None:
    browser.sign_in("github", 1)
    code = browser.ask("GET", "/api/user/aff").json()["data"]
    site.set(QuotaForInviter="300", QuotaForInvitee="200")
    try:
        for which, invited in ((11, code), (12, "no such code")):
            new = Browser(site)
            assert new.sign_in("github", which, aff=invited[:32])["success"]
            assert new.me()["quota"] == (200 if invited == code else 0)
    finally:
        site.set(QuotaForInviter="0", QuotaForInvitee="0")
    assert browser.me()["aff_quota"] == 300


def test_who_is_disabled_or_deleted_stays_out(site: Site, browser: Browser) -> None:
    browser.sign_in("github", 13)
    which = browser.me()["id"]
    site.root.ask("POST", "/api/user/manage", {"id": which, "action": "disable"})
    assert Browser(site).sign_in("github", 13)["code"] == "AUTH_USER_DISABLED"
    site.root.ask("POST", "/api/user/manage", {"id": which, "action": "delete"})
    assert Browser(site).sign_in("github", 13)["code"] == "AUTH_USER_INVALID"
    assert site.rows("SELECT count(*) FROM users WHERE github_id = '580013'") == [(1,)]


def test_a_second_factor_is_asked_for_after_it(site: Site, browser: Browser) -> None:
    browser.sign_in("github", 14)
    secret = browser.ask("POST", "/api/user/2fa/setup").json()["data"]["secret"]
    assert browser.ask("POST", "/api/user/2fa/enable", {"code": digits(secret, -1)}).json()["success"]
    other = Browser(site)
    answer = other.sign_in("github", 14)
    assert answer["data"]["require_2fa"]
    assert "access_token" not in answer["data"]
    assert not [one for one in other.session.cookies if one.name == "session"]
    body = {"code": digits(secret), "flow_token": answer["data"]["flow_token"]}
    assert other.ask("POST", "/api/user/login/2fa", body).json()["data"]["username"] == "octo14"


def digits(secret: str, step: int = 0) -> str:
    """Six digits of RFC 6238."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack(">Q", int(time.time()) // 30 + step), hashlib.sha1).digest()
    start = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


def test_many_at_once_make_one_user(site: Site) -> None:
    site.identities.says, _ = says("discord", 15)
    browsers = [Browser(site) for _ in range(6)]
    queries = [site.identities.authorize("discord", one.start("discord")) for one in browsers]
    with ThreadPoolExecutor(6) as many:
        answers = list(
            many.map(lambda pair: pair[0].back("discord", pair[1]).json(), zip(browsers, queries, strict=True))
        )
    assert [answer["success"] for answer in answers] == [True] * 6, answers
    assert {answer["data"]["id"] for answer in answers} == {answers[0]["data"]["id"]}


def test_an_older_programs_id_becomes_the_new_one(site: Site, browser: Browser) -> None:
    """Older programs kept the name; a name of digits could be somebody else's id, and is not looked for."""
    site.root.ask("POST", "/api/user/", {"username": "olduser", "password": "long enough", "role": 1})
    site.rows("UPDATE users SET github_id = 'octo16' WHERE username = 'olduser'")
    assert browser.sign_in("github", 16)["success"]
    assert (browser.me()["username"], browser.me()["github_id"]) == ("olduser", "580016")
    site.identities.says["api.github.com/user"].update(id=4242, login="580016")
    other = Browser(site)
    assert other.come("github")["success"]
    assert other.me()["username"] != "olduser"


def test_what_is_not_there_or_not_on(site: Site, browser: Browser) -> None:
    assert browser.ask("GET", "/api/oauth/no-such", code="x", state="y").status_code == 400
    assert browser.ask("POST", "/api/oauth/state", {"provider": "no-such"}).status_code == 400
    for body in (
        {"provider": "wechat"},
        {"provider": "github", "intent": "other"},
        {"provider": "github", "aff": "a" * 33},
    ):
        assert not browser.ask("POST", "/api/oauth/state", body).json()["success"]
    site.set(GitHubOAuthEnabled="false")
    try:
        answer = browser.ask("POST", "/api/oauth/state", {"provider": "github"}).json()
        assert "switched off" in answer["message"]
    finally:
        site.set(GitHubOAuthEnabled="true")


def test_the_old_form_of_a_state(site: Site, browser: Browser) -> None:
    """The page makes the address itself: without nonce and challenge."""
    state = browser.ask("GET", "/api/oauth/state").json()["data"]
    site.identities.says, _ = says("linuxdo", 1)
    url = f"{site.identities.base}/connect.linux.do/oauth2/authorize?response_type=code&client_id=linuxdo-id"
    url += f"&redirect_uri={HOME}/oauth/linuxdo&scope=user&state={state}"
    answer = browser.back("linuxdo", site.identities.authorize("linuxdo", url)).json()
    assert answer["data"]["username"] == "linux1"


def test_nothing_of_a_login_is_in_the_log(site: Site, browser: Browser) -> None:
    browser.sign_in("github", 1)
    secrets = [*site.identities.tokens, *site.identities.codes, "github-secret", BOT]
    assert [one for one in secrets if one in site.gateway.output] == []
    assert site.rows("SELECT count(*) FROM gatewright_login_flows WHERE hash LIKE '%-%'") == [(0,)]
