"""What can go wrong on the way to an upstream, as one exception with a kind out of a closed set.

Takes the finding, gives an exception with two texts. Its own is safe to log: it names hosts and sizes, never a secret,
a query or a body. ``public`` may be told to callers: it names no host, no port and no setting. Does not know who
retries; ``KINDS`` only says what a kind means and whether the call can have been carried out.

    GatewrightError
    └── TransportError   kind, retry_safe, meaning, public
"""

from __future__ import annotations

from engine.errors import GatewrightError

KINDS: dict[str, tuple[str, bool]] = {
    # kind: (meaning of engine.errors, the upstream can't have begun the call)
    "invalid": ("unavailable", True),
    "refused_address": ("unavailable", True),
    "credential": ("upstream_auth", True),
    "dns": ("unavailable", True),
    "connect": ("unavailable", True),
    "connect_timeout": ("unavailable", True),
    "tls": ("unavailable", True),
    "first_byte_timeout": ("timeout", False),
    "first_token_timeout": ("timeout", False),
    "idle_timeout": ("timeout", False),
    "total_timeout": ("timeout", False),
    "reset": ("cut", False),
    "cut": ("cut", False),
    "protocol": ("unknown", False),
    "too_large": ("unknown", False),
    "aborted": ("cut", False),
}
_PUBLIC = {
    "invalid": "it can't be called as it is set up",
    "credential": "its account was refused",
    # One text for both: what names mean inside, nobody finds out by asking.
    "refused_address": "it has no address that may be called",
    "dns": "it has no address that may be called",
    "connect": "no connection",
    "connect_timeout": "no connection in time",
    "tls": "no secure connection",
    "first_byte_timeout": "no answer in time",
    "reset": "the connection broke off",
    "protocol": "its answer could not be read",
}
"""What callers are told of a kind whose own text may name an address or repeat the upstream; of others, the text."""


class TransportError(GatewrightError):
    """A call to an upstream that did not come to a proper end.

    ``retry_safe``: the upstream can't have begun to work on it. ``meaning`` is the word of the one error table.
    ``public`` is what a caller may be told; who raises gives one where the kind's own says too little.
    """

    def __init__(self, kind: str, message: str, *, public: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.public = public or _PUBLIC.get(kind, message)
        self.meaning, self.retry_safe = KINDS[kind]
