"""The kind of call that is a live connection: a WebSocket up, a WebSocket down, between formats of one family.

The caller's upgrade is answered when the upstream's is: until then a fault is an HTTP status, and another channel may
follow. What the session may cost is held as it goes on; it is settled once, when it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from engine import bounds
from engine.errors import CallError, MappingError
from engine.hub.fold import fold_keys
from engine.jsonbytes import loads
from engine.kinds.realtime import keys
from engine.kinds.realtime.call import Opened, RealtimeCall
from engine.kinds.realtime.session import LiveSession
from engine.ledger.served import LIVE
from engine.relay import cutshort, pipeline
from engine.relay.call import Reply
from engine.relay.ingress.body import asked_model
from engine.relay.ingress.identify import identify
from engine.relay.kind import Estimate, Kind, Outbound
from engine.relay.settle import settle
from engine.relay.upstream.failure import UpstreamFailure
from engine.relay.upstream.refusal import refusal
from engine.relay.upstream.send import failure, upgrade
from engine.routing.upstream_profile import upstream_profile
from engine.transport import faults, leg, websocket

if TYPE_CHECKING:
    from engine.ledger.reserve import Reservation
    from engine.relay.services import Services
    from engine.routing.attempt import Attempt
    from engine.transport.leg import Handle
    from engine.transport.waiting import Waiting

_INPUT, _OUTPUT = 4_096, 4_096
"""Tokens of the next answer that are held."""
_IDLE = 900.0
_CODES = {400: 1007}
"""Close codes of refusals by their status; else policy, or an error of the server."""


class Realtime(Kind[RealtimeCall, Outbound]):
    """See the module."""

    name = "realtime"
    connects = True
    call = RealtimeCall

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._keys = keys.ShortKeys(services)
        self.operations = {"generate": self._open, "client_secret": self._keys.make}

    def _open(self, call: RealtimeCall, environ: dict[str, Any]) -> Reply:
        if call.format.realtime is not None and call.format.realtime.model is not None:
            return self._listened(call, environ)
        self._keys.take(call)
        return pipeline.relay(self.services, self, call, environ)

    def _listened(self, call: RealtimeCall, environ: dict[str, Any]) -> Reply:
        """Upgrade a connection whose first message names the model; what is wrong then is a close code."""
        _handshake(call, environ)
        call.account = identify(call, self.services.keys)
        return Reply(101, [], takes=partial(self._first, call, environ))

    def _first(self, call: RealtimeCall, environ: dict[str, Any], sock: Any) -> None:
        caller = self._accepted(call, sock)
        messages = caller.messages()
        first = next(messages, None)
        if first is None:
            caller.drop()
            return
        call.opened = Opened(caller, messages, first)
        reply = pipeline.serve(partial(pipeline.relay, self.services, self), call, environ)
        if reply.takes is not None:
            reply.takes(sock)
            return
        caller.close(_CODES.get(reply.status, 1008 if reply.status < 500 else 1011), said(reply.body))
        for _ in messages:
            """What is still on its way, until the caller has closed."""
        caller.drop()

    def _accepted(self, call: RealtimeCall, sock: Any) -> websocket.WebSocket:
        handshake = websocket.asked(call.headers)
        assert not isinstance(handshake, str)
        key, offered = handshake
        rules = call.format.realtime
        chosen = next((name for name in (rules.subprotocols if rules else ()) if name in offered), None)
        return websocket.accept(sock, key, chosen, [("x-request-id", call.request_id)])

    def read(self, call: RealtimeCall, environ: dict[str, Any]) -> Reply | None:
        _handshake(call, environ)
        call.body = {}
        if call.opened is not None:
            call.asked = _first_named(call, call.opened.first.data)
            return None
        call.asked = asked_model(call, call.endpoint)
        self._keys.check(call)
        return None

    def estimate(self, call: RealtimeCall) -> Estimate:
        return Estimate(_INPUT, _OUTPUT)

    def encode(self, call: RealtimeCall, attempt: Attempt) -> Outbound:
        return Outbound(b"", True)

    def connect(self, call: RealtimeCall, attempt: Attempt, out: Outbound, handle: Handle) -> Waiting[Any]:
        yield from ()  # a caller who waits for an upgrade can be told nothing meanwhile
        hop = attempt.channel.provider.formats[attempt.format.name]
        url, headers = upgrade(self.services, call, attempt, hop.path)
        limits = upstream_profile(call.snapshot.time_limits, call, attempt, same=True).timeouts
        rules = attempt.format.realtime
        assert rules is not None
        own = [(name, value) for name, value in headers if name.lower() != "sec-websocket-protocol"]
        offered = list(rules.subprotocols[:1])
        verify = not self.services.settings.tls_insecure_skip_verify
        tls = leg.shared_tls() if verify else leg.default_tls(verify=False)
        try:
            return websocket.connect(self.services.guard, url, own, offered, limits, handle, tls, attempt.channel.proxy)
        except websocket.UpgradeRefusedError as ex:
            raw, plain = ex.body, {"meaning": "unknown", "message": f"the provider answered with status {ex.status}"}
            status = attempt.channel.status_mapping.get(ex.status, ex.status)
            raise refusal(call, attempt, status, ex.headers, raw) or UpstreamFailure(plain, status=status) from None
        except faults.TransportError as ex:
            raise failure(ex) from None

    def deliver(
        self,
        call: RealtimeCall,
        attempt: Attempt,
        out: Outbound,
        answer: Any,
        handle: Handle,
        unwatch: Callable[[], None],
        *,
        spare: bool,
    ) -> Waiting[Reply]:
        unwatch()

        def take(sock: Any) -> None:
            self._live(call, attempt, answer, handle, sock)

        yield from ()
        return Reply(101, [], takes=take)

    def _live(
        self, call: RealtimeCall, attempt: Attempt, upstream: websocket.WebSocket, handle: Handle, sock: Any
    ) -> None:
        services, place = self.services, None
        held: list[Reservation] = []
        session: LiveSession | None = None
        leave = services.live.enter(handle, None)
        try:
            opened = call.opened
            caller = opened.socket if opened is not None else self._accepted(call, sock)
            attempt.outcome.delivered = True
            note = {**cutshort.note(call, attempt), LIVE: call.format.name}
            place = services.served.begin(note)
            noted = partial(self._noted, place, note, held)
            session = LiveSession(call, attempt, caller, upstream, noted, self._afford(call, attempt, held), _IDLE)
            handle.ender = session.stop
            if handle.aborted or services.live.stopping:
                session.stop()
            session.run(chain((opened.first,), opened.messages) if opened is not None else None)
        except OSError:
            attempt.outcome.ended = "client_gone"
        finally:
            upstream.drop()
            leave()
            if session is not None:
                attempt.outcome.usage = session.usage
            settle(services, call)
            for reservation in held:
                reservation.settle()
            if place is not None:
                services.served.end(place, attempt.outcome.booked)

    def _noted(self, place: int, note: dict[str, Any], held: list[Reservation], usage: dict[str, Any]) -> None:
        """Note what a session has used by now, should the worker die; and for who looks, what is held for that."""
        used = {name: value for name, value in usage.items() if value}
        self.services.served.note(place, {**note, "held": sum(each.amount for each in held), "used": used})

    def _afford(
        self, call: RealtimeCall, attempt: Attempt, held: list[Reservation]
    ) -> Callable[[dict[str, Any]], None]:
        """Hold what the session has cost so far; the call's own reservation stays for the next answer."""
        lock = threading.Lock()

        def afford(usage: dict[str, Any]) -> None:
            account, book = call.account, call.book
            if account is None or book is None or call.rule is None or call.reservation is None:
                return
            terms = call.snapshot.terms
            with lock:
                cost = book.charge(
                    call.rule, usage, group=attempt.group, user_group=account.user_group, now=call.now,
                    channel=attempt.channel.name, headers=call.headers, request=call.body,
                ).quota  # fmt: skip
                missing = cost - sum(reservation.amount for reservation in held)
                if missing > 0:
                    ids, plan = (account.user_id, account.token_id), call.reservation.plan
                    held.append(self.services.reserves.hold(*ids, missing, terms, plan))

        return afford

    def left(self, call: RealtimeCall, attempt: Attempt) -> None:
        """Nothing was said: nothing is paid."""


