"""gunicorn's logger with our manners: keys in addresses are masked, and an access line costs little.

Knows nothing of requests but their environ.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from gunicorn.glogging import Logger

_KEY = re.compile(r"([?&](?:key|api[_-]?key|access_token|token)=)[^&\s\"']+", re.IGNORECASE)


def masked(text: str) -> str:
    """The text with keys in query strings hidden."""
    return _KEY.sub(r"\1***", text) if "=" in text else text


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
        if "=" in message:
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
            if not any(isinstance(each, _Mask) for each in log.filters):
                log.addFilter(_Mask())
