"""The way of one call through the stages. Faults end here, in the caller's dialect."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.program.refused import for_caller
from engine.relay import dialect
from engine.relay.admit import admit
from engine.relay.call import Call, Reply
from engine.relay.failover import DEEP, answer, ended
from engine.relay.identify import identify
from engine.relay.ingress import take
from engine.relay.price import price
from engine.relay.resolve import resolve
from engine.relay.route import attempts
from engine.relay.thread import prefer, take_up
from engine.relay.upstream import UpstreamFailure
from engine.storage.database import StorageError

if TYPE_CHECKING:
    from engine.relay.state import RelayState

log = logging.getLogger(__name__)
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
        return dialect.refuse(call, CallError("bad_request", DEEP))
    except StorageError:
        log.exception("call %s: the database failed", call.request_id)
        return dialect.refuse(call, CallError("unavailable", "the gateway's database is away; try again soon", wait=5))
    except Exception:
        log.exception("call %s failed", call.request_id)
        return dialect.error_reply(call.format, dialect.FAILED, call.ctx())


def relay(state: RelayState, call: Call, environ: dict[str, Any]) -> Reply:
    """Serve a generating call: the stages in order."""
    try:
        call.account = identify(call, state.keys, state.credentials(call.format), state.choices)
        elsewhere = take(state, call, environ)
        if elsewhere is not None:
            return elsewhere
        take_up(call, state.answers, state.settings.max_request_body)
        reading, serving = resolve(call, state.table, state.choices.groups(call.account))
        groups = serving if call.account.cross_group_retry else serving[:1]
        price(state, call, reading)
        call.reservation = admit(state, call, call.account, groups)
        tries = attempts(call, state.table, reading, groups, state.tries)
        return answer(state, call, prefer(call, tries))
    except BaseException as ex:
        ended(state, call, ex)
        raise


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
