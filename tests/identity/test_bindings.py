"""Identities of accounts; the console's own providers, the helper server and the widget."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from tests.identity.conftest import BOT, Browser, Site, says
from tests.support import until
from tests.upstreams.identity import HOME


def test_bind_and_unbind(site: Site, browser: Browser) -> None:
    site.root.ask("POST", "/api/user/", {"username": "binder", "password": "long enough", "role": 1})
    browser.login("binder", "long enough")
    for name in ("github", "google"):
        site.identities.says, site.identities.claims = says(name, 17)
        answer = browser.come(name, "bind")
        assert answer["data"] == {"action": "bind"}, answer
    assert sorted(name for name, _ in browser.bindings()) == ["github", "google"]
    assert Browser(site).sign_in("google", 17)["data"]["username"] == "binder"
    again = browser.sign_in("github", 18, intent="bind")
    assert "already" in again["message"]
    trail = site.rows("SELECT username, action FROM gatewright_audit WHERE username = 'binder'")
    assert trail == [("binder", "GET /api/oauth/:provider")] * 2
    thief = Browser(site)
    thief.sign_in("discord", 17)
    assert "another user" in thief.sign_in("google", 17, intent="bind")["message"]
    assert browser.ask("DELETE", "/api/user/oauth/bindings/google").json()["success"]
    assert [name for name, _ in browser.bindings()] == ["github"]
    assert thief.sign_in("google", 17, intent="bind")["success"]
    assert browser.ask("DELETE", "/api/user/oauth/bindings/github").json()["success"]
    assert browser.bindings() == []


def test_a_binding_is_of_the_session_that_began_it(site: Site, browser: Browser) -> None:
    nobody = browser.ask("POST", "/api/oauth/state", {"provider": "github", "intent": "bind"})
    assert nobody.status_code == 401
    browser.sign_in("discord", 19)
    site.identities.says, _ = says("github", 19)
    query = site.identities.authorize("github", browser.start("github", "bind"))
    browser.sign_in("discord", 20)
    site.identities.says, _ = says("github", 19)
    assert browser.back("github", query).status_code == 401
    assert site.rows("SELECT id FROM users WHERE github_id = '580019'") == []


def test_the_last_way_in_stays_until_there_is_a_password(site: Site, browser: Browser) -> None:
    browser.sign_in("gitlab", 21)
    refused = browser.ask("DELETE", "/api/user/oauth/bindings/gitlab").json()
    assert (refused["success"], "password" in refused["message"]) == (False, True)
    assert browser.ask("PUT", "/api/user/self", {"password": "a first one"}).json()["success"]
    assert not browser.ask("PUT", "/api/user/self", {"password": "another one"}).json()["success"]
    fresh = Browser(site)
    assert fresh.login("gitlab21", "a first one")["success"]
    assert fresh.ask("DELETE", "/api/user/oauth/bindings/gitlab").json()["success"]
    other = Browser(site)
    other.sign_in("gitlab", 21)
    assert other.me()["id"] != fresh.me()["id"]


def test_administrators_see_and_take_away(site: Site, browser: Browser) -> None:
    browser.sign_in("google", 22)
    path = f"/api/user/{browser.me()['id']}"
    rows = site.root.ask("GET", f"{path}/oauth/bindings").json()["data"]
    assert [(row["provider_id"], row["provider_user_id"]) for row in rows] == [("google", "g-22")]
    assert site.root.ask("DELETE", f"{path}/oauth/bindings/google").json()["success"]
    assert browser.bindings() == []
    browser.sign_in("github", 22)
    path = f"/api/user/{browser.me()['id']}"
    assert site.root.ask("DELETE", f"{path}/bindings/github").json()["success"]
    assert browser.bindings() == []
    assert not browser.ask("GET", f"{path}/oauth/bindings").json()["success"]


CUSTOM = {
    "name": "Corp",
    "slug": "corp",
    "enabled": True,
    "client_id": "corp-id",
    "client_secret": "corp-secret",
    "scopes": "profile",
    "user_id_field": "data.uid",
    "username_field": "data.nick",
    "auth_style": 2,
    "access_policy": '{"logic":"and","conditions":[{"field":"level","op":"gte","value":2}]}',
    "access_denied_message": "Level 2 is needed",
}


def test_a_provider_that_the_console_keeps(site: Site, browser: Browser) -> None:
    ends = {"authorization_endpoint": "auth", "token_endpoint": "token", "user_info_endpoint": "me"}
    body = {**CUSTOM, **{name: f"{site.identities.base}/custom.corp/{end}" for name, end in ends.items()}}
    taken = site.root.ask("POST", "/api/custom-oauth-provider/", {**body, "slug": "github"}).json()
    assert not taken["success"]
    wrong = site.root.ask("POST", "/api/custom-oauth-provider/", {**body, "access_policy": '{"logic":"xor"}'}).json()
    assert (wrong["success"], "access_policy" in wrong["message"]) == (False, True)
    made = site.root.ask("POST", "/api/custom-oauth-provider/", body).json()
    assert made["success"], made
    which = made["data"]["id"]
    status = browser.ask("GET", "/api/status").json()["data"]
    assert [one["slug"] for one in status["custom_oauth_providers"]] == ["corp"]
    assert "corp-secret" not in json.dumps(status)
    assert browser.sign_in("corp", 1)["data"]["username"] == "corp1"
    assert browser.bindings() == [(which, "901")]
    site.identities.says["custom.corp/me"]["level"] = 1
    assert Browser(site).come("corp")["message"] == "Level 2 is needed"
    assert not site.root.ask("DELETE", f"/api/custom-oauth-provider/{which}").json()["success"]
    forced = site.root.ask("DELETE", f"/api/user/{browser.me()['id']}/oauth/bindings/{which}").json()
    assert forced["success"]
    assert site.root.ask("DELETE", f"/api/custom-oauth-provider/{which}").json()["success"]
    assert Browser(site).ask("GET", "/api/oauth/corp").status_code == 400


def test_a_code_of_the_helper_server(site: Site, browser: Browser) -> None:
    assert "who you are" in browser.ask("GET", "/api/oauth/wechat", code="000000").json()["message"]
    answer = browser.ask("GET", "/api/oauth/wechat", code="123456").json()
    assert answer["data"]["user"]["wechat_id"] == "wx-1"
    other = Browser(site)
    other.sign_in("discord", 24)
    assert "another user" in other.ask("POST", "/api/oauth/wechat/bind", {"code": "123456"}).json()["message"]
    assert other.ask("GET", "/api/oauth/wechat/bind", code="123456").status_code == 404


def test_a_code_is_not_guessed(site: Site, browser: Browser) -> None:
    answers = [browser.ask("GET", "/api/oauth/wechat", code=f"{number:06d}").json()["message"] for number in range(32)]
    assert "who you are" in answers[0]
    assert "who you are" not in answers[-1]


def widget(which: int, **changed: str) -> dict[str, str]:
    fields = {"id": str(which), "first_name": "Ann", "username": f"tele{which}", "auth_date": str(int(time.time()))}
    fields |= {name: value for name, value in changed.items() if name != "hash"}
    text = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    mac = hmac.new(hashlib.sha256(BOT.encode()).digest(), text.encode(), hashlib.sha256).hexdigest()
    return {**fields, "hash": changed.get("hash", mac)}


def test_fields_that_a_widget_signed(site: Site, browser: Browser) -> None:
    fields = widget(31)
    answer = browser.ask("GET", "/api/oauth/telegram/login", **fields)
    assert answer.json()["data"]["user"]["telegram_id"] == "31"
    again = Browser(site).ask("GET", "/api/oauth/telegram/login", **fields)
    assert (again.status_code, "used already" in again.json()["message"]) == (403, True)
    old = str(int(time.time()) - 3600)
    for wrong in (
        widget(31, hash="0" * 64),
        widget(31, hash=""),
        widget(31, auth_date=old),
        {**widget(31), "id": "32"},
    ):
        refused = Browser(site).ask("GET", "/api/oauth/telegram/login", **wrong)
        assert (refused.status_code, refused.json()["success"]) == (403, False)


def test_a_widget_is_bound_by_its_own_way_back(site: Site, browser: Browser) -> None:
    browser.sign_in("discord", 33)
    begun = browser.ask("POST", "/api/oauth/telegram/bind/start").json()["data"]
    assert begun["callback_url"] == f"{HOME}/api/oauth/telegram/bind/{begun['flow_token']}"
    path = f"/api/oauth/telegram/bind/{begun['flow_token']}"
    done = browser.ask("GET", path, **widget(33))
    assert (done.status_code, done.headers["location"]) == (302, "/oauth/telegram?telegram_bind=success")
    assert browser.me()["telegram_id"] == "33"
    trail = site.rows("SELECT count(*) FROM gatewright_audit WHERE action LIKE '%/bind/:flow'")
    assert trail == [(1,)]
    again = browser.ask("GET", path, **widget(34))
    assert again.headers["location"].startswith("/oauth/telegram?telegram_bind=error&message=")


OWN = """apiVersion: gatewright/v1
kind: Login
metadata: {name: mine}
spec:
  title: Mine
  options: {login.mine.client_id: "", login.mine.client_secret: ""}
  needs: [login.mine.client_id, login.mine.client_secret]
  client: {id: "{{ options['login.mine.client_id'] }}", secret: "{{ options['login.mine.client_secret'] }}"}
  authorize: {url: "BASE/mine.corp/auth", scopes: "profile", pkce: false}
  token: {url: "BASE/mine.corp/token", auth: header}
  reads: [{name: user, url: "BASE/mine.corp/me"}]
  person:
    id: "{{ answers.user.uid }}"
    name: "{{ answers.user.nick }}"
    email: "{{ answers.user.mail }}"
    emailVerified: "{{ answers.user.mail is string }}"
  verifiedEmail: true
  admit:
    - {when: "{{ answers.user.left != true }}", refusal: Who has left may not enter}
  role: "{{ 10 if 'admins' in answers.user.groups else 1 }}"
  group: "{{ 'staff' if 'staff' in answers.user.groups }}"
