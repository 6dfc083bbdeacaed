"""Testing a channel: which model, with which of its keys, what is sent, and what an answer comes to.

What is sent is declared by policies and by the channel's provider. Sends nothing itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from engine.catalogue import upstreams
from engine.filters.patterns import pattern
from engine.storage.values import ENABLED

if TYPE_CHECKING:
    from engine.program import Program
    from engine.storage.rows.channels import ChannelRow

_REFUSED = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test came to. ``message`` says what was wrong; ``code`` is its word in answers."""

    answered: bool
    seconds: float = 0.0
    message: str = ""
    code: str = ""


def model_of(row: ChannelRow) -> str:
    """The model that a channel is tested with where nobody names one; empty where it has none."""
    return row.test_model or next(iter(row.models), "")


def request(
    program: Program, row: ChannelRow, model: str, *, stream: bool = False, rule: str = ""
) -> tuple[str, bytes]:
    """Path and body of the call that tests a model at a channel: by the rule that is named, or the last that fits.

    Raises LookupError where nothing says what to send.
    """
    rules = rules_of(program, row.type, row.keys[0] if row.keys else "")
    chosen = rules.get(rule) if rule else next((one for one in reversed(rules.values()) if _fits(one, model)), None)
    if chosen is None:
        where = f"rule {rule!r} of `channelTests`: there are {', '.join(rules)}" if rule else "what is sent to test it"
        raise LookupError(f"no Policy and no Provider says {where}" + ("" if rule else " (`channelTests`)"))
    body: dict[str, Any] = {"model": model, **chosen["body"]}
    if "stream" in body:
        body["stream"] = bool(body["stream"] or stream)
    return str(chosen["path"]).replace("{model}", quote(model, safe="")), orjson.dumps(body)


def rules_of(program: Program, kind: int, key: str = "") -> dict[str, Mapping[str, Any]]:
    """What may be sent to test a channel of a type, by name: the policies' rules under those of its provider."""
    provider = upstreams.provider_of(program, kind, key)
    own = provider.channel_tests if provider is not None else {}
    rules = {**(program.policy.get("channelTests") or {}), **own}
    return {name: rule for name, rule in rules.items() if rule}


def _fits(rule: Mapping[str, Any], model: str) -> bool:
    models = rule.get("models")
    return not rule.get("asked") and (not models or any(pattern(text).found(model.lower()) for text in models))


def switched_on(row: ChannelRow) -> str | None:
    """One of several keys that are switched on, by chance; None where the channel has one key alone."""
    if row.multi is None:
        return None
    keys = [key for index, key in enumerate(row.keys) if index not in row.multi.disabled]
    return random.choice(keys) if keys else None  # noqa: S311 - spreads tests, guards nothing


def switched_off(row: ChannelRow, most: int) -> list[str | None]:
    """The keys that the gateway has switched off: ``most`` of several, by chance; or the one of the whole channel."""
    if row.multi is None:
        return [None] if row.status != ENABLED else []
    keys = [row.keys[index] for index in sorted(row.multi.by_itself) if index < len(row.keys)]
    if not keys and row.status != ENABLED:  # the channel is off, and none of its keys
        return [switched_on(row)]
    return list(random.sample(keys, min(most, len(keys))))


def is_on(row: ChannelRow, key: str | None) -> bool:
    """Whether a channel is switched on, with that key where it has several."""
    off = row.multi.disabled if row.multi is not None and key is not None else frozenset()
    return row.status == ENABLED and not any(row.keys[index : index + 1] == (key,) for index in off)


def read(status: int, pieces: Iterable[bytes]) -> tuple[bool, str, str]:
    """Whether it was answered, whole or as a stream, else why not, and the word of that.

    A stream that ends in an error event is no answer.
    """
    raw = b"".join(pieces)
    events = (line.removeprefix(b"data:") for line in raw.splitlines() if line.startswith(b"data:"))
    for text in chain((raw,), events):
        error = _error(text)
        if error:
            message = str(error.get("message") or f"status {status}")
            return False, message, str(error.get("code") or error.get("type") or "")
    return status < _REFUSED, "" if status < _REFUSED else f"status {status}", ""


def _error(text: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    error = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else {}
