"""A small file by its address: media that a caller names by URL, and the control plane's reads.

Takes an address, gives the bytes and their type. Each hop of a redirect is checked by the pool's guard anew; sizes and
times are bounded. Sends no credential but the headers it is given, and those only to the first host.
"""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import urljoin

from engine.transport.faults import TransportError
from engine.transport.leg import Pool
from engine.transport.limits import Timeouts
from engine.transport.proxied import Sender
from engine.transport.url import parse_url
from engine.transport.wire import Headers

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TIMEOUTS = Timeouts(connect=10.0, first_byte=30.0, idle=30.0, total=60.0)


def fetch(
    pool: Pool | Sender,
    url: str,
    *,
    limit: int,
    headers: Headers = (),
    timeouts: Timeouts = _TIMEOUTS,
    redirects: int = 3,
) -> tuple[bytes, str]:
    """Body and content type of a 2xx answer; raises ``TransportError``, kind protocol for any other status."""
    origin = parse_url(url)
    end = time.monotonic() + timeouts.total
    for _ in range(redirects + 1):
        target = parse_url(url)
        if timeouts.total:
            timeouts = replace(timeouts, total=max(end - time.monotonic(), 0.001))
        same = (target.scheme, target.host, target.port) == (origin.scheme, origin.host, origin.port)
        with pool.send("GET", target, headers if same else (), b"", timeouts) as answer:
            place = answer.headers.get("location")
            if answer.status in _REDIRECTS and place:
                url = urljoin(target.text(), place)
                continue
            if not 200 <= answer.status < 300:
                status = f"answered with status {answer.status}"
                raise TransportError("protocol", f"{target.without_query()} {status}", public=f"its server {status}")
            if int(answer.headers.get("content-length", "0")) > limit:
                long = f"is longer than {limit} bytes"
                raise TransportError("too_large", f"{target.without_query()} {long}", public=f"it {long}")
            return answer.read(limit), answer.headers.get("content-type", "")
    often = f"redirects more than {redirects} times"
    raise TransportError("protocol", f"{origin.without_query()} {often}", public=f"its server {often}")
