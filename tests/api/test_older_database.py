"""The management API over a database that One API itself made: fewer tables and columns, and nothing fails."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from engine.settings import Settings
from tests.api.test_management import Site
from tests.support import ROOT, missing

OLD = ROOT.parent / "shared" / "reference" / "golden" / "one-api.db.gz"
LISTS = (
    *("/api/user/", "/api/user/search?keyword=r", "/api/user/self", "/api/token/", "/api/token/search?keyword=ab%25"),
    *("/api/channel/", "/api/channel/?tag_mode=true", "/api/channel/search?keyword=a", "/api/channel/1", "/api/log/"),
    *("/api/log/self", "/api/log/stat", "/api/data/", "/api/data/users", "/api/data/flow", "/api/redemption/"),
    *("/api/option/", "/api/models/missing", "/api/vendors/", "/api/prefill_group/", "/api/mj/", "/api/task/self"),
    *("/api/user/topup", "/api/user/2fa/status", "/api/user/2fa/stats", "/api/ratio_sync/channels", "/api/user/token"),
    *("/api/perf-metrics/summary", "/api/perf-metrics?model=m", "/api/custom-oauth-provider/"),
)


@pytest.fixture
def headers(tmp_path: Path) -> tuple[Site, dict[str, str]]:
    if not OLD.exists():
        missing(f"the database of One API is not here: {OLD}")
    (tmp_path / "gatewright.db").write_bytes(gzip.decompress(OLD.read_bytes()))
    site = Site(Settings(data=tmp_path))
    token = site.login("root", "123456").json["data"]["access_token"]
    return site, {"authorization": f"Bearer {token}"}


def test_lists_of_an_older_database(headers: tuple[Site, dict[str, str]]) -> None:
    site, sent = headers
    for path in LISTS:
        answer = site.ask("GET", path, **sent)
        assert answer.status_code == 200, (path, answer.text)
        assert answer.json["success"], (path, answer.text)


def test_writes_to_an_older_database_are_done_or_refused_in_words(headers: tuple[Site, dict[str, str]]) -> None:
    site, sent = headers
    channel = {"type": 1, "name": "b", "key": "sk-1", "models": "m", "group": "default"}
    assert site.ask("POST", "/api/user/", {"username": "zed", "password": "password-zed"}, **sent).json["success"]
    assert site.ask("POST", "/api/channel/", channel, **sent).json["data"]["id"]
    refused = site.ask("POST", "/api/vendors/", {"name": "v"}, **sent)
    assert refused.status_code == 200
    assert "upgrade" in refused.json["message"]
