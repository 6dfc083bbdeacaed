"""Signing in by the header of a trusted proxy: whom it names, from where, with which secret, and never root."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from falcon import testing

from engine.accounts import first_start, users
from engine.accounts.factors import codes
from engine.accounts.people import Person
from engine.settings import SettingsError, load
from engine.storage.rows import factors, people
from tests.api.test_management import PASSWORD, Site

SECRET = "a secret of the proxy"
ENV = {
    "GATEWRIGHT_LOGIN_HEADER": "X-Remote-User",
    "GATEWRIGHT_LOGIN_SECRET": SECRET,
    "TRUSTED_PROXIES": "10.9.0.0/16",
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    one = Site(load({**ENV, "GATEWRIGHT_DATA": str(tmp_path)}, directory=tmp_path))
    first_start.make_root(one.worker.db, "root", PASSWORD)
    for name in ("ann", "off"):
        users.create_user(one.worker.db, name, PASSWORD)
    users.change_user(one.worker.db, "off", enabled=False)
    yield one
    one.worker.db.close()


def come(site: Site, name: str | None, secret: str | None = SECRET, remote: str = "10.9.1.1", **more: str) -> Any:
    headers = {"x-remote-user": name, "x-gatewright-login-secret": secret, **more}
    sent = {key: value for key, value in headers.items() if value is not None}
    answer: testing.Result = site.client.simulate_post("/api/user/login/proxy", headers=sent, remote_addr=remote)
    return {**answer.json, "status": answer.status_code}


def test_whom_the_proxy_names_is_signed_in_and_nobody_else(site: Site) -> None:
    told = come(site, " ann ")
    assert told["data"]["username"] == "ann"
    assert told["data"]["session"]["login_method"] == "proxy"
    refused = {
        "root": come(site, "root"),
        "nobody named": come(site, None),
        "unknown": come(site, "eve"),
        "two names": come(site, "ann,root"),
        "switched off": come(site, "off"),
        "no secret": come(site, "ann", None),
        "an empty secret": come(site, "ann", ""),
        "another secret": come(site, "ann", SECRET + "x"),
        "not the proxy": come(site, "ann", remote="10.8.1.1"),
        "this machine": come(site, "ann", remote="127.0.0.1"),
        "an address that was only claimed": come(site, "ann", remote="10.8.1.1", **{"x-forwarded-for": "10.9.1.1"}),
    }
    assert {(one["status"], one["code"], one["success"]) for one in refused.values()} == {(403, "PROXY_LOGIN", False)}
    assert "password" in refused["root"]["message"]
    assert "eve" in refused["unknown"]["message"]
    site.worker.settings = dataclasses.replace(site.worker.settings, login_header="")
    assert come(site, "ann")["status"] == 403


def test_it_asks_for_a_second_factor_too(site: Site) -> None:
    db, which = site.worker.db, people.by_login(site.worker.db, "ann")
    assert which is not None
    codes.set_up(db, Person(which), "Gatewright")
    db.write(lambda connection: factors.change(db, connection, which["id"], {"is_enabled": True}))
    assert come(site, "ann")["data"]["require_2fa"] is True


@pytest.mark.parametrize(
    ("lacks", "words"),
    [
        ({"TRUSTED_PROXIES": ""}, "set TRUSTED_PROXIES"),
        ({"TRUSTED_PROXIES": "none"}, "set TRUSTED_PROXIES"),
        ({"GATEWRIGHT_LOGIN_SECRET": ""}, "set GATEWRIGHT_LOGIN_SECRET"),
        ({"GATEWRIGHT_LOGIN_SECRET": "short"}, "16 characters"),
        ({"GATEWRIGHT_LOGIN_HEADER": "Cookie"}, "X-Remote-User"),
        ({"GATEWRIGHT_LOGIN_HEADER": "two words"}, "X-Remote-User"),
    ],
)
def test_a_gateway_does_not_start_with_half_of_it(lacks: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=words) as told:
        load({**ENV, **lacks}, directory=tmp_path)
    assert "short" not in str(told.value)
