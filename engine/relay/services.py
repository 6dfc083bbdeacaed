"""What lives as long as a worker: connections, the ledger, stores and what they share. Nothing here is global.

Made after the fork. What a release decides is no part of it: see ``snapshot``. A stage takes the two or three that it
needs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from engine.cluster.announcements import Announcements
from engine.cluster.aside import Aside
from engine.cluster.counters import Counters
from engine.cluster.holds import Holds
from engine.cluster.rates import Rates
from engine.cluster.redis import Redis
from engine.cluster.shared_rates import SharedRates
from engine.cluster.shared_space import SharedSpace
from engine.cluster.store import EmbeddedStore, LastKnown
from engine.cluster.tally import Tally
from engine.cluster.veil import Veil
from engine.errors import CallError
from engine.ledger.budgets import Budgets
from engine.ledger.commit import Ledger
from engine.ledger.counting import vocabularies
from engine.ledger.funding import Funding
from engine.ledger.reserve import Reserves
from engine.ledger.served import DIRECTORY, Served
from engine.relay.attempts.bonds import Bonds
from engine.relay.attempts.health import Health
from engine.relay.attempts.homes import ChannelHome
from engine.relay.attempts.limits import Limits
from engine.relay.attempts.room import Room
from engine.relay.captures.keeping import Keeper
from engine.relay.ingress.identify import KeyCache
from engine.relay.ingress.lane import Lane
from engine.relay.live import Live
from engine.relay.metrics.counting import Metrics
from engine.relay.metrics.exposed import Exposition
from engine.relay.metrics.series import WIDTH
from engine.relay.upstream.troubles import Troubles
from engine.routing.pulse import Pulse
from engine.storage.logdb import open_logs
from engine.storage.releases import canaries
from engine.storage.vault import derived
from engine.transport import leg, proxied
from engine.transport.auth import Tokens
from engine.transport.egress import Guard
from engine.transport.faults import TransportError
from engine.transport.fetch import fetch

if TYPE_CHECKING:
    from engine.relay.snapshot import Snapshot
    from engine.routing.attempt import Attempt
    from engine.routing.channel import LiveChannel
    from engine.settings import Settings
    from engine.storage.database import Database

log = logging.getLogger(__name__)
_FETCHED_AT_ONCE = 8
_FETCHED_WITHIN = 60.0
_MIRRORED_AT_ONCE = 32
_STATE, _ASIDE, _COUNTS, _GAUGES = "state.db", "aside", "counts", "gauges"
"""Files of the data directory that the processes of a machine share."""


class Services:
    """See the module. ``status`` gives what the compiler last said, for ``/readyz``."""

    def __init__(self, settings: Settings, db: Database, status: Callable[[], dict[str, Any]]) -> None:
        self.settings = settings
        self.db = db
        self.log_db = open_logs(settings, db)
        self.status = status
        self.started = time.time()
        self.holds = Holds(settings.data / "holds")
        self.store = EmbeddedStore(settings.data / _STATE)
        last = LastKnown(self.store.space("known"))
        veil = Veil(derived(settings.crypto_secret, "what stands in Redis")) if settings.redis else Veil()
        self._announcements = Announcements(settings.redis, veil) if settings.redis else None
        aside = Aside(
            self.store.space("aside"), self.store.space("failures"), settings.data / _ASIDE, peers=self._announcements
        )
        if self._announcements is not None:
            self._announcements.follow(aside.apply)
        self.health = Health(aside, db, 2.0 * settings.sync_frequency)
        self.troubles = Troubles()
        self.keys = KeyCache(db, last)
        self.tokens = Tokens(self.store.space("tokens"))
        own = Rates(settings.data / "rates")
        self.limits = Limits(SharedRates(Redis(settings.redis), own, veil) if settings.redis else own)
        counters, tally = Counters(settings.data / _COUNTS), Tally(settings.data / _GAUGES, WIDTH)
        self.metrics, self.told = Metrics(counters, tally), Exposition(counters, tally, aside)
        self.metrics_path = ""
        """The socket of the process that tells metrics; nothing: they are told here."""
        self.room = Room(self.limits, self.health.free, self.metrics.waits)
        self.pulse = Pulse()
        self.mirrors = threading.Semaphore(_MIRRORED_AT_ONCE)
        """Places for calls that are made at another channel too."""
        bonds = self.store.space("affinity")
        self.bonds = Bonds(SharedSpace(Redis(settings.redis), bonds, "affinity", veil) if settings.redis else bonds)
        self.budgets = Budgets(db, self.store.space("budgets"))
        self.ledger = Ledger(
            db,
            settings.data / "journal",
            self.holds,
            sync=settings.journal_sync,
            log_db=self.log_db,
            beside=(self.budgets.book, canaries.count),
            hangs_after=settings.sql_read_timeout,
        )
        self.keeper = Keeper(db)
        self.served = Served(settings.data / DIRECTORY)
        self.reserves = Reserves(db, self.holds, away=self.database_away, last=last)
        self.funding = Funding(db, self.reserves, last=last)
        self._reach_out(settings)
        self.live = Live()
        self.lane: Lane | None = None
        """Where large requests are served; here, if there is none."""
        self._proxied: dict[str, proxied.Sender] = {}

    def _reach_out(self, settings: Settings) -> None:
        """What leads to upstreams and to addresses that callers name."""
        self.guard = Guard(settings.egress_allow)
        self._limits = leg.Limits(
            idle_seconds=settings.relay_idle_conn_timeout,
            idle=settings.relay_max_idle_conns,
            idle_per_host=settings.relay_max_idle_conns_per_host,
        )
        tls = leg.default_tls(verify=False) if settings.tls_insecure_skip_verify else None
        self.pool = leg.Pool(self.guard, self._limits, tls)
        self.callers_pool = leg.Pool(Guard(settings.fetch_allow), self._limits, tls)
        """For addresses that callers name: nothing that was opened for upstreams is open to it."""
        self.timeouts = leg.Timeouts(
            connect=settings.connect_timeout,
            first_byte=settings.first_byte_timeout,
            idle=settings.streaming_timeout,
            total=settings.relay_timeout,
        )
        """The settings' time limits, below those of any Policy."""

    def adapt(self, snapshot: Snapshot) -> None:
        """Take up what a new release says of what all calls share: patience with the database."""
        terms = snapshot.terms
        self.keys.patience = self.reserves.patience = terms.away_seconds if terms.serve_away else 0

    def measure(self) -> None:
        """Say for metrics what stands now; called every second."""
        self.metrics.stands(self.ledger.waiting, self.keeper.lost)

    def database_away(self) -> bool:
        """Whether what finished calls cost can't be booked now, or balances can't be read."""
        return self.ledger.away or self.db.outage.since is not None

    def sender(self, attempt: Attempt) -> leg.Pool | proxied.Sender:
        """Return what carries an attempt: the lean leg, or requests where the channel has a proxy."""
        proxy = attempt.channel.proxy
        return self.through(proxy) if proxy else self.pool

    def through(self, proxy: str) -> leg.Pool | proxied.Sender:
        """Return what carries calls to upstreams through a proxy; without a name the lean leg.

        Raises ``TransportError`` where it is none.
        """
        if not proxy:
            return self.pool
        if proxy not in self._proxied:
            verify = not self.settings.tls_insecure_skip_verify
            self._proxied[proxy] = proxied.Sender(self.guard, proxy, limits=self._limits, verify=verify)
        return self._proxied[proxy]

    def home(self, channel: LiveChannel) -> ChannelHome:
        """Where a channel's credential is kept, if each exchange replaces it."""
        return ChannelHome(self.db, channel)

    def fetch(self, url: str, limit: int) -> tuple[str, bytes]:
        """Return the type and the bytes, ``limit`` at most, of a file that a request names by URL.

        Raises ``CallError`` (400), whose text tells nothing of what lies at an address that is not public.
        """
        try:
            data, kind = fetch(self.callers_pool, url, limit=limit)
        except TransportError as ex:
            log.info("a file that a caller named can't be fetched: %s", ex)
            why = "it is no http address that can be read" if ex.kind == "invalid" else ex.public
            raise CallError(
                "bad_request", f"{url[:200]} can't be fetched: {why}; send the file's bytes instead"
            ) from None
        return kind, data

    def fetch_all(self, urls: list[str], *, limit: int) -> dict[str, tuple[str, bytes] | CallError]:
        """The same of several, together: for each what it is, or why it can't be had. None begins when time is over."""
        end = time.monotonic() + _FETCHED_WITHIN

        def one(url: str) -> tuple[str, bytes] | CallError:
            if time.monotonic() > end:
                return CallError("bad_request", f"{url[:200]} can't be fetched in time; send the file's bytes instead")
            try:
                return self.fetch(url, limit)
            except CallError as ex:
                return ex

        with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
            return dict(zip(urls, pool.map(one, urls), strict=True))

    def close(self) -> None:
        """Write out what is waiting, and let go of connections."""
        # Counters, journal and what is served stay open: calls that outlive their worker's time still end.
        self.ledger.rest()
        self.keeper.close()
        self.pool.close()
        self.callers_pool.close()
        for sender in self._proxied.values():
            sender.close()
        if self._announcements is not None:
            self._announcements.close()
        self.bonds.close()
        self.store.close()
        if self.log_db is not self.db:
            self.log_db.close()
        self.db.close()


def counted(settings: Settings) -> Exposition:
    """What the machine's processes count, for one that does nothing else."""
    store = EmbeddedStore(settings.data / _STATE)
    aside = Aside(store.space("aside"), store.space("failures"), settings.data / _ASIDE)
    return Exposition(Counters(settings.data / _COUNTS), Tally(settings.data / _GAUGES, WIDTH), aside)


def warm(settings: Settings) -> None:
    """Load what all workers share; before the fork."""
    leg.shared_tls()
    missing = vocabularies.missing(settings.vocabulary_directories)
    if missing:
        log.warning("no vocabulary %s here: its counts of tokens are estimates", ", ".join(missing))
