"""The built assets: read once, served with names that change when they do, so that browsers keep them for good."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import orjson

BUILT = Path(__file__).resolve().parent / "built"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="#0a7a8c" stroke-width="1.5" '
    b'stroke-linecap="round" stroke-linejoin="round"><path d="M2.5 14V5.5L8 2l5.5 3.5V14M5.5 14V8.5h5V14"/>'
    b'<path d="M8 8.5V14"/></svg>'
)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    type: str
    whole: bytes
    packed: bytes


@lru_cache(maxsize=1)
def names() -> dict[str, str]:
    """The names of built files by those of their sources; empty where nothing is built."""
    path = BUILT / "manifest.json"
    return dict(orjson.loads(path.read_bytes())) if path.is_file() else {}


def address(source: str) -> str:
    """Where a page finds an asset."""
    return f"/console/assets/{names().get(source, source)}"


@lru_cache(maxsize=32)
def asset(name: str) -> Asset | None:
    """A built file by its name; nothing else lies there."""
    if name not in names().values():
        return None
    path = BUILT / name
    whole = path.read_bytes()
    return Asset(_TYPES[path.suffix], whole, gzip.compress(whole, 9, mtime=0))
