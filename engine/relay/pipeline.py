"""The way of one call through the stages. Faults end here, in the caller's dialect."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import CallError, Conflict, Forbidden, GatewrightError, Invalid, NotFound, Unavailable
from engine.program.refused import for_caller
from engine.relay import dialect
from engine.relay.admit import admit
from engine.relay.call import Call, Reply
from engine.relay.failover import DEEP, answer, ended
from engine.relay.ingress.identify import identify
from engine.relay.mirror import mirror
from engine.relay.price import price
from engine.relay.upstream.failure import UpstreamFailure
from engine.routing.resolve import resolve
from engine.routing.route import Choosing, attempts

if TYPE_CHECKING:
    from engine.relay.kind import Kind, Operation
    from engine.relay.services import Services
    from engine.routing.aliases import ResolvedModel
    from engine.routing.attempt import Attempt
    from engine.routing.channel import LiveChannel
    from engine.routing.choice import Choice

log = logging.getLogger(__name__)
_SPARE = 8
"""How many channels more are looked at where those that were drawn may have no room."""


def serve(operation: Operation, call: Call, environ: dict[str, Any]) -> Reply:
    """Run an operation and tell what stopped it in the caller's dialect. Never raises."""
    try:
        return operation(call, environ)
    except UpstreamFailure as ex:
        return _failed(call, ex)
    except CallError as ex:
        return dialect.refuse(call, ex)
    except RecursionError:
        return dialect.refuse(call, CallError("bad_request", DEEP))
    except Unavailable as ex:
        log.exception("call %s can't be served now", call.request_id)
        return dialect.refuse(call, CallError("unavailable", ex.public, wait=ex.wait))
    except (Invalid, NotFound, Conflict, Forbidden) as ex:
        return dialect.refuse(call, _remedied(ex))
    except Exception:
        log.exception("call %s failed", call.request_id)
        return dialect.error_reply(call.format, dialect.FAILED, call.ctx())


def relay(services: Services, kind: Kind[Any, Any], call: Call, environ: dict[str, Any]) -> Reply:
    """Serve a generating call of a kind: the stages in order."""
    try:
        call.account = identify(call, services.keys)
        snapshot = call.snapshot
        elsewhere = kind.read(call, environ)
        if elsewhere is not None:
            return elsewhere
        services.metrics.began(call)
        if snapshot.tags is not None:
            call.tags = snapshot.tags.of(call)
        reading, serving = resolve(call, snapshot.aliases, snapshot.table, snapshot.groups.groups(call.account))
        price(call, reading)
        estimate = kind.estimate(call)
        call.size, call.most_tokens = estimate.input, estimate.input + estimate.output
        call.bond = snapshot.affinity.bond(call) if call.pinned is None else None
        asked = call.bond if not call.kept else None
        verdict = services.limits.take(call, services.bonds.question(asked))
        if asked is not None:
            call.kept = services.bonds.channel(asked, verdict)
        if snapshot.captures is not None:
            call.capture = snapshot.captures.begun(call)
        call.reservation = admit(services, kind, call, call.account, serving, estimate)
        drawn, choice = _attempts(services, call, reading, serving)
        tries = kind.order(call, drawn)
        if tries[0] is not drawn[0]:
            choice.first = tries[0].channel
        if choice.shadow is not None:
            mirror(services, kind, call, choice.shadow)
        return answer(services, kind, call, tries)
    except BaseException as ex:
        ended(services, call, ex)
        raise


def _attempts(
    services: Services, call: Call, reading: ResolvedModel, serving: tuple[str, ...]
) -> tuple[list[Attempt], Choice]:
    """What to try, in order, as everything stands now, and why."""
    snapshot = call.snapshot
    choosing = Choosing(
        snapshot.aliases,
        snapshot.table,
        snapshot.orders,
        services.pulse,
        partial(_typical_cost, call),
        len(snapshot.table.channels) if call.bound else snapshot.retry.tries,
        _SPARE if snapshot.limits.channels else 0,
        services.health.back if snapshot.table.timed or services.health.watches() else None,
    )
    tries, choice = attempts(choosing, call, reading, serving)
    call.choice = choice
    if not call.bound:
        return tries, choice
    own = [attempt for attempt in tries if attempt.channel.mark == call.kept][:1]
    if not own:
        raise CallError(
            "unavailable", "the channel that has what this goes on from does not serve this", code="origin_channel"
        )
    choice.first = own[0].channel
    return own, choice


def _typical_cost(call: Call, channel: LiveChannel, model: str) -> float:
    """What calls for a model cost the operator at a channel, to compare channels by; infinite where nobody says."""
    costs = call.snapshot.book.costs
    return costs.typical(call.rule, model, channel.name, channel.provider.name, channel.cost_factor)


def _remedied(ex: GatewrightError) -> CallError:
    """What the caller can mend, in the words of calls; ``Unavailable`` and all faults of the gateway's own are not."""
    if isinstance(ex, Invalid):
        return CallError("bad_request", str(ex), param=ex.field)
    if isinstance(ex, Conflict):
        return CallError("bad_request", str(ex), status=409)
    return CallError("not_found" if isinstance(ex, NotFound) else "forbidden", str(ex))


def _failed(call: Call, ex: UpstreamFailure) -> Reply:
    """A refusal in the caller's own format passes as it came; in another it is told in the caller's dialect.

    A provider that declares an error body of its own does not speak the format's.
    """
    attempt = call.attempt
    error = for_caller(ex.error)
    if error is not ex.error:
        return dialect.error_reply(call.format, error, call.ctx(attempt))
    if ex.own:
        return dialect.own_reply(call.format, ex.error, call.ctx(attempt))
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
    error = for_caller(ex.error, attempt.format if attempt else None, call.format)
    return dialect.error_reply(call.format, error, call.ctx(attempt))
