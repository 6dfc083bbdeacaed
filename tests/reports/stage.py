"""What a case of money and operation is played on: gateway, upstream, proxy, database rows; and its one request.

``stage(case, directory)`` sets everything up, ``ask(stage)`` sends the request and reads the answer to its end.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import column, insert, table

from engine.storage.database import Database
from engine.storage.tables.core import channels, options
from tests.relay.rich import PNG
from tests.reports import certificates
from tests.reports.gateways import Mark, Site
from tests.reports.proxy import Proxy
from tests.reports.servers import BESIDE, limited_role
from tests.reports.upstream import ReportUpstream
from tests.reports.wording import anywhere

_REQUEST = {"path", "method", "headers", "body", "picture_bytes", "text_bytes"}


@dataclass
class Came:
    """What a caller got, and when. ``whole``: the stream ended with its last chunk."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    whole: bool = False
    first_byte: float = float("inf")
    done: float = float("inf")


@dataclass
class Stage:
    """All that a case is played on."""

    case: Mapping[str, Any]
    site: Site
    upstream: ReportUpstream
    proxy: Proxy
    mark: Mark
    came: Came


@contextmanager
def stage(case: Mapping[str, Any], directory: Path) -> Iterator[Stage]:
    """The gateway before the upstream, with what the case puts into documents, settings and database."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        wrap = certificates.wrap(directory) if case.get("upstream_tls") else None
        upstream = ReportUpstream(wrap=wrap)
        stack.callback(upstream.close)
        proxy = Proxy()
        stack.callback(proxy.close)
        words = {"UPSTREAM": f"127.0.0.1:{upstream.port}", "PROXY": f"127.0.0.1:{proxy.port}"}
        upstream.begin(anywhere(case.get("upstream", {}), words))
        settings = {name: str(told) for name, told in anywhere(case.get("settings", {}), words).items()}
        own_dsn = ""
        if settings.get("SQL_DSN", "").endswith("ROLE@HOST/DB"):
            role = stack.enter_context(limited_role(BESIDE * int(settings.get("SQL_MAX_OPEN_CONNS", 50)) + 1))
            settings["SQL_DSN"], own_dsn = role.dsn, role.own_dsn
        allowed = [f"127.0.0.1:{upstream.port}", f"127.0.0.1:{proxy.port}", *_more(settings)]
        rows = anywhere(case.get("database", {}), words)
        site = Site(
            directory / "site",
            {"case.yaml": anywhere(case.get("specs") or "", words)} if (case.get("specs") or "").strip() else {},
            env={**settings, "GATEWRIGHT_EGRESS_ALLOW": ",".join(allowed)},
            dotenv=_dotenv(anywhere(case.get("dotenv", ""), words)),
            prepare=(lambda db: _put_rows(db, rows)) if rows else None,
            own_dsn=own_dsn,
        )
        stack.callback(site.close)
        made = Stage(case, site, upstream, proxy, Mark.now(site), Came())
        made.mark.lines = 0  # what is said at the start counts
        if "balance" in case:
            made.mark.set_balance("root", case["balance"])
        yield made


def _more(settings: Mapping[str, str]) -> list[str]:
    return [told for told in settings.get("GATEWRIGHT_EGRESS_ALLOW", "").split(",") if told]


def _dotenv(told: Any) -> str:
    if isinstance(told, dict):
        return "".join(f"{name}={value}\n" for name, value in told.items())
    return str(told or "")


def _put_rows(db: Database, rows: Mapping[str, Any]) -> None:
    """Rows of channels with their abilities, as another program's console would have put them; options by name."""
    unknown = rows.keys() - {"channels", "options"}
    if unknown:
        raise ValueError(f"unknown tables: {sorted(unknown)}")

    def work(connection: Any) -> None:
        for row in rows.get("channels", ()):
            values = {"created_time": int(time.time()), **row}
            untyped = table(channels.name, *map(column, values))  # columns of JSON get the text as it stands
            connection.execute(insert(untyped).values(values))
        for name, told in rows.get("options", {}).items():
            text = told if isinstance(told, str) else json.dumps(told)
            connection.execute(insert(options).values({"key": name, "value": text}))

    db.write(work)


# --- the request -------------------------------------------------------------------------------------


def _body(request: Mapping[str, Any]) -> bytes:
    words: dict[str, str] = {}
    if "picture_bytes" in request:
        head = base64.b64decode(PNG)
        words["PICTURE"] = base64.b64encode(head + bytes(max(0, request["picture_bytes"] - len(head)))).decode()
    if "text_bytes" in request:
        words["TEXT"] = "x" * request["text_bytes"]
    body = anywhere(request.get("body", {}), words)
    return json.dumps(body).encode()


def ask(stage: Stage, timeout: float = 60.0) -> Came:
    """Send the case's request, and read its answer to the end of the connection."""
    request = stage.case["request"]
    known(request, _REQUEST)
    data = _body(request)
    headers = {"host": "x", "connection": "close", "authorization": f"Bearer {stage.site.gateway.key}",
               "content-type": "application/json", "content-length": str(len(data)),
               **{name.lower(): str(told) for name, told in request.get("headers", {}).items()}}  # fmt: skip
    lines = [f"{request.get('method', 'POST')} {request['path']} HTTP/1.1"]
    lines += [f"{name}: {told}" for name, told in headers.items()]
    came, begin = Came(), time.monotonic()
    with socket.create_connection(("127.0.0.1", stage.site.gateway.port), timeout) as sock:
        with suppress(ConnectionError):
            sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + data)
        raw = b""
        try:
            while piece := sock.recv(1 << 16):
                raw += piece
                if came.first_byte == float("inf") and raw.partition(b"\r\n\r\n")[2]:
                    came.first_byte = time.monotonic() - begin
        except OSError:
            pass
    came.done = time.monotonic() - begin
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    came.status = int(first.split()[1]) if first.startswith("HTTP/") else 0
    came.headers = {name.lower(): told.strip() for name, _, told in (line.partition(":") for line in fields)}
    came.text, came.whole = _unframed(came.headers, body)
    return came


def _unframed(headers: Mapping[str, str], body: bytes) -> tuple[str, bool]:
    """A body without its framing, and whether it came to its end."""
    if headers.get("transfer-encoding") != "chunked":
        length = headers.get("content-length")
        return body.decode("utf-8", "replace"), length is not None and len(body) == int(length)
    text = b""
    while True:
        size, mark, rest = body.partition(b"\r\n")
        try:
            count = int(size, 16)
        except ValueError:
            return text.decode("utf-8", "replace"), False
        if not mark or len(rest) < count + 2:
            return (text + rest[:count]).decode("utf-8", "replace"), False
        if not count:
            return text.decode("utf-8", "replace"), rest == b"\r\n"
        text, body = text + rest[:count], rest[count + 2 :]


def known(told: Mapping[str, Any], words: set[str]) -> None:
    """A word that nobody reads is a fault of the case or of this module, never to be passed over."""
    if told.keys() - words:
        raise ValueError(f"unknown words: {sorted(told.keys() - words)}")
