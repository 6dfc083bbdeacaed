"""Releases beside the one in force: asked for by a header of keys that may (a trial), or given a share of calls (a
canary).

A call is served, charged and logged by the release that is chosen here, before anything else of it is read. Programs
are loaded when first asked for, few at a time, and dropped when nobody asks. The right to ask is judged by the Policy
of the release in force; calls without the header cost nothing while no canary runs.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import CallError
from engine.relay.ingress.identify import KeyCache, identify
from engine.storage.database import StorageError

if TYPE_CHECKING:
    from engine.program import Program
    from engine.relay.call import Call
    from engine.relay.snapshot import Snapshot
    from engine.storage.rows.accounts import Account

RELEASE = "x-gatewright-release"
NEW, OLD = "new", "old"
_LOADED = 2
"""Programs that a worker holds beside its own; each takes as much memory, and time of the collector, as that."""
_UNUSED = 300.0
"""Seconds after which a program that nobody asked for is dropped."""
_LEAST = 8
"""Characters of a hash that name a release."""
_SHOWN = 80


class Shelf(Protocol):
    """Where programs are had from."""

    def kept(self, begin: str) -> list[str]:
        """The hashes of those that are there and begin so."""

    def aside(self, hash_: str) -> Program:
        """One of them, loaded; raises where it can't be."""


@dataclass(slots=True)
class _Loaded:
    """A snapshot of another release, and when it was asked for last."""

    snapshot: Snapshot
    used: float


@dataclass(frozen=True, slots=True)
class Share:
    """Which calls a canary gets."""

    number: int
    hash: str
    by: str
    share: float
    groups: frozenset[str]

    @classmethod
    def of(cls, offer: Mapping[str, Any]) -> Share:
        """As the compiling process tells it."""
        rules = offer["rules"]
        groups = frozenset(rules["groups"])
        return cls(int(offer["number"]), str(offer["hash"]), rules["by"], float(rules["share"]), groups)

    def arm(self, account: Account, request_id: str) -> str | None:
        """The release that a call goes to; nothing where it is none of the calls that are compared.

        Where whole groups go to the new release, all others are what it is compared with.
        """
        if self.groups and account.group not in self.groups:
            return OLD if self.share >= 1 else None
        drawn_by = {"key": account.token_id, "group": account.group}.get(self.by, request_id)
        name = f"{self.number}:{drawn_by}"
        drawn = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2**64
        return NEW if drawn < self.share else OLD


class Beside:
    """See the module. ``build`` makes a snapshot of a program and has it kept while nothing else changes; ``released``
    gives that of the release in force."""

    def __init__(
        self, build: Callable[[Program, Callable[[Snapshot], None]], None], released: Callable[[], Snapshot]
    ) -> None:
        self._build, self._released = build, released
        self._shelf: Shelf | None = None
        self._trials: Mapping[str, Mapping[str, Any]] = {}
        self._loaded: dict[str, _Loaded] = {}
        self._loading = Lock()
        self.share: Share | None = None
        """The canary that runs."""

    def offer(self, offers: Mapping[str, Any], shelf: Shelf) -> None:
        """Take up what there is: ``trials`` ({id, hash, why} each) and the ``canary``, whose program is loaded now."""
        self._shelf = shelf
        self._trials = {one["id"]: one for one in offers["trials"]}
        share = Share.of(offers["canary"]) if offers["canary"] else None
        if share != self.share:
            self.share = None  # whatever becomes of the program, no call is counted for one that is over
        if share is not None:
            self._snapshot(share.hash)
        self.share = share

    def of(self, hash_: str) -> Snapshot:
        """The snapshot of a release that is kept here, for what is booked of its calls later; else the one in force."""
        try:
            return self._snapshot(hash_) if hash_ and self._shelf is not None else self._released()
        except CallError:
            return self._released()

    def renew(self, fresh: Callable[[Snapshot], Snapshot]) -> None:
        """Bring the snapshots that are held up to what the database says now."""
        for one in list(self._loaded.values()):
            one.snapshot = fresh(one.snapshot)

    def sweep(self) -> None:
        """Drop programs that nobody asked for in a while."""
        if not self._loaded:
            return
        now, share = time.monotonic(), self.share
        for name in [name for name, one in self._loaded.items() if now - one.used > _UNUSED]:
            if share is None or share.hash != name:
                del self._loaded[name]

    def chosen(self, call: Call, keys: KeyCache) -> tuple[Snapshot, tuple[int, str] | None] | None:
        """The snapshot that serves a call instead, and the canary with the arm that it is counted for.

        Nothing where the release in force serves it as ever. Refuses a release that the caller may not ask for, or that
        is not there.
        """
        asked, share = call.headers.get(RELEASE), self.share
        if asked is not None:
            return self._asked(call, keys, asked.strip()), None
        if share is None:
            return None
        try:
            arm = share.arm(identify(call, keys), call.request_id)
        except (CallError, StorageError):
            return None  # it is refused where all calls are
        if arm is None:
            return None
        return self._snapshot(share.hash) if arm == NEW else call.snapshot, (share.number, arm)

    def _asked(self, call: Call, keys: KeyCache, asked: str) -> Snapshot:
        try:
            call.account = identify(call, keys)
        except StorageError:
            raise CallError("unavailable", "the database does not answer now; try again soon", wait=5) from None
        if not call.snapshot.trial(call):
            raise CallError(
                "forbidden", f"this API key may not choose a release; leave out {RELEASE}", code="access_denied"
            )
        return self._snapshot(self._hash(asked), asked)

    def _hash(self, asked: str) -> str:
        """The hash of what a header names: a trial by its id, or a release that is kept here by its hash."""
        trial = self._trials.get(asked)
        if trial is not None and trial["hash"]:
            return str(trial["hash"])
        if trial is not None:
            raise CallError("unavailable", f"the trial {asked} can't run on this machine: {trial['why']}")
        whole = asked.isascii() and asked.isalnum() and len(asked) >= _LEAST
        kept = self._shelf.kept(asked.lower()) if whole and self._shelf is not None else []
        if len(kept) == 1:
            return kept[0]
        words = (
            "begins the hashes of several releases; write more of it"
            if kept
            else (
                "names no trial that runs, and no release that this machine keeps; begin one with"
                " `gatewright releases trial begin`"
            )
        )
        raise CallError("not_found", f"{RELEASE}: {asked[:_SHOWN]!r} {words}", code="release_not_found")

    def _snapshot(self, hash_: str, asked: str = "") -> Snapshot:
        """The snapshot of a release, loaded if it is not; one at a time."""
        released = self._released()
        if hash_ == released.program.hash:
            return released
        held = self._loaded.get(hash_)
        if held is None:
            with self._loading:
                held = self._loaded.get(hash_) or self._load(hash_, asked)
        held.used = time.monotonic()
        return held.snapshot

    def _load(self, hash_: str, asked: str) -> _Loaded:
        assert self._shelf is not None
        try:
            self._build(self._shelf.aside(hash_), lambda snapshot: self._keep(hash_, snapshot))
        except Exception as ex:
            words = f"the release {(asked or hash_)[:_SHOWN]} can't be loaded now"
            raise CallError("unavailable", words, wait=5) from ex
        return self._loaded[hash_]

    def _keep(self, hash_: str, snapshot: Snapshot) -> None:
        while len(self._loaded) >= _LOADED:
            others = [name for name in self._loaded if self.share is None or name != self.share.hash]
            del self._loaded[min(others, key=lambda name: self._loaded[name].used)]
        self._loaded[hash_] = _Loaded(snapshot, time.monotonic())
