"""A call that a document declares, and its answer as JSON: bounded in time and size, through the guard of the pool.

Takes plain values. A form goes up as the body, or as the query of a GET. Raises ``TransportError``, whose ``public``
says in a few words what was wrong and nothing of what the service answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from engine.transport.faults import TransportError
from engine.transport.leg import Pool
from engine.transport.limits import Timeouts

_TIMEOUTS = Timeouts(connect=5.0, first_byte=15.0, idle=15.0, total=20.0)
_LIMIT = 256 * 1024


def ask(
    pool: Pool,
    method: str,
    url: str,
    headers: Mapping[str, Any] | None = None,
    *,
    form: Mapping[str, Any] | None = None,
    json: Any = None,
) -> Any:
    """What a service answers with a status of 2xx. Members of ``form`` that are nothing are left out."""
    sent = [("accept", "application/json"), ("user-agent", "gatewright")]
    sent += [(str(name).lower(), str(value)) for name, value in (headers or {}).items()]
    body = b""
    if form is not None:
        text = urlencode({name: value for name, value in form.items() if value is not None})
        if method == "GET":
            url += ("&" if "?" in url else "?") + text
        else:
            body = text.encode()
            sent.append(("content-type", "application/x-www-form-urlencoded"))
    elif json is not None:
        body = orjson.dumps(json)
        sent.append(("content-type", "application/json"))
    with pool.send(method, url, sent, body, _TIMEOUTS) as answer:
        raw = answer.read(_LIMIT)
        if not 200 <= answer.status < 300:
            raise TransportError("protocol", f"status {answer.status}", public=f"status {answer.status}")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise TransportError("protocol", "no JSON", public="its answer is no JSON") from None
