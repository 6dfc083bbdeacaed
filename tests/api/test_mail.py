"""Codes and links by e-mail, over a real mail server on this machine."""

from __future__ import annotations

import email
import re
import socket
from collections.abc import Iterator
from email import policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from engine.accounts import first_start, users
from engine.settings import Settings
from engine.storage.rows import people
from engine.texts import say
from tests.api.test_management import PASSWORD, Site
from tests.support import free_port, until


class Box:
    """What came, and how it was sent."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        body = message.get_body()
        assert body is not None
        self.mails.append((envelope.rcpt_tos[0], str(message["Subject"]), body.get_content()))
        return "250 OK"


@pytest.fixture
def box() -> Iterator[tuple[Box, int]]:
    one, port = Box(), free_port()
    controller = Controller(one, hostname="127.0.0.1", port=port)
    controller.start()
    yield one, port
    controller.stop()


@pytest.fixture
def site(tmp_path: Path, box: tuple[Box, int]) -> Iterator[Site]:
    one = Site(Settings(data=tmp_path, login_limit=False))
    first_start.make_root(one.worker.db, "root", PASSWORD)
    users.create_user(one.worker.db, "ann", PASSWORD, email="ann@example.org")
    token = one.login("root").json["data"]["access_token"]
    values = {
        "SMTPServer": "127.0.0.1",
        "SMTPPort": str(box[1]),
        "SMTPFrom": "site@example.org",
        "ServerAddress": "https://gateway.example.org/",
        "EmailVerificationEnabled": "true",
    }
    for key, value in values.items():
        answer = one.ask("PUT", "/api/option/", {"key": key, "value": value}, authorization=f"Bearer {token}")
        assert answer.json["success"], answer.json
    yield one
    one.worker.db.close()


def register(site: Site, address: str, code: str, name: str = "eve") -> Any:
    body = {"username": name, "password": PASSWORD, "email": address, "verification_code": code}
    return site.ask("POST", "/api/user/register", body).json


def forget_pace(site: Site) -> None:
    """A minute has passed."""
    site.worker.db.write(lambda connection: connection.exec_driver_sql("DELETE FROM gatewright_throttles").rowcount)


def test_a_code_makes_an_address_somebodys_once(site: Site, box: tuple[Box, int]) -> None:
    assert site.ask("GET", "/api/verification?email=eve@example.org").json["success"]
    to, subject, text = box[0].mails[0]
    code = re.findall(r"\d{6}", text)[0]
    assert (to, "New API" in subject) == ("eve@example.org", True)
    wrong = "000000" if code != "000000" else "111111"
    assert not register(site, "eve@example.org", wrong)["success"]
    assert not register(site, "other@example.org", code)["success"]
    told = register(site, "eve@example.org", code)
    assert told["success"], told
    assert people.by_email(site.worker.db, "eve@example.org")["username"] == "eve"
    assert not register(site, "eve@example.org", code, "eve2")["success"]
    assert site.login("eve@example.org").json["success"]


def test_a_code_counts_for_five_tries(site: Site, box: tuple[Box, int]) -> None:
    site.ask("GET", "/api/verification?email=eve@example.org")
    code = re.findall(r"\d{6}", box[0].mails[0][2])[0]
    for number in range(5):
        assert not register(site, "eve@example.org", f"{(int(code) + number + 1) % 10**6:06d}")["success"]
    assert not register(site, "eve@example.org", code)["success"]


def test_nobody_learns_which_addresses_are_known(site: Site, box: tuple[Box, int]) -> None:
    answers = [site.ask("GET", f"/api/verification?email={name}@example.org") for name in ("ann", "nobody")]
    assert answers[0].text == answers[1].text
    assert [len(re.findall(r"\d{6}", text)) for _, _, text in box[0].mails] == [0, 1]
    forget_pace(site)
    answers = [site.ask("GET", f"/api/reset_password?email={name}@example.org") for name in ("ann", "nobody")]
    assert answers[0].text == answers[1].text
    until(lambda: len(box[0].mails) == 3)
    assert box[0].mails[2][0] == "ann@example.org"


def test_the_person_chooses_the_password_and_other_logins_end(site: Site, box: tuple[Box, int]) -> None:
    session = site.login("ann").json["data"]["access_token"]
    site.ask("GET", "/api/reset_password?email=ann@example.org")
    until(lambda: bool(box[0].mails))
    link = re.findall(r"https://\S+", box[0].mails[0][2])[0]
    assert link.startswith("https://gateway.example.org/user/reset?email=ann%40example.org&token=")
    token = link.rpartition("=")[2]
    body = {"email": "ann@example.org", "token": token}
    assert not site.ask("POST", "/api/user/reset", {**body, "password": "short"}).json["success"]
    common = site.ask("POST", "/api/user/reset", {**body, "password": "P@ssw0rd1"}).json
    assert (common["success"], common["message"]) == (False, say("password.common"))
    assert not site.ask("POST", "/api/user/reset", {**body, "token": "x" * 43, "password": "a new secret"}).json[
        "success"
    ]
    assert site.ask("POST", "/api/user/reset", {**body, "password": "a new secret"}).json["success"]
    assert site.login("ann", "a new secret").json["success"]
    assert not site.login("ann").json["success"]
    assert site.ask("GET", "/api/user/self", authorization=f"Bearer {session}").status_code == 401
    assert not site.ask("POST", "/api/user/reset", {**body, "password": "another secret"}).json["success"]


def test_mails_are_bounded_and_addresses_checked(site: Site, box: tuple[Box, int]) -> None:
    for address in ("x", "a@b", "a b@example.org", "a@example.org%0d%0aBcc:b@example.org"):
        assert not site.ask("GET", f"/api/verification?email={address}").json["success"], address
    for number in range(6):
        site.ask("GET", f"/api/verification?email=n{number}@example.org")
    assert len(box[0].mails) <= 2


def test_a_mail_server_that_is_away_is_told_without_its_address(site: Site, box: tuple[Box, int]) -> None:
    token = site.login("root").json["data"]["access_token"]
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = str(held.getsockname()[1])
        site.ask("PUT", "/api/option/", {"key": "SMTPPort", "value": port}, authorization=f"Bearer {token}")
        answer = site.ask("GET", "/api/verification?email=eve@example.org")
    assert (answer.status_code, answer.json["success"]) == (503, False)
    assert port not in answer.text


def test_an_address_is_bound_by_its_code(site: Site, box: tuple[Box, int]) -> None:
    token = site.login("ann").json["data"]["access_token"]
    site.ask("GET", "/api/verification?email=new@example.org")
    code = re.findall(r"\d{6}", box[0].mails[0][2])[0]
    body = {"email": "new@example.org", "code": code}
    assert site.ask("POST", "/api/oauth/email/bind", body, authorization=f"Bearer {token}").json["success"]
    assert site.ask("GET", "/api/user/self", authorization=f"Bearer {token}").json["data"]["email"] == "new@example.org"
    assert not site.ask("POST", "/api/oauth/email/bind", body, authorization=f"Bearer {token}").json["success"]
