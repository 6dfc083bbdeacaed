"""Send: one attempt goes up; gives the upstream's answer, or raises ``UpstreamFailure`` with what its refusal means."""

from __future__ import annotations

import functools
import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from engine.errors import CallError
from engine.relay.streams import ping_every
from engine.relay.upstream import UpstreamFailure, refusal
from engine.relay.way import Way, way
from engine.transport import auth, faults, leg

if TYPE_CHECKING:
    from engine.relay.call import Attempt, Call
    from engine.relay.state import RelayState
    from engine.relay.translate import Outbound
    from engine.transport.waiting import Waiting

log = logging.getLogger(__name__)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ERROR_LIMIT = 1024 * 1024
_ASKED_LIMIT = 8 * 1024 * 1024
_ASKING = leg.Timeouts(connect=5, first_byte=15, idle=15, total=30)


def send(state: RelayState, call: Call, attempt: Attempt, out: Outbound, handle: leg.Handle) -> Waiting[leg.Answer]:
    """Return the answer's head with a body still to read, giving way each time that a ping is due before it.

    Its status is below 300.
    """
    channel, secret, ours = attempt.channel, attempt.channel.key(), way(state, call, attempt, same=out.same)
    headers = _headers(call, attempt, ours, secret)
    try:
        url = auth.apply(channel.provider.auth, secret, headers, _address(attempt, ours.path))
        sender, tick = state.sender(attempt), ping_every(state, call) if call.stream else 0.0
        answer = yield from sender.exchange("POST", url, headers, out.body, ours.timeouts, handle, tick)
        if answer.status >= 300:
            raise _refused(call, attempt, answer)
    except faults.TransportError as ex:
        raise failure(ex) from None
    return answer


def ask(state: RelayState, call: Call, attempt: Attempt, method: str, below: str) -> bytes:
    """Return what the provider says of an answer that it holds; ``below`` follows the path where answers are made."""
    secret = attempt.channel.key()
    headers = _headers(call, attempt, way(state, call, attempt, same=True), secret)
    path, mark, query = attempt.channel.path(attempt.channel.provider.formats[attempt.format.name].path).partition("?")
    try:
        url = _address(attempt, path + below + mark + query)
        url = auth.apply(attempt.channel.provider.auth, secret, headers, url)
        answer = state.sender(attempt).send(method, url, headers, b"", timeouts=_ASKING, handle=leg.Handle())
        if answer.status >= 300:
            raise _refused(call, attempt, answer)
        return answer.read(_ASKED_LIMIT)
    except faults.TransportError as ex:
        raise failure(ex) from None


def failure(ex: faults.TransportError) -> UpstreamFailure:
    """Return what a broken connection means to the call; which address it was, the log alone is told."""
    error = {"meaning": ex.meaning, "message": f"the provider could not be reached: {ex.public}", "code": ex.kind}
    log.info("an upstream could not be reached: %s", ex)
    return UpstreamFailure(error, logged=f"the provider could not be reached: {ex}")


def _refused(call: Call, attempt: Attempt, answer: leg.Answer) -> UpstreamFailure:
    raw = answer.read(_ERROR_LIMIT)
    status = attempt.channel.status_mapping.get(answer.status, answer.status)
    plain = {"meaning": "unknown", "message": f"the provider answered with status {answer.status}"}
    failed = refusal(call, attempt, status, answer.headers, raw)
    return failed or UpstreamFailure(plain, status=status)


def _address(attempt: Attempt, path: str) -> str:
    """Where the attempt goes. A name that nobody listed, which a channel for all models takes, stays one segment."""
    channel, model = attempt.channel, attempt.model
    listed = "{model}" not in path or model in channel.models or model in channel.model_mapping.values()
    if not listed:
        plain = unquote(unquote(model)).replace("\\", "/")
        if not {".", ".."}.isdisjoint(plain.split("/")):
            raise CallError("bad_request", "the model's name can't stand in an address", param="model")
    return _joined(channel.base_url, path, model, "/" if listed else "")


@functools.lru_cache(1024)
def _joined(base_url: str, path: str, model: str, safe: str) -> str:
    return base_url.rstrip("/") + path.replace("{model}", quote(model, safe=f"{safe}:@-._~"))


def _headers(call: Call, attempt: Attempt, ours: Way, secret: str | None) -> list[tuple[str, str]]:
    headers = ours.headers(call.headers)
    for name, value in attempt.channel.headers.items():
        _override(headers, name.lower(), value, call, secret)
    return list(headers.items())


def _override(headers: dict[str, str], name: str, value: str, call: Call, secret: str | None) -> None:
    """A channel row's header: ``{api_key}`` is the secret, ``{client_header:NAME}`` one that the caller sent.

    What the caller sent goes up as it is: nothing in it is put in for anything.
    """
    if name in ("content-length", "transfer-encoding", "connection", "host"):
        return
    if not (value.startswith("{client_header:") and value.endswith("}")):
        headers[name] = value.replace("{api_key}", secret or "")
        return
    wanted = value[15:-1].strip().lower()
    given = call.headers.get(wanted)
    if given is None:
        return
    if _CONTROL.search(given):
        raise CallError("bad_request", f"the header {wanted} holds a control character", param=wanted)
    headers[name] = given
