"""What an upstream says of a failure, as callers and logs may have it: without its channel's secrets and its address.

``masked`` is called on every text of an upstream that is told or logged because something failed; whoever tells such a
text calls it once, where the text comes in. Good answers are not looked at, but for the few headers that go back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.transport.auth import secrets
from engine.transport.masking import STRUCK, Mask, mask

if TYPE_CHECKING:
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt

_CREDENTIAL = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)


def mask_of(attempt: Attempt, call: Call | None = None) -> Mask:
    """What is struck out of this attempt's texts: its channel's secrets, its address, the caller's own credential."""
    channel = attempt.channel
    set_here = [value for name, value in channel.headers.items() if _CREDENTIAL.search(name) and "{" not in value]
    keys = [text for key in channel.keys for text in secrets(channel.provider.auth, key)]
    return mask((*keys, *filter(None, [attempt.token]), *set_here, *_callers(call)), _addresses(channel.base_url))


def callers_mask(call: Call) -> Mask:
    """What is struck out of texts of a call that came to no attempt: its caller's own credential."""
    return mask(tuple(_callers(call)))


def masked(value: Any, attempt: Attempt, call: Call | None = None) -> Any:
    """A text, a body's bytes or a JSON value of the attempt's upstream, to be told or logged."""
    own = mask_of(attempt, call)
    return own.raw(value) if isinstance(value, bytes) else own.value(value)


def masked_headers(headers: Mapping[str, str], attempt: Attempt) -> dict[str, str]:
    """Headers that go back with a good answer. PERF: one search for each header and key, nothing is made anew."""
    keys = attempt.channel.keys
    return {name: STRUCK if any(key in value for key in keys) else value for name, value in headers.items()}


def _callers(call: Call | None) -> list[str]:
    """The credentials that the caller sent, wherever one may stand."""
    if call is None:
        return []
    places = [place for spoken in call.program.formats.values() for place in spoken.credentials]
    sent = {
        call.headers.get(place["header"].lower(), "") if "header" in place else call.query.get(place["query"], "")
        for place in places
    }
    return sorted(value.rpartition(" ")[2] for value in sent if value)


def _addresses(base_url: str) -> tuple[str, ...]:
    """Host and port of an upstream, together and apart; a plain name without a dot may be any word."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ()
    together = (f"{host}:{port}",) if port else ()
    return (*together, host) if "." in host or ":" in host else together
