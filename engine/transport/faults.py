"""What can go wrong on the way to an upstream, as one exception with a kind out of a closed set.

Takes the finding, gives an exception whose text is safe to log: it names hosts and sizes, never a secret, a query or
a body. Does not know who retries; ``KINDS`` only says what a kind means and whether the call can have been carried out.

    GatewrightError
    └── TransportError   kind, retry_safe, meaning
"""

from __future__ import annotations

from engine.errors import GatewrightError

KINDS: dict[str, tuple[str, bool]] = {
    # kind: (meaning of engine.errors, the upstream can't have begun the call)
    "invalid": ("internal", True),
    "refused_address": ("forbidden", True),
    "dns": ("unavailable", True),
    "connect": ("unavailable", True),
    "connect_timeout": ("unavailable", True),
    "tls": ("unavailable", True),
    "first_byte_timeout": ("timeout", False),
    "idle_timeout": ("timeout", False),
    "total_timeout": ("timeout", False),
    "reset": ("cut", False),
    "cut": ("cut", False),
    "protocol": ("unknown", False),
    "too_large": ("unknown", False),
    "aborted": ("cut", False),
}


class TransportError(GatewrightError):
    """A call to an upstream that did not come to a proper end.

    ``retry_safe``: the upstream can't have begun to work on it. ``meaning`` is the word of the one error table.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.meaning, self.retry_safe = KINDS[kind]
