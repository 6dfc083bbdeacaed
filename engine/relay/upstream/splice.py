"""Changes top-level members of a JSON object in its bytes, and leaves every other byte as it came.

A body that passes through in its own format is never serialised again: what a patch changed is cut out and put in.
Takes the bytes with the parsed object before and after; gives bytes. Knows nothing of formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from engine.jsonbytes import dumps
from engine.relay.ingress.structure import Outside

# A string whole, or one structural character. Everything between them is of no interest here.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]', re.DOTALL)
_PLAIN = re.compile(r"[ !#-\[\]-~]*")
_COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
_SPACE = b" \t\r\n"
_TAIL = 1 << 17

Span = tuple[int, int, int]
"""Where a member lies: the start of its name, the start and the end of its value."""


def splice(raw: bytes, before: dict[str, Any], after: dict[str, Any]) -> bytes:
    """Return ``raw`` with the top-level members that differ between ``before`` and ``after`` (by identity) changed.

    ``after`` must be a shallow copy of ``before``: a member that is still the same object keeps its bytes.
    """
    if after is before:
        return raw
    changed = {k: v for k, v in after.items() if k not in before or before[k] is not v}
    dropped = before.keys() - after.keys()
    if not changed and not dropped:
        return raw
    spans = _spans(raw, before, {*(changed.keys() & before.keys()), *dropped})
    if spans is None:  # a key written twice, or one that needs unescaping: bytes can't be trusted to mean the object
        return dumps(after)
    edits: list[tuple[int, int, bytes]] = []
    added: list[bytes] = []
    for key, value in changed.items():
        if key in spans:
            _, start, end = spans[key]
            edits.append((start, end, dumps(value)))
        else:
            added.append(dumps(key) + b":" + dumps(value))
    for key in dropped:
        start, _, end = spans[key]
        edits.append((start, end, b""))
    return _apply(raw, edits, added)


def _apply(raw: bytes, edits: list[tuple[int, int, bytes]], added: list[bytes]) -> bytes:
    """Cut and paste; a dropped member (empty text) takes one neighbouring comma with it."""
    close = raw.rindex(b"}")
    pieces: list[bytes] = []
    at = 0
    for start, end, text in sorted(edits):
        if not text:
            start, end = _with_comma(raw, max(start, at), end)
        pieces += (raw[at:start], text)
        at = end
    pieces.append(raw[at:close])
    ending = _ending(pieces)
    if ending == b",":  # the last member was dropped
        pieces[-1] = pieces[-1].rstrip(_SPACE)[:-1]
        ending = _ending(pieces)
    if added:
        pieces[-1] = pieces[-1].rstrip(_SPACE)
        pieces += (b"" if ending == b"{" else b",", b",".join(added))
    pieces.append(raw[close:])
    return b"".join(pieces)


def _ending(pieces: list[bytes]) -> bytes:
    """The last byte of the pieces that is no space; pieces of nothing else at their end are taken away."""
    while len(pieces) > 1 and not pieces[-1].rstrip(_SPACE):
        pieces.pop()
    return pieces[-1].rstrip(_SPACE)[-1:]


def _with_comma(raw: bytes, start: int, end: int) -> tuple[int, int]:
    after = end
    while raw[after] in _SPACE:
        after += 1
    return (start, after + 1) if raw[after : after + 1] == b"," else (start, end)


def _spans(raw: bytes, before: dict[str, Any], wanted: set[str]) -> dict[str, Span] | None:
    """Where each member that is wanted lies; None when that can't be told from the bytes.

    A member ends where the next begins, and names stand in the bytes in the order in which they were read.
    """
    if not wanted:
        return {}
    names = list(before)
    after_it = dict(zip(names, [*names[1:], None], strict=True))
    places = _found(raw, names, wanted | {name for other in wanted if (name := after_it[other]) is not None})
    if places is None:
        return _tokens(raw, wanted)
    spans: dict[str, Span] = {}
    for name in wanted:
        following = after_it[name]
        end = places[following][0] if following is not None else raw.rindex(b"}")
        end = len(raw[places[name][1] : end].rstrip(_SPACE + b"," if following is not None else _SPACE))
        spans[name] = (*places[name], places[name][1] + end)
        value = before[name]
        if not isinstance(value, dict | list) and not _reads_as(raw[spans[name][1] : spans[name][2]], value):
            return None  # a name stands twice, or half a character was read as U+FFFD
    return spans


def _reads_as(raw: bytes, value: Any) -> bool:
    try:
        return bool(orjson.loads(raw) == value)
    except ValueError:
        return False


def _found(raw: bytes, names: list[str], wanted: set[str]) -> dict[str, tuple[int, int]] | None:
    """Where the names that are wanted and their values begin; None where one is spelt with escapes."""
    walk = _Walk(raw)
    places: dict[str, tuple[int, int]] = {}
    for index, name in enumerate(names):
        if name in wanted:
            place = _near_the_end(raw, names[index:]) or walk.to(name)
            if place is None:
                return None
            places[name] = place
    return places


def _near_the_end(raw: bytes, names: list[str]) -> tuple[int, int] | None:
    """Where the first of the last names and its value begin, if little follows.

    PERF: clients write the conversation first and the model behind it. What stands from the name on is the rest of the
    object if it reads as one with just these names: deeper there would be too many brackets,
    within a text too few names.
    """
    text = _quoted(names[0])
    place = raw.rfind(text, max(0, len(raw) - _TAIL)) if text else -1
    colon = _COLON.match(raw, place + len(text)) if place >= 0 else None
    if colon is None:
        return None
    try:
        same = list(orjson.loads(b"{" + raw[place:])) == names
    except ValueError:
        return None
    return (place, colon.end()) if same else None


def _quoted(name: str) -> bytes:
    """A name as it stands in the bytes; nothing for one that could be spelt in several ways."""
    return b'"%b"' % name.encode() if _PLAIN.fullmatch(name) else b""


class _Walk:
    """Goes through the bytes once: where names stand, and how deep."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._outside = Outside(raw)
        self._depth = 0

    def to(self, name: str) -> tuple[int, int] | None:
        """Go on to a top-level name; gives where it and its value begin, None where there is none so spelt."""
        text, outside = _quoted(name), self._outside
        place = self._raw.find(text, outside.at) if text else -1
        while place >= 0:
            while outside.at < place:
                passed = outside.step(place)
                self._depth += passed.count(b"{") + passed.count(b"[") - passed.count(b"}") - passed.count(b"]")
            if outside.at == place and not outside.inside and self._depth == 1:
                colon = _COLON.match(self._raw, place + len(text))
                if colon is not None:
                    return place, colon.end()
            place = self._raw.find(text, place + 1)
        return None


def _tokens(raw: bytes, wanted: Iterable[str]) -> dict[str, Span] | None:
    """The same, token by token, for names that are spelt with escapes. None when a name stands twice."""
    spans: dict[str, Span] = {}
    for name, start, end in _members(raw):
        try:
            key = orjson.loads(name)
        except ValueError:  # half a character, which bodies are rid of when they are parsed
            return None
        if key in spans:
            return None
        value = start + len(name)
        value += len(_COLON.match(raw, value).group())  # type: ignore[union-attr]  # the body was parsed
        spans[key] = (start, value, end)
    return spans if spans.keys() >= set(wanted) else None


def _members(raw: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each top-level name as it is spelt, where it begins, and where its value ends."""
    depth = 0
    name: re.Match[bytes] | None = None
    for token in _TOKEN.finditer(raw):
        first = raw[token.start()]
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
        if name is None and depth == 1 and first == 0x22:
            name = token
        elif name is not None and ((depth == 1 and first == 0x2C) or depth == 0):
            yield name.group(), name.start(), token.start() - _trailing(raw[name.end() : token.start()])
            name = None


def _trailing(text: bytes) -> int:
    return len(text) - len(text.rstrip(_SPACE))
