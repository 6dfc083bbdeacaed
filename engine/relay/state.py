"""What one worker holds: the program, its channels, and the parts that talk to the world. Nothing here is global.

``build`` makes it after the fork; ``swap`` puts a newly compiled program in place between two requests.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from engine.cluster.holds import Holds
from engine.cluster.store import EmbeddedStore, LastKnown
from engine.errors import CallError
from engine.ledger import vocabularies
from engine.ledger.budgets import Budgets
from engine.ledger.commit import Ledger
from engine.ledger.counting import Counter
from engine.ledger.pricing import Book
from engine.ledger.reserve import Reserves
from engine.ledger.served import DIRECTORY, Served
from engine.ledger.terms import terms
from engine.observe import Once
from engine.relay import channels as relay_channels
from engine.relay import cutshort, stored
from engine.relay.background import Background
from engine.relay.choices import Choices
from engine.relay.identify import KeyCache
from engine.relay.lane import Lane
from engine.relay.live import Live
from engine.relay.remember import Memory
from engine.relay.resolve import Reader
from engine.relay.router import ProgramRouter
from engine.relay.secrets import Secrets
from engine.relay.upstream import RETRIED
from engine.storage import channels, options, upgrading
from engine.storage.bounds import Bounds
from engine.storage.database import Database, StorageError, open_database
from engine.storage.logdb import open_logs
from engine.transport import leg, proxied
from engine.transport.egress import Guard
from engine.transport.faults import TransportError
from engine.transport.fetch import fetch

if TYPE_CHECKING:
    from engine.program import Format, Program
    from engine.relay.call import Attempt
    from engine.relay.table import Table
    from engine.relay.upstream import UpstreamFailure
    from engine.settings import Settings

log = logging.getLogger(__name__)
_TRIES = 3
_PING_EVERY = 15.0
_FETCHED_AT_ONCE = 8
_FETCHED_WITHIN = 60.0
_PATIENCE = 1.0
_SAID_EVERY = 60.0


class RelayState:
    """See the module. ``status`` gives what the compiler last said, for ``/readyz``."""

    def __init__(
        self, settings: Settings, db: Database, program: Program, status: Callable[[], dict[str, Any]]
    ) -> None:
        self.settings = settings
        self.db = db
        self._rows: list[channels.ChannelRow] = []
        self.options: dict[str, str] = {}
        self.book: Book
        self.choices = Choices({})
        self.reload_rows()  # first: it fails where the database is away, and then nothing else has begun
        self.log_db = open_logs(settings, db)
        self.status = status
        self.program = program
        self.started = time.time()
        self.holds = Holds(settings.data / "holds")
        self.store = EmbeddedStore(settings.data / "state.db")
        last = LastKnown(self.store.space("known"))
        self.keys = KeyCache(db, last)
        self.budgets = Budgets(db, self.store.space("budgets"))
        self.ledger = Ledger(
            db,
            settings.data / "journal",
            self.holds,
            sync=settings.journal_sync,
            log_db=self.log_db,
            beside=self.budgets.book,
            hangs_after=settings.sql_read_timeout,
        )
        self.served = Served(settings.data / DIRECTORY)
        self.ledger.cut_short = lambda note: cutshort.entry(self.book, note, logged=self.choices.logged)
        self.reserves = Reserves(db, self.holds, away=self.database_away, last=last)
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
        self.live = Live()
        self.lane: Lane | None = None
        """Where large requests are served; here, if there is none."""
        self.background = Background(settings.data / "background.db")
        self.router = ProgramRouter()
        self.answers = stored.opened(settings.data, program.policy, None)
        self._memory_space = self.store.space("thought")
        self._secrets = Secrets(
            settings.secret_env, settings.secret_directory, settings.data / "secret-hosts.json", os.environ
        )
        self._proxied: dict[str, proxied.Sender] = {}
        self._left_out = Once(log)
        self._credentials: dict[str, tuple[Mapping[str, str], ...]] = {}
        self.swap(program)
        self.ledger.start()

    def database_away(self) -> bool:
        """Whether what finished calls cost can't be booked now, or balances can't be read."""
        return self.ledger.away or self.db.outage.since is not None

    def swap(self, program: Program) -> None:
        """Make ``program`` the one that new requests begin with; running ones keep theirs."""
        live = self._tabled(program)
        places = [place for one in program.formats.values() for place in one.credentials]
        credentials = {name: _unique([*one.credentials, *places]) for name, one in program.formats.items()}
        policy = program.policy
        self.terms = terms(policy)
        self.counter = self._counter(policy)
        self.keys.patience = self.reserves.patience = self.terms.away_seconds if self.terms.serve_away else 0
        retries = policy.get("retries") or {}
        self.router.fill(program)
        self.book = self._priced(program)
        self.unpriced: bool = policy.get("unpriced") == "allow"
        self.table, self.program, self._credentials, self.reader = live, program, credentials, Reader(program)
        self._retries = int(retries.get("times", _TRIES - 1))
        self._retried = frozenset(retries.get("on") or RETRIED)
        self.policy_timeouts: dict[str, float] = policy.get("timeouts") or {}
        self.answers = stored.opened(self.settings.data, policy, self.answers)
        self.memory = Memory(self._memory_space, (policy.get("remember") or {}).get("seconds"))
        limits = policy.get("limits") or {}
        self.stream_bytes: int = limits.get("streamBytes") or self.settings.max_stream_event
        self.media_bytes: int = limits.get("mediaBytes") or self.settings.max_file_download_mb * 1048576
        pings = policy.get("pings") or {}
        self.ping_every: float = float(pings.get("every") or _PING_EVERY) if pings.get("enabled", True) else 0.0

    @property
    def tries(self) -> int:
        """How many channels a call may try in all: as the console's option says, else the Policy."""
        chosen = self.choices.retries
        return 1 + (self._retries if chosen is None else chosen)

    def again(self, failure: UpstreamFailure) -> bool:
        """Whether another channel is tried after a failure: as the option says of its status, else the Policy.

        An error that costs is final: a second one would cost again.
        """
        if failure.fee is not None:
            return False
        chosen = self.choices.retries_on(failure.status)
        return failure.error["meaning"] in self._retried if chosen is None else chosen

    def reload_rows(self) -> None:
        """Read the database's channels and options again."""
        upgrading.notice(self.db)
        self.options = options.load(self.db)
        self.choices = Choices(self.options)
        self._rows = channels.load(self.db)

    def refresh(self) -> None:
        """Read the database again and rebuild the table; called every ``SYNC_FREQUENCY`` seconds."""
        self.reload_rows()
        self.table = self._tabled(self.program)
        if self.options != self.book.source:
            self.book = self._priced(self.program)

    def follow_background(self) -> None:
        """Ask for answers that are made in the background; called every second."""
        self.background.follow(self)

    def follow_secrets(self) -> None:
        """Rebuild the table if a file of a secret has changed; called every few seconds."""
        if self._secrets.changed():
            log.info("files of secrets have changed; they are read again")
            self.table = self._tabled(self.program)

    def _tabled(self, program: Program) -> Table:
        """The table of all channels; which are left out, and why, is said when it changes."""
        built = relay_channels.build(program, self._rows, self._secrets, asks_usage=self.settings.force_stream_option)
        self._left_out.say(built.left_out)
        return built.table

    def _counter(self, policy: Mapping[str, Any]) -> Counter:
        measured = {True, False} if self.settings.get_media_token_not_stream else {True}
        return Counter(
            self.settings.vocabulary_directories,
            tuple((policy.get("counting") or {}).values()),
            count_input=self.settings.count_token,
            media=measured if self.settings.get_media_token else (),
            fetch=self.fetch_all,
        )

    def _priced(self, program: Program) -> Book:
        book = Book(program, self.options)
        for fault in book.faults:
            log.warning("prices: %s", fault)
        return book

    def credentials(self, speaker: Format) -> tuple[Mapping[str, str], ...]:
        """Return the places where a caller of this format may put its key: the format's own first, then any other's."""
        return self._credentials.get(speaker.name, ())

    def sender(self, attempt: Attempt) -> leg.Pool | proxied.Sender:
        """Return what carries an attempt: the lean leg, or requests where the channel has a proxy."""
        proxy = attempt.channel.proxy
        if not proxy:
            return self.pool
        if proxy not in self._proxied:
            verify = not self.settings.tls_insecure_skip_verify
            self._proxied[proxy] = proxied.Sender(self.guard, proxy, limits=self._limits, verify=verify)
        return self._proxied[proxy]

    def fetch(self, url: str) -> tuple[str, bytes]:
        """Return the type and the bytes of a file that a request names by URL.

        Raises ``CallError`` (400), whose text tells nothing of what lies at an address that is not public.
        """
        try:
            data, kind = fetch(self.callers_pool, url, limit=self.media_bytes)
        except TransportError as ex:
            log.info("a file that a caller named can't be fetched: %s", ex)
            why = "it is no http address that can be read" if ex.kind == "invalid" else ex.public
            raise CallError(
                "bad_request", f"{url[:200]} can't be fetched: {why}; send the file's bytes instead"
            ) from None
        return kind, data

    def fetch_all(self, urls: list[str]) -> dict[str, tuple[str, bytes] | CallError]:
        """The same of several, together: for each what it is, or why it can't be had. None begins when time is over."""
        end = time.monotonic() + _FETCHED_WITHIN

        def one(url: str) -> tuple[str, bytes] | CallError:
            if time.monotonic() > end:
                return CallError("bad_request", f"{url[:200]} can't be fetched in time; send the file's bytes instead")
            try:
                return self.fetch(url)
            except CallError as ex:
                return ex

        with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
            return dict(zip(urls, pool.map(one, urls), strict=True))

    def hand_on_to(self, path: str) -> None:
        """Have large requests served by the process behind a socket."""
        self.lane = Lane(path)

    def drain(self) -> None:
        """End what is still open, with a word to each caller; the worker's time is over."""
        self.live.stop()

    def close(self) -> None:
        """Write out what is waiting, and let go of connections."""
        # Counters, journal and what is served stay open: calls that outlive their worker's time still end.
        self.ledger.rest()
        self.pool.close()
        self.callers_pool.close()
        for sender in self._proxied.values():
            sender.close()
        self.store.close()
        self.answers.store.close()
        if self.log_db is not self.db:
            self.log_db.close()
        self.db.close()


def warm(settings: Settings) -> None:
    """Load what all workers share; before the fork."""
    missing = vocabularies.missing(settings.vocabulary_directories)
    if missing:
        log.warning("no vocabulary %s here: its counts of tokens are estimates", ", ".join(missing))


def build(settings: Settings, program: Program, status: Callable[[], dict[str, Any]]) -> RelayState:
    """Return a worker's state; call it after the fork, as it opens connections."""
    bounds = Bounds(settings.sql_connect_timeout, settings.sql_read_timeout, settings.sql_write_timeout)
    said = 0.0
    while True:
        try:
            return RelayState(settings, open_database(settings, migrate=False, bounds=bounds), program, status)
        except StorageError as error:  # a worker that failed to begin would end the whole server
            if time.monotonic() - said > _SAID_EVERY:
                said = time.monotonic()
                log.warning("this worker waits for the database: %s", error)
            time.sleep(_PATIENCE)


def _unique(places: Iterable[Mapping[str, str]]) -> tuple[Mapping[str, str], ...]:
    seen: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
    for place in places:
        seen.setdefault(tuple(sorted(place.items())), place)
    return tuple(seen.values())
