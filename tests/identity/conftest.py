"""A gateway with the shipped logins over strict services, and browsers of people who come."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import requests

from engine import paths
from tests.support import PATIENCE, Gateway, Lasting
from tests.upstreams.identity import HOME, SERVICES, Identities

BOT = "123456:bot-token"
SHIPPED = [name for name in SERVICES if name not in ("corp", "mine")]
OPTIONS = {
    "ServerAddress": HOME,
    "GitHubClientId": "github-id",
    "GitHubClientSecret": "github-secret",
    "GitHubOAuthEnabled": "true",
    "LinuxDOClientId": "linuxdo-id",
    "LinuxDOClientSecret": "linuxdo-secret",
    "LinuxDOOAuthEnabled": "true",
    "LinuxDOMinimumTrustLevel": "2",
    "discord.client_id": "discord-id",
    "discord.client_secret": "discord-secret",
    "discord.enabled": "true",
    "oidc.client_id": "oidc-id",
    "oidc.client_secret": "oidc-secret",
    "oidc.enabled": "true",
    "login.google.client_id": "google-id",
    "login.google.client_secret": "google-secret",
    "login.microsoft.client_id": "microsoft-id",
    "login.microsoft.client_secret": "microsoft-secret",
    "login.gitlab.client_id": "gitlab-id",
    "login.gitlab.client_secret": "gitlab-secret",
    "login.feishu.app_id": "feishu-id",
    "login.feishu.app_secret": "feishu-secret",
    "login.dingtalk.client_id": "dingtalk-id",
    "login.dingtalk.client_secret": "dingtalk-secret",
    "login.wecom.corp_id": "wecom-id",
    "login.wecom.agent_id": "1000001",
    "login.wecom.secret": "wecom-secret",
    "WeChatServerToken": "helper-token",
    "TelegramBotToken": BOT,
    "TelegramBotName": "a_bot",
    "TelegramOAuthEnabled": "true",
}
COLUMNS = {"github": "github_id", "discord": "discord_id", "linuxdo": "linux_do_id", "oidc": "oidc_id"}


def says(name: str, which: Any = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a service answers about a person, by path, and the claims of its id token; ids in the service's own form."""
    email = {"email": f"p{which}@{name}.example", "email_verified": True}
    openid = {"sub": f"s-{which}", "preferred_username": f"{name}{which}", "name": f"P {which}"}
    github = {"id": int(f"5800{which}"), "login": f"octo{which}", "name": f"P {which}", "email": None}
    mails = [{"email": "old@github.example", "primary": False, "verified": True}]
    mails.append({"email": email["email"], "primary": True, "verified": True})
    user = {
        "id": f"80351110224678912{which}",
        "username": f"nelly{which}",
        "global_name": f"P {which}",
        "verified": True,
    }
    level = {"id": int(f"77{which}"), "username": f"linux{which}", "name": "", "trust_level": 2, "active": True}
    people: dict[str, dict[str, Any]] = {
        "github": {"api.github.com/user": github, "api.github.com/user/emails": mails},
        "discord": {"discord.com/api/users/@me": {**user, "email": email["email"]}},
        "linuxdo": {"connect.linux.do/api/user": {**level, "silenced": False}},
        "oidc": {"sso.corp/me": {**openid, **email}},
        "gitlab": {"gitlab.com/me": {**openid, **email}},
        "feishu": {
            "open.feishu.cn/open-apis/authen/v1/user_info": {
                "code": 0,
                "msg": "success",
                "data": {"open_id": f"ou_{which}", "union_id": f"on_{which}", "name": "张三", "en_name": f"San{which}"},
            }
        },
        "dingtalk": {
            "api.dingtalk.com/v1.0/contact/users/me": {"nick": "李四", "unionId": f"un{which}", "openId": "o"}
        },
        "wecom": {
            "qyapi.weixin.qq.com/cgi-bin/auth/getuserinfo": {"errcode": 0, "errmsg": "ok", "userid": f"Wang{which}"}
        },
        "corp": {"custom.corp/me": {"data": {"uid": int(f"90{which}"), "nick": f"corp{which}"}, "level": 3}},
    }
    claims: dict[str, dict[str, Any]] = {
        "oidc": {"sub": f"s-{which}"},
        "gitlab": {"sub": f"s-{which}"},
        "google": {"sub": f"g-{which}", "name": f"P {which}", **email, "hd": "corp.example"},
        "microsoft": {"sub": f"m-{which}", "name": f"P {which}", "preferred_username": f"ms{which}@a.example", **email},
    }
    return people.get(name, {}), claims.get(name, {})


