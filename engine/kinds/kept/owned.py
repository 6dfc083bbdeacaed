"""Whose is what is kept: things are found by the key that they belong to, with the channel and key that made them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from engine import bounds
from engine.errors import CallError
from engine.jsonbytes import dumps
from engine.kinds.kept.requests import at
from engine.relay.ingress.asks import refuse_kept
from engine.routing.attempt import Attempt
from engine.routing.channel import secret_mark
from engine.storage.rows.work import kept
from engine.storage.rows.work.kept import KeptThing

if TYPE_CHECKING:
    from engine.program import KeptRules
    from engine.relay.call import Call
    from engine.relay.services import Services
    from engine.routing.channel import LiveChannel
    from engine.storage.database import Database

_SHOWN = 16_384
"""Bytes of what a provider says of a thing that are shown in lists."""


def found(services: Services, call: Call, family: str, name: str, param: str | None = None) -> KeptThing:
    """A thing of the caller's key; another's is as unknown as none."""
    assert call.account is not None
    bounds.ID.check(len(name), param or "the id in the path")
    resource = kept.find(services.db, call.account.token_id, family, name)
    if resource is None:
        raise CallError(
            "not_found", f"there is nothing with the id {name[:100]!r} of this API key", param=param, code="not_found"
        )
    return resource


def bind(db: Database, call: Call) -> None:
    """Refuse what a request names and is not its key's own; what is binds the call to the channel that keeps it."""
    if call.snapshot.program.policy.get("accountOwner") == "one":
        return
    marks = set[str]()

    def own(family: str, name: str) -> bool:
        resource = (
            kept.find(db, call.account.token_id, family, name) if call.account and len(name) <= kept.LONGEST else None
        )
        channel = channel_of(call, resource) if resource is not None else None
        if resource is not None and channel is None:
            raise CallError("unavailable", f"the channel that keeps {name} is not in use", code="origin_channel")
        marks.update([channel.mark] if channel is not None else ())
        return resource is not None

    refuse_kept(call, own)
    if len(marks) > 1:
        raise CallError(
            "bad_request", "what this request names is kept by several channels: send it to one of them, or in the"
            " request itself", code="several_channels",
        )  # fmt: skip
    if marks:
        call.kept, call.bound = marks.pop(), True


def attempt_of(call: Call, one: KeptThing) -> Attempt:
    """How its provider is asked about a thing: by the channel and the key that made it, in the format of that time."""
    channel = channel_of(call, one)
    name = str(one.facts.get("format"))
    if channel is None or name not in channel.provider.formats:
        raise CallError("unavailable", f"the channel that keeps {one.name} is not in use", code="origin_channel")
    attempt = Attempt(channel, call.program.formats[name], str(one.facts.get("model") or ""), None, {}, "")
    attempt.secret = channel.noted_key(one.facts.get("key")) or channel.key()
    return attempt


def channel_of(call: Call, one: KeptThing) -> LiveChannel | None:
    """The channel that keeps a thing, if it is in use."""
    return call.snapshot.table.noted(one.channel_id, one.facts.get("channel"))


def told(call: Call, attempt: Attempt, rules: KeptRules, body: Mapping[str, Any], **facts: Any) -> list[KeptThing]:
    """What an answer makes the caller's own: the thing itself, and others that it tells of."""
    things = [_thing(call, attempt, rules.family, at(body, rules.id), body, facts)]
    things += also(call, attempt, rules, body)
    return [resource for resource in things if resource is not None]


def also(call: Call, attempt: Attempt, rules: KeptRules, body: Mapping[str, Any]) -> list[KeptThing]:
    """The other things that an answer tells of."""
    things = []
    for rule in rules.gives:
        other = at(body, rule["at"])
        if isinstance(other, dict):
            things.append(_thing(call, attempt, rule["family"], other.get("id"), other, {}))
    return [resource for resource in things if resource is not None]


def note(services: Services, things: Iterable[KeptThing]) -> None:
    """Note things as their keys' own."""
    noted = list(things)
    if noted:
        services.db.write(lambda connection: kept.add(connection, noted))


def shown(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """What lists show of a thing; nothing of one that its provider says too much of."""
    return dict(body) if len(dumps(body)) <= _SHOWN else None


def _thing(
    call: Call, attempt: Attempt, family: str, name: Any, body: Mapping[str, Any], facts: Mapping[str, Any]
) -> KeptThing | None:
    if not isinstance(name, str) or not 0 < len(name) <= kept.LONGEST or call.account is None:
        return None
    about = {
        "channel": attempt.channel.mark,
        "key": secret_mark(attempt.secret),
        "format": _format(call, attempt, family),
        "model": attempt.model,
        "shown": shown(body),
        **facts,
    }
    account = call.account
    return KeptThing(
        family, name, account.user_id, account.token_id, attempt.channel.id, int(time.time()), about
    )  # fmt: skip


def _format(call: Call, attempt: Attempt, family: str) -> str:
    """The format in which a provider is asked about things of a family."""
    formats = call.program.formats
    for name in (attempt.format.name, *attempt.channel.provider.formats):
        rules = formats[name].kept
        if rules is not None and rules.family == family:
            return name
    return attempt.format.name
