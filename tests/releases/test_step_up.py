"""Documents of root's kinds go live for a proof of a second factor alone, whichever way a session brings them."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from engine.accounts.factors import codes
from engine.releases.permission.kinds import ROOT_KINDS
from engine.storage.releases import documents
from tests.accounts.test_sessions import digits
from tests.releases.conftest import ROUTE, Site
from tests.support import PATIENCE

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.timeout(600)]
SETTINGS = """apiVersion: gatewright/v1
kind: Settings
metadata: {{name: ours}}
spec: {{options: {{RetryTimes: {times}}}}}
"""
POLICY = """apiVersion: gatewright/v1
kind: Policy
metadata: {name: testers}
spec: {trial: {users: [ann]}}
"""


def abstract(kind: str) -> str:
    return f"apiVersion: gatewright/v1\nkind: {kind}\nmetadata: {{name: ours, abstract: true}}\n"


class Session:
    """Root in a browser, with a second factor; each of the ``codes`` proves one act."""

    def __init__(self, site: Site) -> None:
        self.base = site.machines[0].base
        self.token = site.token()
        made = self.ask("POST", "/api/user/2fa/setup").json()["data"]
        self.codes: list[str] = made["backup_codes"]
        code = digits(made["secret"], int(time.time()) // 30)
        self.token = self.ask("POST", "/api/user/2fa/enable", {"code": code}).json()["data"]["access_token"]

    def ask(self, method: str, path: str, body: Any = None, proof: str = "") -> requests.Response:
        headers = {"authorization": f"Bearer {self.token}", **({"x-security-proof": proof} if proof else {})}
        return requests.request(method, self.base + path, json=body, headers=headers, timeout=PATIENCE)

    def proof(self) -> str:
        body = {"method": "2fa", "code": self.codes.pop(), "scope": "user.secure"}
        return str(self.ask("POST", "/api/verify", body).json()["data"]["proof_token"])

    def needs(self, method: str, path: str, body: Any = None, *, gives: int = 200) -> Any:
        """Refused as it is, and changes nothing; done with the proof."""
        refused = self.ask(method, path, body)
        assert (refused.status_code, refused.json()["code"]) == (403, "security_proof_required"), refused.text
        return self.done(method, path, body, proof=self.proof(), gives=gives)

    def done(self, method: str, path: str, body: Any = None, proof: str = "", gives: int = 200) -> Any:
        answer = self.ask(method, path, body, proof)
        assert answer.status_code == gives, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def signed_in(site: Site) -> Session:
    return Session(site)


@pytest.fixture
def session(site: Site, signed_in: Session) -> Session:
    """With four fresh codes."""
    signed_in.codes = codes.fresh_codes(site.sealed, 1)
    return signed_in


def files(*texts: str, **more: Any) -> dict[str, Any]:
    return {"files": {f"{number}.yaml": text for number, text in enumerate(texts)}, "owner": "console", **more}


def test_each_of_root_s_kinds_asks_for_it_and_others_do_not(site: Site, session: Session) -> None:
    head = documents.head(site.db)
    for kind in sorted(ROOT_KINDS):
        refused = session.ask("POST", "/api/v2/releases/apply", files(abstract(kind)))
        assert (refused.status_code, refused.json()["code"]) == (403, "security_proof_required"), (kind, refused.text)
    assert {"Login", "Payment", "Settings", "Policy"} <= ROOT_KINDS
    assert documents.head(site.db) == head
    made = session.done("POST", "/api/v2/releases/apply", files(ROUTE.format(models="a-model")))
    assert made["release"] == head + 1


def test_publishing_applying_pruning_and_going_back_ask_for_it(site: Site, session: Session) -> None:
    apply = "/api/v2/releases/apply"
    texts = (SETTINGS.format(times=3), POLICY, abstract("Login"), abstract("Payment"))
    made = session.needs("POST", apply, files(*texts))
    assert made["ok"], made
    titles = {one.title for one in documents.listed(site.db)[1]}
    assert {"Settings/ours", "Policy/testers", "Login/ours", "Payment/ours"} <= titles
    # what prune takes away is a change as well
    pruned = session.needs("POST", apply, files(ROUTE.format(models="b-model"), prune=True))
    assert [one.title for one in documents.listed(site.db)[1]] == ["Route/ours"]
    assert session.needs("POST", "/api/v2/releases/rollback", {"number": made["release"]})["release"] == (
        pruned["release"] + 1
    )
    change = {"kind": "Settings", "name": "ours", "text": SETTINGS.format(times=5)}
    draft = session.done("POST", "/api/v2/drafts", {"name": "more tries", "changes": [change]}, gives=201)
    published = session.needs("POST", f"/api/v2/drafts/{draft['id']}/publish")
    assert documents.one(site.db, "Settings", "ours").release == published["release"]


def test_a_canary_of_them_asks_for_it_where_it_begins_and_where_it_is_published(site: Site, session: Session) -> None:
    change = {"kind": "Settings", "name": "ours", "text": SETTINGS.format(times=7)}
    draft = session.done("POST", "/api/v2/drafts", {"name": "most tries", "changes": [change]}, gives=201)["id"]
    session.done("POST", "/api/v2/releases/trials", {"draft": draft}, gives=201)
    session.needs("POST", "/api/v2/releases/canaries", {"trial": draft, "by": "call"}, gives=201)
    assert session.needs("POST", "/api/v2/releases/canaries/promote", {})["ok"]
    assert "RetryTimes: 7" in (documents.one(site.db, "Settings", "ours").text or "")
