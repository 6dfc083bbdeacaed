"""Strikes secrets and addresses out of texts that somebody else wrote, before they are told or logged.

Takes what was sent (credentials) and where to; gives texts, bytes and JSON values without them, whoever repeats them,
in the spellings that programs write: as they are, in addresses, in JSON, in HTML, in base64 (also behind a user's
name), in hexadecimal, in any case, cut off after their beginning. Used where something failed; a good answer never
comes here. Knows no channel and no call.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

STRUCK = "***"
_SHORTEST = 4
"""Characters of the shortest text that is taken for a secret."""
_WORD = 8
"""Shorter secrets are struck out only where they stand as words: they may be parts of common ones."""
_BEGINNING = 16
"""The beginning of a long secret is as good as the whole: texts are cut off by who writes them."""
_MOST = 20
"""Keys that are looked for in all spellings and anywhere; those of more are looked up word by word."""
_PARTS = re.compile(r"[|:\s]+")
_RUN = rb"[0-9a-z_\-.~+/%=]*"
_WORDS = re.compile(rb"[0-9a-z_\-.~+/%]{8,}")


class Mask:
    """What has to be struck out. ``addresses`` are hosts, with and without ports."""

    def __init__(self, secrets: Iterable[str], addresses: Iterable[str] = ()) -> None:
        keys = [key for secret in dict.fromkeys(secrets) for key in _keys(secret)]
        anywhere = {form for key in keys[:_MOST] for form in _spellings(key)}
        self._words = frozenset(form for key in keys[_MOST:] for form in _plain(key))
        patterns = [re.escape(form) for form in sorted(anywhere, key=len, reverse=True) if len(form) >= _WORD]
        patterns += [re.escape(form[:_BEGINNING]) + _RUN for form in anywhere if len(form) >= 1.5 * _BEGINNING]
        patterns += [_alone(form) for form in anywhere if len(form) < _WORD]
        patterns += [_alone(host.lower().encode()) for host in addresses if len(host) >= _SHORTEST]
        self._patterns = [re.compile(pattern) for pattern in patterns]

    def text(self, text: str) -> str:
        """The text without any of it; the same object if there is none."""
        data = text.encode("utf-8", "surrogatepass")
        clean = self._struck(data)
        return text if clean is data else clean.decode("utf-8", "surrogatepass")

    def raw(self, data: bytes) -> bytes:
        """A body without any of it, byte for byte the same if there is none; JSON stays JSON."""
        try:
            value = orjson.loads(data)
        except ValueError:
            return self._struck(data)
        clean = self.value(value)
        return data if clean is value else _dumps(clean)

    def value(self, value: Any) -> Any:
        """A JSON value without any of it, names of members included; the same object if there is none."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            pairs = {self.text(key) if isinstance(key, str) else key: self.value(inner) for key, inner in value.items()}
            return value if _same(value, pairs) else pairs
        if isinstance(value, list):
            items = [self.value(inner) for inner in value]
            return value if all(new is old for new, old in zip(items, value, strict=True)) else items
        return value

    def _struck(self, data: bytes) -> bytes:
        lower = data.lower()  # of ASCII alone, so that places are the same in both
        spans = [match.span() for pattern in self._patterns for match in pattern.finditer(lower)]
        if self._words:
            spans += [match.span() for match in _WORDS.finditer(lower) if match[0] in self._words]
        if not spans:
            return data
        out, at = [], 0
        for begin, end in sorted(spans):
            if begin >= at:
                out += [data[at:begin], STRUCK.encode()]
            at = max(at, end)
        return b"".join([*out, data[at:]])


@lru_cache(64)
def mask(secrets: tuple[str, ...], addresses: tuple[str, ...] = ()) -> Mask:
    """The mask of these, made once."""
    return Mask(secrets, addresses)


def _keys(secret: str) -> Iterator[str]:
    """A secret, and its parts where it is put together of several."""
    whole = secret.strip()
    if len(whole) >= _SHORTEST:
        yield whole
    parts = _PARTS.split(whole)
    if len(parts) > 1:
        yield from (part for part in parts if len(part) >= _BEGINNING)


def _plain(key: str) -> Iterator[bytes]:
    """A key as a word of a text, in lower case."""
    for form in (key, quote(key, safe=""), b64encode(key.encode()).decode().rstrip("=")):
        yield form.lower().encode()


def _spellings(key: str) -> set[bytes]:
    """A key as programs write it, in lower case."""
    forms = {key}
    if len(key) >= _WORD:
        quoted = quote(key, safe="")
        forms |= {quoted, quote(key), quote_plus(key), quote(quoted, safe=""), html.escape(key), key.encode().hex()}
        escaped = json.dumps(key)[1:-1]
        forms |= {escaped, escaped.replace("/", "\\/"), json.dumps(key, ensure_ascii=False)[1:-1]}
        forms |= set(_base64(key.encode()))
    return {form.lower().encode() for form in forms}


def _base64(key: bytes) -> Iterator[str]:
    """What base64 makes of a key, whatever stands before and behind it (such as a user's name): three ways to begin."""
    for before in range(3):
        data = bytes(before) + key
        whole = b64encode(data).decode()[(before * 8 + 5) // 6 : len(data) * 8 // 6]
        yield whole
        yield whole.replace("+", "-").replace("/", "_")


def _alone(form: bytes) -> bytes:
    return rb"(?<![0-9a-z])" + re.escape(form) + rb"(?![0-9a-z])"


def _same(old: dict[Any, Any], new: dict[Any, Any]) -> bool:
    return len(old) == len(new) and all(key in new and new[key] is inner for key, inner in old.items())


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # half characters
        return json.dumps(value, separators=(",", ":")).encode()
