"""The file that came of a task, handed through as it comes, with ranges; nothing of it is held.

From the store that it is kept in, else from the vendor: with the channel's credential where its Task document says so,
or from the address that was told, by the door for addresses that others name. Data that stands in the row itself is
decoded.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlencode

from engine.errors import CallError
from engine.relay.call import Reply
from engine.relay.results.kept import SAFE, kept
from engine.relay.results.stores import ASKED
from engine.relay.upstream.send import begin, failure
from engine.transport import faults
from engine.transport.leg import Handle, Timeouts

if TYPE_CHECKING:
    from engine.kinds.task.asking import Asker
    from engine.kinds.task.call import TaskCall
    from engine.kinds.task.record import TaskRecord
    from engine.relay.services import Services
    from engine.transport.answer import Answer

_BACK = ("content-type", "content-length", "content-range", "accept-ranges", "etag", "last-modified",
         "content-disposition")  # fmt: skip
_DIGITS = 6
_TIMES = Timeouts(connect=10, first_byte=60, idle=60, total=1800)


def deliver(services: Services, call: TaskCall, one: TaskRecord, asker: Asker | None) -> Reply:
    """The reply with the file."""
    number = number_of(call.query, one, asker)
    if number is not None and (reply := kept(services, call.snapshot, one.rows, one.id, number, call.headers)):
        return reply
    return original(services, one, asker, call.query, call.headers)


def number_of(query: Mapping[str, str], one: TaskRecord, asker: Asker | None) -> int | None:
    """Which of its results is asked for; nothing where a view of it is that the vendor alone can make."""
    rules = asker.rules.content if asker is not None else None
    if rules is not None:
        plain = all(query[name] == rules.usual.get(name) for name in rules.query if name in query)
        return 0 if plain else None
    index, count = query.get("index", "0"), len(addresses(one))
    # A kept result outlives what its row says of the vendor's.
    if not index.isdecimal() or len(index) > _DIGITS or int(index) >= max(count, 1):
        raise CallError("not_found", f"the task {one.name} has {count} results", param="index")
    return int(index)


def addresses(one: TaskRecord) -> list[str]:
    """Where its vendor has what came of it."""
    return [str(result["url"]) for result in one.results if isinstance(result, dict) and result.get("url")]


def original(
    services: Services, one: TaskRecord, asker: Asker | None, query: Mapping[str, str], asked: Mapping[str, str]
) -> Reply:
    """The reply with the file as its vendor has it; ``asked`` are the caller's headers."""
    rules = asker.rules.content if asker is not None else None
    if asker is not None and rules is not None:
        handle = Handle()
        more = urlencode({name: query[name] for name in rules.query if name in query})
        path = asker.path(rules.path, one)
        path += ("&" if "?" in path else "?") + more if more else ""
        answer = begin(services, asker.call, asker.attempt, "GET", path, b"", _described(asked), handle, _TIMES)
        return handed_through(answer, handle)
    results, number = addresses(one), number_of(query, one, asker)
    if not results:
        raise CallError("not_found", f"the task {one.name} has 0 results", param="index")
    return fetched(services, results[number or 0], asked)


def fetched(services: Services, url: str, asked: Mapping[str, str]) -> Reply:
    """The reply with what lies at an address that others named."""
    if url.startswith("data:"):
        return _inline(url)
    handle = Handle()
    try:
        answer = services.callers_pool.send("GET", url, list(_described(asked).items()), b"", _TIMES, handle)
    except faults.TransportError as ex:
        raise failure(ex) from None
    if answer.status >= 300 and answer.status != 304:
        answer.abort()
        raise CallError("not_found", f"the result is not there any more (status {answer.status})", status=404)
    return handed_through(answer, handle)


def _described(asked: Mapping[str, str]) -> dict[str, str]:
    described = {"accept": "*/*", "accept-encoding": "identity"}
    return described | {name: asked[name] for name in ASKED if name in asked}


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

    return Reply(answer.status, [*headers, *SAFE], stream=pieces())


def _inline(url: str) -> Reply:
    head, _, data = url[5:].partition(",")
    try:
        raw: Any = base64.b64decode(data) if head.endswith(";base64") else unquote_to_bytes(data)
    except (binascii.Error, ValueError):
        raise CallError("not_found", "the result can't be read") from None
    media_type = head.removesuffix(";base64") or "application/octet-stream"
    return Reply(200, [("content-type", media_type), *SAFE], raw)
