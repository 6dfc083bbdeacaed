"""What an attacker sends, and answers of services that must not be believed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.identity.conftest import Browser, Site, says

Attack = Callable[[Site, Browser], Any]


def _state_of_another_browser(site: Site, browser: Browser) -> Any:
    query = site.identities.authorize("github", Browser(site).start("github"))
    browser.start("github")
    return browser.back("github", query)


def _without_the_cookie(site: Site, browser: Browser) -> Any:
    query = site.identities.authorize("github", browser.start("github"))
    browser.session.cookies.clear()
    return browser.back("github", query)


def _state_of_another_login(site: Site, browser: Browser) -> Any:
    query = site.identities.authorize("github", browser.start("github"))
    return browser.back("discord", query)


def _state_twice(site: Site, browser: Browser) -> Any:
    query = site.identities.authorize("github", browser.start("github"))
    assert browser.back("github", query).json()["success"]
    return browser.back("github", query)


def _no_state(site: Site, browser: Browser) -> Any:
    query = site.identities.authorize("github", browser.start("github"))
    return browser.back("github", {"code": query["code"]})


def _state_that_is_old(site: Site, browser: Browser) -> Any:
    query = site.identities.authorize("github", browser.start("github"))
    site.rows("UPDATE gatewright_login_flows SET expires_at = ?", int(time.time()) - 1)
    return browser.back("github", query)


@pytest.mark.parametrize(
    "attack",
    [
        _state_of_another_browser,
        _without_the_cookie,
        _state_of_another_login,
        _state_twice,
        _no_state,
        _state_that_is_old,
    ],
)
def test_a_state_counts_for_its_browser_its_login_and_once(site: Site, browser: Browser, attack: Attack) -> None:
    site.identities.says, _ = says("github", 2)
    answer = attack(site, browser)
    assert (answer.status_code, answer.json()["code"]) == (403, "OAUTH_STATE")
    assert "access_token" not in answer.text


def test_a_code_of_somebody_else_is_worth_nothing(site: Site, browser: Browser) -> None:
    """A code that an attacker begot is put into the victim's way back: the verifier does not fit."""
    site.identities.says, site.identities.claims = says("oidc", 3)
    stolen = site.identities.authorize("oidc", Browser(site).start("oidc"))
    mine = site.identities.authorize("oidc", browser.start("oidc"))
    answer = browser.back("oidc", {**mine, "code": stolen["code"]}).json()
    assert not answer["success"]
    assert "status 400" in answer["message"]
    assert site.identities.refused == ["sso.corp/token: the verifier does not fit"]


def test_a_code_that_was_used_is_told_so(site: Site, browser: Browser) -> None:
    site.identities.says, _ = says("github", 3)
    query = site.identities.authorize("github", browser.start("github"))
    site.identities.codes[query["code"]].used = True
    answer = browser.back("github", query).json()
    assert "does not take the code" in answer["message"]


