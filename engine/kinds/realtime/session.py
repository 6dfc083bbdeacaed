"""One live session: two connections, and what passes between them, until either ends.

Events pass as they came, but for the model's name and the channel's changes in a session's set-up; between formats of
two families they are translated. Each answer's usage is added up as it is told; what is under way when all ends is
counted here. Nothing is queued: a side that takes nothing holds up the other, and is given up in the end. Knows no
prices: ``note`` keeps what it has used by now should the worker die, ``afford`` says whether it may go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import orjson

from engine.errors import CallError, GatewrightError, MappingError
from engine.hub.fold import fold_keys
from engine.jsonbytes import dumps
from engine.kinds.realtime.tally import Tally, kinds
from engine.kinds.realtime.translator import Translator
from engine.relay import dialect
from engine.relay.upstream.masking import masked
from engine.relay.upstream.patches import patched

if TYPE_CHECKING:
    from engine.program import LiveRules
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt
    from engine.transport.websocket import Message, WebSocket

_GONE = (1005, 1006)
_SET_UP_WITHIN = 30.0
"""Seconds in which a provider takes a set-up."""
Afford = Callable[[dict[str, Any]], None]
"""Takes the usage so far; raises ``CallError`` where no more of it can be paid."""


class LiveSession:
    """See the module. ``caller`` and ``upstream`` are open; ``idle`` is seconds without a message from either."""

    def __init__(
        self,
        call: Call,
        attempt: Attempt,
        caller: WebSocket,
        upstream: WebSocket,
        note: Afford,
        afford: Afford,
        idle: float,
    ) -> None:
        assert attempt.format.realtime is not None
        assert call.format.realtime is not None
        self._call, self._attempt = call, attempt
        self._caller, self._upstream = caller, upstream
        self._asked: LiveRules = call.format.realtime
        self._rules: LiveRules = attempt.format.realtime
        self._note, self._afford = note, afford
        self._idle = idle
        self._tally = Tally(attempt)
        same = call.format.passthrough_as == attempt.format.passthrough_as
        self._translator = None if same else Translator(call, attempt)
        self._over = threading.Event()
        self._set_up = threading.Event()
        if not self._rules.setup_first or same:
            self._set_up.set()

    @property
    def usage(self) -> dict[str, Any]:
        """What it has used so far."""
        return self._tally.usage

    def run(self, messages: Iterable[Message] | None = None) -> None:
        """Carry events until it ends. ``messages`` are the caller's, where some were read before."""
        down = threading.Thread(target=self._down, daemon=True)
        watch = threading.Thread(target=self._watch, daemon=True)
        if self._translator is not None:
            self._tell(self._translator.opened())
        down.start()
        watch.start()
        try:
            for message in messages if messages is not None else self._caller.messages():
                self._tally.bytes += len(message.data)
                if not self._up(message):
                    break
        finally:
            self._over.set()
            code = self._caller.code
            self._upstream.close(1000 if code in _GONE else code, self._caller.reason)
            down.join()
            watch.join()
            self._caller.drop()
            self._tally.rest()

    def stop(self) -> None:
        """End it from outside, as the gateway stops; never waits."""
        self._over.set()
        threading.Thread(target=self._caller.close, args=(1001, "the gateway is stopping"), daemon=True).start()

    def _watch(self) -> None:
        while not self._over.wait(min(self._idle, 5.0)):
            try:
                self._note(self._tally.usage)
                self._afford(self._tally.usage)
            except CallError as ex:
                self._problem(ex)
                self._caller.close(1008, ex.message[:100])
                return
            heard = max(self._caller.heard, self._upstream.heard)
            if time.monotonic() - heard > self._idle:
                self._problem(CallError("timeout", f"nothing was said for {self._idle:g} seconds", code="session_idle"))
                self._caller.close(1001, "idle")
                return

    def _up(self, message: Message) -> bool:
        """A message of the caller; whether it goes on."""
        if not (message.text or self._asked.bytes) and self._translator is None:
            return self._upstream.send(message.data, text=False)
        event = _event(message.data) if message.text or self._asked.bytes else None
        if event is None:
            self._problem(CallError("bad_request", "an event must be a JSON object with a type", code="invalid_event"))
            return self._asked.problem is not None
        if self._call.format.keys:
            event = fold_keys(event, self._call.format.keys)
        if self._translator is None:
            return self._sent(event, message.data, text=message.text)
        try:
            events, told = self._translator.up(event)
        except CallError as ex:
            self._problem(ex)
            return self._asked.problem is not None
        except MappingError as ex:
            self._problem(CallError("bad_request", f"{ex.path}: {ex.why}", code="invalid_event", param=ex.path))
            return self._asked.problem is not None
        self._tell(told)
        return all(self._sent(one, None) for one in events)

    def _sent(self, event: dict[str, Any], data: bytes | None, *, text: bool = True) -> bool:
        """Send an event in the provider's format, ``data`` as it came; whether it goes on."""
        what = self._rules.session.intersection(kinds(self._rules, event))
        for kind in what:
            session = event.get(kind if self._rules.members else "session")
            if isinstance(session, dict):
                try:
                    changed = self._session(session)
                except (GatewrightError, MappingError) as ex:
                    self._problem(CallError("bad_request", str(ex), code="invalid_session"))
                    return self._asked.problem is not None
                data = dumps({**event, (kind if self._rules.members else "session"): changed})
        if not what and not self._set_up.wait(_SET_UP_WITHIN):
            self._problem(CallError("timeout", "the provider did not take the session's set-up", code="session_setup"))
            return False
        self._tally.note(event)
        return self._upstream.send(dumps(event) if data is None else data, text=text)

    def _session(self, session: dict[str, Any]) -> dict[str, Any]:
        attempt, report = self._attempt, self._attempt.outcome.report
        if self._rules.named is not None:
            session = {**session, "model": self._rules.named([], attempt.model)}
        elif session.get("model") == self._call.asked != attempt.model:
            session = {**session, "model": attempt.model}
        return patched(attempt, session, report, guarded=False, options=self._call.snapshot.values)

    def _down(self) -> None:
        """Everything of the upstream, to its end; then the caller is told how that was."""
        ended = None
        try:
            for message in self._upstream.messages():
                if self._attempt.outcome.first_byte is None:
                    self._attempt.outcome.first_byte = time.monotonic()
                if not self._passed(message):
                    break
        except CallError as ex:
            ended = ex
        self._set_up.set()
        if self._translator is not None and not self._over.is_set():
            self._tell(self._translator.close())
        if ended is not None:
            self._problem(ended)
            self._caller.close(1008, ended.message[:100])
        elif not self._over.is_set():
            self._over.set()
            code = self._upstream.code
            if code in _GONE:
                self._attempt.outcome.ended = "cut"
                self._problem(CallError("cut", "the provider's connection broke off", code="upstream_closed"))
            reason = masked(self._upstream.reason, self._attempt, self._call)
            self._caller.close(1011 if code in _GONE else code, reason or "the provider's connection broke off")

    def _passed(self, message: Message) -> bool:
        """A message of the upstream, to the caller; whether it goes on. Raises ``CallError`` if it can't be paid."""
        event = _event(message.data) if message.text or self._rules.bytes else None
        if event is None:
            return self._translator is not None or self._caller.send(message.data, text=message.text)
        told = self._tally.told(event)
        if told:  # before its caller has it: the worker may die between the two
            self._note(self._tally.usage)
        else:
            self._tally.note(event)
        if "error" in kinds(self._rules, event):
            event = masked(event, self._attempt, self._call)
        if self._translator is None:
            goes = self._caller.send(self._named(event, message.data), text=message.text)
        else:
            goes = self._tell(self._down_events(event))
        if told:
            self._afford(self._tally.usage)
        return goes

    def _down_events(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        assert self._translator is not None
        try:
            events = self._translator.down(event)
        except MappingError as ex:
            self._attempt.outcome.report.append((ex.path, f"the provider's event can't be read: {ex.why}"))
            return []
        if self._translator.ready:
            self._set_up.set()
        return events

    def _named(self, event: dict[str, Any], data: bytes) -> bytes:
        """An event as the caller gets it: with the name of the model that it asked for."""
        what = kinds(self._rules, event)
        if self._attempt.model != self._call.asked and self._rules.session.intersection(what):
            session = event.get("session")
            if isinstance(session, dict) and session.get("model") == self._attempt.model:
                return dumps({**event, "session": {**session, "model": self._call.asked}})
        return dumps(event) if "error" in what else data

    def _tell(self, events: list[dict[str, Any]]) -> bool:
        return all(self._caller.send(dumps(event)) for event in events)

    def _problem(self, ex: CallError) -> None:
        """Tell the caller what is wrong; where its format has no event for that, the connection ends by it."""
        if self._asked.problem is None:
            self._caller.close(1007 if ex.meaning == "bad_request" else 1011, ex.message)
            return
        ctx = self._call.ctx(self._attempt)
        self._caller.send(dumps(self._asked.problem([], dialect.error_of(ex), ctx)))


def _event(data: bytes) -> dict[str, Any] | None:
    try:
        event = orjson.loads(data)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
