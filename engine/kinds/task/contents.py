"""The file that came of a task, handed through as it comes, with ranges; nothing of it is held.

From the store that it is kept in, else from the vendor: with the channel's credential where its Task document says so,
or from the address that was told, by the door for addresses that others name. Data that stands in the row, or in the
vendor's answer, is decoded.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from itertools import chain
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
_LONGEST_HEAD, _PIECE = 1_000, 1 << 20
"""Characters of the head of data, and of a piece of it, a multiple of four."""
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
    index, count = query.get("index", "0"), len(files(one))
    # A kept result outlives what its row says of the vendor's.
    if not index.isdecimal() or len(index) > _DIGITS or int(index) >= max(count, 1):
        raise CallError("not_found", f"the task {one.name} has {count} results", param="index")
    return int(index)


def files(one: TaskRecord) -> list[dict[str, Any]]:
    """What came of it: each with the ``url`` where its vendor has it, or ``inline``, in the vendor's answer."""
    return [
        result for result in one.results if isinstance(result, dict) and (result.get("url") or result.get("inline"))
    ]


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
    results, number = files(one), number_of(query, one, asker) or 0
    if not results:
        raise CallError("not_found", f"the task {one.name} has 0 results", param="index")
    if results[number].get("inline"):
        return _inline(_answered(one, asker, number))
    return fetched(services, str(results[number]["url"]), asked)


def _answered(one: TaskRecord, asker: Asker | None, number: int) -> str:
    """A result that stands in the vendor's answer, as an address with the data."""
    if asker is None:
        raise CallError("unavailable", f"the channel of the task {one.name} is not in use", code="origin_channel")
    results = asker.follow([one]).get(one.vendor_id, {}).get("results")
    result = results[number] if isinstance(results, list) and number < len(results) else None
    url = result.get("url") if isinstance(result, dict) else None
    if not isinstance(url, str) or not url.startswith("data:"):
        raise CallError("not_found", "the result is not there any more: its provider does not tell it", status=404)
    return url


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
    comma = url.find(",", 0, _LONGEST_HEAD)
    head = url[5:comma]
    headers = [("content-type", head.removesuffix(";base64") or "application/octet-stream"), *SAFE]
    try:
        if not head.endswith(";base64"):
            return Reply(200, headers, unquote_to_bytes(url[comma + 1 :]))
        pieces = _decoded(url, comma + 1)
        first = next(pieces, b"")
    except (binascii.Error, ValueError):
        raise CallError("not_found", "the result can't be read") from None
    return Reply(200, headers, stream=chain((first,), pieces))


def _decoded(url: str, start: int) -> Iterator[bytes]:
    """Piece by piece: decoding a film at once would hold up the worker."""
    for at in range(start, len(url), _PIECE):
        yield base64.b64decode(url[at : at + _PIECE], validate=True)
