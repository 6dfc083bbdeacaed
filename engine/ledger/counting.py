"""Counts tokens here, where the upstream told none or a balance is nearly spent: exactly with a vocabulary, else about.

Vocabularies are files (``NAME.tiktoken``, or ``.xz`` of it) that are looked for in directories and never fetched; their
checksums are looked at. Texts are counted in slices of 32 K characters (one long run can overflow the splitter's
stack), large ones in a pool of one thread so that no stream waits. What is missing makes an estimate that says so.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import lzma
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SLICE = 32_768
_POOLED = 16_384
_DEFAULT = "o200k_base"
_SHA256 = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
_MEDIA_TOKENS = 1_000
_MEDIA_LENGTH = 1_024
_BASE64 = re.compile(r"^(data:[^,]{0,100},)?[A-Za-z0-9+/_=-]{256}")
_WIDE = re.compile(r"[\u2e80-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens, and how they were found: ``counted`` with a vocabulary, or ``estimated``."""

    tokens: int
    how: str


class Counter:
    """Counts by vocabularies of these directories. What was loaded before a fork is shared by those forked: 70 MB."""

    def __init__(self, directories: Sequence[Path], *, vocabulary: str = _DEFAULT) -> None:
        self._encoding = load(tuple(directories), vocabulary)
        self._pool = _one_thread()

    @property
    def exact(self) -> bool:
        """Whether there is a vocabulary."""
        return self._encoding is not None

    def text(self, text: str) -> Count:
        """Tokens of a text."""
        if self._encoding is None:
            return Count(estimate(text), "estimated")
        if self._pool is not None and len(text) > _POOLED:
            return Count(int(self._pool.apply(self._sliced, (text,))), "counted")
        return Count(self._sliced(text), "counted")

    def request(self, body: Any) -> Count:
        """Tokens of all texts in a request; data in base64 counts as so many for each."""
        texts: list[str] = []
        media = 0
        for text in _texts(body):
            if len(text) > _MEDIA_LENGTH and _BASE64.match(text):
                media += 1
            else:
                texts.append(text)
        found = self.text("\n".join(texts))
        return Count(found.tokens + media * _MEDIA_TOKENS, "estimated" if media else found.how)

    def _sliced(self, text: str) -> int:
        encode = self._encoding.encode_ordinary
        return sum(len(encode(text[at : at + SLICE])) for at in range(0, len(text), SLICE))


def estimate(text: str) -> int:
    """About how many tokens: words by their length, wide characters and signs one by one."""
    if len(text) > SLICE * 4:
        wide = len(_WIDE.findall(text))
        return wide + (len(text) - wide + 3) // 4
    total = 0
    for found in _WORD.finditer(text):
        word = found.group()
        total += len(word) if _WIDE.match(word) else 1 + (len(word) - 1) // 6
    return total


def _texts(value: Any) -> Iterator[str]:
    """Every string of a JSON value, but for keys; not recursive, as callers nest as deep as they like."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


@functools.cache
def load(directories: tuple[Path, ...], name: str = _DEFAULT) -> Any:
    """The library's encoder by a vocabulary, kept for this process; nothing where there is none."""
    raw = _read(directories, name)
    if raw is None:
        return None
    try:
        import tiktoken
        from tiktoken import registry
    except ImportError:
        return None
    ranks = {}
    for line in raw.splitlines():
        token, _, rank = line.partition(b" ")
        if rank:
            ranks[base64.b64decode(token)] = int(rank)
    with _LOCK:
        registry._find_constructors()
        make = (registry.ENCODING_CONSTRUCTORS or {}).get(name)
        if make is None:
            return None
        module = sys.modules[make.__module__]
        kept = module.load_tiktoken_bpe
        # the pattern and the special tokens are the library's; the ranks are ours, so that nothing is fetched
        module.load_tiktoken_bpe = lambda *_, **__: ranks  # type: ignore[attr-defined]
        try:
            return tiktoken.Encoding(**make())
        finally:
            module.load_tiktoken_bpe = kept  # type: ignore[attr-defined]


def _read(directories: Sequence[Path], name: str) -> bytes | None:
    """A vocabulary's bytes, if a file of the right checksum lies somewhere."""
    for directory in directories:
        for path, unpack in (
            (directory / f"{name}.tiktoken", bytes),
            (directory / f"{name}.tiktoken.xz", lzma.decompress),
        ):
            try:
                raw = unpack(path.read_bytes())
            except (OSError, lzma.LZMAError):
                continue
            if hashlib.sha256(raw).hexdigest() == _SHA256.get(name):
                return raw
    return None


def _one_thread() -> Any:
    """A pool of one native thread under gevent, where a long count would hold up every stream."""
    if "gevent" not in sys.modules:
        return None
    from gevent import monkey, threadpool

    return threadpool.ThreadPool(1) if monkey.is_module_patched("socket") else None
