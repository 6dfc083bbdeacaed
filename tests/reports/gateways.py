"""A gateway by its real command with an upstream of the test's own, and what its database and its processes say.

``Site`` starts one; ``Mark`` is what was there when a case began (balances, rows, the log), so that one gateway can
serve many cases. Figures are of all processes of the gateway: its master, its workers and what they start.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows.log_rows import CONSUME
from engine.storage.tables.core import channels, logs, users
from tests.soak.site import uncommitted
from tests.support import ROOT, Gateway, until

REMEMBERED = 3.3
"""Seconds after which a gateway has read a balance anew that was changed beside it."""
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Site:
    """One worker. ``prepare`` may write rows into the database before the gateway starts; ``own_dsn`` is how this test
    opens it, where the gateway has a role of its own."""

    def __init__(
        self,
        directory: Path,
        specs: Mapping[str, str],
        *,
        env: Mapping[str, str] | None = None,
        dotenv: str = "",
        prepare: Any = None,
        own_dsn: str = "",
    ) -> None:
        self.directory = directory
        paths = {"PYTHONPATH": str(ROOT), "GATEWRIGHT_ACCESS_LOG": "true", "ERROR_LOG_ENABLED": "true"}
        self.env = {**paths, **(env or {})}
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".env").write_text(dotenv, encoding="utf-8")
        data = directory / "data"
        data.mkdir()
        settings = Settings(data=data, sql_dsn=own_dsn or self.env.get("SQL_DSN", ""))
        if prepare is not None:
            made = open_database(settings)
            prepare(made)
            made.close()
        self.gateway = Gateway(data, specs=specs, priced=True, env=self.env, cwd=directory)
        try:
            self.gateway.ready()
            self.db: Database = open_database(settings)
        except BaseException:
            self.gateway.stop()
            raise

    def close(self) -> None:
        """End everything."""
        self.db.close()
        self.gateway.stop()

    # --- the books ---------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until every finished call is booked."""
        until(lambda: not uncommitted(self.db, self.db, self.directory / "data" / "journal"))

    def balances(self) -> dict[int, int]:
        """Each user's balance in units."""
        with self.db.read() as connection:
            return {
                int(ident): int(quota or 0) for ident, quota in connection.execute(select(users.c.id, users.c.quota))
            }

    def set_balance(self, user: str, quota: int) -> None:
        """Write a balance, and wait until the gateway can't remember the one before."""
        self.db.write(
            lambda connection: connection.execute(update(users).where(users.c.username == user).values(quota=quota))
        )
        time.sleep(REMEMBERED)

    def rows(self, after: int = 0) -> list[dict[str, Any]]:
        """Log rows whose id is above ``after``; ``other`` is a map."""
        with self.db.read() as connection:
            chosen = select(logs).where(logs.c.id > after).order_by(logs.c.id)
            found = [dict(row) for row in connection.execute(chosen).mappings()]
        return [{**row, "other": json.loads(row["other"] or "{}")} for row in found]

    def channel_of(self, row: Mapping[str, Any]) -> str:
        """The name of a row's channel, be it a document's or the database's."""
        named = row["other"].get("channel")
        if named or not row["channel_id"]:
            return str(named or "")
        with self.db.read() as connection:
            chosen = select(channels.c.name).where(channels.c.id == row["channel_id"])
            return str(connection.execute(chosen).scalar() or "")

    # --- the processes -----------------------------------------------------------------------------

    def pids(self) -> list[int]:
        """The master and all that came from it."""
        found, left = [], [self.gateway.process.pid]
        while left:
            pid = left.pop()
            found.append(pid)
            try:
                for task in Path(f"/proc/{pid}/task").iterdir():
                    left += map(int, (task / "children").read_text().split())
            except OSError:
                continue
        return found

    def cpu_ms(self) -> float:
        """CPU that all processes have used so far, those that ended too, in ms."""
        ticks = 0
        for pid in self.pids():
            try:
                ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
            except OSError:
                continue
        return ticks * 1000 / _TICK

    def memory_mb(self) -> float:
        """Resident memory of all processes in MB, the least of some readings: what is about to be freed is no part.

        But for the one that compiles: it makes ready for edits some time after a start, whatever is called meanwhile.
        """
        readings = []
        for _ in range(5):
            readings.append(sum(_resident(pid) for pid in self.pids() if not _compiles(pid)))
            time.sleep(0.5)
        return min(readings) * _PAGE / 1e6


def _compiles(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "watcher"
    except OSError:
        return True


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0


@dataclass
class Mark:
    """What there was when a case began. ``charged`` gathers what balances fell by before one was set anew."""

    site: Site
    lines: int = 0
    row: int = 0
    balances: dict[int, int] = field(default_factory=dict)
    charged: int = 0
    least: int | None = None

    @classmethod
    def now(cls, site: Site) -> Mark:
        """Mark the present."""
        site.settle()
        rows = site.rows()
        return cls(site, len(site.gateway.lines), rows[-1]["id"] if rows else 0, site.balances())

    def fell(self) -> int:
        """By how much all balances fell since the beginning."""
        self.site.settle()
        present = self.site.balances()
        self.least = min([quota for quota in (self.least, *present.values()) if quota is not None])
        self.charged += sum(self.balances.get(user, quota) - quota for user, quota in present.items())
        self.balances = present
        return self.charged

    def set_balance(self, user: str, quota: int) -> None:
        """Set a balance; the change is no charge."""
        self.fell()
        self.site.set_balance(user, quota)
        self.balances = self.site.balances()

    def rows(self) -> list[dict[str, Any]]:
        """Log rows since then."""
        self.site.settle()
        return self.site.rows(self.row)

    def charges(self) -> list[dict[str, Any]]:
        """Rows of charges since then."""
        return [row for row in self.rows() if row["type"] == CONSUME]

    def log(self) -> str:
        """What the gateway has said since then."""
        return "\n".join(self.site.gateway.lines[self.lines :])
