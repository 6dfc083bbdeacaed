"""Send: one attempt goes up; gives the upstream's answer, or raises ``UpstreamFailure`` with what its refusal means."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote

from engine.errors import CallError
from engine.relay.upstream.failure import UpstreamFailure
from engine.relay.upstream.refusal import refusal
from engine.routing.profile import UpstreamProfile
from engine.routing.upstream_profile import upstream_profile
from engine.transport import auth, faults, framing, leg, proxied
from engine.transport.spool import Body
from engine.transport.waiting import beside, outcome_of

if TYPE_CHECKING:
    from engine.relay.attempts.health import Health
    from engine.relay.call import Call
    from engine.relay.kind import Outbound
    from engine.routing.attempt import Attempt
    from engine.routing.channel import LiveChannel
    from engine.transport.waiting import Waiting

log = logging.getLogger(__name__)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ERROR_LIMIT = 1024 * 1024
_ASKED_LIMIT = 8 * 1024 * 1024
_UNAUTHORISED = 401
_ASKING = leg.Timeouts(connect=5, first_byte=15, idle=15, total=30)


class SendServices(Protocol):
    """What sending takes of a worker's services."""

    @property
    def health(self) -> Health: ...
    @property
    def tokens(self) -> auth.Tokens: ...
    def sender(self, attempt: Attempt) -> leg.Pool | proxied.Sender:
        """What carries an attempt."""

    def home(self, channel: LiveChannel) -> auth.Home:
        """Where a channel's credential is kept."""


def send(
    services: SendServices, call: Call, attempt: Attempt, out: Outbound, handle: leg.Handle
) -> Waiting[leg.Answer]:
    """Return the answer's head with a body still to read, giving way each time that a ping is due before it.

    Its status is below 300.
    """
    secret = _secret(services, attempt)
    ours = upstream_profile(call.snapshot.time_limits, call, attempt, same=out.same)
    tick = ping_every(call) if call.stream else 0.0
    if call.stream and ours.timeouts.first_token:
        attempt.speaks_by = attempt.outcome.began + ours.timeouts.first_token
    try:
        _name_model(attempt, secret)
        path, rule = out.path or ours.path, attempt.channel.provider.auth
        if out.words:
            path = worded(path, out.words)
        exchanged = auth.exchanges(rule, secret)
        # A token of before that another worker has replaced, one that the provider ended since, and the newest.
        for left in (2, 1, 0) if exchanged and auth.renews(rule) else (1, 0):
            token = (yield from _token(services, attempt, secret, tick)) if exchanged else None
            url = _address(call, attempt, path)
            headers, url, body = _signed(call, attempt, ours, secret, url, out.headers, body=out.body, token=token)
            sender = services.sender(attempt)
            answer = yield from sender.exchange("POST", url, headers, body, ours.timeouts, handle, tick)
            if answer.status != _UNAUTHORISED or token is None or not left:
                break
            # The token may have been withdrawn before its end: another is asked for, once.
            services.tokens.spoil(rule, (secret or "").strip(), token)
            answer.read(_ERROR_LIMIT)
        if answer.status >= 300:
            raise _refused(call, attempt, answer)
    except faults.TransportError as ex:
        raise failure(ex) from None
    return answer


def _secret(services: SendServices, attempt: Attempt) -> str | None:
    """The key that the attempt goes up with: the one whose limits had room, else the next."""
    if attempt.secret is None:
        attempt.secret = attempt.channel.key(services.health.free(attempt.channel))
    return attempt.secret


def _token(services: SendServices, attempt: Attempt, secret: str | None, tick: float) -> Waiting[str | None]:
    """What the credential is exchanged for, giving way after each tick; nothing where it goes up itself."""
    rule, secret = attempt.channel.provider.auth, (secret or "").strip()
    if not auth.exchanges(rule, secret):
        return None
    held = services.tokens.held(rule, secret)
    if held is None:
        home = services.home(attempt.channel) if auth.renews(rule) else None
        sends = _sends(services, attempt)
        get = functools.partial(services.tokens.get, rule, secret, attempt.channel.base_url, sends, home)
        held = (yield from beside(get, tick)) if tick else get()
    attempt.token = held
    return held


def _sends(services: SendServices, attempt: Attempt) -> Callable[..., tuple[int, bytes]]:
    def sent(method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes]:
        answer = services.sender(attempt).send(method, url, headers, body, timeouts=_ASKING, handle=leg.Handle())
        return answer.status, answer.read(_ERROR_LIMIT)

    return sent


def ping_every(call: Call) -> float:
    """Seconds of silence after which a caller gets a sign of life; 0 where its format has none, or wants no stream."""
    if not call.stream or call.format.stream is None:
        return 0.0
    ping = call.format.stream.ping
    if not framing.pings_freely(call.framing) and (not ping or ping.get("none")):
        return 0.0
    return float(ping.get("every") or call.snapshot.ping_every) if call.snapshot.ping_every else 0.0


def ask(services: SendServices, call: Call, attempt: Attempt, method: str, below: str) -> bytes:
    """Return what the provider says of an answer that it holds; ``below`` follows the path where answers are made."""
    attempt.secret = attempt.channel.key()
    path, mark, query = attempt.channel.path(attempt.channel.provider.formats[attempt.format.name].path).partition("?")
    answer = begin(services, call, attempt, method, path + below + mark + query)
    try:
        return answer.read(_ASKED_LIMIT)
    except faults.TransportError as ex:
        raise failure(ex) from None


