"""A day with documents in Git: an empty repository, a push, a wrong commit, drift, a revert, a rewritten branch.

The server follows the remote over HTTP on loopback, and is killed in between.
"""

from __future__ import annotations

import base64
import hmac
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result

from engine.cli import main
from tests.relay.scripted import Upstream
from tests.releases.conftest import ROUTE, provider
from tests.releases.test_git import TOKEN, Author, GitServer
from tests.support import PATIENCE, Gateway, until

HOOK = "of the webhook"


class Day:
    """A gateway that follows a repository, and who works on both."""

    def __init__(self, place: Path) -> None:
        self.upstream = Upstream()
        self.server = GitServer(place)
        self.author = Author(place)
        self.data = place / "data"
        self.env = {
            "GATEWRIGHT_GIT": self.server.url,
            "GATEWRIGHT_GIT_TOKEN": TOKEN,
            "GATEWRIGHT_GIT_BRANCH": "main",
            "GATEWRIGHT_GIT_PATH": "specs",
            "GATEWRIGHT_GIT_EVERY": "1",
            "GATEWRIGHT_GIT_HOOK_SECRET": HOOK,
            "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{self.upstream.port},127.0.0.1:{self.server.port}",
        }
        self.gateway = self.start()

    def start(self) -> Gateway:
        return Gateway(self.data, env=self.env).ready()

    def restarted(self) -> None:
        """Killed as by a power cut, and started again."""
        self.gateway.stop(signal.SIGKILL)
        self.gateway = self.start()

    def told(self, body: bytes = b"{}", **headers: str) -> int:
        """The Git host's webhook of a push."""
        url = self.gateway.base + "/api/v2/releases/pull"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.post(url, body, headers=named, timeout=PATIENCE).status_code

    def run(self, *words: object) -> Result:
        env = {"GATEWRIGHT_DATA": str(self.data), "GATEWRIGHT_SERVER": ""}
        return CliRunner(env=env).invoke(main, [str(word) for word in words])

    def git(self) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.gateway.key}"}
        told = requests.get(self.gateway.base + "/readyz", headers=headers, timeout=PATIENCE).json()
        return dict(told["sources"].get("git") or {})

    def models(self) -> set[str]:
        headers = {"authorization": f"Bearer {self.gateway.key}"}
        answer = requests.get(self.gateway.base + "/v1/models", headers=headers, timeout=PATIENCE)
        return {one["id"] for one in answer.json()["data"]}

    def serves(self, model: str) -> None:
        until(lambda: model in self.models())

    def close(self) -> None:
        self.gateway.stop()
        self.server.close()
        self.upstream.close()


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    made = Day(tmp_path)
    yield made
    made.close()


@pytest.mark.timeout(900)
def test_the_whole_day(day: Day) -> None:
    author, tree = day.author, day.author.tree / "specs"
    until(lambda: "has no branch or tag 'main' yet" in day.git().get("error", ""))

    files = {"specs/house.yaml": provider(day.upstream.base), "specs/route.yaml": ROUTE.format(models="morning")}
    author.push(files, "The first documents")
    day.serves("morning")
    assert day.git()["applied"] == author.git("rev-parse", "HEAD")
    newest = json.loads(day.run("releases", "list", "--json").output)[0]
    assert (newest["username"], newest["message"]) == ("git", "Ann: The first documents")

    # a branch is checked and planned before it is merged
    author.git("checkout", "-q", "-b", "noon")
    (tree / "route.yaml").write_text(ROUTE.format(models="morning, noon"))
    planned = day.run("plan", tree)
    assert (planned.exit_code, "group default gains noon" in planned.output) == (2, True), planned.output
    author.git("commit", "-q", "-am", "Noon")
    author.git("checkout", "-q", "main")
    author.git("merge", "-q", "--no-ff", "-m", "Merge noon", "noon")
    author.push({}, "Merged")
    day.restarted()
    day.serves("noon")
    assert day.run("plan", tree, "--prune").exit_code == 0

    # a wrong commit changes nothing, and its line is told
    author.push({"specs/route.yaml": ROUTE.format(models="evening").replace("provider: house", "provider: huose")})
    until(lambda: "git:route.yaml:7: " in day.git().get("error", ""), words=day.git)
    assert "did you mean house" in day.git()["error"]
    assert "noon" in day.models()
    author.git("revert", "--no-edit", "HEAD")
    author.push({}, "Mended")
    until(lambda: day.git().get("error") == "", words=day.git)

    # somebody goes back by hand: that is drift, and stands until the next commit
    back = json.loads(day.run("releases", "list", "--json").output)[-1]["number"]
    assert day.run("rollback", back).exit_code == 0
    until(lambda: "noon" not in day.models())
    drift = day.run("drift", tree)
    assert (drift.exit_code, "Route/ours (git) is otherwise" in drift.output) == (2, True)
    day.env["GATEWRIGHT_GIT_EVERY"] = "3600"
    day.restarted()
    until(lambda: day.git().get("commit") == author.git("rev-parse", "HEAD"))
    assert "noon" not in day.models()

    # nobody looks for an hour, but for a webhook that is signed with the secret
    author.push({"specs/route.yaml": ROUTE.format(models="night")}, "Night")
    body = b'{"ref": "refs/heads/main"}'
    digest = hmac.digest(HOOK.encode(), body, "sha256").hex()
    sha1 = hmac.digest(HOOK.encode(), body, "sha1").hex()
    for headers in ({}, {"x_hub_signature_256": ""}, {"x_hub_signature_256": f"sha256={digest[:-1]}"}):
        assert day.told(body, **headers) == 403
    assert day.told(body, x_hub_signature=f"sha1={sha1}") == 403
    assert day.told(body + b" ", x_hub_signature_256=f"sha256={digest}") == 403
    assert day.told(body, x_hub_signature_256=f"sha256={digest}") == 202
    day.serves("night")
    until(lambda: day.run("drift", tree).exit_code == 0)  # the machine says so a moment after its workers serve it

    # history that was rewritten is not followed
    author.git("commit", "-q", "--amend", "-m", "Another night")
    (tree / "route.yaml").write_text(ROUTE.format(models="never"))
    author.push({}, "Rewritten", force=True)
    standard = base64.b64encode(hmac.digest(HOOK.encode(), b"7.8." + body, "sha256")).decode()
    assert day.told(body, webhook_id="7", webhook_timestamp="9", webhook_signature=f"v1,{standard}") == 403
    assert day.told(body, webhook_id="7", webhook_timestamp="8", webhook_signature=f"v1,x v1,{standard}") == 202
    until(lambda: "was rewritten" in day.git().get("error", ""), words=day.git)
    assert "night" in day.models()
    assert json.loads(day.run("blame", "Route/ours", "--json").output)[0]["release"] == back
