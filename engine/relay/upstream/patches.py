"""What has to differ in a body that goes up: the model's name, and what its alias, its provider and its channel say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.program.models import NOTHING
from engine.relay.upstream.failure import UpstreamFailure
from engine.routing.overrides.edit import OverrideError, ReturnedError

if TYPE_CHECKING:
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt, Report

_IN_ADDRESSES = ("model", "stream")
"""What a provider that does not take it in the body has in its address: nothing is lost."""


def named(call: Call, attempt: Attempt, body: dict[str, Any], report: Report) -> dict[str, Any]:
    """A body in the caller's own format, under the model's name up there, with what an alias puts into it."""
    if attempt.model != call.asked and body.get("model") == call.asked:
        body = {**body, "model": attempt.model}
    if attempt.alias is not None:
        body = attempt.alias.patch(report, call.format.name, attempt.groups, body)
    return body


def patched(
    attempt: Attempt,
    body: dict[str, Any],
    report: Report,
    traits: Mapping[str, Any] = NOTHING,
    header: Mapping[str, str] = NOTHING,
    *,
    guarded: bool = True,
    options: Mapping[str, Any] = NOTHING,
) -> dict[str, Any]:
    """A body in the provider's format, as provider and channel want it; what they take away is reported.

    ``traits`` are those of the model, and ``header`` the caller's where its body means something up there: the
    provider's conditions may ask for them. ``guarded``: its members mean what they mean in conversations, and what a
    channel does not send up of those is left out. ``options`` are values of the console's, by name.
    """
    channel, model, spoken = attempt.channel, attempt.model, attempt.format
    for patch in channel.provider.patches:
        if patch.format not in (None, spoken.name, spoken.passthrough_as):
            continue
        if patch.applies(model, body, spoken.name, traits, header, options):
            gone = [path[0] for path in patch.drop if path[0] in body and path[0] not in _IN_ADDRESSES]
            report += [(name, "the provider does not take it") for name in gone]
            body = patch.apply(report, model, body, spoken.name, traits, header, options)
    for name, text in channel.provider.body_parameters.items():
        if filled := channel.filled(text):
            body = {**body, name: filled}
    instruct = spoken.instruct
    if channel.instruction and instruct is not None:
        body = {**body, **(instruct(report, body, channel.instruction, channel.instructs) or {})}
    for path in channel.without if guarded else ():
        if path[0] in body:
            body = _less(body, path, report)
    if channel.unasked and not body.get("stream"):
        body = {key: value for key, value in body.items() if key not in channel.unasked}
    return _overridden(attempt, body) if attempt.overrides else body


def answer_patched(attempt: Attempt, body: dict[str, Any], traits: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
    """A whole answer, or an event of one, as its provider's document changes it; the same object if nothing does."""
    for patch in attempt.channel.provider.response_patches:
        if patch.format not in (None, attempt.format.name, attempt.format.passthrough_as):
            continue
        if patch.applies(attempt.model, body, attempt.format.name, traits):
            body = patch.apply([], attempt.model, body, attempt.format.name, traits)
    return body


def _overridden(attempt: Attempt, body: dict[str, Any]) -> dict[str, Any]:
    """The body after the channel's operations; what they do to headers is noted in the attempt."""
    channel = attempt.channel
    try:
        body, attempt.headers = attempt.overrides.apply(body, attempt.known, channel.headers)
    except OverrideError as ex:
        error = {"meaning": "unknown", "message": f"the channel can't send this request: {ex}", "status": 500}
        raise UpstreamFailure({**error, "code": "channel_override"}, status=500, again=True) from None
    except ReturnedError as ex:
        error = {"meaning": "unknown", **ex.error}
        raise UpstreamFailure(error, status=ex.error["status"], again=not ex.final, own=True) from None
    return body


def _less(body: dict[str, Any], path: tuple[str, ...], report: Report) -> dict[str, Any]:
    """The body without a member, which is reported; lists are not looked into."""
    key, *rest = path
    inner = body.get(key)
    if not rest:
        report.append((key, "this channel does not send it up"))
        return {name: value for name, value in body.items() if name != key}
    if not isinstance(inner, dict) or rest[0] not in inner:
        return body
    less = _less(inner, tuple(rest), report)
    return {**body, key: less} if less else {name: value for name, value in body.items() if name != key}
