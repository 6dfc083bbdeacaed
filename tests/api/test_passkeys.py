"""Passkeys and step-up proofs over the API: made, signed in by, asked for, forged, reused, taken away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from engine.accounts import first_start, users
from engine.accounts.factors.passkeys import party
from engine.errors import Invalid
from engine.settings import Settings
from engine.storage.rows import people
from tests.accounts.test_sessions import digits
from tests.api.authenticator import ORIGIN, Authenticator, packed
from tests.api.test_management import PASSWORD, Site

BEGIN, FINISH = "/api/user/passkey/login/begin", "/api/user/passkey/login/finish"


class Person:
    """Somebody's browser: a session, the cookie of a login on its way, and passkeys."""

    def __init__(self, site: Site, name: str) -> None:
        self.site, self.name, self.browser = site, name, ""
        self.token = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {"authorization": f"Bearer {self.token}"} if self.token else {}
        sent |= {"cookie": f"gatewright_login={self.browser}"} if self.browser else {}
        answer = self.site.ask(method, path, body, **sent, **{k.replace("_", "-"): v for k, v in headers.items()})
        if "gatewright_login" in answer.cookies:
            self.browser = answer.cookies["gatewright_login"].value
        told = answer.json
        if isinstance(told.get("data"), dict) and "access_token" in told["data"]:
            self.token = told["data"]["access_token"]
        return {**told, "status": answer.status_code}

    def login(self) -> Any:
        self.token = ""
        return self.ask("POST", "/api/user/login", {"username": self.name, "password": PASSWORD})

    def add(self, key: Authenticator, name: str = "", proof: str = "", **lies: Any) -> Any:
        begun = self.ask("POST", "/api/user/passkey/register/begin", x_security_proof=proof)
        if not begun["success"]:
            return begun
        return self.finish("register", begun["data"], key.make(begun["data"]["options"], **lies), name=name)

    def finish(self, what: str, begun: Any, credential: Any, **more: Any) -> Any:
        body = {"flow_token": begun["flow_token"], "credential": credential, **more}
        return self.ask("POST", f"/api/user/passkey/{what}/finish", body)

    def sign_in(self, key: Authenticator, flow: str | None = None, **lies: Any) -> Any:
        self.token = ""
        begun = self.ask("POST", BEGIN, {"flow_token": flow} if flow else None)
        assert begun["success"], begun
        return self.finish("login", begun["data"], key.answer(begun["data"]["options"], **lies))

    def prove(self, key: Authenticator, scope: str) -> str:
        begun = self.ask("POST", "/api/user/passkey/verify/begin", {"scope": scope})
        told = self.finish("verify", begun["data"], key.answer(begun["data"]["options"]))
        assert told["success"], told
        return str(told["data"]["proof_token"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    one = Site(Settings(data=tmp_path_factory.mktemp("passkeys"), login_limit=False))
    first_start.make_root(one.worker.db, "root", PASSWORD)
    admin = Person(one, "root")
    admin.login()
    for name, value in (("ServerAddress", ORIGIN), ("passkey.enabled", "true")):
        assert admin.ask("PUT", "/api/option/", {"key": name, "value": value})["success"]
    yield one
    one.worker.db.close()


@pytest.fixture
def person(site: Site) -> Callable[..., Person]:
    count = people.count(site.worker.db)

    def new(name: str, role: int = 1) -> Person:
        users.create_user(site.worker.db, f"{name}{count}", PASSWORD, role=role)
        one = Person(site, f"{name}{count}")
        one.login()
        return one

    return new


def test_a_passkey_signs_in_and_is_asked_for_after_a_password(person: Callable[..., Person]) -> None:
    ann, key, second = person("ann"), Authenticator(), Authenticator()
    assert ann.ask("GET", "/api/user/passkey")["data"] == {"enabled": False, "passkeys": []}
    other = Person(ann.site, ann.name)
    other.login()
    added = ann.add(key, "Phone")
    assert added["success"], added
    codes = added["data"]["backup_codes"]
    assert len(codes) == 4
    assert other.ask("GET", "/api/user/self")["status"] == 401  # other logins ended
    assert ann.ask("GET", "/api/user/self")["success"]

    refused = ann.add(second)
    assert (refused["status"], refused["code"]) == (403, "SECURITY_PROOF_REQUIRED")
    assert (refused["scope"], refused["methods"]) == ("passkey.register", ["2fa", "passkey"])
    assert ann.add(second, proof=ann.prove(key, "passkey.register"))["data"].get("backup_codes") is None
    held = ann.ask("GET", "/api/user/passkey")["data"]["passkeys"]
    assert [row["name"] for row in held] == ["Phone", "Passkey 2"]

    told = ann.sign_in(key)
    assert told["data"]["session"]["login_method"] == "passkey", told
    half = ann.login()["data"]
    assert half["require_2fa"]
    assert half["methods"] == ["2fa", "passkey"]
    assert ann.ask("GET", "/api/user/self")["status"] == 401
    second.verified = False  # the password is there already: holding it is enough
    told = ann.sign_in(second, half["flow_token"])
    assert told["data"]["session"]["login_method"] == "2fa"
    again = {"code": codes[0], "flow_token": ann.login()["data"]["flow_token"]}
    assert ann.ask("POST", "/api/user/login/2fa", again)["success"]
    assert not ann.ask("POST", "/api/user/login/2fa", again)["success"]


def _forged(key: Authenticator) -> dict[str, tuple[dict[str, Any], str]]:
    """Lies of one thing each, with a word of the refusal."""
    return {
        "another origin": ({"origin": "https://evil.example"}, "origin"),
        "another party": ({"rp": "evil.example"}, "RP ID"),
        "another challenge": ({"challenge": packed(b"x" * 32)}, "challenge"),
        "another key": ({"signer": ec.generate_private_key(ec.SECP256R1())}, "signature"),
        "no signature": ({"signature": b""}, "signature"),
        "an answer to another question": ({"type": "webauthn.create"}, "type"),
        "nobody was there": ({"present": False}, "present"),
        "nobody was verified": ({"verified": False}, "verified"),
        "an old counter": ({"steps": -1}, "sign count"),
        "an unknown passkey": ({"id": b"y" * 32}, "not known"),
    }


@pytest.mark.parametrize("lie", list(_forged(Authenticator())))
def test_a_forged_answer_is_refused(lie: str, person: Callable[..., Person]) -> None:
    bob, key = person("bob"), Authenticator()
    assert bob.add(key)["success"]
    assert bob.sign_in(key)["success"]
    lies, word = _forged(key)[lie]
    told = bob.sign_in(key, **lies)
    assert (told["success"], told["code"]) == (False, "conflict")
    assert word in told["message"], told
    assert bob.ask("GET", "/api/user/self")["status"] == 401
    key.count += 2
    assert bob.sign_in(key)["success"]


def test_an_answer_counts_once_in_its_browser_and_in_its_time(
    person: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    cleo, eve, key = person("cleo"), person("eve"), Authenticator()
    assert cleo.add(key)["success"]
    cleo.token = ""
    first, second, third = (cleo.ask("POST", BEGIN)["data"] for _ in range(3))
    answer = key.answer(first["options"])
    stolen = Person(cleo.site, "eve")
    stolen.ask("POST", BEGIN)
    assert "not begun here" in stolen.finish("login", first, answer)["message"]
    assert cleo.finish("login", first, answer)["success"]
    assert "not begun here" in cleo.finish("login", first, answer)["message"]
    assert "challenge" in cleo.finish("login", second, key.answer(first["options"]))["message"]
    assert "not begun here" in cleo.finish("login", second, key.answer(second["options"]))["message"]  # used up
    late = time.time() + 301
    with monkeypatch.context() as at:
        at.setattr(time, "time", lambda: late)
        assert "not begun here" in cleo.finish("login", third, key.answer(third["options"]))["message"]
    begun = cleo.ask("POST", "/api/user/passkey/verify/begin", {"scope": "user.secure"})["data"]
    assert not cleo.finish("register", begun, key.make({"publicKey": {**begun["options"]["publicKey"], **_MAKE}}))[
        "success"
    ]
    assert not eve.finish("verify", begun, key.answer(begun["options"]))["success"]
    for body in ({}, {"flow_token": "x.y.z", "credential": {}}, {"flow_token": begun["flow_token"], "credential": {}}):
        assert not cleo.ask("POST", "/api/user/passkey/verify/finish", body)["success"]


_MAKE = {"user": {"id": packed(b"1")}, "rp": {"id": "gate.example"}}


def test_another_persons_passkey_answers_no_second_factor_and_cant_be_taken_over(person: Callable[..., Person]) -> None:
    dora, finn, key, own = person("dora"), person("finn"), Authenticator(), Authenticator()
    assert dora.add(key)["success"]
    assert finn.add(own)["success"]
    half = finn.login()["data"]
    told = finn.sign_in(key, half["flow_token"])
    assert not told["success"]
    assert "require_2fa" in finn.login()["data"]
    assert finn.sign_in(own, finn.login()["data"]["flow_token"])["success"]
    thief = Authenticator()
    thief.id = key.id
    assert "in use" in finn.add(thief, proof=finn.prove(own, "passkey.register"))["message"]
    assert dora.sign_in(key)["success"]
    held = dora.ask("GET", "/api/user/passkey")["data"]["passkeys"][0]["id"]
    assert not finn.ask("PUT", f"/api/user/passkey/{held}", {"name": "mine"})["success"]
    proof = finn.prove(own, "passkey.delete")
    assert not finn.ask("DELETE", f"/api/user/passkey/{held}", x_security_proof=proof)["success"]
    for name in ("", "x" * 65):
        assert not dora.ask("PUT", f"/api/user/passkey/{held}", {"name": name})["success"]
    assert dora.ask("PUT", f"/api/user/passkey/{held}", {"name": " My  phone "})["success"]
    assert dora.ask("GET", "/api/user/passkey")["data"]["passkeys"][0]["name"] == "My phone"


def test_a_proof_is_of_one_session_one_scope_one_act_and_five_minutes(
    person: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    gil, key = person("gil"), Authenticator()
    assert gil.add(key)["success"]
    proof = gil.prove(key, "passkey.register")
    assert gil.ask("DELETE", "/api/user/passkey")["code"] == "SECURITY_PROOF_REQUIRED"
    for sent, code in ((proof, "SCOPE_MISMATCH"), (proof[:-3] + "aaa", "INVALID")):
        told = gil.ask("DELETE", "/api/user/passkey", x_security_proof=sent)
        assert (told["status"], told["code"]) == (403, f"SECURITY_PROOF_{code}")
    late = time.time() + 301
    with monkeypatch.context() as at:
        at.setattr(time, "time", lambda: late)
        gil.sign_in(key)
        told = gil.ask("DELETE", "/api/user/passkey", x_security_proof=gil.prove(key, "passkey.delete"))
        assert told["success"], told
    assert gil.login()["data"]["access_token"]  # nothing is asked for any more
    assert gil.add(key)["success"]
    old, other = gil.prove(key, "passkey.register"), Person(gil.site, gil.name)
    other.sign_in(key)
    assert other.add(Authenticator(), proof=old)["code"] == "SECURITY_PROOF_INVALID"
    assert gil.add(Authenticator(), proof=old)["success"]
    assert gil.add(Authenticator(), proof=old)["code"] == "SECURITY_PROOF_INVALID"
    proof = gil.prove(key, "passkey.register")
    with monkeypatch.context() as at:
        at.setattr(time, "time", lambda: late)
        gil.sign_in(key)
        assert gil.add(Authenticator(), proof=proof)["code"] in ("SECURITY_PROOF_EXPIRED", "SECURITY_PROOF_INVALID")


def test_dangerous_acts_of_who_has_a_factor_are_proved_and_administrators_reset(person: Callable[..., Person]) -> None:
    adam, hana, key = person("adam", 10), person("hana"), Authenticator()
    which = people.by_login(adam.site.worker.db, hana.name)["id"]
    body = {"id": which, "password": "another password"}
    assert adam.ask("PUT", "/api/user/", body)["success"]  # who has no factor can show none
    assert adam.add(key)["success"]
    assert hana.login()["success"] is False
    for method, path, sent in (
        ("PUT", "/api/user/", body),
        ("POST", "/api/user/manage", {"id": which, "action": "demote"}),
        ("DELETE", f"/api/user/{which}/2fa", None),
        ("DELETE", f"/api/user/{which}/reset_passkey", None),
        ("POST", "/api/user/2fa/setup", None),
        ("POST", "/api/user/2fa/backup_codes", {}),
    ):
        assert adam.ask(method, path, sent).get("code") == "SECURITY_PROOF_REQUIRED", path
    told = adam.ask("PATCH", f"/api/v2/users/{which}", {"password": PASSWORD}, if_match="*")
    assert (told["status"], told["code"]) == (403, "security_proof_required")
    proof = adam.prove(key, "user.secure")
    assert adam.ask("PUT", "/api/user/", {**body, "password": PASSWORD}, x_security_proof=proof)["success"]
    hana.login()
    assert hana.add(Authenticator())["success"]
    told = adam.ask("DELETE", f"/api/user/{which}/reset_passkey", x_security_proof=adam.prove(key, "user.secure"))
    assert told["success"], told
    assert hana.ask("GET", "/api/user/self")["status"] == 401
    assert "access_token" in hana.login()["data"]
    told = adam.ask("POST", "/api/user/2fa/backup_codes", {}, x_security_proof=adam.prove(key, "2fa.backup_codes"))
    assert len(told["data"]["backup_codes"]) == 4
    code = {"method": "2fa", "code": told["data"]["backup_codes"][0], "scope": "user.secure"}
    assert adam.ask("POST", "/api/verify", code)["data"]["method"] == "2fa"
    assert not adam.ask("POST", "/api/verify", code)["success"]
    assert not adam.ask("POST", "/api/verify", {**code, "scope": "moon"})["success"]
    token = adam.ask("GET", "/api/user/token")["data"]
    script = Person(adam.site, adam.name)
    script.token = token
    assert script.ask("PUT", "/api/user/", {**body, "password": PASSWORD})["success"]
    assert script.ask("DELETE", "/api/user/passkey")["status"] == 403


def test_an_app_and_passkeys_go_together(person: Callable[..., Person]) -> None:
    ida, key = person("ida"), Authenticator()
    made = ida.ask("POST", "/api/user/2fa/setup")["data"]
    now = int(time.time()) // 30
    assert ida.ask("POST", "/api/user/2fa/enable", {"code": digits(made["secret"], now)})["data"]["access_token"]
    proof = {"method": "2fa", "code": made["backup_codes"][0], "scope": "passkey.register"}
    told = ida.ask("POST", "/api/verify", proof)["data"]["proof_token"]
    assert "backup_codes" not in ida.add(key, proof=told)["data"]
    assert ida.ask("POST", "/api/user/2fa/disable", {"code": made["backup_codes"][1]})["success"]
    half = ida.login()["data"]
    assert half["methods"] == ["2fa", "passkey"]
    again = {"code": made["backup_codes"][2], "flow_token": half["flow_token"]}
    assert ida.ask("POST", "/api/user/login/2fa", again)["success"]
    assert ida.ask("DELETE", "/api/user/passkey", x_security_proof=ida.prove(key, "passkey.delete"))["success"]
    assert "access_token" in ida.login()["data"]


def test_passkeys_that_new_api_made_sign_in_and_are_not_asked_for(
    tmp_path: Path, person: Callable[..., Person]
) -> None:
    from engine.storage.migrations.versions.passkeys import _take_over

    jim, key = person("jim"), Authenticator()
    assert jim.add(key)["success"]
    db = jim.site.worker.db
    with db.read() as reader:
        row = reader.execute(text("SELECT * FROM gatewright_passkeys ORDER BY id DESC LIMIT 1")).mappings().one()
    old = {name: row[name].replace("-", "+").replace("_", "/") + "==" for name in ("credential_id", "public_key")}

    def work(connection: Any) -> None:
        connection.execute(text("DELETE FROM gatewright_passkeys WHERE user_id = :u"), {"u": row["user_id"]})
        connection.execute(
            text("INSERT INTO passkey_credentials (user_id, credential_id, public_key) VALUES (:u, :c, :k)"),
            {"u": row["user_id"], "c": old["credential_id"], "k": old["public_key"]},
        )
        _take_over(connection)
        _take_over(connection)

    db.write(work)
    assert "access_token" in jim.login()["data"]
    assert jim.sign_in(key)["data"]["session"]["login_method"] == "passkey"


@pytest.mark.parametrize(
    ("home", "given", "expected"),
    [
        ("https://gate.example/", {}, ("gate.example", ("https://gate.example",))),
        ("https://gate.example:8443/x", {}, ("gate.example", ("https://gate.example:8443",))),
        ("http://localhost:3000", {}, ("localhost", ("http://localhost:3000",))),
        ("https://a.example", {"rp_id": "example", "origins": "https://a.example, https://b.example/"}, None),
        ("http://gate.example", {}, "https alone"),
        ("", {}, "ServerAddress"),
    ],
)
def test_the_party_is_the_gateways_address_unless_options_say_another(home: str, given: Any, expected: Any) -> None:
    if isinstance(expected, str):
        with pytest.raises(Invalid, match=expected):
            party(home, "G", given)
        assert home == "" or party(home, "G", {"allow_insecure_origin": "true"}).id == "gate.example"
        return
    made = party(home, "G", given)
    assert (made.id, made.origins) == (expected or ("example", ("https://a.example", "https://b.example")))
