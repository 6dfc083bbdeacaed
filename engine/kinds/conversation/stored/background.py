"""Answers that providers make in the background: followed to their end, and settled then, once.

``hand_over`` notes such a call in a durable file instead of settling it; what was held for it stays held. Its end is
seen by whoever asks for the answer, or by the gateway, which asks at growing intervals: each note is leased to one
worker, which holds its amount and asks; the notes of a worker that died go to another. ``ended`` charges what the
answer used. One whose end nobody sees in time, or whose channel is gone, costs what the Policy says.
"""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from engine.cluster.store import EmbeddedStore
from engine.errors import MappingError
from engine.jsonbytes import dumps, loads
from engine.kinds.conversation import options, token_fallback
from engine.kinds.conversation.call import ConversationCall
from engine.kinds.conversation.stored.chain import channel_name
from engine.ledger.budgets import Budgets, Held
from engine.ledger.pricing.amounts import ZERO
from engine.ledger.pricing.book import Charge
from engine.relay import cutshort
from engine.relay.metering import within_reason
from engine.relay.upstream.failure import UpstreamFailure
from engine.relay.upstream.refusal import parse
from engine.relay.upstream.send import SendServices, ask
from engine.routing.attempt import Attempt
from engine.routing.candidates import format_for

if TYPE_CHECKING:
    from pathlib import Path

    from engine.kinds.conversation.stored.store import ResponseStore, StoreTerms
    from engine.ledger.commit import Ledger
    from engine.ledger.reserve import Reservation, Reserves
    from engine.program import Format
    from engine.relay.snapshot import Snapshot

log = logging.getLogger(__name__)
_LEASE = 15.0
_FIRST, _LONGEST = 2.0, 60.0
_GONE = 600.0
"""Seconds after which a channel, or an answer that its provider does not know, is believed to be gone."""
_MOST = 10_000
_AT_ONCE = 4
_FIELD_BYTES = 256
"""Longer fields of a request are no words that a price's condition looks for."""


@dataclass(slots=True)
class Note:
    """A call whose answer is being made; times are unix seconds."""

    answer: str
    format: str
    channel: str
    model: str
    call: dict[str, Any]
    """As ``cutshort.note`` has it."""
    amount: int
    """What is held for it."""
    sent: int
    """Bytes of its request."""
    request: dict[str, Any]
    until: float
    following: float
    """When it is asked for next."""
    worker: str
    lease: float
    asked: int = 0
    gone: float = 0.0
    """Since when its channel, or the answer there, is not found."""
    settling: bool = False


class FollowServices(SendServices, Protocol):
    """What following takes of a worker's services."""

    @property
    def ledger(self) -> Ledger: ...
    @property
    def reserves(self) -> Reserves: ...
    @property
    def budgets(self) -> Budgets: ...
    @property
    def answers(self) -> ResponseStore: ...


