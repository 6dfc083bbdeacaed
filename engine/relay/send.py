"""Send: one attempt goes up; gives the upstream's answer, or raises ``UpstreamFailure`` with what its refusal means."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engine import __version__
from engine.relay.translate import Outbound
from engine.relay.upstream import UpstreamFailure, refusal
from engine.transport import auth, faults, leg

if TYPE_CHECKING:
    from engine.relay.call import Attempt, Call
    from engine.relay.state import RelayState

_ERROR_LIMIT = 1024 * 1024
_NEVER = frozenset(
    {
        "authorization",
        "cookie",
        "proxy-authorization",
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
        "content-encoding",
        "content-type",
        "accept",
        "upgrade",
        "te",
        "trailer",
        "keep-alive",
        "expect",
    }
)
"""Client headers that never go up, whatever a document lists."""
_ASKING = leg.Timeouts(connect=5, first_byte=15, idle=15, total=30)
_AGENT = f"gatewright/{__version__}"


def send(state: RelayState, call: Call, attempt: Attempt, out: Outbound, handle: leg.Handle) -> leg.Answer:
    """Return the answer's head with a body still to read; its status is below 300."""
    secret = attempt.channel.key()
    headers = _headers(call, attempt, out, secret)
    try:
        url = auth.apply(attempt.channel.provider.auth, secret, headers, _url(attempt, call.stream))
        answer = state.sender(attempt).send(
            "POST", url, headers, out.body, timeouts=_timeouts(state, attempt), handle=handle
        )
        if answer.status >= 300:
            raise _refused(attempt, answer)
    except faults.TransportError as ex:
        raise failure(ex) from None
    return answer


def ask(state: RelayState, call: Call, attempt: Attempt, method: str, below: str) -> leg.Answer:
    """Return what the provider says of an answer that it holds; ``below`` follows the path where answers are made."""
    secret = attempt.channel.key()
    headers = _headers(call, attempt, Outbound(b"", True), secret)
    path, mark, query = attempt.channel.provider.formats[attempt.format.name].path.partition("?")
    try:
        url = _address(attempt.channel.base_url, path + below + mark + query, attempt.model)
        url = auth.apply(attempt.channel.provider.auth, secret, headers, url)
        answer = state.sender(attempt).send(method, url, headers, b"", timeouts=_ASKING, handle=leg.Handle())
        if answer.status >= 300:
            raise _refused(attempt, answer)
    except faults.TransportError as ex:
        raise failure(ex) from None
    return answer


def failure(ex: faults.TransportError) -> UpstreamFailure:
    """Return what a broken connection means to the call."""
    return UpstreamFailure(
        {"meaning": ex.meaning, "message": f"the provider could not be reached: {ex}", "code": ex.kind}
    )


def _refused(attempt: Attempt, answer: leg.Answer) -> UpstreamFailure:
    raw = answer.read(_ERROR_LIMIT)
    status = attempt.channel.status_mapping.get(answer.status, answer.status)
    plain = {"meaning": "unknown", "message": f"the provider answered with status {answer.status}"}
    failed = refusal(attempt, status, answer.headers, raw)
    return failed or UpstreamFailure(plain, status=status, raw=raw, headers=answer.headers)


@functools.lru_cache(1024)
def _address(base_url: str, path: str, model: str) -> str:
    return base_url.rstrip("/") + path.replace("{model}", quote(model, safe="/:@-._~"))


def _url(attempt: Attempt, stream: bool) -> str:
    hop = attempt.channel.provider.formats[attempt.format.name]
    return _address(attempt.channel.base_url, hop.stream_path if stream else hop.path, attempt.model)


def _headers(call: Call, attempt: Attempt, out: Outbound, secret: str | None) -> list[tuple[str, str]]:
    provider = attempt.channel.provider
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if call.stream else "application/json",
        "user-agent": _AGENT,
    }
    names = list(provider.headers.get("forward") or ())
    if out.same:
        names += call.format.headers.get("forward") or ()
    for name in names:
        for sent, value in _matching(call.headers, name.lower()):
            headers[sent] = value
    headers |= attempt.channel.provider.formats[attempt.format.name].headers
    headers |= {
        name.lower(): str(value)
        for name, value in (provider.headers.get("set") or {}).items()
        if name.lower() not in headers
    }
    for name, value in attempt.channel.headers.items():
        _override(headers, name.lower(), value, call, secret)
    return list(headers.items())


def _matching(sent: dict[str, str], name: str) -> list[tuple[str, str]]:
    """The caller's headers that a listed name means; a ``*`` at its end means any that begin so."""
    if name.endswith("*"):
        return [(key, value) for key, value in sent.items() if key.startswith(name[:-1]) and key not in _NEVER]
    value = sent.get(name)
    return [(name, value)] if value is not None and name not in _NEVER else []


def _override(headers: dict[str, str], name: str, value: str, call: Call, secret: str | None) -> None:
    """A channel row's header: ``{api_key}`` is the secret, ``{client_header:NAME}`` one that the caller sent."""
    if value.startswith("{client_header:") and value.endswith("}"):
        given = call.headers.get(value[15:-1].strip().lower())
        if given is None:
            return
        value = given
    if name not in ("content-length", "transfer-encoding", "connection", "host"):
        headers[name] = value.replace("{api_key}", secret or "")


def _timeouts(state: RelayState, attempt: Attempt) -> leg.Timeouts:
    """The provider's own timeouts before the policy's before the settings'; seconds, 0 = none."""
    declared: dict[str, Any] = {**state.policy_timeouts, **attempt.channel.provider.timeouts}
    if not declared:
        return state.timeouts
    base = state.timeouts
    return leg.Timeouts(
        connect=declared.get("connect", base.connect),
        tls=base.tls,
        first_byte=declared.get("firstByte", base.first_byte),
        idle=declared.get("idle", base.idle),
        total=declared.get("total", base.total),
    )
