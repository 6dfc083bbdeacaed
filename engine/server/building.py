"""A worker's parts: its services, the snapshot that new calls begin with, and the Falcon app over both."""

from __future__ import annotations

import logging
import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import admin
from engine import api
from engine.accounts import sessions
from engine.accounts.teams import declared
from engine.jobs import Job, Lease
from engine.kinds import KINDS
from engine.notices import Notices
from engine.notices.telling import Limit
from engine.payments import due
from engine.payments.lost import Lost
from engine.relay import app as relay_app
from engine.relay import cutshort, services
from engine.relay.attempts.channel_test import channel_test
from engine.relay.current import CurrentSnapshot, read
from engine.relay.ingress.lane import Lane
from engine.relay.services import Services
from engine.releases import judging
from engine.releases.desk import Desk
from engine.server import inside
from engine.storage import retention
from engine.storage.bounds import Bounds
from engine.storage.database import Database, StorageError, open_database
from engine.storage.releases import canaries, captures
from engine.storage.rows import trail

if TYPE_CHECKING:
    from engine.program import Program
    from engine.relay.kind import Kind
    from engine.relay.snapshot import Snapshot
    from engine.server.inside import InsideAnswer
    from engine.settings import Settings
    from engine.storage.rows.accounts import Account
    from engine.storage.rows.channels import ChannelRow

log = logging.getLogger(__name__)
_PATIENCE = 1.0
_LENT = 600.0
_SAID_EVERY = 60.0
_HOUR, _DAY = 3600.0, 86_400
_FORGET_EVERY = 600.0


class State(Protocol):
    """What the server asks of a worker's parts."""

    def swap(self, program: Program) -> None:
        """Make this the program of new requests."""

    def offer(self, offers: dict[str, Any], shelf: Any) -> None:
        """Take up what runs beside the current program; ``shelf`` gives the programs."""

    def follow(self) -> None:
        """See to what goes on after its call."""

    def follow_secrets(self) -> None:
        """Read secrets again whose files have changed."""

    def refresh(self) -> None:
        """Read what the database says again."""

    def hand_on_to(self, path: str) -> None:
        """Have large requests served by the process behind a socket."""

    def pass_metrics_on(self, path: str) -> None:
        """Have metrics told by the process behind a socket."""

    def stalled(self, times: int) -> None:
        """Count pieces of work that held up this worker."""

    def drain(self) -> None:
        """End the calls that are still open, with a word to their callers."""

    def close(self) -> None:
        """Write out what waits."""