class Browser:
    """Somebody's browser: cookies of its own."""

    def __init__(self, site: Site) -> None:
        self.site, self.session = site, requests.Session()
        self.who: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> requests.Response:
        return self.session.request(
            method,
            self.site.gateway.base + path,
            json=body,
            params=query or None,
            headers=self.who,
            timeout=30,
            allow_redirects=False,
        )

    def start(self, name: str, intent: str = "login", **more: Any) -> str:
        """Where the service is."""
        body = {"provider": name, "intent": intent, "authorize": True, **more}
        answer = self.ask("POST", "/api/oauth/state", body).json()
        assert answer["success"], answer
        return str(answer["data"]["authorize_url"])

    def back(self, name: str, query: dict[str, str]) -> requests.Response:
        return self.ask("GET", f"/api/oauth/{name}", **query)

    def sign_in(self, name: str, which: Any = 1, **more: Any) -> Any:
        """A whole login; the answer's body."""
        self.site.identities.says, self.site.identities.claims = says(name, which)
        return self.come(name, **more)

    def come(self, name: str, intent: str = "login", **more: Any) -> Any:
        query = self.site.identities.authorize(name, self.start(name, intent, **more))
        answer = self.back(name, query).json()
        if answer["success"] and "access_token" in (answer.get("data") or {}):
            self.who = {"authorization": f"Bearer {answer['data']['access_token']}"}
        return answer

    def login(self, name: str, password: str) -> Any:
        answer = self.ask("POST", "/api/user/login", {"username": name, "password": password}).json()
        if "access_token" in (answer.get("data") or {}):
            self.who = {"authorization": f"Bearer {answer['data']['access_token']}"}
        return answer

    def me(self) -> Any:
        return self.ask("GET", "/api/user/self").json()["data"]

    def bindings(self) -> list[tuple[Any, str]]:
        rows = self.ask("GET", "/api/user/oauth/bindings").json()["data"]
        return [(row["provider_id"], row["provider_user_id"]) for row in rows]


class Site(Lasting):
    """A gateway with a root, and the services that people come from."""

    def __init__(self, gateway: Gateway, identities: Identities) -> None:
        self.gateway, self.identities = gateway, identities
        self.root = Browser(self)
        self.keep_fresh()

    def fresh(self) -> None:
        """Root signs in."""
        name, password = (self.gateway.data / "first.login").read_text().split(" ", 1)
        self.root.login(name, password.strip())

    def set(self, **values: str) -> None:
        for key, value in values.items():
            answer = self.root.ask("PUT", "/api/option/", {"key": key, "value": value}).json()
            assert answer["success"], (key, answer)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.gateway.data / "gatewright.db", timeout=PATIENCE)) as connection:
            rows = connection.execute(statement, values).fetchall()
            connection.commit()
            return rows


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    identities = Identities()
    names = [path.name for path in (paths.SPECS / "logins").glob("*.yaml")]
    assert {*SHIPPED, "wechat", "telegram"} == {name.removesuffix(".yaml") for name in names}
    specs = {name: identities.spec((paths.SPECS / "logins" / name).read_text("utf-8")) for name in names}
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{identities.upstream.port}"}
    gateway = Gateway(tmp_path_factory.mktemp("site"), specs=specs, env=env, workers=2)
    try:
        site = Site(gateway.ready(), identities)
        status = requests.get(f"{gateway.base}/api/status", timeout=PATIENCE).json()["data"]
        assert (status["logins"], status["github_oauth"], status["custom_oauth_providers"]) == ([], False, [])
        wells = {"oidc.well_known": f"{identities.base}/sso.corp/.well-known/openid-configuration"}
        site.set(WeChatServerAddress=f"{identities.base}/wechat.example", **OPTIONS, **wells)
        site.set(WeChatAuthEnabled="true")
        yield site
    finally:
        gateway.stop()
        identities.upstream.close()


@pytest.fixture
def site(whole: Site) -> Iterator[Site]:
    whole.identities.reset()
    whole.keep_fresh()
    yield whole
    whole.rows("DELETE FROM gatewright_throttles")


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(site)
