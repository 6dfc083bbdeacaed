"""The snapshot that new calls begin with: built anew when a release, the options, rows or files of secrets change.

``CurrentSnapshot.snapshot`` is replaced by one assignment; whoever holds an older one goes on with it. Snapshots of
releases that run beside it are built here too: what they do decides nothing for it.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from engine.cluster.aside import BreakerRule
from engine.ledger.counting.tokens import Counter
from engine.ledger.pricing.book import Book
from engine.ledger.terms import terms
from engine.net import NetworkRules, network_rules
from engine.observe import Once
from engine.relay.attempts.health import HealthRules, health_rules
from engine.relay.attempts.retry import hedge_rule, retry_rules
from engine.relay.attempts.served_model import served_model_rule
from engine.relay.captures.rules import captures
from engine.relay.ingress.beside import Beside
from engine.relay.ingress.router import ProgramRouter
from engine.relay.ingress.tags import tag_rules
from engine.relay.ingress.twins import names_of
from engine.relay.results.rules import result_rules
from engine.relay.snapshot import FetchAll, Snapshot
from engine.routing import channels as routing_channels
from engine.routing.affinity.rules import affinity_rules
from engine.routing.aliases import AliasResolver
from engine.routing.group_options import GroupOptions
from engine.routing.limits.rules import limit_rules
from engine.routing.order import orders
from engine.routing.secrets import Secrets
from engine.routing.upstream_profile import time_limits
from engine.routing.when import when
from engine.storage.releases import captures as stored_captures
from engine.storage.releases import rows, secrets
from engine.storage.rows import channels, options
from engine.storage.rows.work import spent as stored_spent
from engine.storage.upgrade import upgrading

if TYPE_CHECKING:
    from engine.program import Program
    from engine.relay.kind import Kind
    from engine.relay.services import Services
    from engine.routing.channel import LiveChannel
    from engine.routing.request import RoutedCall
    from engine.routing.table import Table
    from engine.settings import Settings
    from engine.storage.database import Database

log = logging.getLogger(__name__)
_PING_EVERY = 15.0
_PING_MOST = 3600
_NO_HEALTH = HealthRules(BreakerRule(failures=0))


@dataclasses.dataclass(frozen=True, slots=True)
class Readings:
    """What the database says: its channels, options (without what documents pin) and secrets of documents."""

    rows: tuple[channels.ChannelRow, ...]
    options: Mapping[str, str]
    secrets: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    watched: tuple[stored_captures.CaptureKey, ...] = ()
    """Keys whose exchanges are kept."""
    revision: int = 0
    """The newest revision of rows when they were read: they are no older than that."""
    spent: frozenset[str] = frozenset()
    """Documents' channels whose accounts have nothing left, by their names."""


def read(db: Database) -> Readings:
    """Read channels and options; raises ``StorageError`` where the database is away."""
    upgrading.notice(db)
    revision = rows.newest(db)
    texts = options.stored(db)
    watched = tuple(stored_captures.watched(db))
    spent = stored_spent.documents(db)
    return Readings(tuple(channels.load(db)), MappingProxyType(texts), secrets.load(db), watched, revision, spent)


