"""Changes top-level members of a JSON object in its bytes, and leaves every other byte as it came.

A body that passes through in its own format is never serialised again: what a patch changed is cut out and put in.
Takes the bytes with the parsed object before and after; gives bytes. Knows nothing of formats.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

# A string whole, or one structural character. Everything between them is of no interest here.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)
_SPACE = b" \t\r\n"


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
    spans = _member_spans(raw)
    if spans is None:  # a key written twice, or one that needs unescaping: bytes can't be trusted to mean the object
        return orjson.dumps(after)
    edits: list[tuple[int, int, bytes]] = []
    added: list[bytes] = []
    for key, value in changed.items():
        if key in spans:
            _, start, end = spans[key]
            edits.append((start, end, orjson.dumps(value)))
        else:
            added.append(orjson.dumps(key) + b":" + orjson.dumps(value))
    for key in dropped:
        start, _, end = spans[key]
        edits.append((start, end, b""))
    return _apply(raw, edits, added)


def _apply(raw: bytes, edits: list[tuple[int, int, bytes]], added: list[bytes]) -> bytes:
    """Cut and paste; a dropped member (empty text) takes one neighbouring comma with it."""
    pieces: list[bytes] = []
    at = 0
    for start, end, text in sorted(edits):
        if not text:
            start, end = _with_comma(raw, max(start, at), end)
        pieces += (raw[at:start], text)
        at = end
    close = raw.rindex(b"}")
    pieces.append(raw[at:close])
    head = b"".join(pieces)
    bare = head.rstrip(_SPACE)
    if bare.endswith(b","):  # the last member was dropped
        head = bare = bare[:-1].rstrip(_SPACE)
    if added:
        head = bare + (b"" if bare.endswith(b"{") else b",") + b",".join(added)
    return head + raw[close:]


def _with_comma(raw: bytes, start: int, end: int) -> tuple[int, int]:
    after = end
    while raw[after] in _SPACE:
        after += 1
    return (start, after + 1) if raw[after : after + 1] == b"," else (start, end)


def _member_spans(raw: bytes) -> dict[str, tuple[int, int, int]] | None:
    """Where each top-level member lies: name -> (start of the name, start of the value, end of the value).

    None when a name stands twice.
    """
    spans: dict[str, tuple[int, int, int]] = {}
    depth = 0
    name: tuple[bytes, int] | None = None
    value_at = -1
    for token in _TOKEN.finditer(raw):
        first = raw[token.start()]
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
        if depth > 1 or (depth == 1 and first in b"]}["):
            continue
        if first == 0x22 and value_at < 0:
            name = (token.group(), token.start())
        elif first == 0x3A and value_at < 0:
            value_at = token.end()
        elif name is not None and value_at >= 0 and (first == 0x2C or depth == 0):
            try:
                key = orjson.loads(name[0])
            except ValueError:  # half a character, which bodies are rid of when they are parsed
                return None
            if key in spans:
                return None
            end = token.start()
            spans[key] = (name[1], value_at + _leading(raw[value_at:end]), len(raw[:end].rstrip(_SPACE)))
            name, value_at = None, -1
    return spans


def _leading(text: bytes) -> int:
    return len(text) - len(text.lstrip(_SPACE))
