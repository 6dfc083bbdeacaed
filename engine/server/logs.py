"""gunicorn's logger with our manners: keys in addresses are masked, an access line costs little, JSON where wanted.

Knows nothing of requests but their environ.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any
from urllib.parse import unquote_plus

import orjson
from gunicorn.glogging import Logger

from engine.relay.ingress.lane import REQUEST_ID

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

    def answered(self, env: dict[str, Any], status: str, sent: int, seconds: float) -> None:
        """Note an answer in the access log: its status line, bytes sent, and how long it took."""
        self.access_log.info(access_line(env, status, sent, seconds))


class JsonLines(logging.Formatter):
    """A record as one line of JSON; ``facts`` of it stand beside its words."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, process, who says it, and what."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": record.process,
            "logger": record.name,
            "message": masked(record.getMessage()),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["exception"] = masked(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


class JsonLog(ServerLog):
    """The same in lines of JSON, what the rest of the program says as well."""

    def setup(self, cfg: Any) -> None:
        """Our formatter on both logs, and on what is not gunicorn's."""
        super().setup(cfg)
        lines, root = JsonLines(), logging.getLogger()
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                handler.setFormatter(lines)
        if not any(isinstance(handler.formatter, JsonLines) for handler in root.handlers):
            handler = logging.StreamHandler()
            handler.setFormatter(lines)
            root.addHandler(handler)

    def answered(self, env: dict[str, Any], status: str, sent: int, seconds: float) -> None:
        """See ``ServerLog``."""
        facts = {
            "address": env.get("REMOTE_ADDR"),
            "method": env["REQUEST_METHOD"],
            "path": masked(env["RAW_URI"]),
            "status": int(status[:3]) if status[:3].isdigit() else None,
            "bytes": sent,
            "ms": round(seconds * 1000, 1),
        }
        if request_id := env.get(REQUEST_ID):
            facts["request_id"] = request_id
        self.access_log.info("answered", extra={"facts": facts})