class CurrentSnapshot:
    """See the module. One change at a time: each is built on the one before it."""

    def __init__(
        self, services: Services, kinds: Mapping[str, Kind[Any, Any]], program: Program, readings: Readings
    ) -> None:
        settings = services.settings
        self._services = services
        self._kinds = kinds
        self._readings = readings
        self._secrets = Secrets(
            settings.secret_env, settings.secret_directory, settings.data / "secret-hosts.json", os.environ
        )
        self._left_out, self._left_out_beside = Once(log), Once(log)
        self.left_out: tuple[str, ...] = ()
        """A line for each channel that is switched on and can't be used."""
        self._changing = Lock()
        self.snapshot: Snapshot
        self.beside = Beside(self._built_beside, lambda: self.snapshot)
        self.swap(program)

    def swap(self, program: Program) -> None:
        """Make ``program`` the one that new requests begin with; running ones keep theirs."""
        with self._changing:
            self._services.db.pinned = program.pinned
            snapshot = self._built(program)
            self._services.adapt(snapshot)
            for kind in self._kinds.values():
                kind.adapt(snapshot)
            self.snapshot = snapshot
            self.beside.renew(self._refreshed_beside)

    def refresh(self) -> None:
        """Read the database again and rebuild what hangs on it; called every ``SYNC_FREQUENCY`` seconds."""
        readings = read(self._services.db)
        with self._changing:
            self._readings = readings
            self.snapshot = self._refreshed(self.snapshot)
            self.beside.renew(self._refreshed_beside)

    def _refreshed_beside(self, before: Snapshot) -> Snapshot:
        return dataclasses.replace(self._refreshed(before, beside=True), health=_NO_HEALTH)

    def _refreshed(self, before: Snapshot, *, beside: bool = False) -> Snapshot:
        """A snapshot with what the database says now."""
        keyed = self._keyed(before.program, beside=beside)
        texts, watching = self._texts(before.program), captures(before.program.policy, self._readings.watched)
        if texts == before.options:
            return dataclasses.replace(before, **keyed, captures=watching, rows=self._readings.revision)
        groups = GroupOptions(texts)
        return dataclasses.replace(
            before,
            **keyed,
            options=texts,
            values=before.program.told(texts),
            aliases=AliasResolver(before.program, texts),
            networks=_networks(texts),
            groups=groups,
            captures=watching,
            rows=self._readings.revision,
            book=_priced(before.program, texts),
            retry=retry_rules(before.program.policy, groups),
            ping_every=_ping_every(before.program.policy, texts),
            affinity=affinity_rules(before.program.policy, texts),
            limits=limit_rules(before.program.policy, texts),
            health=health_rules(before.program.policy, texts),
        )

    def follow_secrets(self) -> None:
        """Rebuild what holds secrets if a file of one has changed; called every few seconds."""
        if self._secrets.changed():
            log.info("files of secrets have changed; they are read again")
            with self._changing:
                self.snapshot = dataclasses.replace(self.snapshot, **self._keyed(self.snapshot.program))
                self.beside.renew(
                    lambda before: dataclasses.replace(before, **self._keyed(before.program, beside=True))
                )

    def _built_beside(self, program: Program, keep: Callable[[Snapshot], None]) -> None:
        """Make the snapshot of a release on trial. What fails by it sets no channel aside: others go on with that."""
        with self._changing:
            keep(dataclasses.replace(self._built(program, beside=True), health=_NO_HEALTH))

    def _built(self, program: Program, *, beside: bool = False) -> Snapshot:
        services, policy, texts = self._services, program.policy, self._texts(program)
        groups, limits = GroupOptions(texts), policy.get("limits") or {}
        fetch = partial(
            services.fetch_all, limit=limits.get("mediaBytes") or services.settings.max_file_download_mb * 1048576
        )
        return Snapshot(
            program=program,
            router=ProgramRouter(program, self._kinds),
            aliases=AliasResolver(program, texts),
            names=MappingProxyType(names_of(program)),
            credentials=MappingProxyType(_credentials(program)),
            **self._keyed(program, beside=beside),
            options=texts,
            values=program.told(texts),
            networks=_networks(texts),
            groups=groups,
            book=_priced(program, texts),
            unpriced=policy.get("unpriced") == "allow",
            terms=terms(policy),
            counter=_counter(services.settings, policy, fetch),
            retry=retry_rules(policy, groups),
            hedge=hedge_rule(policy),
            affinity=affinity_rules(policy, texts),
            debug=_allowed(policy, "debug"),
            served_model=served_model_rule(policy),
            trial=_allowed(policy, "trial"),
            orders=orders(program.routes),
            limits=limit_rules(policy, texts),
            health=health_rules(policy, texts),
            time_limits=time_limits(services.timeouts, policy.get("timeouts") or {}),
            ping_every=_ping_every(policy, texts),
            stream_bytes=limits.get("streamBytes") or services.settings.max_stream_event,
            fetch=fetch,
            tags=tag_rules(policy),
            captures=captures(policy, self._readings.watched),
            rows=self._readings.revision,
            kinds=MappingProxyType({name: kind.options(policy) for name, kind in self._kinds.items()}),
        )

    def _texts(self, program: Program) -> Mapping[str, str]:
        """Options: those of documents before those of rows."""
        return MappingProxyType({**self._readings.options, **{n: text for n, (text, _) in program.pinned.items()}})

    def _keyed(self, program: Program, *, beside: bool = False) -> dict[str, Any]:
        """The fields of a snapshot that hold secrets: ``table`` and ``store_secrets``."""
        table, store_secrets = self._tabled(program, beside=beside), {}
        for name, declared in result_rules(program.policy).stores.items():
            if reference := declared.get("credential"):
                with suppress(LookupError):  # whoever needs it is told
                    store_secrets[name] = self._secrets(reference, str(declared.get("url") or ""))
        return {"table": table, "store_secrets": MappingProxyType(store_secrets)}

    def _tabled(self, program: Program, *, beside: bool = False) -> Table:
        """The table of all channels; which are left out, and why, is said when it changes.

        Of a release on trial (``beside``), a channel whose key would go to another host than now is left out.
        """
        asks_usage = self._services.settings.force_stream_option
        readings = self._readings
        self._secrets.kept = readings.secrets
        built = routing_channels.build(
            program,
            readings.rows,
            self._secrets,
            asks_usage=asks_usage,
            options=self._texts(program),
            spent=readings.spent,
            fits=self._goes_there if beside else None,
        )
        if beside:
            own = [line for line in built.left_out if line not in self.left_out]
            self._left_out_beside.say(f"release {program.hash[:12]}, on trial: {line}" for line in own)
            return built.table
        self._left_out.say(built.left_out)
        self.left_out = built.left_out
        return built.table

    def _goes_there(self, channel: LiveChannel) -> None:
        """Raise where a row's key would be sent elsewhere than by the release in force; secrets bind themselves."""
        there = self.snapshot.table.by_id.get(channel.id)
        if channel.id and (there is None or urlsplit(there.base_url).netloc != urlsplit(channel.base_url).netloc):
            raise LookupError("its key goes to another host in the release in force")


