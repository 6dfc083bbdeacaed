"""Services that people sign in at, as strict as their pages say, with their quirks, in one process on loopback.

An address ``https://host/path`` of a Login document is ``BASE/host/path`` here. ``authorize`` is what a browser and a
person do there; ``says`` are the answers about the person by path. What was refused is kept in ``refused``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from tests.relay.scripted import Say, Upstream

HOME = "https://gateway.example"


@dataclass(frozen=True)
class Service:
    """How one of them is called. ``client``: the names of its parameter and of the returned code."""

    authorize: str
    token: str
    scopes: str = ""
    client: str = "client_id"
    code: str = "code"
    pkce: bool = True
    auth: str = "body"
    issuer: str = ""
    reads: tuple[str, ...] = ()


SERVICES = {
    "github": Service(
        "github.com/login/oauth/authorize",
        "github.com/login/oauth/access_token",
        "read:user user:email",
        reads=("api.github.com/user", "api.github.com/user/emails"),
    ),
    "discord": Service(
        "discord.com/oauth2/authorize",
        "discord.com/api/oauth2/token",
        "identify email",
        reads=("discord.com/api/users/@me",),
    ),
    "linuxdo": Service(
        "connect.linux.do/oauth2/authorize",
        "connect.linux.do/oauth2/token",
        "user",
        pkce=False,
        auth="header",
        reads=("connect.linux.do/api/user",),
    ),
    "oidc": Service(
        "sso.corp/auth", "sso.corp/token", "openid profile email", issuer="sso.corp", reads=("sso.corp/me",)
    ),
    "google": Service(
        "accounts.google.com/auth", "accounts.google.com/token", "openid email profile", issuer="accounts.google.com"
    ),
    "microsoft": Service(
        "login.microsoftonline.com/auth",
        "login.microsoftonline.com/token",
        "openid profile email",
        issuer="login.microsoftonline.com/organizations/v2.0",
    ),
    "gitlab": Service(
        "gitlab.com/oauth/authorize",
        "gitlab.com/oauth/token",
        "openid profile email",
        issuer="gitlab.com",
        reads=("gitlab.com/me",),
    ),
    "feishu": Service(
        "accounts.feishu.cn/open-apis/authen/v1/authorize",
        "open.feishu.cn/open-apis/authen/v2/oauth/token",
        auth="json",
        reads=("open.feishu.cn/open-apis/authen/v1/user_info",),
    ),
    "dingtalk": Service(
        "login.dingtalk.com/oauth2/auth",
        "api.dingtalk.com/v1.0/oauth2/userAccessToken",
        "openid",
        code="authCode",
        pkce=False,
        auth="own json",
        reads=("api.dingtalk.com/v1.0/contact/users/me",),
    ),
    "wecom": Service(
        "login.work.weixin.qq.com/wwlogin/sso/login",
        "qyapi.weixin.qq.com/cgi-bin/gettoken",
        client="appid",
        pkce=False,
        auth="corporate",
        reads=("qyapi.weixin.qq.com/cgi-bin/auth/getuserinfo",),
    ),
    "mine": Service("mine.corp/auth", "mine.corp/token", "profile", pkce=False, auth="header", reads=("mine.corp/me",)),
    "corp": Service(
        "custom.corp/auth", "custom.corp/token", "profile", pkce=False, auth="header", reads=("custom.corp/me",)
    ),
}


@dataclass
class Given:
    """A code, and what it was given for."""

    service: str
    redirect: str
    challenge: str
    nonce: str
    used: bool = False


@dataclass
class Identities:
    """See the module. ``forge`` changes header, claims and key of an id token before it is sent."""

    upstream: Upstream = field(default_factory=Upstream)
    home: str = HOME
    says: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    forge: Callable[[dict[str, Any], dict[str, Any]], None] = lambda header, claims: None
    signer: Any = None
    refused: list[str] = field(default_factory=list)
    codes: dict[str, Given] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    discovery: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.upstream.script = self._serve

    @property
    def base(self) -> str:
        return self.upstream.base

    def spec(self, text: str) -> str:
        """A Login document that means these services."""
        return text.replace("https://", f"{self.base}/")

    def reset(self) -> None:
        self.says, self.claims, self.discovery = {}, {}, {}
        self.forge, self.signer = lambda header, claims: None, None
        self.refused.clear()
        self.home = HOME

    def authorize(self, name: str, url: str) -> dict[str, str]:
        """What the browser brings back from an address that it was sent to."""
        service, parts = SERVICES[name], urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        assert parts.path == f"/{service.authorize}", url
        assert query[service.client] == f"{name}-id"
        assert query["redirect_uri"] == f"{self.home}/oauth/{name}"
        assert query.get("scope", "") == service.scopes
        assert len(query["state"]) >= 40
        if name == "wecom":
            assert (query["login_type"], query["agentid"]) == ("CorpApp", "1000001")
        else:
            assert query["response_type"] == "code"
        assert bool(query.get("code_challenge")) is service.pkce
        assert not service.pkce or query["code_challenge_method"] == "S256"
        assert bool(query.get("nonce")) is bool(service.issuer)
        code = secrets.token_hex(8)
        self.codes[code] = Given(name, query["redirect_uri"], query.get("code_challenge", ""), query.get("nonce", ""))
        return {service.code: code, "state": query["state"]}

    def _serve(self, say: Say) -> None:
        path, _, query = say.arrived.path.partition("?")
        path = unquote(path.lstrip("/"))
        if name := next((name for name, service in SERVICES.items() if path == service.authorize), ""):
            back = self.authorize(name, say.arrived.path)
            say.whole(b"", 302, "text/html", location=f"{self.home}/oauth/{name}?{urlencode(back)}")
            return
        try:
            answer = self._answer(path, dict(parse_qsl(query)), say)
        except AssertionError as error:
            self.refused.append(f"{path}: {error}")
            say.whole({"error": "invalid_request"}, 400)
            return
        if answer is None:
            say.whole({"message": "Not Found"}, 404)
        else:
            say.whole(answer)

    def _answer(self, path: str, query: dict[str, str], say: Say) -> Any:
        for name, service in SERVICES.items():
            if service.issuer and path == f"{service.issuer}/.well-known/openid-configuration":
                return self._configuration(service)
            if service.issuer and path == f"{service.issuer}/keys":
                return {"keys": self._keys()}
            if path == service.token:
                return self._token(name, service, query, say)
            if path in service.reads:
                return self._read(name, path, query, say)
        if path == "wechat.example/api/wechat/user":
            assert say.arrived.headers.get("authorization") == "helper-token", "no token of the helper"
            good = query.get("code") == "123456"
            return {"success": good, "message": "" if good else "wrong code", "data": "wx-1" if good else ""}
        return None

    def _configuration(self, service: Service) -> dict[str, Any]:
        issuer = f"{self.base}/{service.issuer}"
        return {
            "issuer": issuer.replace("organizations", "{tenantid}"),
            "authorization_endpoint": f"{self.base}/{service.authorize}",
            "token_endpoint": f"{self.base}/{service.token}",
            "userinfo_endpoint": f"{self.base}/{service.reads[0]}" if service.reads else None,
            "jwks_uri": f"{issuer}/keys",
            **self.discovery,
        }

    def _keys(self) -> list[dict[str, Any]]:
        def text(number: int, size: int) -> str:
            return packed(number.to_bytes(size, "big"))

        numbers, point = self.rsa.public_key().public_numbers(), self.ec.public_key().public_numbers()
        return [
            {"kty": "RSA", "kid": "r1", "use": "sig", "alg": "RS256", "n": text(numbers.n, 256), "e": "AQAB"},
            {"kty": "EC", "kid": "e1", "use": "sig", "crv": "P-256", "x": text(point.x, 32), "y": text(point.y, 32)},
            {"kty": "RSA", "kid": "r2", "use": "enc", "n": text(numbers.n, 256), "e": "AQAB"},
        ]

    def _token(self, name: str, service: Service, query: dict[str, str], say: Say) -> Any:
        arrived = say.arrived
        if service.auth == "corporate":
            assert arrived.method == "GET", "a GET is wanted"
            assert query == {"corpid": f"{name}-id", "corpsecret": f"{name}-secret"}, "no corporation"
            return {"errcode": 0, "errmsg": "ok", "access_token": self._access(name), "expires_in": 7200}
        assert arrived.method == "POST", "a POST is wanted"
        body = self._body(name, service, arrived)
        given = self.codes.get(body.get("code", ""))
        if given is None or given.used or given.service != name:
            # one of them tells errors with status 200
            assert name == "github", "invalid_grant"
            return {"error": "bad_verification_code", "error_description": "The code passed is incorrect or expired."}
        given.used = True
        if service.auth != "own json":
            assert body.get("redirect_uri") == given.redirect, "another redirect_uri"
        if given.challenge:
            digest = hashlib.sha256(body.get("code_verifier", "").encode()).digest()
            assert packed(digest) == given.challenge, "the verifier does not fit"
        if service.auth == "own json":
            return {"accessToken": self._access(name), "refreshToken": "r", "expireIn": 7200}
        answer = {"access_token": self._access(name), "token_type": "bearer", "expires_in": 3600}
        if service.issuer:
            answer["id_token"] = self._id_token(name, service, given, answer["access_token"])
        return {"code": 0, **answer} if service.auth == "json" else answer

    def _body(self, name: str, service: Service, arrived: Any) -> dict[str, Any]:
        identity, secret = f"{name}-id", f"{name}-secret"
        if service.auth in ("json", "own json"):
            assert arrived.headers.get("content-type") == "application/json", "JSON is wanted"
            body = dict(arrived.json)
            keys = ("client_id", "client_secret", "grant_type")
            keys = keys if service.auth == "json" else ("clientId", "clientSecret", "grantType")
            assert [body.get(key) for key in keys] == [identity, secret, "authorization_code"], "no client"
            return body
        assert arrived.headers.get("content-type") == "application/x-www-form-urlencoded", "a form is wanted"
        assert arrived.headers.get("accept") == "application/json", "a form would be answered"
        body = dict(parse_qsl(arrived.body.decode()))
        assert body.get("grant_type") == "authorization_code", "no grant"
        if service.auth == "header":
            pair = base64.b64encode(f"{identity}:{secret}".encode()).decode()
            assert arrived.headers.get("authorization") == f"Basic {pair}", "no client in the header"
            assert "client_secret" not in body, "the secret stands twice"
        else:
            assert (body.get("client_id"), body.get("client_secret")) == (identity, secret), "no client"
        return body

    def _access(self, name: str) -> str:
        token = secrets.token_hex(16)
        self.tokens[token] = name
        return token

    def _read(self, name: str, path: str, query: dict[str, str], say: Say) -> Any:
        headers = say.arrived.headers
        assert headers.get("user-agent"), "who calls is not named"
        if name == "wecom":
            token, given = query.get("access_token", ""), self.codes.get(query.get("code", ""))
            assert "authorization" not in headers, "the token stands in the query"
            if given is None or given.used:
                return {"errcode": 40029, "errmsg": "invalid code"}
            given.used = True
        elif name == "dingtalk":
            token = headers.get("x-acs-dingtalk-access-token", "")
        else:
            token = headers.get("authorization", "").removeprefix("Bearer ")
        assert self.tokens.get(token) == name, "no token"
        return self.says.get(path)

    def _id_token(self, name: str, service: Service, given: Given, access: str) -> str:
        now = int(time.time())
        tenant = {"tid": "t-1"} if name == "microsoft" else {}
        issuer = f"{self.base}/{service.issuer}".replace("organizations", "t-1")
        header: dict[str, Any] = {"alg": "RS256", "kid": "r1", "typ": "JWT"}
        claims: dict[str, Any] = {"iss": issuer, "aud": f"{name}-id", "iat": now, "exp": now + 300, **tenant}
        claims |= {"nonce": given.nonce} if given.nonce else {}
        claims |= {"at_hash": packed(hashlib.sha256(access.encode()).digest()[:16]), **self.claims}
        self.forge(header, claims)
        signed = f"{packed(json.dumps(header).encode())}.{packed(json.dumps(claims).encode())}"
        return f"{signed}.{packed(self._signature(header['alg'], signed.encode()))}"

    def _signature(self, algorithm: str, signed: bytes) -> bytes:
        if algorithm == "ES256":
            pair = utils.decode_dss_signature(self.ec.sign(signed, ec.ECDSA(hashes.SHA256())))
            return b"".join(number.to_bytes(32, "big") for number in pair)
        if algorithm == "none":
            return b""
        key = self.signer or self.rsa
        return bytes(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))


def packed(raw: bytes) -> str:
    """Base64 as tokens have it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
