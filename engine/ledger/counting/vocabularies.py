"""Vocabularies for counting tokens: files of ranks, looked for in directories and never fetched.

``load(directories, name)`` gives the library's encoder, or nothing where no file of the right checksum lies anywhere.
What was loaded before a fork is shared by those forked. Installing puts them in place (``deploy/vocabularies.py``).
"""

from __future__ import annotations

import functools
import hashlib
import lzma
import sys
import threading
from binascii import a2b_base64
from pathlib import Path
from typing import Any

SHA256 = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
SUFFIX = ".tiktoken.xz"
_LOCK = threading.Lock()


@functools.cache
def load(directories: tuple[Path, ...], name: str) -> Any:
    """The library's encoder by a vocabulary, kept for this process; nothing where there is none."""
    for directory in directories:
        path = directory / f"{name}{SUFFIX}"
        if path.is_file() and (encoder := _encoder(path, name)) is not None:
            return encoder
    return None


def missing(directories: tuple[Path, ...]) -> list[str]:
    """Load all that there are; gives the names of those that lie nowhere."""
    return [name for name in SHA256 if load(directories, name) is None]


@functools.cache
def _encoder(path: Path, name: str) -> Any:
    """The encoder by a file; nothing where it is not the vocabulary's."""
    try:
        raw = lzma.decompress(path.read_bytes())
    except (OSError, lzma.LZMAError):
        return None
    if hashlib.sha256(raw).hexdigest() != SHA256.get(name):
        return None
    import tiktoken
    from tiktoken import registry

    words = raw.split()
    ranks = dict(zip(map(a2b_base64, words[::2]), map(int, words[1::2]), strict=True))
    with _LOCK:
        registry._find_constructors()
        make = (registry.ENCODING_CONSTRUCTORS or {}).get(name)
        if make is None:
            return None
        module = sys.modules[make.__module__]
        original = module.load_tiktoken_bpe
        # the pattern and the special tokens are the library's; the ranks are ours, so that nothing is fetched
        module.load_tiktoken_bpe = lambda *_, **__: ranks  # type: ignore[attr-defined]
        try:
            return tiktoken.Encoding(**make())
        finally:
            module.load_tiktoken_bpe = original  # type: ignore[attr-defined]