def _allowed(policy: Mapping[str, Any], name: str) -> Callable[[RoutedCall], bool]:
    """The calls to which a Policy gives a right; none where it says nothing."""
    return when(policy[name]).holds if policy.get(name) else lambda call: False


def _counter(settings: Settings, policy: Mapping[str, Any], fetch: FetchAll) -> Counter:
    measured = {True, False} if settings.get_media_token_not_stream else {True}
    return Counter(
        settings.vocabulary_directories,
        tuple((policy.get("counting") or {}).values()),
        count_input=settings.count_token,
        media=measured if settings.get_media_token else (),
        fetch=fetch,
    )


def _networks(texts: Mapping[str, str]) -> Mapping[str, NetworkRules]:
    """From where areas may be called, as the option says; what can't be read was refused when it was set."""
    try:
        return MappingProxyType(network_rules(orjson.loads(texts.get("NetworkRules") or "[]")))
    except ValueError as error:
        log.error("option NetworkRules is left out: %s", error)
        return MappingProxyType({})


def _ping_every(policy: Mapping[str, Any], texts: Mapping[str, str]) -> float:
    """Seconds between signs of life, 0 for none: as the console's options say, else the policy."""
    pings = policy.get("pings") or {}
    every = float(pings.get("every") or _PING_EVERY)
    on = texts.get("general_setting.ping_interval_enabled")
    if on is None:
        return every if pings.get("enabled", True) else 0.0
    text = texts.get("general_setting.ping_interval_seconds", "").strip()
    seconds = float(text) if text.isascii() and text.isdigit() and 0 < int(text) <= _PING_MOST else every
    return seconds if on == "true" else 0.0


def _priced(program: Program, texts: Mapping[str, str]) -> Book:
    book = Book(program, texts)
    for fault in book.faults:
        log.warning("prices: %s", fault)
    return book


def _credentials(program: Program) -> dict[str, tuple[Mapping[str, str], ...]]:
    places = [place for speaker in program.formats.values() for place in speaker.credentials]
    return {name: _unique([*speaker.credentials, *places]) for name, speaker in program.formats.items()}


def _unique(places: Iterable[Mapping[str, str]]) -> tuple[Mapping[str, str], ...]:
    seen: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
    for place in places:
        seen.setdefault(tuple(sorted(place.items())), place)
    return tuple(seen.values())