class Background:
    """One worker's door to the notes that all workers of a machine share."""

    def __init__(self, path: Path) -> None:
        self._space = EmbeddedStore(path, durable=True).space("background")
        self._worker = f"{os.getpid()}-{os.urandom(6).hex()}"
        self._holding: dict[str, Reservation] = {}
        self._budgets: dict[str, Held] = {}
        self._asking: set[str] = set()
        self._pool: ThreadPoolExecutor | None = None

    def hand_over(self, answer_id: str, call: ConversationCall, attempt: Attempt) -> bool:
        """Note a call whose answer the provider goes on to make; what is held for it stays so. False if it can't be."""
        account, held = call.account, call.reservation
        if account is None:
            return False
        key = _key(account.token_id, answer_id)
        try:
            self._space.put(key, dumps(asdict(self._noted(answer_id, call, attempt))))
        except Exception:
            log.exception("call %s: its answer can't be followed; it is settled by its request", call.request_id)
            return False
        if held is not None:
            self._holding[key] = held
        if call.budget is not None:
            self._budgets[key] = call.budget
        return True

    def _noted(self, answer_id: str, call: ConversationCall, attempt: Attempt) -> Note:
        now = time.time()
        return Note(
            answer=answer_id,
            format=call.format.name,
            channel=channel_name(attempt.channel),
            model=attempt.model,
            call={**cutshort.note(call, attempt), "stream": call.stream, "path": call.endpoint.path},
            amount=call.reservation.amount if call.reservation is not None else 0,
            sent=len(call.raw),
            request={name: value for name, value in call.body.items() if len(dumps(value)) <= _FIELD_BYTES},
            until=now + call.snapshot.terms.background_seconds,
            following=now + _FIRST,
            worker=self._worker,
            lease=now + _LEASE,
        )

    def known(self, token_id: int, answer_id: str) -> bool:
        """Whether an answer is still to be settled."""
        return self._space.get(_key(token_id, answer_id)) is not None

    def follow(self, services: FollowServices, snapshot: Snapshot) -> None:
        """Take up what no living worker follows, and ask for what is due. Called every second; never waits."""
        keys, now = self._space.keys(_MOST), time.time()
        for key in self._holding.keys() - set(keys):
            self._let_go(services, key)
        for key in keys:
            raw = self._space.get(key)
            if raw is None:
                continue
            note = _note(raw)
            mine = note.worker == self._worker
            if not mine and note.lease > now and _lives(note.worker):
                if not note.settling:  # its worker holds it: twice is too much
                    self._let_go(services, key)
                continue
            if not mine or note.lease - now < _LEASE / 2:
                note = replace(note, worker=self._worker, lease=now + _LEASE, settling=False)
                if not self._space.cas(key, raw, dumps(asdict(note))):
                    continue
            if key not in self._holding:
                self._holding[key] = _adopted(services, note)
            if note.following <= now and key not in self._asking:
                self._asking.add(key)
                self._pool = self._pool or ThreadPoolExecutor(_AT_ONCE)
                self._pool.submit(self._ask, services, snapshot, key, note)

    def ended(
        self,
        services: FollowServices,
        snapshot: Snapshot,
        token_id: int,
        answer_id: str,
        answer: dict[str, Any],
        attempt: Attempt,
    ) -> None:
        """Settle a followed call by an answer that has come to its end; does nothing if that was done."""
        key = _key(token_id, answer_id)
        note = self._claim(key)
        if note is None:
            return
        usage, source = _used(snapshot, note, answer, attempt)
        charge = cutshort.charged(snapshot.book, note.call, usage, note.request)
        if charge.failed:
            charge = replace(charge, quota=note.amount)
        self._book(services, snapshot, key, note, usage, charge, source, "seen")

    def _ask(self, services: FollowServices, snapshot: Snapshot, key: str, note: Note) -> None:
        """Ask the provider, and settle or ask again later."""
        try:
            self._asked(services, snapshot, key, note)
        except Exception:
            log.exception("the background answer of call %s can't be followed", note.call["request_id"])
        finally:
            self._asking.discard(key)

    def _asked(self, services: FollowServices, snapshot: Snapshot, key: str, note: Note) -> None:
        now = time.time()
        speaker = snapshot.program.formats.get(note.format)
        attempt = maker(snapshot, speaker, note.channel, note.model) if speaker is not None else None
        gone = now
        if speaker is not None and speaker.stored is not None and attempt is not None:
            gone = 0.0
            try:
                answer = told_by(services, _call(snapshot, speaker, note), attempt, "GET", note.answer, "")
                if speaker.stored.pending is None or not speaker.stored.pending([], answer):
                    shown(services, options.of(snapshot).stored, note.call["token"], note.answer, speaker, answer)
                    self.ended(services, snapshot, note.call["token"], note.answer, answer, attempt)
                    return
            except UpstreamFailure as ex:
                gone = now if ex.status == 404 else 0.0
                log.info("the background answer of call %s: %s", note.call["request_id"], ex)
        since = (note.gone or gone) if gone else 0.0
        if now >= note.until or (since and now - since >= _GONE):
            self._give_up(services, snapshot, key)
            return
        raw = self._space.get(key)
        if raw is not None:
            pause = min(_LONGEST, _FIRST * 2.0 ** min(note.asked + 1, 10))
            later = replace(_note(raw), following=now + pause, asked=note.asked + 1, gone=since)
            self._space.cas(key, raw, dumps(asdict(later)))

    def _give_up(self, services: FollowServices, snapshot: Snapshot, key: str) -> None:
        """Nobody saw the end: the call costs what the Policy says."""
        note = self._claim(key)
        if note is not None:
            quota = note.amount if snapshot.terms.unknown_end_pays else 0
            charge = Charge(quota, ZERO, "", "", failed="the end of its answer was not seen")
            log.warning("the background answer of call %s was given up: %s units", note.call["request_id"], quota)
            self._book(services, snapshot, key, note, {}, charge, "estimated", "unknown")

    def _claim(self, key: str) -> Note | None:
        """The note, if it is this worker's to settle now; another claims it only when this one has died."""
        now = time.time()
        raw = self._space.get(key)
        note = _note(raw) if raw is not None else None
        if raw is None or note is None or (note.settling and note.lease > now):
            return None
        claimed = replace(note, worker=self._worker, lease=now + _LEASE, settling=True)
        return note if self._space.cas(key, raw, dumps(asdict(claimed))) else self._claim(key)

    def _book(
        self,
        services: FollowServices,
        snapshot: Snapshot,
        key: str,
        note: Note,
        usage: dict[str, Any],
        charge: Charge,
        source: str,
        end: str,
    ) -> None:
        """Into the journal first, then the note goes: who dies between leaves it to another, and the ledger has one."""
        more = {"request_path": note.call["path"], "background": {"end": end, "asked": note.asked}}
        entry = cutshort.booked(note.call, usage, charge, source=source, more=more, logged=snapshot.groups.logged)
        services.ledger.put(entry)
        held = self._holding.pop(key, None) or services.reserves.adopt(entry.user_id, entry.token_id, 0, entry.plan)
        held.settle(entry.quota)
        tags = note.call.get("tags") or ()
        binding = [(budget, 0) for budget in services.budgets.binding(entry.token_id, entry.user_id, tags)]
        services.budgets.add(Held(note.call["at"], binding), quota=entry.quota, tokens=usage.get("total", 0))
        self._space.delete(key)
        self._let_go(services, key)

    def _let_go(self, services: FollowServices, key: str) -> None:
        held, budget = self._holding.pop(key, None), self._budgets.pop(key, None)
        if held is not None:
            held.settle()
        if budget is not None:
            services.budgets.add(budget, quota=0, tokens=0)


