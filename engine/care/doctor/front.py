"""What stands in front: the running gateway itself, what callers reach by its public address, and proxies' settings.

Of a proxy's configuration the directives of one family are read (nginx, OpenResty, the panels that write its files):
other programs' files are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import requests

from engine.care.doctor.site import Finding, Site, error, warning

_PLACES = ("/etc/nginx", "/usr/local/nginx/conf", "/usr/local/openresty/nginx/conf", "/www/server/panel/vhost")
_DIRECTIVE = re.compile(r"(?m)^\s*([a-z_]+)\s+([^;{}]+);")
_SIZES = {"k": 1 / 1024, "m": 1.0, "g": 1024.0, "": 1 / 1048576}
_TIMES = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_READ, _BODY = 60.0, 1.0
"""What holds where nothing is said: seconds of silence, megabytes of a body."""


def running(site: Site) -> Iterator[Finding]:
    """What the running gateway says of itself."""
    if not site.running:
        return
    host = "127.0.0.1" if site.settings.bind in ("0.0.0.0", "::") else site.settings.bind  # noqa: S104 - compared
    try:
        answer = requests.get(f"http://{host}:{site.settings.port}/readyz", timeout=10).json()
    except (requests.RequestException, ValueError) as fault:
        yield error("gateway", f"it does not say whether it is ready: {fault}", "look into its log")
        return
    if answer.get("status") not in ("ready", "degraded"):
        yield error("gateway", f"the running gateway is {answer.get('status')}: database {answer.get('database')}",
                    "start the database; the gateway goes on by itself")  # fmt: skip
    if str(answer.get("documents", "ok")) != "ok":
        yield warning("gateway", f"documents: {answer['documents']}", "gatewright lint")


def public(site: Site) -> Iterator[Finding]:
    """By its public address callers reach a gateway of ours."""
    if not site.asked.url:
        return
    url = site.asked.url.rstrip("/")
    try:
        answer = requests.get(f"{url}/healthz", timeout=10, allow_redirects=False)
    except requests.RequestException as fault:
        yield error("front", f"{url} can't be reached: {type(fault).__name__}", "look at the proxy's log, DNS and port")
        return
    try:
        ours = answer.status_code == 200 and answer.json() == {"status": "ok"}
    except ValueError:
        ours = False
    if not ours:
        what = f"{url}/healthz is answered by something else (status {answer.status_code})"
        yield error("front", what, f"send all paths to http://127.0.0.1:{site.settings.port} (deploy/proxies)")


def proxies(site: Site) -> Iterator[Finding]:
    """Streams are not held back or cut, and bodies not refused."""
    for path in site.asked.proxies or _known(site):
        try:
            text = path.read_text("utf-8", "replace")
        except OSError as fault:
            yield error("proxy", f"{path}: {fault.strerror}", "name a file that can be read")
            continue
        yield from _read(path, text, site)


def _known(site: Site) -> list[Path]:
    """Files of proxies on this machine that name our port."""
    mark = f":{site.settings.port}"
    listed = [path for place in _PLACES if Path(place).is_dir() for path in sorted(Path(place).rglob("*.conf"))]
    chosen = []
    for path in listed:
        try:
            if mark in path.read_text("utf-8", "replace"):
                chosen.append(path)
        except OSError:
            continue
    return chosen


def _read(path: Path, text: str, site: Site) -> Iterator[Finding]:
    text = re.sub(r"(?m)#.*$", "", text)
    directives = {name: value.strip() for name, value in _DIRECTIVE.findall(text)}
    if "proxy_pass" not in directives:
        return
    if directives.get("proxy_buffering") != "off":
        yield error("proxy", f"{path}: answers are buffered, so streams arrive late and at once",
                    "add `proxy_buffering off;` beside proxy_pass, then nginx -s reload")  # fmt: skip
    silence, wanted = _amount(directives.get("proxy_read_timeout"), _TIMES, _READ), site.settings.streaming_timeout
    if silence < wanted:
        yield error("proxy", f"{path}: answers are cut after {silence:.0f} s of silence; models think for longer",
                    f"proxy_read_timeout {wanted}s; then nginx -s reload")  # fmt: skip
    most, wanted = _amount(directives.get("client_max_body_size"), _SIZES, _BODY), site.settings.max_request_body_mb
    if 0 < most < wanted:
        yield warning("proxy", f"{path}: bodies above {most:g} MB are refused before they reach the gateway",
                      f"client_max_body_size {wanted}m; then nginx -s reload")  # fmt: skip
    if directives.get("proxy_http_version") != "1.1":
        yield warning("proxy", f"{path}: each call opens a connection of its own",
                      "proxy_http_version 1.1; and proxy_set_header Connection \"\";")  # fmt: skip


def _amount(text: str | None, units: dict[str, float], otherwise: float) -> float:
    match = re.fullmatch(r"(\d+)([a-z]*)", (text or "").lower())
    return float(match[1]) * units[match[2]] if match and match[2] in units else otherwise
