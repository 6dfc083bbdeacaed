"""Two machines on one database, with documents that a scripted upstream answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from engine import paths
from engine.releases import changes, publishing
from engine.releases.checking import Check
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.releases.documents import Author, StoredDocument
from engine.storage.vault import Vault
from tests.databases import server_database
from tests.relay.scripted import Upstream
from tests.support import PATIENCE, Gateway, until

ANN = Author(7, "ann")
ROUTE = """# who may: everybody
apiVersion: gatewright/v1
kind: Route
metadata: {{name: ours}}
spec:
  channels:
    - {{name: ours, provider: house, models: [{models}]}}
"""


def provider(base: str) -> str:
    return f"""apiVersion: gatewright/v1
kind: Provider
metadata: {{name: house}}
spec:
  baseUrl: {base}
  formats: {{openai.chat: {{path: /v1/chat/completions}}}}
  auth: {{scheme: none}}
"""


@dataclass
class Site:
    """Machines that share a database, and the database itself."""

    machines: tuple[Gateway, ...]
    settings: Settings
    db: Database
    upstream: Upstream

    @property
    def directories(self) -> list[Path]:
        return [paths.SPECS, self.machines[0].data / "specs"]

    def publish(self, *texts: str | StoredDocument, owner: str = "console", message: str = "") -> tuple[int, Check]:
        wanted: list[StoredDocument] = []
        for text in texts:
            if isinstance(text, str):
                more, faults = changes.of_text(text, owner)
                assert not faults
                wanted += more
            else:
                wanted.append(text)
        ground = publishing.ground(self.db, self.directories)
        return publishing.publish(self.db, ground, wanted, ANN, message=message)

    def models(self, machine: int = 0) -> set[str]:
        gateway = self.machines[machine]
        answer = requests.get(gateway.base + "/v1/models", headers=self.as_root, timeout=PATIENCE)
        return {one["id"] for one in answer.json()["data"]}

    @property
    def sealed(self) -> Database:
        """The database with the machines' secret."""
        self.db.vault = Vault("of the tests")
        return self.db

    @property
    def as_root(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.machines[0].key}"}

    def token(self) -> str:
        """An access token of root's."""
        username, password = (self.machines[0].data / "first.login").read_text().split()
        body = {"username": username, "password": password}
        told = requests.post(self.machines[0].base + "/api/user/login", json=body, timeout=PATIENCE).json()
        return str(told["data"]["access_token"])

    def ready(self, machine: int = 0) -> dict[str, Any]:
        told: dict[str, Any] = requests.get(
            self.machines[machine].base + "/readyz", headers=self.as_root, timeout=10
        ).json()
        return told


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two machines on PostgreSQL."""
    upstream = Upstream()
    data = tmp_path_factory.mktemp("machines")
    with server_database("postgresql", data) as settings:
        env = {
            "SQL_DSN": settings.sql_dsn,
            "CRYPTO_SECRET": "of the tests",
            "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}",
        }
        started: list[Gateway] = []
        try:
            for name in ("one", "two"):
                started.append(Gateway(data / name, specs={"house.yaml": provider(upstream.base)}, env=env))
                if name == "one":
                    started[0].ready()
            started[1].key = started[0].key
            until(lambda: _serves(started[1]))
            db = open_database(settings)
            try:
                yield Site(tuple(started), settings, db, upstream)
            finally:
                db.close()
        finally:
            for gateway in started:
                gateway.stop()
            upstream.close()
    for gateway in started:
        assert "Traceback" not in gateway.output, gateway.output


def _serves(gateway: Gateway) -> bool:
    try:
        return requests.get(gateway.base + "/readyz", timeout=2).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False