class WorkerParts:
    """Services and current snapshot of one worker; ``status`` gives what the compiler last said, for ``/readyz``."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        program: Program,
        status: Callable[[], dict[str, Any]],
        kinds: Iterable[type[Kind[Any, Any]]] = KINDS,
    ) -> None:
        readings = read(db)  # first: it fails where the database is away, and then nothing else has begun
        self.settings = settings
        self.services = worker = Services(settings, db, status)
        self.db, self.log_db = db, worker.log_db
        self.kinds = {kind.name: kind(worker) for kind in kinds}
        self.current = current = CurrentSnapshot(worker, self.kinds, program, readings)
        worker.ledger.cut_short = lambda note: cutshort.entry(
            current.beside.of(note.get("release", "")).book, note, logged=current.snapshot.groups.logged
        )
        self.swap, self.refresh, self.follow_secrets = current.swap, current.refresh, current.follow_secrets
        self.offer = current.beside.offer
        worker.ledger.start()
        self.lost = Lost(db, worker.log_db, worker.pool)
        limit = Limit(settings.notices, settings.notices_minutes * 60)
        senders = ChainMap(*(dict(kind.senders(lambda: current.snapshot)) for kind in self.kinds.values()))
        self.notices = Notices(db, worker.callers_pool, lambda: api.ground(current.snapshot), limit, senders)
        self.started = time.time()
        self.secret = sessions.secret_of(settings.session_secret, settings.data)
        self.app: Any = None
        self.memo: dict[Any, tuple[float, Any]] = {}
        self._seen = trail.last_change(db)
        self._upkeep, self._channels = api.Upkeep(self), api.ChannelWork(self)

    @property
    def snapshot(self) -> Snapshot:
        """What new calls begin with."""
        return self.current.snapshot

    @property
    def lane(self) -> Lane | None:
        """The process beside the workers, in which long questions are answered."""
        return self.services.lane

    @property
    def upstream(self) -> Services:
        """What reaches upstreams."""
        return self.services

    def call(
        self,
        account: Account,
        path: str,
        body: bytes,
        channel: int = 0,
        ip: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> InsideAnswer:
        """Make a call for a user who has no key at hand; of a channel alone where one is named."""
        with self.services.keys.lent(account, _LENT) as key:  # it is read before the app comes back
            whole = f"sk-{key}-{channel}" if channel else f"sk-{key}"
            return inside.call(self.app, path, body, whole, ip, headers)

    def test_channel(
        self, account: Account, path: str, body: bytes, row: ChannelRow, key: str | None, *, quiet: bool, ip: str = ""
    ) -> InsideAnswer:
        """Make a call for a user through one channel, whatever its state, with one of its keys: ``channel_test``."""
        asks_usage = self.settings.force_stream_option
        current = channel_test(self.snapshot, row, key, asks_usage=asks_usage, quiet=quiet)
        app = relay_app.create_app(self.services, self.kinds, current)
        with self.services.keys.lent(account, _LENT) as lent:
            return inside.call(app, path, body, f"sk-{lent}-{row.id}", ip)

    def catch_up(self) -> None:
        """Read the database again if somebody has changed options or channels since."""
        stamp = trail.last_change(self.db)
        if stamp != self._seen:
            self.refresh()
            self._seen = stamp

    def changed(self) -> None:
        """Say to all workers that options or channels have changed; this one knows it when this ends."""
        self.db.write(lambda connection: trail.changed(self.db, connection))
        self.catch_up()

    @property
    def options(self) -> Mapping[str, str]:
        """The options as they were read last."""
        return self.current.snapshot.options

    def follow(self) -> None:
        """See to what goes on after its call, as answers that are made in the background; called every second."""
        for kind in self.kinds.values():
            kind.follow(self.current.snapshot)
        self.services.limits.sweep()
        self.services.measure()
        self.current.beside.sweep()
        self.catch_up()

    def jobs(self) -> list[Job]:
        """What one process of the cluster is to do: for calls of all kinds, for orders, for reports."""
        snapshot = self.current.snapshot
        jobs = [job for kind in self.kinds.values() for job in kind.jobs(snapshot)]
        jobs += [
            *self.lost.job(snapshot.program.payments, snapshot.options),
            self._upkeep.job(),
            due.job(self.db),
            Job("teams.declared", declared.EVERY, lambda lease: self._teams()),
            *self._channels.jobs(),
            *self.notices.jobs(),
            Job("captures.retention", _FORGET_EVERY, self._forget_captures),
        ]
        if canaries.running(self.db) is not None:
            jobs.append(Job("releases.canary", judging.EVERY, self._judge))
        return [*jobs, Job("log.retention", _HOUR, self._forget)] if self.settings.log_days else jobs

    def _teams(self) -> str:
        """Have teams be as the release in force declares them."""
        return declared.follow(self.db, self.log_db, self.current.snapshot.program.teams)

    def _judge(self, lease: Lease) -> str:
        """Look at the canary that runs."""
        return judging.judge(self.db, Desk(self.settings.program_directory))

    def _forget(self, lease: Lease) -> str:
        """Delete log rows that are kept no longer."""
        count = retention.clean(self.db, self.log_db, int(time.time()) - self.settings.log_days * _DAY)
        return f"{count} log rows were too old"

    def _forget_captures(self, lease: Lease) -> str:
        """Delete exchanges whose time is over."""
        return f"{captures.forget(self.db)} exchanges were kept long enough"

    def hand_on_to(self, path: str) -> None:
        """Have large requests served by the process behind a socket."""
        self.services.lane = Lane(path)

    def pass_metrics_on(self, path: str) -> None:
        """Have metrics told by the process behind a socket."""
        self.services.metrics_path = path

    def stalled(self, times: int) -> None:
        """Count pieces of work that held up this worker."""
        self.services.metrics.stalled(times)

    def drain(self) -> None:
        """End what is still open, with a word to each caller; the worker's time is over."""
        self.services.live.stop()

    def close(self) -> None:
        """Write out what is waiting, and let go of connections."""
        for kind in self.kinds.values():
            kind.close()
        self.services.close()


def warm(settings: Settings) -> None:
    """In the master, before the fork: what workers share in memory."""
    services.warm(settings)


def relay(
    settings: Settings,
    program: Program,
    status: Callable[[], dict[str, Any]],
    kinds: Iterable[type[Kind[Any, Any]]] = KINDS,
) -> tuple[State, Any]:
    """Parts and WSGI app of a worker; after the fork, as it opens connections."""
    parts = _parts(settings, program, status, kinds)
    management = api.management(parts)
    pages = admin.Console(parts, management)
    below = ((api.PREFIXES, management), (admin.PREFIXES, pages))
    fixed = [*api.routes(parts), *admin.routes()]
    app = relay_app.create_app(parts.services, parts.kinds, parts.current, fixed, below)
    parts.app = app
    return parts, app


def _parts(
    settings: Settings,
    program: Program,
    status: Callable[[], dict[str, Any]],
    kinds: Iterable[type[Kind[Any, Any]]],
) -> WorkerParts:
    bounds = Bounds(settings.sql_connect_timeout, settings.sql_read_timeout, settings.sql_write_timeout)
    logged_at = 0.0
    while True:
        try:
            return WorkerParts(settings, open_database(settings, migrate=False, bounds=bounds), program, status, kinds)
        except StorageError as error:  # a worker that failed to begin would end the whole server
            if time.monotonic() - logged_at > _SAID_EVERY:
                logged_at = time.monotonic()
                log.warning("this worker waits for the database: %s", error)
            time.sleep(_PATIENCE)