def _claim(**claims: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def forge(_: dict[str, Any], said: dict[str, Any]) -> None:
        said.update(claims)

    return forge


def _header(**members: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, claims: header.update(members)


FORGED: dict[str, tuple[Callable[[dict[str, Any], dict[str, Any]], None], str]] = {
    "nonce of another login": (_claim(nonce="n" * 43), "another login"),
    "no nonce": (lambda _, claims: claims.pop("nonce") and None, "another login"),
    "audience": (_claim(aud="somebody"), "somebody else"),
    "several audiences": (_claim(aud=["oidc-id", "other"]), "somebody else"),
    "another party": (_claim(azp="other"), "somebody else"),
    "issuer": (_claim(iss="https://evil.example"), "another service"),
    "expired": (_claim(exp=int(time.time()) - 3600), "time is over"),
    "without an end": (lambda _, claims: claims.pop("exp") and None, "no exp"),
    "from the future": (_claim(iat=int(time.time()) + 3600), "has not come"),
    "another access token": (_claim(at_hash="x"), "another access token"),
    "nobody": (lambda _, claims: claims.pop("sub") and None, "names nobody"),
    "none": (_header(alg="none"), "in a way"),
    "by a secret": (_header(alg="HS256"), "in a way"),
    "a key that is not there": (_header(kid="r9"), "no key"),
    "a key for sealing": (_header(kid="r2"), "no key"),
    "a key of another kind": (_header(kid="e1"), "no key"),
    "critical members": (_header(crit=["b64"]), "in a way"),
}


@pytest.mark.parametrize("name", FORGED)
def test_an_id_token_that_must_not_be_believed(site: Site, browser: Browser, name: str) -> None:
    site.identities.forge, words = FORGED[name]
    answer = browser.sign_in("oidc", 4)
    assert not answer["success"], answer
    assert words in answer["message"]
    assert site.rows("SELECT id FROM users WHERE oidc_id = 's-4'") == []


def test_a_signature_by_somebody_else(site: Site, browser: Browser) -> None:
    site.identities.signer = site.identities.other
    answer = browser.sign_in("oidc", 4)
    assert (answer["success"], "no key" in answer["message"]) == (False, True)


def test_an_id_token_by_an_elliptic_curve(site: Site, browser: Browser) -> None:
    site.identities.forge = _header(alg="ES256", kid="e1")
    assert browser.sign_in("oidc", 1)["success"]


def test_what_is_said_of_somebody_else_is_not_believed(site: Site, browser: Browser) -> None:
    site.identities.says, site.identities.claims = says("oidc", 5)
    site.identities.says["sso.corp/me"]["sub"] = "s-1"
    answer = browser.come("oidc")
    assert (answer["success"], "somebody else" in answer["message"]) == (False, True)


def test_another_service_that_sent_the_browser_back(site: Site, browser: Browser) -> None:
    site.identities.says, site.identities.claims = says("oidc", 1)
    query = site.identities.authorize("oidc", browser.start("oidc"))
    answer = browser.back("oidc", {**query, "iss": "https://evil.example"}).json()
    assert (answer["success"], "another service sent you back" in answer["message"]) == (False, True)
    query = site.identities.authorize("oidc", browser.start("oidc"))
    assert browser.back("oidc", {**query, "iss": f"{site.identities.base}/sso.corp"}).json()["success"]


SPOILT: list[tuple[str, Any]] = [
    ("github", {"api.github.com/user": {"message": "Bad credentials"}}),
    ("github", {"api.github.com/user": []}),
    ("github", {"api.github.com/user": {"id": 1.5, "login": "x"}}),
    ("discord", {"discord.com/api/users/@me": {"id": "x" * 129, "username": "x"}}),
    ("discord", {"discord.com/api/users/@me": {"id": "", "username": "x"}}),
    ("feishu", {"open.feishu.cn/open-apis/authen/v1/user_info": {"code": 20005, "msg": "no", "data": None}}),
    ("wecom", {"qyapi.weixin.qq.com/cgi-bin/auth/getuserinfo": {"errcode": 0, "openid": "o-1"}}),
]


@pytest.mark.parametrize(("name", "answers"), SPOILT)
def test_an_answer_that_says_nothing_of_who_it_is(site: Site, browser: Browser, name: str, answers: Any) -> None:
    site.identities.says = {**says(name, 6)[0], **answers}
    before = site.rows("SELECT count(*) FROM users")
    answer = browser.come(name)
    assert not answer["success"]
    assert "who you are" in answer["message"]
    assert site.rows("SELECT count(*) FROM users") == before


def test_a_service_that_is_away(site: Site, browser: Browser) -> None:
    site.identities.says = {}
    answer = browser.come("discord")
    assert (answer["success"], "status 404" in answer["message"]) == (False, True)
    assert str(site.identities.upstream.port) not in json.dumps(answer)


def test_the_service_says_that_it_was_not_allowed(site: Site, browser: Browser) -> None:
    state = dict(parse_qsl(urlsplit(browser.start("github")).query))["state"]
    answer = browser.back("github", {"error": "access_denied", "error_description": "<b>no</b>", "state": state}).json()
    assert answer["message"] == "GitHub says that the login was not allowed there"


@pytest.mark.parametrize("claims", [{"tid": "t-2"}, {"tid": "evil/../t-1"}, {"tid": None}])
def test_a_token_of_another_tenant(site: Site, browser: Browser, claims: dict[str, Any]) -> None:
    site.identities.forge = _claim(**claims)
    answer = browser.sign_in("microsoft", 1)
    assert (answer["success"], "another service" in answer["message"]) == (False, True)