def begin(
    services: SendServices,
    call: Call,
    attempt: Attempt,
    method: str,
    path: str,
    body: Body = b"",
    described: Mapping[str, str] | None = None,
    handle: leg.Handle | None = None,
    timeouts: leg.Timeouts = _ASKING,
) -> leg.Answer:
    """Return the head of an answer to a question beside calls, asked with the key of the attempt.

    ``path`` lies below the channel's address; ``described`` are headers by lower-case names. Raises
    ``UpstreamFailure``.
    """
    ours = upstream_profile(call.snapshot.time_limits, call, attempt, same=True)
    try:
        _name_model(attempt, attempt.secret)
        token = outcome_of(_token(services, attempt, attempt.secret, 0.0))
        url = _address(call, attempt, path)
        headers, url, sent = _signed(
            call, attempt, ours, attempt.secret, url, described, method=method, body=body, token=token
        )
        sender = services.sender(attempt)
        answer = sender.send(method, url, headers, sent, timeouts=timeouts, handle=handle or leg.Handle())
        if answer.status >= 300:
            raise _refused(call, attempt, answer)
    except faults.TransportError as ex:
        raise failure(ex) from None
    return answer


def upgrade(services: SendServices, call: Call, attempt: Attempt, path: str) -> tuple[str, list[tuple[str, str]]]:
    """The address and the headers, with the credential, of a connection that is to be upgraded."""
    secret = _secret(services, attempt)
    ours = upstream_profile(call.snapshot.time_limits, call, attempt, same=True)
    _name_model(attempt, secret)
    token = outcome_of(_token(services, attempt, secret, 0.0))
    url = _address(call, attempt, attempt.channel.path(path))
    headers, url, _ = _signed(call, attempt, ours, secret, url, method="GET", token=token)
    return url, headers


def worded(path: str, words: Mapping[str, str]) -> str:
    """A path with what stands for its words in braces; each stays one segment, or one value of the query."""
    for name, value in words.items():
        if (place := f"{{{name}}}") in path:
            path = path.replace(place, quote(value, safe=":@-._~"))
    return path


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


def _name_model(attempt: Attempt, secret: str | None) -> None:
    """The words of the credential that stand in the model's name up there, such as those of a region."""
    if "{" in attempt.model and attempt.channel.provider.model_names:
        attempt.model = auth.fill(attempt.model, auth.public(attempt.channel.provider.auth, secret))


def _address(call: Call, attempt: Attempt, path: str) -> str:
    """Where the attempt goes. A name that nobody listed, which a channel for all models takes, stays one segment."""
    channel, model = attempt.channel, attempt.model
    listed = (
        "{model}" not in channel.base_url + path or model in channel.models or model in channel.model_mapping.values()
    )
    path = channel.base_url.rstrip("/") + path
    for name, words in channel.by_model.items():
        path = path.replace(f"{{{name}}}", words.get(model) or words.get(call.asked) or words["default"])
    if not listed:
        plain = unquote(unquote(model)).replace("\\", "/")
        if not {".", ".."}.isdisjoint(plain.split("/")):
            raise CallError("bad_request", "the model's name can't stand in an address", param="model")
    return _joined(path, model, "/" if listed else "")


@functools.lru_cache(1024)
def _joined(path: str, model: str, safe: str) -> str:
    return path.replace("{model}", quote(model, safe=f"{safe}:@-._~")).replace("{segment}", quote(model, safe="-._~"))


def _signed(
    call: Call,
    attempt: Attempt,
    ours: UpstreamProfile,
    secret: str | None,
    url: str,
    described: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    body: Body = b"",
    token: str | None = None,
) -> tuple[list[tuple[str, str]], str, Body]:
    """Headers, address and body as they go up, with the credential; the channel's own headers go before it."""
    channel = attempt.channel
    headers = ours.headers(call.headers)
    for case in channel.provider.header_cases:
        if case.when([], attempt.model, attempt.format.name, call.program.models.traits(attempt.model)):
            headers.update(case.set)
    if described:
        headers.update(described)
    if channel.model_headers:
        _followed(headers, channel.model_headers.get(call.asked) or channel.model_headers.get(attempt.model) or {})
    own = _own(call, attempt, secret) if channel.headers or channel.passed or attempt.headers else {}
    headers.update(own)
    signed = list(headers.items())
    url, body = auth.apply(channel.provider.auth, secret, signed, url, method, body, token)
    if own:
        credential = [pair for pair in signed[len(headers) :] if pair[0].lower() not in own]
        signed = [*signed[: len(headers)], *credential]
    return signed, url, body


def _followed(headers: dict[str, str], more: Mapping[str, str]) -> None:
    """Add headers of lists: what one holds already comes first, and nothing stands in it twice."""
    for name, text in more.items():
        items = dict.fromkeys(item.strip() for item in f"{headers.get(name, '')},{text}".split(","))
        headers[name] = ",".join(item for item in items if item)


def _own(call: Call, attempt: Attempt, secret: str | None) -> dict[str, str]:
    """The headers that the channel sets or lets through, and those that its operations set."""
    channel = attempt.channel
    own: dict[str, str] = {}
    if channel.passed:
        for name in call.headers:
            if name not in channel.unsent and any(test(name) for test in channel.passed):
                _override(own, name, f"{{client_header:{name}}}", call, secret)
    for name, value in channel.headers.items():
        _override(own, name.lower(), value, call, secret)
    for name, text in attempt.headers.items():
        if text is None:
            own.pop(name, None)
        elif _CONTROL.search(text):
            raise CallError("bad_request", f"the header {name} holds a control character", param=name)
        else:
            own[name] = text
    return own


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
    caller_value = call.headers.get(wanted)
    if caller_value is None:
        return
    if _CONTROL.search(caller_value):
        raise CallError("bad_request", f"the header {wanted} holds a control character", param=wanted)
    headers[name] = caller_value