"""


def test_a_document_of_ones_own_with_role_and_group(site: Site) -> None:
    site.gateway.write_spec("mine.yaml", OWN.replace("BASE", site.identities.base))
    assert not site.root.ask("PUT", "/api/option/", {"key": "login.google.clientid", "value": "x"}).json()["success"]
    site.set(**{"login.mine.client_id": "mine-id", "login.mine.client_secret": "mine-secret"})
    assert "mine-secret" not in site.root.ask("GET", "/api/option/").text
    trail = site.rows("SELECT details FROM gatewright_audit")
    assert [row for row in trail if "mine-secret" in str(row)] == []
    _shown(site, there=True)
    person: dict[str, Any] = {"uid": "u-1", "nick": "minna", "mail": "m@mine.example", "groups": ["staff"]}
    browser = Browser(site)
    site.identities.says = {"mine.corp/me": person}
    assert browser.come("mine")["success"]
    me = browser.me()
    assert (me["username"], me["group"], me["role"], me["email"]) == ("minna", "staff", 1, "m@mine.example")
    person["groups"] = ["admins"]
    other = Browser(site)
    assert other.come("mine")["success"]
    assert (other.me()["group"], other.me()["role"]) == ("staff", 10)
    assert browser.ask("GET", "/api/user/self").status_code == 401, "a change of role ends what was begun before it"
    person["left"] = True
    assert Browser(site).come("mine")["message"] == "Who has left may not enter"
    person.update(left=False, mail=None)
    assert "verified" in Browser(site).come("mine")["message"]
    site.rows("UPDATE users SET role = 100 WHERE username = 'minna'")
    person["mail"] = "m@mine.example"
    person["groups"] = []
    last = Browser(site)
    assert last.come("mine")["success"]
    assert last.me()["role"] == 100
    (site.gateway.data / "specs" / "mine.yaml").unlink()
    _shown(site, there=False)


def _shown(site: Site, *, there: bool) -> None:
    """Wait until all workers have taken up a change of documents."""

    def shown() -> bool:
        logins = Browser(site).ask("GET", "/api/status").json()["data"]["logins"]
        return ("mine" in [login["name"] for login in logins]) is there

    until(lambda: all(shown() for _ in range(20)))
