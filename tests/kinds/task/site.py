"""A worker's parts on a port, with a vendor behind them; follow-ups are made when a test says so, not by the clock."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import requests

from engine import paths
from engine.accounts.first_start import first_start
from engine.accounts.keys import create_key
from engine.accounts.users import create_user
from engine.compiler.cache import load_or_compile
from engine.jobs import Lease
from engine.program import load
from engine.server import building
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.rows.work import leases, tasks
from tests.relay.scripted import Upstream
from tests.support import PATIENCE
from tests.upstreams.tasks import Vendor

UNIT = 500_000
"""Quota units of a dollar."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Site:
    """See the module. ``documents`` may name the vendor's address as ``{base}``."""

    def __init__(
        self, directory: Path, documents: str, vendor: Vendor | Upstream, dsn: str = "", open_to: tuple[str, ...] = ()
    ) -> None:
        allow = (f"127.0.0.1:{vendor.port}",)
        settings = Settings(data=directory, egress_allow=allow, fetch_allow=(*allow, *open_to), sql_dsn=dsn)
        own = directory / "specs"
        own.mkdir()
        (own / "own.yaml").write_text(documents.replace("{base}", vendor.base))
        artefact, faults, _ = load_or_compile([paths.SPECS, own])
        assert artefact is not None, faults
        db = open_database(settings)
        login = first_start(db)
        assert login is not None
        self.key = login.key
        self.user = create_user(db, "other", "a long password", quota=100 * UNIT)
        other = create_key(db, self.user, "k", quota=90 * UNIT)
        self.other = other.key if hasattr(other, "key") else other.secret
        db.close()
        parts, app = building.relay(settings, load(artefact), dict)
        assert isinstance(parts, building.WorkerParts)
        self.parts, self.db, self.vendor = parts, parts.db, vendor
        self._server = make_server("127.0.0.1", 0, app, server_class=WSGIServer, handler_class=_Quiet)
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def call(self, method: str, path: str, key: str | None = None, **more: Any) -> requests.Response:
        """Make a call with the second user's key, who has no rights."""
        headers = {"authorization": f"Bearer {key or self.other}", **more.pop("headers", {})}
        return requests.request(method, self.base + path, headers=headers, timeout=PATIENCE, **more)

    def follow(self) -> None:
        """Ask for every unfinished task, once."""
        kind: Any = self.parts.kinds["task"]
        follower = kind._follower
        follower._listed = 0.0
        for job in self._jobs(follower):
            fence = leases.take(self.db, job.name, "test", 30)
            assert fence is not None
            job.work(Lease(self.db, job.name, "test", fence, 30))

    def _jobs(self, follower: Any) -> Any:
        follower.jobs(self.parts.snapshot)
        for due in follower._due.values():
            due.update(dict.fromkeys(due, 0.0))
        return follower.jobs(self.parts.snapshot)

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        self.parts.services.ledger.flush()
        with self.db.read() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(text)]

    def spent(self) -> tuple[int, int, int]:
        """What the second user, its key have used, and how often it called."""
        ((used, quota, calls),) = self.sql(f"SELECT used_quota, quota, request_count FROM users WHERE id = {self.user}")
        assert used + quota == 100 * UNIT
        ((key_used, left),) = self.sql(f"SELECT used_quota, remain_quota FROM tokens WHERE user_id = {self.user}")
        assert key_used + left == 90 * UNIT
        return used, key_used, calls

    def row(self, name: str, rows: str = tasks.TASKS) -> dict[str, Any]:
        """A task's row."""
        return tasks.find(self.db, rows, self.user, [name])[0]

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.parts.close()