def _adopted(services: FollowServices, note: Note) -> Reservation:
    """Hold for a call that another process let in."""
    call = note.call
    return services.reserves.adopt(call["user"], call["token"], note.amount, call.get("plan", 0))


def maker(snapshot: Snapshot, speaker: Format, channel: str, model: str = "") -> Attempt | None:
    """The channel of this name, if it is still there and speaks the format."""
    for candidate in snapshot.table.channels:
        if channel_name(candidate) == channel:
            spoken = format_for(snapshot.program, candidate, speaker, ConversationCall.speaks, model)
            if spoken is not None and spoken.passthrough_as == speaker.passthrough_as:
                return Attempt(candidate, spoken, model, None, {}, "")
    return None


def told_by(
    services: FollowServices, call: ConversationCall, attempt: Attempt, method: str, answer_id: str, below: str
) -> dict[str, Any]:
    """What the provider says of an answer now. Raises ``UpstreamFailure``."""
    answer = parse(ask(services, call, attempt, method, f"/{answer_id}{below}"))
    if not isinstance(answer, dict):
        raise UpstreamFailure({"meaning": "unknown", "message": "the provider answered with no JSON object"})
    return answer


def shown(
    services: FollowServices, terms: StoreTerms, token_id: int, answer_id: str, speaker: Format, answer: dict[str, Any]
) -> None:
    """Keep an answer anew, under the model's name that its caller knows, where it is kept."""
    record = services.answers.find(token_id, answer_id)
    pending = speaker.stored.pending if speaker.stored is not None else None
    if record is None or (pending is not None and pending([], answer) and not pending([], record.answer)):
        return  # what was asked before its end may be answered after it
    model_fields = {path[0]: record.answer[path[0]] for path in speaker.model_at if path[0] in record.answer}
    services.answers.keep(token_id, replace(record, answer={**answer, **model_fields}), [], terms)


def _used(snapshot: Snapshot, note: Note, answer: dict[str, Any], attempt: Attempt) -> tuple[dict[str, Any], str]:
    """What an answer used: as it tells; of one that says something and tells nothing, as it is counted here."""
    at, decode = attempt.format.usage.at, attempt.format.decode_response
    raw = at([], answer, note.model, {}) if at else None
    usage = within_reason(attempt.channel.plan(attempt.format).normalise(raw), note.sent) if raw else {}
    if usage.get("input_total") and usage.get("output_total"):
        return usage, "upstream"
    try:
        parts = (decode([], answer, {}, {}, {"model": note.model}).get("parts") or []) if decode else []
    except MappingError:
        parts = []
    if not token_fallback.says_something(parts):
        return usage, "upstream"
    output = usage.get("output_total") or snapshot.counter.answer(note.model, parts).tokens
    fresh = usage.get("input_total") or note.call["input"]
    counted = {} if usage.get("input_total") else {"input_fresh": fresh, "input_total": fresh}
    text = output - min(usage.get("reasoning", 0), output)
    return {**usage, **counted, "output_text": text, "output_total": output, "total": fresh + output}, "estimated"


def _call(snapshot: Snapshot, speaker: Format, note: Note) -> ConversationCall:
    """A call of the gateway's own."""
    endpoint = speaker.endpoints[0]
    request_id, now = note.call["request_id"], int(time.time())
    return ConversationCall(request_id, time.monotonic(), now, snapshot, speaker, endpoint, {}, {}, {}, "")


def _lives(worker: str) -> bool:
    """Whether a worker's process is there; another with its number is told from it by the lease."""
    try:
        os.kill(int(worker.partition("-")[0]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _key(token_id: int, answer_id: str) -> str:
    return f"{token_id}:{answer_id}"


def _note(raw: bytes) -> Note:
    return Note(**loads(raw))
