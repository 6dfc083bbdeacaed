"""Captchas as documents: asked for before what strangers may do, each answer once, closed where the service is away."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest

from engine import paths
from engine.accounts import first_start
from engine.compiler import compile_set, read_set
from engine.routing.group_options import GroupOptions
from engine.settings import Settings
from engine.transport.egress import Guard
from engine.transport.leg import Pool
from tests.api.test_management import PASSWORD, Site
from tests.relay.scripted import Say, Upstream

SECRET = "the-secret-key"
KEYS = {
    "turnstile": ("TurnstileSiteKey", "TurnstileSecretKey", "turnstile"),
    "hcaptcha": ("captcha.hcaptcha.site_key", "captcha.hcaptcha.secret", "captcha"),
}


class Service:
    """The vendor's check, as strict as its page: an answer counts once, for its secret."""

    def __init__(self) -> None:
        self.upstream = Upstream()
        self.upstream.script = self.answer
        self.good: set[str] = set()
        self.asked: list[dict[str, str]] = []
        self.says: tuple[Any, int] | None = None

    def answer(self, say: Say) -> None:
        form = {name: values[0] for name, values in parse_qs(say.arrived.body.decode()).items()}
        self.asked.append(form)
        good = form.get("secret") == SECRET and form.get("response") in self.good
        self.good.discard(form.get("response", ""))
        answer = {"success": good, **({} if good else {"error-codes": ["invalid-input-response"]})}
        say.whole(*(self.says or (answer, 200)))


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    one = Service()
    yield one
    one.upstream.close()


@pytest.fixture(scope="module")
def site(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("captchas")
    for path in (paths.SPECS / "captchas").glob("*.yaml"):
        text = path.read_text("utf-8").replace("url: https://", f"url: {service.upstream.base}/")
        (place / path.name).write_text(text, "utf-8")
    sources, shared, faults = read_set([place])
    result = compile_set(sources, shared)
    assert not [*faults, *result.faults]
    captchas = result.program().captchas
    assert sorted(one.name for one in captchas) == sorted(KEYS)
    one = Site(Settings(data=place, login_limit=False))
    one.worker.snapshot = SimpleNamespace(
        groups=GroupOptions({}), networks={}, program=SimpleNamespace(payments=(), logins=(), captchas=captchas)
    )
    one.worker.upstream = SimpleNamespace(pool=Pool(Guard([f"127.0.0.1:{service.upstream.port}"])))
    first_start.make_root(one.worker.db, "root", PASSWORD)
    yield one
    one.worker.db.close()


@pytest.fixture(params=sorted(KEYS))
def parameter(request: pytest.FixtureRequest, site: Site, service: Service) -> Iterator[str]:
    """One of them is on; how its answers are brought."""
    site_key, secret, parameter = KEYS[request.param]
    token = site.login("root").json["data"]["access_token"]
    who = {"authorization": f"Bearer {token}"}

    def put(**values: str) -> None:
        for name, value in values.items():
            assert site.ask("PUT", "/api/option/", {"key": name, "value": value}, **who).json["success"], name

    put(**{site_key: "the-site-key", secret: SECRET})
    if request.param == "turnstile":
        assert site.ask("GET", "/api/status").json["data"]["captcha"] is None  # New API's own switch is off
        put(TurnstileCheckEnabled="true")
    service.says = None
    yield parameter
    if request.param == "turnstile":
        put(TurnstileCheckEnabled="false")
    put(**{site_key: ""})
    assert site.login("root").json["success"]


def _come(site: Site, parameter: str, answer: str | None, path: str = "/api/user/login", name: str = "root") -> Any:
    query = f"{parameter}={answer}" if answer is not None else ""
    body = {"username": name, "password": PASSWORD}
    got = site.client.simulate_post(path, query_string=query, json=body, remote_addr="203.0.113.9")
    return {**got.json, "status": got.status_code}


def test_strangers_pass_it_first_and_each_answer_counts_once(site: Site, service: Service, parameter: str) -> None:
    shown = site.ask("GET", "/api/status").json["data"]["captcha"]
    assert (shown["site_key"], shown["parameter"]) == ("the-site-key", parameter)
    assert SECRET not in str(shown)
    service.good = {"one", "two", "three"}
    assert _come(site, parameter, "one")["success"]
    assert service.asked[-1]["remoteip"] == "203.0.113.9"
    refused = {
        "none": _come(site, parameter, None),
        "empty": _come(site, parameter, ""),
        "used": _come(site, parameter, "one"),
        "forged": _come(site, parameter, "forged"),
        "too long": _come(site, parameter, "x" * 9000),
        "in another parameter": _come(site, f"x{parameter}", "two"),
    }
    assert {(one["status"], one["code"]) for one in refused.values()} == {(403, "CAPTCHA")}
    assert _come(site, parameter, "two", "/api/user/register", f"new-{parameter}")["success"]
    assert not _come(site, parameter, None, "/api/user/register", "another")["success"]
    for path in ("/api/verification?email=a@b.example", "/api/reset_password?email=a@b.example"):
        assert site.ask("GET", path).json["code"] == "CAPTCHA"
        service.good = {"four"}
        assert site.ask("GET", f"{path}&{parameter}=four").json["success"]
    assert SECRET not in str(refused)


@pytest.mark.parametrize("says", [({"success": "true"}, 200), ([], 200), (b"<html>", 200), ({}, 200), ({}, 500)])
def test_whatever_else_the_service_says_lets_nobody_in(
    site: Site, service: Service, parameter: str, says: tuple[Any, int]
) -> None:
    service.good, service.says = {"one"}, says
    told = _come(site, parameter, "one")
    assert (told["success"], told["code"]) == (False, "CAPTCHA")
    assert told["status"] in (403, 503)
