"""Replay: kept exchanges under two releases, and where they part.

Of each exchange are compared: the model that its name means, what would go to its provider, what its caller would be
given of the provider's answer as it was, and what that would cost. Nothing is sent. What an exchange lacks (a body that
was cut off, a format that a release does not have) is left out, and counted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from engine.compiler.comparison import difference
from engine.compiler.translation import WireMessage, translate
from engine.errors import GatewrightError
from engine.ledger.pricing.book import Book
from engine.program import Program
from engine.routing.aliases import AliasResolver
from engine.storage.releases.captures import Captured
from engine.transport import framing
from engine.transport.faults import TransportError

MOST = 40
"""Exchanges that a plan replays, the newest."""
_SECONDS = 1.0
_HUB = ("hub response", "hub message")


class _UnfitError(GatewrightError):
    """An exchange that can't be replayed."""


def replayed(rows: Sequence[Captured], old: Program, new: Program, books: tuple[Book, Book]) -> dict[str, Any]:
    """``exchanges`` and ``left_out`` are numbers; ``differing`` {id, model, format, means, request, response, cost}.

    ``means`` and ``cost`` are [before, after] or nothing, ``request`` and ``response`` differences in words.
    """
    end, done, left_out, differing = time.monotonic() + _SECONDS, 0, 0, []
    for row in rows:
        if time.monotonic() > end:
            left_out += 1
            continue
        try:
            before, after = _ran(row, old, books[0]), _ran(row, new, books[1])
        except _UnfitError:
            left_out += 1
            continue
        done += 1
        if before != after:
            differing.append(_differing(row, before, after))
    return {"exchanges": done, "left_out": left_out, "differing": differing}


def _differing(row: Captured, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    pairs = {name: None if before[name] == after[name] else [before[name], after[name]] for name in ("means", "cost")}
    return {
        **{name: row.facts[name] for name in ("id", "model", "format", "created_at")},
        **pairs,
        "request": difference(before["request"], after["request"]),
        "response": difference(before["response"], after["response"]),
    }


def _ran(row: Captured, program: Program, book: Book) -> dict[str, Any]:
    """What a release makes of an exchange; raises ``_UnfitError`` where it can't be said."""
    asked, upstream = row.exchange["request"], row.exchange.get("upstream") or {}
    source, target = str(row.facts["format"]), str(upstream.get("format") or row.facts["format"])
    if source not in program.formats or target not in program.formats:
        raise _UnfitError
    body = _json(asked)
    message = WireMessage(body, asked.get("variables") or {}, asked.get("query") or {}, asked.get("headers") or {})
    ctx = {"asked": row.facts["model"], "model": upstream.get("model") or row.facts["model"]}
    message.ctx = ctx
    means = AliasResolver(program).read(str(row.facts["model"])).name
    told: dict[str, Any] = {"means": means, "response": None, "cost": None}
    steps, told["request"] = _translated(program, source, target, "request", message)
    answer = upstream.get("response")
    hub = steps.get("hub request")
    if answer is None or hub is None or answer.get("cut"):
        return told
    what, wire = _answer(program, target, answer)
    back = WireMessage(wire, header=answer.get("headers") or {}, request=hub, ctx=ctx, status=answer.get("status", 200))
    steps, told["response"] = _translated(program, target, source, what, back)
    usage = next((steps[name].get("usage") for name in _HUB if isinstance(steps.get(name), dict)), None)
    if usage:
        told["cost"] = _short(book.charge(book.find(str(row.facts["model"]), means), usage, group="", request=body).usd)
    return told


def _json(said: Mapping[str, Any]) -> Any:
    if said.get("cut"):
        raise _UnfitError
    try:
        return orjson.loads(said.get("body") or "")
    except ValueError:
        raise _UnfitError from None


def _answer(program: Program, target: str, answer: Mapping[str, Any]) -> tuple[str, Any]:
    """The provider's answer as translation takes it: whole, or as the events of a stream."""
    spoken = program.formats[target].stream
    kind = framing.of_media_type(str((answer.get("headers") or {}).get("content-type", "")))
    if kind is None or spoken is None:
        return "response", _json(answer)
    decoder = framing.decoder({**spoken.framing, "type": kind})
    try:
        events = [*decoder.feed(str(answer.get("body") or "").encode()), *decoder.finish()]
    except TransportError:
        raise _UnfitError from None
    return "stream", [{"event": name, "data": _data(data)} for name, data in events]


def _data(data: Any) -> Any:
    try:
        return orjson.loads(data)
    except ValueError:
        return data.decode() if isinstance(data, bytes) else data


def _translated(
    program: Program, source: str, target: str, what: str, message: WireMessage
) -> tuple[dict[str, Any], Any]:
    """The steps by name, and the last; where it is refused, the words of that."""
    try:
        done = translate(program, source, target, what, message)
    except GatewrightError as error:
        return {}, {"refused": str(error)}
    return dict(done.steps), done.result


def _short(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.9f}".rstrip("0").rstrip(".")
