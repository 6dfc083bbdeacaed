"""The file that came of a task, handed through as it comes, with ranges; nothing of it is held.

From the vendor with the channel's credential where its Task document says so, else from the address that was told, by
the door for addresses that others name. Data that stands in the row itself is decoded.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlencode

from engine.errors import CallError
from engine.relay.call import Call, Reply
from engine.relay.upstream.send import begin, failure
from engine.transport import faults
from engine.transport.leg import Handle, Timeouts

if TYPE_CHECKING:
    from engine.kinds.task.asking import Asker
    from engine.kinds.task.call import TaskCall
    from engine.kinds.task.record import TaskRecord
    from engine.relay.services import Services
    from engine.transport.answer import Answer

_ASKED = ("range", "if-range", "if-none-match", "if-modified-since")
_BACK = ("content-type", "content-length", "content-range", "accept-ranges", "etag", "last-modified",
         "content-disposition")  # fmt: skip
_TIMES = Timeouts(connect=10, first_byte=60, idle=60, total=1800)
_SAFE = (("x-content-type-options", "nosniff"), ("content-security-policy", "sandbox; default-src 'none'"))
"""What a vendor sends is no page of this gateway's."""
_CACHED = ("cache-control", "private, max-age=86400")


def deliver(services: Services, call: TaskCall, one: TaskRecord, asker: Asker | None) -> Reply:
    """The reply with the file."""
    described = _described(call)
    handle = Handle()
    rules = asker.rules.content if asker is not None else None
    if asker is not None and rules is not None:
        more = urlencode({name: call.query[name] for name in rules.query if name in call.query})
        path = asker.path(rules.path, one)
        path += ("&" if "?" in path else "?") + more if more else ""
        answer = begin(services, asker.call, asker.attempt, "GET", path, b"", described, handle, _TIMES)
        return handed_through(answer, handle)
    results = [result["url"] for result in one.results if isinstance(result, dict) and result.get("url")]
    index = call.query.get("index", "0")
    if not index.isdecimal() or int(index) >= len(results):
        raise CallError("not_found", f"the task {one.name} has {len(results)} results", param="index")
    return fetched(services, call, results[int(index)])


def fetched(services: Services, call: Call, url: str) -> Reply:
    """The reply with what lies at an address that others named."""
    if url.startswith("data:"):
        return _inline(url)
    handle = Handle()
    try:
        answer = services.callers_pool.send("GET", url, list(_described(call).items()), b"", _TIMES, handle)
    except faults.TransportError as ex:
        raise failure(ex) from None
    if answer.status >= 300 and answer.status != 304:
        answer.abort()
        raise CallError("not_found", f"the result is not there any more (status {answer.status})", status=404)
    return handed_through(answer, handle)


def _described(call: Call) -> dict[str, str]:
    described = {"accept": "*/*", "accept-encoding": "identity"}
    return described | {name: call.headers[name] for name in _ASKED if name in call.headers}


def handed_through(answer: Answer, handle: Handle) -> Reply:
    """An answer as it comes, piece by piece."""
    headers = [(name, answer.headers[name]) for name in _BACK if name in answer.headers]

    def pieces() -> Iterator[bytes]:
        try:
            yield from answer.pieces()
        except faults.TransportError as ex:
            raise OSError(str(ex)) from None  # its length was told: a cut is all that can still be said
        finally:
            handle.abort()

    return Reply(answer.status, [*headers, _CACHED, *_SAFE], stream=pieces())


def _inline(url: str) -> Reply:
    head, _, data = url[5:].partition(",")
    try:
        raw: Any = base64.b64decode(data) if head.endswith(";base64") else unquote_to_bytes(data)
    except (binascii.Error, ValueError):
        raise CallError("not_found", "the result can't be read") from None
    media_type = head.removesuffix(";base64") or "application/octet-stream"
    return Reply(200, [("content-type", media_type), _CACHED, *_SAFE], raw)