def _handshake(call: RealtimeCall, environ: dict[str, Any]) -> None:
    handshake = websocket.asked(call.headers)
    if isinstance(handshake, str):
        raise CallError("bad_request", handshake, code="upgrade_required")
    if environ.get("gunicorn.socket") is None:
        raise CallError("unavailable", "this server has no live connections")
    allowed = (call.program.policy.get("realtime") or {}).get("origins")
    origin = call.headers.get("origin")
    if allowed is not None and origin is not None and origin.lower() not in map(str.lower, allowed):
        raise CallError(
            "forbidden", f"pages of {origin[:200]} may not open live connections", code="origin_not_allowed"
        )


def _first_named(call: RealtimeCall, data: bytes) -> str:
    """The model that the first message names."""
    rules = call.format.realtime
    assert rules is not None
    assert rules.model is not None
    try:
        event = fold_keys(loads(data), call.format.keys) if call.format.keys else loads(data)
        name = rules.model([], event) if isinstance(event, dict) else None
    except (ValueError, MappingError):
        name = None
    if not isinstance(name, str) or not name:
        raise CallError("bad_request", "the first message must be the session's set-up, which names the model")
    bounds.MODEL_NAME.check(len(name), "model")
    return name


def said(body: bytes) -> str:
    """The message of an error's body, whatever its dialect."""
    try:
        error = loads(body).get("error")
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, LookupError, AttributeError):
        return "the call failed"
