"""The way of one call through the stages, and the loop over attempts. Faults end here, in the caller's dialect."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import CallError, GatewrightError, MappingError
from engine.program.refused import for_caller
from engine.relay import dialect
from engine.relay.admit import admit
from engine.relay.call import Attempt, Call, Reply
from engine.relay.deliver import deliver
from engine.relay.identify import identify
from engine.relay.ingress import take
from engine.relay.price import price
from engine.relay.resolve import resolve
from engine.relay.route import attempts
from engine.relay.send import send
from engine.relay.settle import Outcome, settle
from engine.relay.thread import prefer, take_up
from engine.relay.translate import Outbound, Recall, translate
from engine.relay.upstream import UpstreamFailure
from engine.storage.database import StorageError
from engine.transport.leg import Handle

if TYPE_CHECKING:
    from engine.relay.state import RelayState

log = logging.getLogger(__name__)


_DEEP = "the request body is nested too deep"
Operation = Callable[["RelayState", Call, dict[str, Any]], Reply]


def serve(operation: Operation, state: RelayState, call: Call, environ: dict[str, Any]) -> Reply:
    """Run an operation and tell what stopped it in the caller's dialect. Never raises."""
    try:
        return operation(state, call, environ)
    except UpstreamFailure as ex:
        return _failed(call, ex)
    except CallError as ex:
        return dialect.refuse(call, ex)
    except RecursionError:
        return dialect.refuse(call, CallError("bad_request", _DEEP))
    except StorageError:
        log.exception("call %s: the database failed", call.request_id)
        return dialect.refuse(call, CallError("unavailable", "the gateway's database is away; try again soon", wait=5))
    except Exception:
        log.exception("call %s failed", call.request_id)
        return dialect.refuse(call, CallError("internal", "the gateway failed; quote the request id to its operator"))


def relay(state: RelayState, call: Call, environ: dict[str, Any]) -> Reply:
    """Serve a generating call: the stages in order."""
    outcome = Outcome()
    try:
        call.account = identify(call, state.keys, state.credentials(call.format), state.choices)
        take(call, environ, state.settings.max_request_body)
        take_up(call, state.answers, state.settings.max_request_body)
        reading, serving = resolve(call, state.table, state.choices.groups(call.account))
        groups = serving if call.account.cross_group_retry else serving[:1]
        price(state, call, reading)
        call.reservation = admit(state, call, call.account, groups)
        tries = attempts(call, state.table, reading, groups, state.tries)
        return _try(state, call, prefer(call, tries), outcome)
    except UpstreamFailure as ex:
        outcome.error, outcome.fee = ex.error, ex.fee
        settle(state, call, outcome, before_output=True)
        raise
    except CallError as ex:
        outcome.error = dialect.error_of(ex)
        settle(state, call, outcome, before_output=True)
        raise
    except BaseException:
        if call.reservation is not None:
            call.reservation.settle()
        raise


def _try(state: RelayState, call: Call, tries: list[Attempt], outcome: Outcome) -> Reply:
    """Try the attempts in turn until one answers; a failure that another channel can't mend ends the loop."""
    recall = partial(state.memory.recall, call.account.token_id) if call.account else None
    for number, attempt in enumerate(tries, 1):
        outcome.attempt = call.attempt = attempt
        outcome.tried.append(attempt.channel.name)
        handle = Handle()
        ended = state.live.enter(handle, call.watch(handle.abort) if call.watch else _nothing)
        try:
            out = _translated(call, attempt, state, recall)
            outcome.report = out.report
            answer = send(state, call, attempt, out, handle)
            return deliver(state, call, attempt, out, answer, handle, outcome, ended)
        except UpstreamFailure as ex:
            ended()
            outcome.usage = outcome.usage if state.terms.failed_pays else {}
            if number == len(tries) or handle.aborted or not state.again(ex):
                raise
            log.info("call %s: channel %s failed (%s), trying another", call.request_id, attempt.channel.name, ex)
        except MappingError as ex:
            ended()
            raise CallError("bad_request", f"{ex.path}: {ex.why}", param=ex.path) from ex
        except GatewrightError:
            ended()
            raise
    raise AssertionError("attempts() gives at least one")


def _translated(call: Call, attempt: Attempt, state: RelayState, recall: Recall | None) -> Outbound:
    try:
        return translate(call, attempt, state.fetch_all, recall)
    except RecursionError:
        raise CallError("bad_request", _DEEP) from None


def _nothing() -> None:
    """Ends no watch."""


def _failed(call: Call, ex: UpstreamFailure) -> Reply:
    """A refusal in the caller's own format passes as it came; in another it is told in the caller's dialect.

    A provider that declares an error body of its own does not speak the format's.
    """
    attempt = call.attempt
    told = for_caller(ex.error)
    if told is not ex.error:
        return dialect.error_reply(call.format, told, call.ctx(attempt))
    if ex.fee is not None:
        return dialect.error_reply(call.format, {**ex.error, "code": ex.fee.code}, call.ctx(attempt))
    same = (
        attempt is not None
        and attempt.channel.provider.error_body is None
        and attempt.format.passthrough_as == call.format.passthrough_as
    )
    if same and ex.raw and ex.status and ex.status >= 400:
        kind = ex.headers.get("content-type", "")
        if "json" in kind and ex.raw.lstrip()[:1] == b"{":
            headers = [("content-type", kind)]
            wait = ex.headers.get("retry-after") or ex.error.get("wait")
            if wait is not None:
                headers.append(("retry-after", wait if isinstance(wait, str) else f"{wait:g}"))
            return Reply(ex.status, headers, ex.raw)
    return dialect.error_reply(call.format, ex.error, call.ctx(attempt))
