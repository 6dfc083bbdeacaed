"""gunicorn's logger with our manners: keys in addresses are masked, and an access line costs little.

Knows nothing of requests but their environ.
"""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import unquote_plus

from gunicorn.glogging import Logger

_PAIR = re.compile(r"([?&;#]|%3[fFbB]|%2[36])([^?&;#=\s\"']+)=([^&\s\"']+)")
_OURS = re.compile(r"\bsk-[\w-]{16,}")
_SEPARATORS = re.compile(r"[^a-z]")
_SECRET = frozenset(
    (
        *("key", "apikey", "xapikey", "xgoogapikey", "ocpapimsubscriptionkey", "accesskey", "secretkey", "secret"),
        *("clientsecret", "token", "accesstoken", "authtoken", "apitoken", "refreshtoken", "idtoken", "bearer"),
        *("authorization", "auth", "password", "passwd", "pwd", "credential", "credentials", "signature", "sig"),
        *("xamzsignature", "xamzsecuritytoken"),
    )
)
"""Names of parameters that hold a credential, in lower case and without what parts their words."""


def masked(text: str) -> str:
    """The text with keys hidden: values of parameters by their decoded names, and whatever looks like a key of ours."""
    if "=" in text:
        text = _PAIR.sub(_hidden, text)
    return _OURS.sub("***", text) if "sk-" in text else text


def _hidden(pair: re.Match[str]) -> str:
    mark, name, value = pair.groups()
    plain = unquote_plus(value)
    # One address in another, or another pair behind this one: what they hide is hidden here too.
    if _SEPARATORS.sub("", unquote_plus(name).lower()) in _SECRET or masked(plain) != plain:
        return f"{mark}{name}=***"
    return pair[0]


def access_line(env: dict[str, Any], status: str, sent: int, seconds: float) -> str:
    """One answer in one line."""
    return (
        f"{env.get('REMOTE_ADDR', '-')} {env['REQUEST_METHOD']} {masked(env['RAW_URI'])}"
        f" {status[:3] or '-'} {sent} {seconds * 1000:.1f}ms"
    )


class _Mask(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Mask what the record says; never hold one back."""
        message = record.getMessage()
        if "=" in message or "sk-" in message:
            record.msg, record.args = masked(message), ()
        return True


class ServerLog(Logger):  # type: ignore[misc]
    """gunicorn's logger; every record of it is masked."""

    error_fmt = "%(asctime)s %(levelname)s [%(process)d] %(message)s"
    access_fmt = "%(asctime)s %(message)s"
    datefmt = "%Y-%m-%dT%H:%M:%S%z"

    def setup(self, cfg: Any) -> None:
        """gunicorn's setup, then our filter on both logs."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            if not any(isinstance(log_filter, _Mask) for log_filter in log.filters):
                log.addFilter(_Mask())
